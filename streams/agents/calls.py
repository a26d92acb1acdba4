"""`calls`: what couriers' interfaces are asked, within their quotas (`streams.domain.logistics.calls`)."""

from __future__ import annotations

from typing import Any

from streams.domain import logistics as rules
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

calls = Agent("calls", sources=(rules.CALLS,), writes=(rules.REQUESTS, rules.ALERTS), clock=Clock.EVENTS)
COURIERS = calls.table("couriers")

_SETTINGS = data.logistics()


@calls.fold
def fold(ctx: Context, key: bytes | None, wish: dict[str, Any]) -> None:
    if key is None:
        raise ValueError("a call without its courier")
    courier = key.decode()
    ctx[COURIERS][courier], sends = rules.called(ctx[COURIERS].get(courier), courier, wish, _SETTINGS)
    for topic, name, value in sends:
        ctx.emit(topic, name, value)


@calls.time_of
def time_of(wish: dict[str, Any]) -> int:
    at: int = wish["at"]
    return at
