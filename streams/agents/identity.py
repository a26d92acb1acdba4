"""`identity`: finds the order of every event by its codes, and parks what has none yet (`streams.domain.identity`)."""

from __future__ import annotations

from typing import Any

from streams.agents.outcome import apply
from streams.domain import identity as rules
from streams.domain.outcome import Get
from streams.domain.rules import data
from streams.engine import Agent, Context

identity = Agent(
    "identity",
    sources=(rules.FACTS,),
    writes=(rules.FACTS, rules.ORDERS, rules.ALERTS, rules.CHANNELS),
)
# Only bindings are read again and again; what waits is read once, when it is released.
TABLES = {name: identity.table(name, kept=1.0 if name == rules.CODES else 0.0) for name in rules.TABLES}

_DELAYS = data.delays()


@identity.fold
def fold(ctx: Context, key: bytes | None, message: dict[str, Any]) -> None:
    apply(ctx, rules.step(_get(ctx), message, ctx.now, _DELAYS), TABLES, rules.NUMBERED)


@identity.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    apply(ctx, rules.due(_get(ctx), kind, key, due), TABLES, rules.NUMBERED)


@identity.time_of
def time_of(message: dict[str, Any]) -> int:
    return rules.time_of(message)


def _get(ctx: Context) -> Get:
    return lambda table, key: ctx[TABLES[table]].get(key)
