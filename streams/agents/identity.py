"""`identity`: finds the order of every event by its codes, and parks what has none yet (`streams.domain.identity`)."""

from __future__ import annotations

from typing import Any

from streams.agents.outcome import apply
from streams.domain import identity as rules
from streams.domain.outcome import Get, Outcome
from streams.domain.protected.seal import through
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
_PROTECTED = data.protected()


@identity.fold
def fold(ctx: Context, key: bytes | None, message: dict[str, Any]) -> None:
    outcome = rules.step(_get(ctx), message, ctx.now, _DELAYS)
    _compare(ctx, outcome)
    apply(ctx, outcome, TABLES, rules.NUMBERED)


@identity.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    apply(ctx, rules.due(_get(ctx), kind, key, due, ctx.now, _DELAYS), TABLES, rules.NUMBERED)


@identity.time_of
def time_of(message: dict[str, Any]) -> int:
    return rules.time_of(message)


def _compare(ctx: Context, outcome: Outcome) -> None:
    """DQ-11: what all agents are about to read of an order, also of what was parked, is what came in."""
    outcome.sends, reason = through(outcome.sends, rules.ORDERS, identity.name, _PROTECTED.altered)
    if reason is not None:
        ctx.refuse(reason, stage="rule")


def _get(ctx: Context) -> Get:
    return lambda table, key: ctx[TABLES[table]].get(key)
