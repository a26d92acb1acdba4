"""`estimates`: when parcels will arrive, by what their lanes took of late (`streams.domain.logistics.arrival`)."""

from __future__ import annotations

from typing import Any, Final

from streams.domain.logistics import arrival as rules
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

estimates = Agent("estimates", sources=(rules.FACTS,), writes=(rules.ORDERS,), clock=Clock.EVENTS, aside=True)
LANES = estimates.table("lanes")

AGE: Final = "age"
_SETTINGS = data.estimates()


@estimates.fold
def fold(ctx: Context, key: bytes | None, said: dict[str, Any]) -> None:
    lanes = ctx[LANES]
    if said["do"] == rules.ASK:
        topic, name, fact = rules.answer(lanes.get, said, _SETTINGS)
        ctx.emit(topic, name, fact)
        return
    for scope in rules.scopes(said):
        before = lanes.get(scope) if scope else None
        row = rules.count(before, said, _SETTINGS) if scope else None
        if row is not None and row is not before:
            lanes[scope] = row
            if before is None:
                ctx.timers.set(AGE, scope, rules.due_at(row, _SETTINGS))


@estimates.on_timer
def age(ctx: Context, kind: str, scope: str, due: int) -> None:
    row = ctx[LANES].get(scope)
    if row is None:
        return
    left = rules.aged(row, due, _SETTINGS)
    if left is None:
        del ctx[LANES][scope]
        return
    ctx[LANES][scope] = left
    ctx.timers.set(AGE, scope, rules.due_at(left, _SETTINGS))


@estimates.time_of
def time_of(said: dict[str, Any]) -> int:
    at: int = said["at"]
    return at
