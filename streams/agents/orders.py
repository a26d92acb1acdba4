"""The orders agent: folds every fact about an order into its one state.

order-facts (by order_guid) -> table "orders" -> order-states (compacted), order-events, audit-log
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Any, Final, Literal

import orjson

from streams.domain.order import OrderSettings, OrderState, UnknownOrder, from_row, record, reduce, to_row
from streams.engine import Agent, Context

AuditRaw = Literal["keep", "hash", "drop"]

FACTS: Final = "order-facts"
STATES: Final = "order-states"
EVENTS: Final = "order-events"
AUDIT: Final = "audit-log"


def encode(state: OrderState) -> bytes:
    """The row of an order as it lies in the store and the changelog."""
    return orjson.dumps(to_row(state))


def decode(data: bytes) -> OrderState:
    """The inverse of `encode`."""
    return from_row(orjson.loads(data))


def make(audit_raw: AuditRaw = "keep", settings: OrderSettings | None = None) -> Agent:
    """The agent. `audit_raw`: the payload in audit-log as it came, as its SHA-256, or not at all."""
    rules = settings or OrderSettings()
    agent = Agent("orders", sources=(FACTS,), writes=(STATES, EVENTS, AUDIT))
    table = agent.table("orders", encode=encode, decode=decode, kept=0.4)  # 4-8 kB each once decoded

    @agent.time_of
    def time_of(fact: dict[str, Any]) -> int:
        return int(fact["event_time"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
        guid: str = fact["order_guid"]
        orders = ctx[table]
        state = orders.get(guid)
        try:
            decision = reduce(state, fact, ctx.now, rules)
        except UnknownOrder as error:
            ctx.refuse(str(error), stage="rule")
            return
        if decision.state is not state:
            orders[guid] = decision.state
        decision.audit["raw"] = payload(fact, audit_raw)
        ctx.emit(AUDIT, guid, decision.audit)
        for event in decision.events:
            ctx.emit(EVENTS, guid, event)
        if decision.changed:
            ctx.emit_latest(STATES, guid, partial(record, guid, decision.state))

    return agent


def payload(fact: dict[str, Any], audit_raw: AuditRaw) -> str | None:
    """What audit-log keeps of the payload (DQ-13): the sender's own text, or the fact as JSON where there is none."""
    if audit_raw == "drop":
        return None
    raw: str = fact.get("raw") or orjson.dumps(fact).decode()
    return raw if audit_raw == "keep" else f"sha256:{sha256(raw.encode()).hexdigest()}"


orders: Final = make()
