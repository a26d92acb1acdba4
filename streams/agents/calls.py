"""`calls`: what couriers' interfaces are asked, within their quotas, and what their back-offices hold about us
(`streams.domain.logistics.calls`, `interfaces`)."""

from __future__ import annotations

from typing import Any

from streams.agents.outcome import send
from streams.domain import logistics as rules
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

calls = Agent("calls", sources=(rules.CALLS,), writes=(rules.REQUESTS, rules.ALERTS), clock=Clock.EVENTS, aside=True)
COURIERS = calls.table("couriers")

_SETTINGS = data.logistics()


@calls.fold
def fold(ctx: Context, key: bytes | None, wish: dict[str, Any]) -> None:
    if key is None:
        raise ValueError("a call without its courier")
    courier = key.decode()
    step = rules.interfaces.step if wish["do"] == rules.interfaces.INTERFACE else rules.called
    ctx[COURIERS][courier], sends = step(ctx[COURIERS].get(courier), courier, wish, _SETTINGS)
    send(ctx, sends)


@calls.time_of
def time_of(wish: dict[str, Any]) -> int:
    at: int = wish["at"]
    return at
