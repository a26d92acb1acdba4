"""The order's side of the reservation saga (INV-07): what it asks of its SKUs, and what it makes of the answers.

    order created             reserve   every SKU, all its lines at once
    deposit paid              reserve   again, to be kept until the rest is paid: also what was refused or has expired
    paid                      confirm   at once, at the time of the payment, answered or not
    closed, or all refunded   release   unless the goods have left
    cancelled, and partly     release   until somebody says otherwise (see called_off)
      refunded
    payment failed, cancel    release   of an unpaid order; one that is paid after all is confirmed from what is there
      requested
    a line refunded           release   that line, unless it had left before (see returned)
    refused or expired        release   the other lines of an unpaid order
    awaiting confirmation     virtual   the units stand in the virtual warehouse until the customer signs, or they come
                                        back or are paid back (INV-14)

A SKU that was under no stock control when the order came may be by the payment: it is asked to confirm all the same.

What an order wants of its lines follows from its state, whatever the order of events; a command is sent where that is
not what was asked last. So an answer that is late, doubled or comes after the order ended needs no rule of its own.
Commands of one order reach a SKU in the order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import calendar
from streams.domain.inventory import messages
from streams.domain.order import called_off, returned
from streams.domain.order.flags import CLOSED, FROZEN, REFUNDED
from streams.domain.order.meanings import GIVEN_UP
from streams.domain.order.numbers import numbered
from streams.domain.order.reserved import (
    CONFIRM,
    DEDUCTED,
    EXPIRED,
    HELD,
    KEEP,
    NOTHING,
    OUTCOMES,
    OVERSOLD,
    REFUSED,
    RELEASE,
    RELEASED,
    RESERVE,
    RETURNED,
    UNMANAGED,
    UNSENT,
    UNTOLD,
    Group,
    Stock,
)
from streams.domain.order.state import Fact, OrderState
from streams.domain.rules.nodes import LOGISTICS_SIGNED, PAID, SHIPPED

REPLY: Final = messages.STOCK_FACT
"""Event type of an answer."""

Send = tuple[str, str, dict[str, Any]]
"""(topic, key, value)."""
Lines = list[list[int]]
"""[line_no, quantity] per line of a SKU."""

_ENDED: Final = CLOSED | REFUNDED
_LOST: Final = REFUSED + EXPIRED
_KINDS: Final[tuple[str, ...]] = (RELEASE, RESERVE, KEEP, CONFIRM)
"""In the order in which they are sent."""
_PLAIN: Final = frozenset({messages.HELD, messages.CONFIRMED, messages.RETURNED, messages.UNMANAGED})
"""Answers with nothing more to them."""


@dataclass(frozen=True, slots=True)
class StockRules:
    """Times in ms.

    max_lines    orders of more lines are not reserved: each answer costs the whole order
    branch_ms    BRK-07: how long a branch may be silent
    deduct_ms    INV-15: how long paid units may wait for their deduction
    retry_ms     INV-15: between two confirms after that
    retries      INV-15: how often the confirm is sent again before somebody gets a ticket
    stage_ms     BRK-11: how long an order may take to its next stage
    """

    max_lines: int = 500
    branch_ms: int = 30_000
    deduct_ms: int = calendar.MINUTE_MS
    retry_ms: int = calendar.MINUTE_MS
    retries: int = 3
    stage_ms: int = 5 * calendar.MINUTE_MS


def by_sku(lines: Sequence[Sequence[Any]]) -> dict[str, Lines]:
    """The lines of an order by SKU."""
    numbers = numbered([line[0] for line in lines])
    found: dict[str, Lines] = {}
    for n, line in enumerate(lines):
        sku, quantity = line[1], line[2]
        if sku and quantity and not sku.isspace():
            found.setdefault(sku, []).append([numbers[n], quantity])
    return found


def begin(state: OrderState, fact: Fact, rules: StockRules, now: int, sends: list[Send]) -> str | None:
    """Try: reserve all lines of a new order. Answers why nothing was reserved, if it should have been."""
    if is_too_large(state, rules):
        if by_sku(state.lines):
            state.stock = NOTHING  # it is watched: once paid it has to be deducted by somebody (INV-15)
        return f"not reserved: too_many_lines, {len(state.lines)} of at most {rules.max_lines}"
    groups = []
    for sku, lines in by_sku(state.lines).items():
        command = {
            "do": messages.RESERVE,
            "sku": sku,
            "order_guid": fact["order_guid"],
            "lines": lines,
            "channel": state.channel,
            "activity": fact.get("activity"),
            "warehouse": fact.get("warehouse"),
            "customer_id": state.customer_id,
            "at": state.created_at,
            "round": 1,
        }
        sends.append((messages.COMMANDS, sku, command))
        groups.append(Group(sku, lines, RESERVE * len(lines), UNTOLD * len(lines), 1))
    if groups:
        state.stock = Stock(groups, branch_due=now - state.created_at + rules.branch_ms + 1)
    return None


def is_too_large(state: OrderState, rules: StockRules) -> bool:
    """Whether the order has more lines than the stock is asked about."""
    return len(state.lines) > rules.max_lines


def ask(guid: str, state: OrderState, at: int, why: str, sends: list[Send]) -> None:
    """Send the commands that bring each line to where the order wants it. Replaces `state.stock`."""
    stock = state.stock
    assert stock is not None
    wanted = _wanted(state, stock)
    back = returned.lines(state, stock.groups) if state.refunded_minor else returned.NOTHING
    shown = state.rank == LOGISTICS_SIGNED and not state.flags & _ENDED and not returned.is_back(state)
    groups = None
    for place, group in enumerate(stock.groups):
        new = group
        for do in _kinds(new, wanted, bool(back)):
            picked = [n for n, line in enumerate(new.lines) if _needs(new, n, wanted, back.get(line[0], False)) == do]
            if picked:
                new = _command(guid, state, new, picked, do, at, why, sends)
        if shown or new.virtual:
            new = _virtual(guid, new, shown, back, at, sends)
        if new is not group:
            groups = groups or list(stock.groups)
            groups[place] = new
    if groups is not None:
        state.stock = Stock(groups, *stock[1:])


def _kinds(group: Group, wanted: str, back: bool) -> tuple[str, ...]:
    """The commands that the group may need. Most often all lines were asked for just that, or are paid now."""
    if not back and wanted != RELEASE:
        if not group.sent.strip(wanted):
            return ()
        if wanted == CONFIRM and not group.sent.strip(RESERVE):
            return (CONFIRM,)
    return _KINDS


def confirm_again(guid: str, state: OrderState, at: int, sends: list[Send]) -> None:
    """INV-15: repeat the confirm of what is paid and not deducted. Replaces `state.stock`."""
    stock = state.stock
    assert stock is not None
    groups = []
    for group in stock.groups:
        picked = undeducted(group)
        groups.append(_command(guid, state, group, picked, CONFIRM, at, "", sends) if picked else group)
    state.stock = stock._replace(groups=groups)


def undeducted(group: Group) -> list[int]:
    """Places of the lines that were asked to be deducted and are not, as far as is known."""
    if CONFIRM not in group.sent:
        return []
    waits = group.answered < group.round
    if waits and not group.sent.strip(CONFIRM):
        return list(range(len(group.sent)))
    return [
        n
        for n, sent in enumerate(group.sent)
        if sent == CONFIRM and (waits or group.told[n] not in DEDUCTED + UNMANAGED)
    ]


def has_ended(state: OrderState) -> bool:
    """Nothing of the order is to be held or deducted any more, or not before somebody says otherwise."""
    if state.flags & _ENDED:
        return returned.left_at(state) is None
    return bool(state.flags & FROZEN) and called_off.is_held(state)


def _wanted(state: OrderState, stock: Stock) -> str:
    """What the order wants of its lines: one of the letters of `Group.sent`."""
    if has_ended(state):
        return RELEASE
    if state.rank >= PAID:
        return CONFIRM
    if state.paid_minor > state.refunded_minor:
        return RELEASE if "closed" in state.marks else KEEP  # a deposit: whoever has paid it counts on the goods
    if GIVEN_UP in state.marks:
        return RELEASE
    for group in stock.groups:
        if REFUSED in group.told or EXPIRED in group.told:
            return RELEASE
    return RESERVE


def _needs(group: Group, n: int, wanted: str, is_back: bool | None) -> str | None:
    """The command that line `n` of the group needs now. `is_back`: see returned.Back."""
    sent, told = group.sent[n], group.told[n]
    if wanted == CONFIRM and is_back is not False:
        if is_back is None:
            return None
        wanted = RELEASE
    if wanted == RELEASE and sent == RESERVE and told in _LOST + UNMANAGED:
        return None
    if group.answered < group.round:
        return wanted if sent != wanted else None
    if wanted == RELEASE:
        return RELEASE if told in HELD + DEDUCTED else None
    if wanted == KEEP:
        return KEEP if sent != KEEP and told != UNMANAGED else None
    if wanted == CONFIRM:
        if sent == CONFIRM or told in DEDUCTED:
            return None
        # Units that came back are sold again by a new hold only; the confirm follows in the same turn.
        return RESERVE if told == RETURNED and sent == RELEASE else CONFIRM
    return RESERVE if sent == UNSENT or (sent == RELEASE and told not in _LOST + UNMANAGED) else None


def _command(
    guid: str, state: OrderState, group: Group, picked: list[int], do: str, at: int, why: str, sends: list[Send]
) -> Group:
    """Send one command about these places of the group."""
    number = group.round + 1
    if do == CONFIRM and all(group.told[n] != RETURNED for n in picked):
        at = paid_at(state)  # units that came back are sold by a later payment, which is the news in hand
    value: dict[str, Any] = {
        "do": messages.CONFIRM if do == CONFIRM else messages.RESERVE,
        "sku": group.sku,
        "order_guid": guid,
        "lines": [group.lines[n] for n in picked],
        "channel": state.channel,
        "at": at,
        "round": number,
    }
    if do == RELEASE:
        sold = group.answered == group.round and all(group.told[n] in DEDUCTED for n in picked)
        value["do"], value["why"] = messages.RETURN if sold else messages.RELEASE, why
        if sold:
            value["sold"] = True
    elif do in (RESERVE, KEEP):
        value["customer_id"] = state.customer_id
        if do == KEEP:
            value["keep"] = True
    if state.aside is not None and state.aside.warehouse is not None:
        value["warehouse"] = state.aside.warehouse[1]
    sends.append((messages.COMMANDS, group.sku, value))
    sent = list(group.sent)
    for n in picked:
        sent[n] = do
    return Group(group.sku, group.lines, "".join(sent), group.told, number, *group[5:])


def paid_at(state: OrderState) -> int:
    """Event time of the payment, or of what stands in for it while none is known."""
    reached = state.reached[PAID]
    if reached is None:
        reached = min(at for at in state.reached[SHIPPED:] if at is not None)
    return state.created_at + reached


def _virtual(guid: str, group: Group, shown: bool, back: returned.Back, at: int, sends: list[Send]) -> Group:
    """INV-14: sold units that were delivered and not confirmed; they leave on the customer's word or a return."""
    lines = group.lines
    before = group.virtual or UNSENT * len(lines)
    after = "".join(
        "v" if shown and told in DEDUCTED and line[0] not in back else UNSENT
        for line, told in zip(lines, group.told, strict=True)
    )
    if after == before:
        return group
    for enter, mark in ((True, "v"), (False, UNSENT)):
        moved = [line for n, line in enumerate(lines) if after[n] == mark != before[n]]
        if moved:
            value = {"do": messages.VIRTUAL, "sku": group.sku, "order_guid": guid, "lines": moved, "at": at}
            sends.append((messages.COMMANDS, group.sku, {**value, "enter": enter}))
    return group._replace(virtual=after if "v" in after else "")


