"""`channels`: breakers and limits by channel; every order_created passes its gate (`streams.domain.channel`)."""

from __future__ import annotations

from typing import Any

import orjson

from streams.agents.outcome import apply
from streams.domain import channel as rules
from streams.domain.channel import outcome as names
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

channels = Agent(
    "channels",
    sources=(names.FACTS,),
    writes=(names.FACTS, names.ORDERS, names.BREAKS, names.ALERTS, names.REPORTS),
    clock=Clock.WALL,
)
# What is held back is read once, when it is let go.
TABLES = {name: channels.table(name, kept=0.0 if name == names.HELD else 1.0) for name in names.TABLES}
GATES = TABLES[names.GATES]

_SETTINGS = data.channels()


@channels.fold
def fold(ctx: Context, key: bytes | None, message: dict[str, Any]) -> None:
    if key is None:
        raise ValueError("a fact without its channel")
    channel = key.decode()
    gate = ctx[GATES].get(channel)
    if rules.passes(gate, channel, message, _SETTINGS) and not (gate["watched"] and _news(ctx, channel, message)):
        ctx.emit(names.ORDERS, message["code"][2], orjson.Fragment(ctx.value))
        return
    if message.get("event_type") == rules.MISSED:
        message = {**message, "waited": ctx.waited}
    outcome = rules.step(_get(ctx), channel, message, ctx.now, _SETTINGS)
    if outcome.passed:
        ctx.emit(names.ORDERS, message["code"][2], orjson.Fragment(ctx.value))
    _apply(ctx, outcome)


@channels.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    _apply(ctx, rules.due(_get(ctx), kind, key, due, ctx.now, _SETTINGS))


@channels.time_of
def time_of(message: dict[str, Any]) -> int:
    return rules.time_of(message)


def _news(ctx: Context, channel: str, message: dict[str, Any]) -> bool:
    """Whether this sign of life is the first at this time; the clock of a live worker stands still within a turn."""
    who = channel, message["fact"]["source"]
    if ctx.memo.get(who) == ctx.now:
        return False
    ctx.memo[who] = ctx.now
    return True


def _get(ctx: Context) -> names.Get:
    return lambda table, key: ctx[TABLES[table]].get(key)


def _apply(ctx: Context, outcome: rules.Outcome) -> None:
    if outcome.refused is not None:
        ctx.refuse(outcome.refused, stage="rule")
    apply(ctx, outcome, TABLES, (names.HELD,))
