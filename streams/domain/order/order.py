"""One order: folds its events, in whatever order and however often they come, into one state.

    fact -> seen before? (dedup) -> what does it claim, by what authority? (meanings, claims)
         -> what it adds (progress, money, codes, marks) -> what follows (flags, stock, lanes) -> audit, atomic events

The state is a function of the set of accepted events, so every merge below is a minimum, a maximum or a union.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.alert import CLOSE_COMMAND
from streams.domain.order import (
    asides,
    atomic,
    audit,
    called_off,
    claims,
    codes,
    contradicted,
    dedup,
    flags,
    invoicing,
    labels,
    lag,
    manual,
    money,
    oversold,
    parked,
    placed,
    progress,
    pushes,
    returned,
    risk,
    saga,
    shipped,
    sla,
)
from streams.domain.order.lanes import TierRules
from streams.domain.order.manual import ManualRules
from streams.domain.order.meanings import (
    CANCEL_MARKED,
    CODE_REJECTED,
    CONFIRM_TIMEOUT,
    MEANINGS,
    NOTE,
    RECORDED,
    REFUND,
    REPEATED_PAYMENT,
    TIMED_OUT,
    Meaning,
)
from streams.domain.order.node_records import NodeRecords
from streams.domain.order.state import Fact, OrderState, line_of
from streams.domain.order.stock import Send, StockRules
from streams.domain.rules.nodes import BASE_NODE, CUSTOMER_SIGNED, LOGISTICS_SIGNED, NODES
from streams.domain.status_map import AT_PICKUP_POINT, may_be_signed

CREATED: Final = "order_created"
ADDRESS_CHANGED: Final = "address_changed"

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """`seen_memory_ms`: how long a repeated event id is recognised (ID-05). `currency`: of orders that name none.
    `pushes`: who hears of which change at once (ST-13). `shown_ms`: how long a channel may show a shipped order as
    waiting (ST-14). `auto_complete`: channels whose orders the courier's signature completes (LOG-13). `most_minor`:
    see `money.price`."""

    seen_memory_ms: int = 7 * DAY_MS
    currency: str = "CNY"
    tiers: TierRules = field(default_factory=TierRules)
    stock: StockRules = field(default_factory=StockRules)
    nodes: NodeRecords = field(default_factory=NodeRecords)
    pushes: pushes.Targets = field(default_factory=dict)
    shown_ms: int = 5 * 60_000
    auto_complete: frozenset[str] = frozenset()
    manual: ManualRules = field(default_factory=ManualRules)
    most_minor: int = 10**15  # as `contract.LIMITS.amount`, which is built upon this package


@dataclass(slots=True)
class Decision:
    """What became of one event. `state` is the one given if there is nothing to store; `changed` means its record
    in order-states differs; `audit` lacks `raw`; `events` are records of order-events; `sends` is for other agents."""

    state: OrderState
    audit: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: bool = False
    sends: Sequence[Send] = ()


class UnknownOrder(LookupError):
    """An event for an order that was never created."""


def reduce(state: OrderState | None, fact: Fact, now: int, settings: OrderSettings) -> Decision:
    """Fold one fact (see state.Fact) into the order. Never changes `state`. Raises UnknownOrder.

    `now` (ms) is for what is due later; all else goes by event time alone, so a replay decides like the live run.
    """
    if fact["event_type"][0] == "_":
        if fact["event_type"] == CODE_REJECTED:
            return _code_rejected(state, fact, settings)
        if fact["event_type"] == REPEATED_PAYMENT and "told_as" in fact:
            return _repeated(state, fact)
        if fact["event_type"] == risk.RISK_FACT and "digest" not in fact:
            return _weighed(state, fact, now, settings)
        if fact["event_type"] == CONFIRM_TIMEOUT and "digest" not in fact:
            return _timed_out(state, fact, now, settings)
        if fact["event_type"] == invoicing.TOLD and "digest" not in fact:
            return _invoiced(state, fact, now, settings)
    if state is None:
        if fact["event_type"] != CREATED:
            raise UnknownOrder(f"{fact['event_type']} for an order that was never created")
        return _created(fact, now, settings)

    key = dedup.event_key(fact["source"], fact["event_id"])
    digest: int = fact.get("digest") or 0
    verdict = dedup.check(state.seen, key, digest)
    if verdict is not dedup.NEW:
        if verdict is dedup.REUSED:
            return _unchanged(state, fact, "ID-05", audit.REFUSED, "event id reused with other content")
        if not parked.is_ready(state, fact, key):
            return _unchanged(state, fact, "ID-05", audit.DUPLICATE, "event seen before")

    new = state.copy()
    if verdict is dedup.NEW:
        new.seen = dedup.remember(state.seen, key, digest, fact["event_time"], settings.seen_memory_ms)
    at: int = fact["event_time"] - state.created_at
    changed = codes.collect(new, fact, at)
    if fact["event_type"] == CREATED and verdict is dedup.NEW:
        new.version += changed
        note = audit.row(fact, "ID-05", audit.DUPLICATE, audit.text(state), audit.text(new), "the order exists already")
        return Decision(new, note, [], changed)
    return _fold(state, new, fact, key, at, changed, now, settings)


def answer(state: OrderState | None, fact: Fact, now: int, settings: OrderSettings) -> saga.Answer:
    """Fold an answer of the stock into the order. Never changes `state`. Raises UnknownOrder."""
    if state is None:
        raise UnknownOrder("an answer of the stock for an order that was never created")
    return saga.answer(state, fact, now, settings.stock)


def _fold(
    state: OrderState,
    new: OrderState,
    fact: Fact,
    key: bytes,
    at: int,
    changed: bool,
    now: int,
    settings: OrderSettings,
) -> Decision:
    """What the event, `at` ms after the creation, says goes into `new`: a copy of `state` that has its codes."""
    meaning, refusal = claims.read(fact)
    if meaning.is_manual:
        return _manual(state, new, fact, at, changed, now, settings)
    rule = meaning.rule
    if (meaning.money or fact["event_type"] == RECORDED) and (wrong := money.refusal(state.currency, fact)):
        refusal, rule = wrong, "FIN-07"
    elif meaning.claims or claims.of_a_field(fact):
        changed |= claims.keep(new, fact, meaning, at)
        if fact["topic"] == "orders" and (rank := claims.shown(fact, meaning)) >= 0:
            changed |= lag.show(new, rank, at, (fact.get("mapped") or {}).get("field"))
    mapped = fact.get("mapped")
    decision, reason = audit.REFUSED, refusal
    if mapped is not None:
        if parked.update(new, fact, key, at):
            progress.provisional(new)
            changed = True
        word = "" if mapped["known"] else fact.get("raw_status") or ""
        if word and may_be_signed(fact["topic"], word):
            decision, rule = audit.ACCEPTED, "LOG-05"
            reason = f"{refusal}; until one is, it counts as a signature of a paid order"

    if fact["event_type"] in invoicing.KINDS and refusal is None:
        before, rule = new.aside, invoicing.RULES.get(fact["event_type"], rule)
        refusal = reason = invoicing.take(new, fact, now, settings.stock)
        changed |= new.aside is not before
    if fact["event_type"] == ADDRESS_CHANGED and fact.get("address"):
        changed |= invoicing.move(new, fact["address"], at)
    events: list[dict[str, Any]] = []
    if refusal is None:
        decision = audit.ACCEPTED
        if meaning.node:
            if progress.is_late(new, meaning.node, at):
                decision, reason = audit.FILLED_IN, "the order is already further"
            changed |= _reach(state, new, fact, meaning.rank, meaning.node, at, events)
            if meaning.rank == LOGISTICS_SIGNED and new.channel in settings.auto_complete:
                changed |= _reach(state, new, fact, CUSTOMER_SIGNED, BASE_NODE[CUSTOMER_SIGNED], at, events)  # LOG-13
        if meaning.money and money.add(new, fact, key, meaning.money):
            changed = True
            if meaning.money == REFUND:
                events.append(atomic.record(new, fact, atomic.REFUNDED))
                if new.refunded_minor > new.paid_minor:  # the money did move: nothing is refused, but it is said
                    reason = reason or "more is refunded than was paid so far"
        if meaning.mark:
            changed |= flags.mark(new, meaning.mark, at)
            if fact["event_type"] == CANCEL_MARKED:
                changed |= called_off.note(new, at)
        if fact["topic"] == "wms":
            if "warehouse" in fact:
                changed |= asides.stay(new, fact["warehouse"], at)
            if fact["event_type"] == labels.FAILED:
                changed |= labels.fail(new, at, settings.nodes)
        if "error" in fact and (state.error is None or [at, fact["error"]] > state.error):
            new.error = [at, fact["error"]]
        if at > new.updated_at:
            new.updated_at = at
            changed = True
    if mapped is not None and mapped["known"]:
        changed |= flags.mark_all(new, fact["topic"], mapped.get("flags") or (), at)
        if mapped.get("axis") in returned.BACK and fact["topic"] in returned.CARRY:
            changed |= flags.mark(new, returned.CAME_BACK, at)
        if returned.turns(fact["topic"], mapped.get("axis")):
            changed |= returned.turn(new, at)
        elif mapped.get("axis") == AT_PICKUP_POINT and fact["topic"] == "couriers":
            changed |= returned.lie_ready(new, at)
        if mapped.get("event") == atomic.INVOICED:
            if atomic.INVOICED not in state.marks:
                events.append(atomic.record(new, fact, atomic.INVOICED))
            changed |= flags.mark(new, atomic.INVOICED, at)
    sends = _follow(state, new, fact, meaning, now, settings) if changed else ()
    row = audit.row(fact, rule, decision, audit.text(state), audit.text(new), reason)
    return Decision(new, row, events, changed, sends)


def _reach(
    state: OrderState, new: OrderState, fact: Fact, rank: int, node: int, at: int, events: list[dict[str, Any]]
) -> bool:
    """Note a claim of a state (or -1) and a node; True if it told anything new."""
    if rank >= 0 and state.reached[rank] is None and (what := atomic.OF_RANK[rank]):
        events.append(atomic.record(new, fact, *what))
    return progress.reach(new, rank, node, at)


def _follow(
    state: OrderState, new: OrderState, fact: Fact, meaning: Meaning, now: int, settings: OrderSettings
) -> list[Send]:
    """Flags and version of a changed order, and what others are to do about it."""
    new.flags = flags.derive(new)
    new.version += 1
    guid, at = fact["order_guid"], fact["event_time"]
    sends = saga.follow(state, new, fact, meaning.shown, now, settings.tiers, settings.stock)
    shipped.follow(guid, state, new, sends, at)
    if new.marks or new.refunded_minor:
        contradicted.follow(guid, state, new, fact, sends, at)
    if new.aside is not state.aside and new.stock is not None:
        placed.follow(guid, state, new, fact, sends, at)
    moved = new.nodes is not state.nodes or new.reached is not state.reached
    if moved and new.stock is not None:
        oversold.follow(guid, state, new, sends, at)
    if moved and settings.pushes:
        pushes.follow(state, new, fact, meaning, settings.pushes, sends)
    if moved or new.flags != state.flags or new.marks is not state.marks:
        sla.watch(guid, new, at, now, settings.nodes, sends)
    aside = new.aside
    if aside is not None:
        if aside.label is not None:
            labels.watch(guid, new, at, now, settings.nodes, sends)
        if aside.shown is not None:
            lag.watch(guid, new, at, now, settings.shown_ms, settings.nodes.history_ms, sends)
        if aside.invoice is not None:
            invoicing.follow(state, new, fact, sends)
    return sends


def _manual(
    state: OrderState, new: OrderState, fact: Fact, at: int, changed: bool, now: int, settings: OrderSettings
) -> Decision:
    """ST-09: a command or an approval; `new` and `changed` as in `_fold`."""
    if fact.get("command") == CLOSE_COMMAND:
        return _settled(state, new, fact, at, changed, now, settings)
    told = manual.take(new, fact, at, now, settings.manual, settings.nodes)
    decision, changed = told.decision, changed or told.changed
    reason, node = told.reason, told.meaning.node
    if (told.changed or decision != audit.REFUSED) and at > new.updated_at:  # a no is refused, and yet ends a request
        new.updated_at, changed = at, True
    if node:
        if progress.is_late(state, node, told.moved_at):
            decision, reason = audit.FILLED_IN, f"{reason}; the order is already further"
        changed |= progress.reach(new, -1, node, told.moved_at)
        if new.node != node and decision == audit.ACCEPTED:
            reason = f"{reason}; the order comes there once it is {NODES[node - 1].state}"
    sends = _follow(state, new, fact, told.meaning, now, settings) if changed else ()
    row = audit.row(fact, told.meaning.rule, decision, audit.text(state), audit.text(new), reason)
    return Decision(new, row, [], changed, sends)


def _settled(
    state: OrderState, new: OrderState, fact: Fact, at: int, changed: bool, now: int, settings: OrderSettings
) -> Decision:
    """ID-04: a person has closed the alert about a code of another order; `new` and `changed` as in `_fold`."""
    decision, reason = audit.REFUSED, "no code of that alert was refused"
    if codes.settle(new, fact["order_guid"], fact.get("target") or "", at):
        decision, reason, changed = audit.ACCEPTED, "its alert was closed", True
    sends = _follow(state, new, fact, NOTE, now, settings) if changed else ()
    row = audit.row(fact, "ID-04", decision, audit.text(state), audit.text(new), reason)
    return Decision(new, row, [], changed, sends)


def _timed_out(state: OrderState | None, fact: Fact, now: int, settings: OrderSettings) -> Decision:
    """LOG-15: nobody said a word against a delivery for so long that it counts as confirmed."""
    if state is None:
        raise UnknownOrder("a time for confirmation of an order that was never created")
    key = dedup.event_key(fact["source"], fact["event_id"])
    if dedup.check(state.seen, key, 0) is not dedup.NEW:
        return _unchanged(state, fact, "ID-05", audit.DUPLICATE, "event seen before")
    rule, at = TIMED_OUT.rule, fact["event_time"] - state.created_at
    if state.reached[LOGISTICS_SIGNED] is None:
        return _unchanged(state, fact, rule, audit.REFUSED, "no courier has delivered it")
    if state.flags & (flags.CLOSED | flags.REFUNDED):
        return _unchanged(state, fact, rule, audit.REFUSED, "the order has ended")
    new = state.copy()
    new.seen = dedup.remember(state.seen, key, 0, fact["event_time"], settings.seen_memory_ms)
    events: list[dict[str, Any]] = []
    decision, reason = audit.ACCEPTED, "no word of the customer in time"
    if progress.is_late(state, TIMED_OUT.node, at):
        decision, reason = audit.FILLED_IN, "the order is already further"
    changed = _reach(state, new, fact, TIMED_OUT.rank, TIMED_OUT.node, at, events)
    if at > new.updated_at:
        new.updated_at, changed = at, True
    sends = _follow(state, new, fact, TIMED_OUT, now, settings) if changed else ()
    row = audit.row(fact, rule, decision, audit.text(state), audit.text(new), reason)
    return Decision(new, row, events, changed, sends)


def _created(fact: Fact, now: int, settings: OrderSettings) -> Decision:
    at: int = fact["event_time"]
    key = dedup.event_key(fact["source"], fact["event_id"])
    total = fact.get("total_minor")
    if total is None:
        total, _, _ = money.price(fact, settings.most_minor)
    new = OrderState(
        created_at=at,
        channel=fact.get("channel"),
        order_no=fact.get("order_no"),
        customer_id=fact.get("customer_id"),
        sales_type=fact.get("sales_type"),
        alias18=fact.get("alias18"),
        total_minor=total,
        currency=money.currency_of(fact, settings.currency),
        lines=[line_of(line) for line in fact.get("lines") or ()],
        seen=dedup.remember(b"", key, fact.get("digest") or 0, at, settings.seen_memory_ms),
    )
    codes.collect(new, fact, 0)
    progress.reach(new, 0, 1, 0)
    events = [atomic.record(new, fact, atomic.CREATED)]
    sends: list[Send] = []
    if fact.get("warehouse"):
        asides.stay(new, fact["warehouse"], 0)
    if fact.get("address"):
        new.address = [0, invoicing.place(fact["address"])]
    reason = saga.begin(new, fact, now, settings.tiers, settings.stock, sends)
    if settings.pushes:
        pushes.created(new, fact, settings.pushes, sends)
    sla.watch(fact["order_guid"], new, at, now, settings.nodes, sends)
    if "invoice" in fact:
        invoicing.begin(new, fact, now, settings.stock, sends)
    if fact.get("mapped") is None:
        new.version = 1
        row = audit.row(fact, "ST-01", audit.ACCEPTED, None, audit.text(new), reason)
        return Decision(new, row, events, True, sends)
    # The order exists whatever its status means; a refused status is told in the reason.
    told = _fold(new, new.copy(), fact, key, 0, True, now, settings)
    if told.audit["decision"] == audit.REFUSED:
        reason = told.audit["reason"]
    row = audit.row(fact, "ST-01", audit.ACCEPTED, None, told.audit["after"], reason)
    return Decision(told.state, row, events + told.events, True, [*sends, *told.sends])


def _code_rejected(state: OrderState | None, fact: Fact, settings: OrderSettings) -> Decision:
    """ID-04: another order has the code. This one is marked and goes on under its own codes."""
    if state is None:
        raise UnknownOrder("a rejected code for an order that was never created")
    kind, code, bound_to = str(fact["code_kind"]), str(fact["code"]), str(fact.get("bound_to") or "another order")
    key = dedup.event_key(fact["source"], f"{fact['event_id']}\0{kind}\0{code}")
    if dedup.check(state.seen, key, 0) is not dedup.NEW:
        return _unchanged(state, fact, "ID-05", audit.DUPLICATE, "event seen before")
    new = state.copy()
    new.seen = dedup.remember(state.seen, key, 0, fact["event_time"], settings.seen_memory_ms)
    changed = codes.reject(new, kind, code, bound_to, fact["event_time"] - state.created_at)
    if changed:
        new.flags = flags.derive(new)
        new.version += 1
    reason = f"{kind} {code} is bound to {bound_to}: the first binding holds"
    row = audit.row(fact, "ID-04", audit.REFUSED, audit.text(state), audit.text(new), reason)
    return Decision(new, row, [], changed)


def _repeated(state: OrderState | None, fact: Fact) -> Decision:
    """ID-05: a payment or refund that came under another event id before; the audit shows it as what it was told as."""
    if state is None:
        raise UnknownOrder("a repeated payment for an order that was never created")
    told = {**fact, "event_type": fact["told_as"]}
    what = "refund" if MEANINGS["payments", fact["told_as"]].money == REFUND else "payment"
    reason = f"duplicate_suppressed: the {what} was told before, as event {fact['repeats']}"
    return _unchanged(state, told, "ID-05", audit.DUPLICATE, reason)


def _invoiced(state: OrderState | None, fact: Fact, now: int, settings: OrderSettings) -> Decision:
    if state is None:
        raise UnknownOrder("an invoice of an order that was never created")
    new, row, events, changed, sends = invoicing.learn(state, fact, now, settings.stock, settings.seen_memory_ms)
    return Decision(new, row, events, changed, sends)


def _weighed(state: OrderState | None, fact: Fact, now: int, settings: OrderSettings) -> Decision:
    if state is None:
        raise UnknownOrder("a risk score for an order that was never created")
    new, row, changed, sends = risk.learn(
        state, fact, now, settings.tiers, settings.stock, settings.nodes, settings.seen_memory_ms
    )
    return Decision(new, row, [], changed, sends)


def _unchanged(state: OrderState, fact: Fact, rule: str, decision: str, reason: str) -> Decision:
    here = audit.text(state)
    return Decision(state, audit.row(fact, rule, decision, here, here, reason))
