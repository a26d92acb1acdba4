"""Where an order's events, the answers of the stock and its timer meet: commands, lanes and due times in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.inventory.options import advice
from streams.domain.order import audit, branch, deadlines, labels, lag, lanes, manual, oversold, reserved, sla, stock
from streams.domain.order.flags import CLOSED, FROZEN, REFUNDED
from streams.domain.order.lanes import TierRules
from streams.domain.order.manual import ManualRules
from streams.domain.order.meanings import CANCEL_MARKED, GIVEN_UP
from streams.domain.order.node_records import NodeRecords
from streams.domain.order.reserved import OUTCOMES, OVERSOLD, REFUSED
from streams.domain.order.state import Fact, OrderState
from streams.domain.order.stock import Send, StockRules
from streams.domain.rules.nodes import PAID

CHANNELS: Final = "channel-facts"


@dataclass(slots=True)
class Answer:
    """What became of an answer of the stock, or of a timer. `state` is the one given if there is nothing to store;
    `changed`: its record in order-states differs. `audit` (without `raw`) only where units were not to be had."""

    state: OrderState
    audit: dict[str, Any] | None = None
    sends: list[Send] = field(default_factory=list)
    changed: bool = False
    expired: Sequence[dict[str, Any]] = ()
    """Audit rows (without `raw`) of requests that nobody approved in time."""


def begin(
    state: OrderState, fact: Fact, now: int, tiers: TierRules, rules: StockRules, sends: list[Send]
) -> str | None:
    """A new order: its tier, and a hold of all it orders. Answers why nothing was reserved, if it should have been."""
    state.tier = lanes.tier_of(state, tiers)
    return stock.begin(state, fact, rules, now, sends)


def follow(
    old: OrderState, new: OrderState, fact: Fact, shown: int, now: int, tiers: TierRules, rules: StockRules
) -> list[Send]:
    """What an event that changed the order (`old` to `new`) asks of stock and lanes. `shown`: the rank it claims."""
    claimed = shown >= PAID and new.stock is not None and fact["topic"] == "orders"
    same = _same(old, new, claimed)
    if same and new.node == old.node and new.tier:
        return []
    if new.flags != old.flags or not new.tier:
        new.tier = lanes.tier_of(new, tiers)
    sends: list[Send] = []
    unmanaged = not same and (new.stock is None or not new.stock.groups)
    if unmanaged and stock.sells(new) and not stock.sells(old) and not stock.is_too_large(new, rules):
        stock.confirm_unmanaged(fact["order_guid"], new, fact["event_time"], sends)
    if not new.lane and new.rank != PAID and (new.stock is None or same):
        return sends  # nothing to ask for, and no lane to enter or leave
    _go_on(new, fact, claimed, now, rules, sends)
    return sends


def report(new: OrderState, fact: Fact, now: int, rules: StockRules) -> list[Send]:
    """A branch has reported (BRK-07): what an order does that waited for it."""
    sends: list[Send] = []
    if lanes.lane_of(new) != new.lane:
        _go_on(new, fact, False, now, rules, sends)
    return sends


def _same(old: OrderState, new: OrderState, claimed: bool) -> bool:
    """Whether the order wants of its stock what it wanted before: only its node is another."""
    return (
        new.rank == old.rank
        and new.flags == old.flags
        and new.refunded_minor == old.refunded_minor
        and new.marks is old.marks
        and not claimed
        and (new.paid_minor == old.paid_minor or new.rank >= PAID)
        and not _is_told_paid(old, new)
        and not (new.refunded_minor and _weighs_anew(old, new))
    )


def _is_told_paid(old: OrderState, new: OrderState) -> bool:
    """Whether the payment platform has spoken now (BRK-07), of an order that may be far beyond paid by other words."""
    return new.reached is not old.reached and old.reached[PAID] is None and new.reached[PAID] is not None


def _weighs_anew(old: OrderState, new: OrderState) -> bool:
    """Of an order with a refund: whether a line that was refunded may be another one now (see returned)."""
    return new.paid_minor != old.paid_minor or new.reached is not old.reached


def answer(state: OrderState, fact: Fact, now: int, rules: StockRules) -> Answer:
    """Fold one answer of the stock (see `inventory`): {order_guid, sku, do, round, lines: [[line_no, outcome, reason,
    options?], ...]}. One that was known before, or that nobody waits for, changes nothing."""
    before = state.stock
    if before is None or not before.groups:
        adopted = stock.adopt(state, fact)
        if adopted is None:
            return Answer(state)
        before = adopted if before is None else before._replace(groups=adopted.groups)
    sku, groups = fact["sku"], list(before.groups)
    place = next((n for n, group in enumerate(groups) if group.sku == sku), None)
    if place is None:
        return Answer(state)
    groups[place], news = stock.take(groups[place], fact)
    if groups[place] is before.groups[place]:
        return Answer(state)
    new, held_ms = state.copy(), fact.get("held_ms")
    held_ms = before.held_ms if held_ms is None else max(held_ms, before.held_ms or 0)
    new.stock = reserved.Stock(groups, *before[1:-1], held_ms)
    sends: list[Send] = []
    _go_on(new, fact, False, now, rules, sends)
    if oversold.is_served(new) and (news or not oversold.is_served(state)):
        oversold.close(fact["order_guid"], new, sends, fact["event_time"])
    changed = new.lane != state.lane or _shown(state) != _shown(new)
    if changed:
        new.version += 1
    row = _row(state, new, fact, news) if news else None
    return Answer(new, row, sends, changed)


def due(guid: str, state: OrderState, at: int, rules: StockRules, nodes: NodeRecords, by_hand: ManualRules) -> Answer:
    """The order's timer: what is due at `at` (ms) or before. Of all that, only what expired shows in order-states."""
    if state.stock is None and state.wait is None and state.aside is None:
        return Answer(state)
    new, sends = state.copy(), list[Send]()
    if new.stock is not None:
        deadlines.fire(guid, new, at, rules, sends)
    if new.wait is not None:
        sla.fire(guid, new, at, nodes, sends)
    if new.aside is None:
        return Answer(new, None, sends)
    labels.fire(guid, new, at, nodes, sends)
    lag.fire(guid, new, at, sends)
    branch.fire(guid, new, at, rules.branch_ms, sends)
    expired = manual.fire(guid, new, at, by_hand)
    if expired:
        new.version += 1
    return Answer(new, None, sends, bool(expired), expired)


