"""`alerts`: findings in, one alert per cause out (`streams.domain.alert`)."""

from __future__ import annotations

from typing import Any

from streams.domain import alert
from streams.domain.rules import data
from streams.engine import Agent, Context

alerts = Agent("alerts", sources=("alert-facts",), writes=("alerts",))
ALERTS = alerts.table("alerts")

_POLICIES = data.alert_policies()


@alerts.fold
def fold(ctx: Context, key: bytes | None, finding: dict[str, Any]) -> None:
    if key is None:
        raise ValueError("a finding without an alert key")
    name, table = key.decode(), ctx[ALERTS]
    before = table.get(name)
    after = alert.step(before, finding, _POLICIES)
    if after is before:
        return
    if after is None:
        del table[name]
        return
    table[name] = after
    if finding["do"] != "recovered":
        record = alert.published(name, after)
        if record is not None:
            ctx.emit_latest("alerts", name, record)


@alerts.time_of
def time_of(finding: dict[str, Any]) -> int:
    at: int = finding["at"]
    return at
