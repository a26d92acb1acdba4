"""The orders agent: folds every fact about an order into its one state.

order-facts (by order_guid) -> table "orders" -> order-states (compacted), order-events, audit-log
                                              -> order-pushes, warehouse-requests
                                              -> stock-commands, channel-facts, alert-facts, invoice-facts
                            -> table "parked" -> order-facts, once a status table knows the word (ST-03)
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Any, Final, Literal

import orjson

from streams.agents.outcome import send
from streams.domain.inventory import messages
from streams.domain.ledger import periods
from streams.domain.logistics.arrival import ESTIMATED
from streams.domain.order import (
    ASKED,
    PUSHES,
    REPLY,
    TIMER,
    WAREHOUSE,
    OrderSettings,
    OrderState,
    Send,
    UnknownOrder,
    answer,
    asked,
    asked_of,
    asked_until,
    due,
    due_at,
    from_row,
    invoicing,
    learn,
    record,
    reduce,
    to_row,
    waiting_names,
)
from streams.domain.order.asides import is_same_due
from streams.domain.protected.seal import finding
from streams.domain.rules import data
from streams.domain.status_map import StatusMaps, missing_key, speakers
from streams.engine import Agent, Context

AuditRaw = Literal["keep", "hash", "drop"]

FACTS: Final = "order-facts"
STATES: Final = "order-states"
EVENTS: Final = "order-events"
AUDIT: Final = "audit-log"
MAPS: Final = "maps"
"""Timer kind: events that wait are looked through, from the one whose name is the timer's key."""
LOOKED_AT: Final = 200
"""Waiting events that are looked at in one turn."""
OTHERS: Final = (messages.COMMANDS, "channel-facts", messages.ALERTS, invoicing.TOPIC, PUSHES, WAREHOUSE)


_END: Final = "\U0010ffff"
"""Behind every name of a row."""


def encode(state: OrderState) -> bytes:
    """The row of an order as it lies in the store and the changelog."""
    return orjson.dumps(to_row(state))


def decode(data: bytes) -> OrderState:
    """The inverse of `encode`."""
    return from_row(orjson.loads(data))


