"""`ledger`: the money of every order as double entry (`streams.domain.ledger`).

It reads the facts of the orders in a group of its own, so that the orders agent gets no slower.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain import ledger as rules
from streams.domain.ledger import periods
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

FACTS: Final = "order-facts"

ledger = Agent("ledger", sources=(FACTS,), writes=(rules.ENTRIES, rules.ALERTS), clock=Clock.EVENTS)
ORDERS = ledger.table("orders")
CLOSED = ledger.table("closed")

TIMER: Final = "order"
LAST: Final = "last"
"""Key of the last month that was closed."""
_SETTINGS = data.ledger()


@ledger.fold
def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
    if rules.concerns(fact):
        guid = fact["order_guid"]
        before = ctx[ORDERS].get(guid)
        outcome = rules.step(before, fact, ctx.now, _locked(ctx), _SETTINGS)
        if outcome.row is not before:
            _apply(ctx, guid, outcome, None if before is None else before.get("due"))
    elif fact["event_type"] == rules.CLOSED:
        month = periods.month_of(fact["period"])
        if month is not None and month > _closed(ctx):
            ctx[CLOSED][LAST] = ctx.memo[LAST] = month


@ledger.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    row = ctx[ORDERS].get(key)
    if row is not None:
        _apply(ctx, key, rules.due(key, row, due, _locked(ctx), _SETTINGS), None)


@ledger.time_of
def time_of(fact: dict[str, Any]) -> int:
    at: int = fact["event_time"]
    return at


def _apply(ctx: Context, guid: str, outcome: rules.Outcome, timer: int | None) -> None:
    """`timer`: when the order's timer fires so far, ms."""
    assert outcome.row is not None
    ctx[ORDERS][guid] = outcome.row
    for entry in outcome.entries:
        ctx.emit(rules.ENTRIES, entry["entry_id"], entry)
    for topic, name, value in outcome.sends:
        ctx.emit(topic, name, value)
    wake = outcome.row.get("due")
    if wake is not None and wake != timer:
        ctx.timers.set(TIMER, guid, wake)


def _locked(ctx: Context) -> int:
    """FIN-11: the last month that is locked, by a closing that was told or by a date that was configured."""
    closed = _closed(ctx)
    return max(closed, periods.scheduled(_SETTINGS.locks, ctx.now)) if _SETTINGS.locks else closed


def _closed(ctx: Context) -> int:
    month: int | None = ctx.memo.get(LAST)
    if month is None:
        month = ctx.memo[LAST] = ctx[CLOSED].get(LAST, periods.NONE)
    return month