def _go_on(state: OrderState, fact: Fact, claimed: bool, now: int, rules: StockRules, sends: list[Send]) -> None:
    guid, at = fact["order_guid"], fact["event_time"]
    if state.stock is not None:
        if not state.stock.groups and stock.is_too_large(state, rules):
            pass  # nothing was asked, so nothing is known of its SKUs
        elif stock.is_unmanaged(state.stock):
            state.stock = deadlines.without_stock(guid, state.stock, at, sends)
        else:
            stock.ask(guid, state, at, _why(state, fact), sends)
    lane, moved = lanes.lane_of(state), False
    if lane != state.lane:
        moved = True
        for number, enter in ((state.lane, False), (lane, True)):
            if number and (said := lanes.told(guid, state, number, enter, at)):
                sends.append((CHANNELS, *said))
        state.lane = lane
    if state.stock is None and lanes.is_due(state):
        state.stock = reserved.NOTHING
    if state.stock is not None:
        deadlines.watch(guid, state, moved, claimed, at, now, rules, sends)
        if state.stock == reserved.NOTHING and not stock.is_too_large(state, rules):
            state.stock = None


def _why(state: OrderState, fact: Fact) -> str:
    """Why units are given back, should any be."""
    if state.flags & REFUNDED:
        return "refunded"
    if state.flags & CLOSED or (state.flags & FROZEN and stock.has_ended(state)):
        return "cancelled" if fact["event_type"] == CANCEL_MARKED else "closed"
    if state.stock is not None and state.rank < PAID:
        if GIVEN_UP in state.marks:
            return "cancelled"
        return "refused" if any(REFUSED in group.told for group in state.stock.groups) else "expired"
    return "refunded"


def _shown(state: OrderState) -> Any:
    """What order-states tells of the stock."""
    kept = state.stock
    if kept is None or not reserved.is_told(kept):
        return None
    return kept.held_ms, [(group.told, group.reasons) for group in kept.groups]


def _row(old: OrderState, new: OrderState, fact: Fact, news: list[list[Any]]) -> dict[str, Any]:
    """The audit of an answer that had no units for the order (INV-06, INV-07, INV-08; CUS-05 never says no alone)."""
    outcomes = {OUTCOMES[line[1]] for line in news}
    rule = "INV-08" if OVERSOLD in outcomes else "INV-07" if REFUSED in outcomes else "INV-06"
    parts = []
    for line in news:
        text = f"line {line[0]} {line[1]}" + (f": {line[2]}" if line[2] else "")
        if len(line) > 3 and line[3]:
            text += f". {advice(line[3])}"
        parts.append(text)
    decision = audit.REFUSED if outcomes == {REFUSED} else audit.ACCEPTED
    reason = f"{fact['sku']} " + "; ".join(parts)
    return audit.row(fact, rule, decision, audit.text(old), audit.text(new), reason)
