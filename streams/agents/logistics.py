"""`logistics`: watches the waybills of every order (`streams.domain.logistics`)."""

from __future__ import annotations

from typing import Any, Final

from streams.domain import logistics as rules
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

FACTS: Final = "order-facts"

logistics = Agent(
    "logistics",
    sources=(FACTS,),
    writes=(rules.CALLS, rules.ALERTS),
    clock=Clock.EVENTS,
)
WAYBILLS = logistics.table("waybills")

TIMER: Final = "waybills"
_SETTINGS = data.logistics()


@logistics.fold
def fold(ctx: Context, key: bytes | None, message: dict[str, Any]) -> None:
    if rules.concerns(message):
        guid = message["order_guid"]
        before = ctx[WAYBILLS].get(guid)
        outcome = rules.step(before, message, ctx.now, _SETTINGS)
        if outcome.rows is not before:
            _store(ctx, guid, outcome.rows, rules.next_due(before, _SETTINGS))
        _send(ctx, outcome)


@logistics.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    rows = ctx[WAYBILLS].get(key)
    if rows is not None:
        outcome = rules.due(key, rows, ctx.now, _SETTINGS)
        _store(ctx, key, outcome.rows, None)
        _send(ctx, outcome)


@logistics.time_of
def time_of(message: dict[str, Any]) -> int:
    at: int = message["event_time"]
    return at


def _send(ctx: Context, outcome: rules.Outcome) -> None:
    for topic, name, value in outcome.sends:
        ctx.emit(topic, name, value)


def _store(ctx: Context, guid: str, rows: Any, timed: int | None) -> None:
    """`timed`: when the timer of the order fires now, if there is one."""
    if rows is None:
        del ctx[WAYBILLS][guid]
    else:
        ctx[WAYBILLS][guid] = rows
    earliest = rules.next_due(rows, _SETTINGS)
    if earliest is None and timed is not None:
        ctx.timers.cancel(TIMER, guid)
    elif earliest is not None and earliest != timed:
        ctx.timers.set(TIMER, guid, earliest)