def take(group: Group, fact: Fact) -> tuple[Group, list[list[Any]]]:
    """The group after an answer, and what is news in it: its lines that were refused, oversold or expired.

    The same group if the answer was known before: answers carry the number of their command. An expiry comes of itself
    and counts while the line is held.
    """
    expiry, number = fact["do"] == messages.EXPIRE, fact["round"]
    if number < group.answered or (number == group.answered and not expiry):
        return group, []
    said, answered = fact["lines"], max(group.answered, number)
    # An adopted group (see adopt) may hear of a command it does not know of.
    sent = max(group.round, number)
    if len(group.told) == 1 == len(said) and said[0][1] in _PLAIN and said[0][0] == group.lines[0][0]:
        return Group(group.sku, group.lines, group.sent, OUTCOMES[said[0][1]], sent, answered, group.virtual), []
    told, reasons, news = list(group.told), group.reasons, []
    places = {line[0]: n for n, line in enumerate(group.lines)}
    for line in said:
        n, outcome = places.get(line[0]), OUTCOMES.get(line[1])
        if n is None or outcome is None or (expiry and told[n] != HELD):
            continue
        # Nothing was there to release: why that is so stays known.
        if outcome == RELEASED and told[n] in _LOST + UNMANAGED:
            continue
        reason = line[2] if outcome == REFUSED else None
        if reason != (reasons[n] if reasons else None):
            reasons = list(reasons) if reasons else [None] * len(told)
            reasons[n] = reason
        if outcome != told[n] and outcome in (REFUSED, OVERSOLD, EXPIRED):
            news.append(line)
        told[n] = outcome
    if reasons and not any(reasons):
        reasons = None
    return group._replace(told="".join(told), round=sent, answered=answered, reasons=reasons), news


