"""What must have happened to an order by when, and who is told if it has not.

    BRK-07   the stock answers a new order within 30 s; a payment that the channel speaks of is told within 30 s; a
             request for an invoice, where there is one, is taken or refused within 30 s (see branch)
    INV-15   what is paid is deducted within 60 s: else an alert, the confirm three times more, then a ticket. An order
             of too many lines to be reserved has nothing to confirm: alert and ticket come together
    BRK-11   a paid order is in its lane, and one in the lane wms with the warehouse, within 5 minutes

A limit that is just reached does not count as passed. Times run from when the order was told of the cause (`now`): an
event that waited for its order, or is years old, is not late for that.

Most orders are answered within a blink, many of them that nothing is under stock control; for them all of this must
cost next to nothing. So what waits for its first answer stands in a list by due time (`asked`), with one timer for all;
only what is due after that takes a timer of the order's own.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.inventory import messages
from streams.domain.order import asides, lanes, reserved
from streams.domain.order.reserved import SILENT, STAGE, TICKET, UNDEDUCTED, UNPAID
from streams.domain.order.state import OrderState
from streams.domain.order.stock import Send, StockRules, confirm_again, has_ended, is_too_large, undeducted
from streams.domain.rules.nodes import PAID

TIMER: Final = "order"
"""Kind of the one timer of an order; its key is the guid."""
ASKED: Final = "asked"
"""Kind of the one timer for all orders that wait for their first answer."""
_DIGITS: Final = 14
"""Of a time in ms, so that the text sorts like the number."""

# Bit of Stock.raised: (rule, key of the alert without the guid).
_KINDS: Final = {
    SILENT: ("BRK-07", "BRK-07/stock"),
    UNPAID: ("BRK-07", "BRK-07/payment"),
    UNDEDUCTED: ("INV-15", "INV-15"),
    TICKET: ("INV-15", "INV-15/ticket"),
    STAGE: ("BRK-11", "BRK-11"),
}


def asked(guid: str, state: OrderState | None) -> str | None:
    """The order's key in the list of those that wait for a first answer; None if it does not wait."""
    if state is None or state.stock is None or state.stock.branch_due is None:
        return None
    return str(state.created_at + state.stock.branch_due).zfill(_DIGITS) + guid


def asked_until(at: int) -> str:
    """Keys of what is due at `at` or before are less than this."""
    return f"{at + 1:0{_DIGITS}}"


def asked_of(key: str) -> tuple[int, str]:
    """When it is due, and the guid."""
    return int(key[:_DIGITS]), key[_DIGITS:]


def due_at(state: OrderState | None) -> int | None:
    """When the order's own timer must fire, ms; None for never, or not before its first answer is due."""
    if state is None:
        return None
    earliest = None if state.wait is None else state.wait.wake
    if state.stock is not None:
        if state.stock.branch_due is not None:
            return None
        other = reserved.next_due(state.stock)
        if other is not None and (earliest is None or other < earliest):
            earliest = other
    if state.aside is not None:
        other = asides.next_due(state.aside)
        if other is not None and (earliest is None or other < earliest):
            earliest = other
    return None if earliest is None else earliest + state.created_at


def watch(
    guid: str, state: OrderState, moved: bool, claimed: bool, at: int, now: int, rules: StockRules, sends: list[Send]
) -> None:
    """Set and lift due times after a change. Replaces `state.stock`.

    `moved`: the order entered or left a lane. `claimed`: its channel just called it paid.
    """
    stock = state.stock
    assert stock is not None
    groups, branch, payment, deduct, stage, raised, tries, _ = stock
    passed, ended = now - state.created_at + 1, has_ended(state)
    over = 0

    if ended or not reserved.is_silent(stock):
        branch, over = None, SILENT

    if ended or state.reached[PAID] is not None:
        payment, over = None, over | UNPAID
    elif claimed and payment is None and not raised & UNPAID:
        payment = passed + rules.branch_ms

    unasked = not groups and not ended and is_too_large(state, rules)
    if state.rank < PAID or not (unasked or any(map(undeducted, groups))):
        deduct, tries, over = None, 0, over | UNDEDUCTED | TICKET
    elif deduct is None and not raised & TICKET:
        deduct = passed + rules.deduct_ms

    waits = lanes.is_due(state) and state.lane in (0, lanes.WMS)
    if moved or not waits:
        stage, over = None, over | STAGE
    if waits and stage is None and (moved or not raised & STAGE):
        stage = passed + rules.stage_ms

    if raised & over:
        close(guid, raised & over, at, sends)
    now_due = (branch, payment, deduct, stage, raised & ~over, tries)
    if now_due != stock[1:7]:
        state.stock = reserved.Stock(groups, *now_due, stock.held_ms)