def make(audit_raw: AuditRaw = "keep", settings: OrderSettings | None = None, maps: StatusMaps | None = None) -> Agent:
    """The agent. `audit_raw`: the payload in audit-log as it came, as its SHA-256, or not at all. `maps`: the status
    tables that say whether a parked event is known by now; default: those of the package."""
    rules = settings or data.order_settings()
    agent = Agent("orders", sources=(FACTS,), writes=(FACTS, STATES, EVENTS, AUDIT, *OTHERS))
    table = agent.table("orders", encode=encode, decode=decode, kept=0.25)  # 4-8 kB each once decoded
    waiting = agent.table("asked", kept=0.0)
    closings = agent.table("closings", kept=0.0)
    unknown = agent.table("parked", kept=0.0)
    told = agent.table("maps")
    words = maps or data.status_maps()
    protected = data.protected()

    @agent.time_of
    def time_of(fact: dict[str, Any]) -> int:
        at: int = fact["event_time"]
        return at

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
        guid: str = fact["order_guid"]
        state = ctx[table].get(guid)
        try:
            if fact["event_type"] == REPLY:
                answered = answer(state, fact, ctx.now, rules)
                if answered.audit is not None:
                    answered.audit["raw"] = payload(fact, ctx.value, audit_raw)
                    ctx.emit(AUDIT, guid, answered.audit)
                settle(ctx, guid, state, answered.state, answered.sends, answered.changed)
                return
            if fact["event_type"] == ESTIMATED:
                if state is None:
                    raise UnknownOrder("an estimate for an order that was never created")
                expecting = learn(state, fact)
                settle(ctx, guid, state, expecting, (), expecting is not state)
                return
            decision = reduce(state, fact, ctx.now, rules)
        except UnknownOrder as error:
            if fact["event_type"] == periods.CLOSED:
                close(ctx, fact)
            elif fact["event_type"] != periods.STATED:  # a total of a BI system, which is no order's either
                ctx.refuse(str(error), stage="rule")
            return
        decision.audit["raw"] = payload(fact, ctx.value, audit_raw)
        ctx.emit(AUDIT, guid, decision.audit)
        for event in decision.events:
            ctx.emit(EVENTS, guid, event)
        settle(ctx, guid, state, decision.state, decision.sends, decision.changed)
        if decision.state.unmapped != (state.unmapped if state is not None else []):
            park(ctx, guid, fact, state, decision.state)

    @agent.on_start
    def start(ctx: Context) -> None:
        """With other tables than those by which events were parked, see which of them are known now."""
        known = ctx[told].get(MAPS)
        if known is not None and known != words.digest:
            ctx[told][MAPS] = words.digest
            ctx.timers.set(MAPS, "", ctx.now)

    def close(ctx: Context, fact: dict[str, Any]) -> None:
        """FIN-11: the closing of a period is no order's; what became of it is audited once, on one partition."""
        if fact["order_guid"] != periods.KEYS[0]:
            return
        label = fact["period"]
        known = dict(ctx[closings].scan())
        row, first = periods.closing(fact, known)
        if first is not None:
            ctx[closings][label] = first
        ctx.emit(AUDIT, f"period/{label}", {**row, "raw": payload(fact, ctx.value, audit_raw)})

    @agent.on_timer
    def fire(ctx: Context, kind: str, key: str, at: int) -> None:
        if kind == MAPS:
            look(ctx, key, at)
            return
        if kind == TIMER:
            fired(ctx, key, at)
            return
        for name, _ in list(ctx[waiting].range("", asked_until(at))):
            del ctx[waiting][name]
            fired(ctx, asked_of(name)[1], at)
        ctx.memo.pop(ASKED, None)
        for name, _ in ctx[waiting].scan():
            ctx.timers.set(ASKED, "", asked_of(name)[0])
            break

    def fired(ctx: Context, guid: str, at: int) -> None:
        state = ctx[table].get(guid)
        if state is not None and (state.stock is not None or state.wait is not None or state.aside is not None):
            done = due(guid, state, at, rules.stock, rules.nodes, rules.manual)
            for row in done.expired:
                ctx.emit(AUDIT, guid, row)
            settle(ctx, guid, None, done.state, done.sends, done.changed)

    def park(ctx: Context, guid: str, fact: dict[str, Any], old: OrderState | None, new: OrderState) -> None:
        """Keep the whole event beside the order for as long as the order waits for its meaning."""
        before, after = waiting_names(old) if old is not None else set(), waiting_names(new)
        for name in sorted(before - after):
            del ctx[unknown][f"{guid}/{name}"]
        for name in sorted(after - before):
            ctx[unknown].add(f"{guid}/{name}", fact)
            if ctx[told].get(MAPS) is None:
                ctx[told][MAPS] = words.digest
            tell_again(ctx, [fact], fact["event_time"])  # whoever read it first may have had older tables

    def look(ctx: Context, start: str, at: int) -> None:
        rows = list(islice(ctx[unknown].range(start, _END), LOOKED_AT))
        tell_again(ctx, [fact for _, fact in rows], at)
        if rows:
            ctx.timers.set(MAPS, f"{rows[-1][0]}\0", at + 1)  # in a turn of its own

    def tell_again(ctx: Context, facts: Iterable[dict[str, Any]], at: int) -> None:
        """Those whose word the tables know by now go to all who read of the order once more. Here each is applied when
        it comes back; a second copy finds that it waits no longer.
        """
        missed = set()
        for fact in facts:
            topic, word = fact["topic"], fact["raw_status"]
            mapped = words.find(topic, speakers(topic, fact), fact.get("raw_field"), word, fact["event_type"])
            changes = protected.altered(fact)
            if changes:  # it has lain here since it was compared
                ctx.emit(*finding(changes, agent.name, fact))
            elif mapped["known"]:
                ctx.emit(FACTS, fact["order_guid"], {**fact, "mapped": mapped})
                missed.add(missing_key(fact["source"], fact.get("raw_field"), word))
        for key in sorted(missed):
            ctx.emit(messages.ALERTS, key, {"do": "close", "rule": "ST-03", "at": at})

    def settle(
        ctx: Context, guid: str, old: OrderState | None, new: OrderState, sends: Iterable[Send], changed: bool
    ) -> None:
        """Keep the state, send what follows. `old` is None where nothing of the order is due."""
        if new is not old:
            ctx[table][guid] = new
            if (
                old is None
                or new.stock is not old.stock
                or new.wait is not old.wait
                or not is_same_due(new.aside, old.aside)
            ):
                time(ctx, guid, old, new)
        send(ctx, sends)
        if changed:
            ctx.emit_latest(STATES, guid, partial(record, guid, new, rules.nodes, rules.manual))

    def time(ctx: Context, guid: str, old: OrderState | None, new: OrderState) -> None:
        """Move what is due with the order."""
        if old is None or new.stock is not old.stock:
            wait(ctx, asked(guid, old), asked(guid, new))
        earliest = due_at(new)
        if earliest != due_at(old):
            if earliest is None:
                ctx.timers.cancel(TIMER, guid)
            else:
                ctx.timers.set(TIMER, guid, earliest)

    def wait(ctx: Context, before: str | None, after: str | None) -> None:
        """Move the order among those that wait for the stock; one timer wakes them all."""
        if before == after:
            return
        if before is not None:
            del ctx[waiting][before]
        if after is None:
            return
        ctx[waiting].add(after, 1)
        if ASKED not in ctx.memo:
            if ctx.timers.due(ASKED, "") is None:
                ctx.timers.set(ASKED, "", asked_of(after)[0])
            ctx.memo[ASKED] = True

    return agent


def payload(fact: dict[str, Any], record: bytes, audit_raw: AuditRaw) -> str | None:
    """What audit-log keeps of the payload (DQ-13): the sender's own text, or the fact as JSON (the record that brought
    it) where there is none."""
    if audit_raw == "drop":
        return None
    raw: str = fact.get("raw") or record.decode()
    return raw if audit_raw == "keep" else f"sha256:{sha256(raw.encode()).hexdigest()}"


orders: Final = make()