def is_unmanaged(stock: Stock) -> bool:
    """No SKU is under stock control; a confirm that is still under way will hear the same."""
    for group in stock.groups:  # noqa: SIM110 - of one group, most often
        if group.told.strip(UNMANAGED):
            return False
    return True


def sells(state: OrderState) -> bool:
    """Whether the units of the order are to be deducted by now."""
    return state.rank >= PAID and not has_ended(state)


def confirm_unmanaged(guid: str, state: OrderState, at: int, sends: list[Send]) -> None:
    """An order under no stock control is paid: some of its SKUs may have come under control since it was created. Only
    those answer (see adopt), so that a shop without stock control pays for one record and no more."""
    for sku, lines in by_sku(state.lines).items():
        group = Group(sku, lines, RESERVE * len(lines), UNMANAGED * len(lines), 1, 1)
        _command(guid, state, group, list(range(len(lines))), CONFIRM, at, "", sends)
        sends[-1][2]["quiet"] = True


def adopt(state: OrderState, fact: Fact) -> Stock | None:
    """For an order under no stock control, the stock before an answer that says otherwise: the SKU came under control
    between two commands. None for any other answer."""
    if all(OUTCOMES.get(line[1]) in (None, UNMANAGED, RELEASED, REFUSED) for line in fact["lines"]):
        return None
    sent = CONFIRM if state.rank >= PAID else RESERVE
    groups = [
        Group(
            sku,
            lines,
            sent * len(lines),
            UNMANAGED * len(lines),
            *((fact["round"], fact["round"] - 1) if sku == fact["sku"] else (1, 1)),
        )
        for sku, lines in by_sku(state.lines).items()
    ]
    return Stock(groups)