def without_stock(guid: str, stock: reserved.Stock, at: int, sends: list[Send]) -> reserved.Stock | None:
    """What is left to be watched of an order under no stock control: its next stage (BRK-11)."""
    if stock.raised & ~STAGE:
        close(guid, stock.raised & ~STAGE, at, sends)
    left = reserved.NOTHING._replace(stage_due=stock.stage_due, raised=stock.raised & STAGE)
    return None if left == reserved.NOTHING else left


def close(guid: str, raised: int, at: int, sends: list[Send]) -> None:
    """Close these alerts of an order."""
    for bit, (rule, key) in _KINDS.items():
        if raised & bit:
            sends.append(
                (messages.ALERTS, f"{key}/{guid}", {"do": "close", "rule": rule, "at": at, "order_guid": guid})
            )


def fire(guid: str, state: OrderState, at: int, rules: StockRules, sends: list[Send]) -> None:
    """The order's own timer, or that of its first answer, is due at `at` (ms): tell what has passed its limit.
    Replaces `state.stock`."""
    stock = state.stock
    assert stock is not None
    passed = at - state.created_at

    def raise_(bit: int, title: str, detail: str, **more: Any) -> None:
        rule, key = _KINDS[bit]
        said = {"do": "open", "rule": rule, "title": title, "detail": detail, "at": at, "order_guid": guid, **more}
        sends.append((messages.ALERTS, f"{key}/{guid}", {**said, "channel": state.channel}))

    raised = stock.raised
    if stock.branch_due is not None and stock.branch_due <= passed:
        stock, raised = stock._replace(branch_due=None), raised | SILENT
        skus = _named([group.sku for group in stock.groups if not group.answered])
        raise_(SILENT, "stock branch silent", f"no answer about {skus} for {rules.branch_ms // 1000} s")
    if stock.payment_due is not None and stock.payment_due <= passed:
        stock, raised = stock._replace(payment_due=None), raised | UNPAID
        detail = f"the channel calls the order paid, no payment platform does for {rules.branch_ms // 1000} s"
        raise_(UNPAID, "payment branch silent", detail)
    if stock.stage_due is not None and stock.stage_due <= passed:
        stock, raised = stock._replace(stage_due=None), raised | STAGE
        stage = "with the warehouse" if state.lane else "in a lane"
        raise_(STAGE, "missing_stage", f"paid, but not {stage} after {rules.stage_ms // 60_000} min")
    again = stock.deduct_due is not None and stock.deduct_due <= passed
    if again and not stock.groups:
        again, stock, raised = False, stock._replace(deduct_due=None), raised | UNDEDUCTED | TICKET
        detail = f"{len(state.lines)} lines, of at most {rules.max_lines}, were neither reserved nor deducted"
        raise_(UNDEDUCTED, "paid but not deducted", detail)
        raise_(TICKET, "paid but not deducted: needs a person", detail, severity="critical", targets=["ticket"])
    if again:
        skus = _named([group.sku for group in stock.groups if undeducted(group)])
        if stock.tries < rules.retries:
            stock = stock._replace(deduct_due=passed + rules.retry_ms, tries=stock.tries + 1)
            raised |= UNDEDUCTED
            detail = f"{skus}: confirm sent again, {stock.tries} of {rules.retries}"
            raise_(UNDEDUCTED, "paid but not deducted", detail)
        else:
            again = False
            stock, raised = stock._replace(deduct_due=None), raised | TICKET
            detail = f"{skus}: still not deducted after {rules.retries} more confirms"
            raise_(TICKET, "paid but not deducted: needs a person", detail, severity="critical", targets=["ticket"])
    state.stock = stock._replace(raised=raised)
    if again:
        confirm_again(guid, state, at, sends)


def _named(skus: list[str]) -> str:
    return ", ".join(skus[:5]) + (f" and {len(skus) - 5} more" if len(skus) > 5 else "")
