"""`alerts`: findings in, one alert per cause out (`streams.domain.alert`); at the end of a month, how long they took.

What stays open past its limit goes to the next level. The limit counts from when the alert was raised here, so it is of
this system's time (`Clock.LATER`): a backlog full of old findings does not wake the supervisor at once.
Each day it tells how many records of each source named no order (DQ-15).
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain import alert, calendar
from streams.domain.report import lineage, repair
from streams.domain.rules import data
from streams.engine import Agent, Context

alerts = Agent("alerts", sources=("alert-facts",), writes=("alerts", repair.FACTS), aside=True)
ALERTS = alerts.table("alerts")
REPAIRED: Final = alerts.table("repaired")
BROKEN: Final = alerts.table("broken", kept=0.0)

LEVEL: Final = "level"
MONTH: Final = "month"
DAY: Final = "day"
_POLICIES = data.alert_policies()
_REPAIR: Final = data.repair_reports()
_QUALITY: Final = data.quality_reports()


@alerts.fold
def fold(ctx: Context, key: bytes | None, finding: dict[str, Any]) -> None:
    if key is None:
        raise ValueError("a finding without an alert key")
    name, table = key.decode(), ctx[ALERTS]
    if finding.get("rule") == lineage.RULE and finding["do"] == "count":
        _broken(ctx, finding)
    before = table.get(name)
    try:
        after = alert.step(before, finding, _POLICIES, ctx.now)
    except alert.CloseRefused as refused:
        ctx.refuse(str(refused), stage="rule")
        return
    if after is before:
        return
    if after is None:
        del table[name]
        return
    table[name] = after
    _watch(ctx, name, before, after)
    if finding["do"] != "recovered":
        record = alert.published(name, after)
        if record is not None:
            ctx.emit_latest("alerts", name, record)


@alerts.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    if kind == MONTH:
        _tell(ctx, key, due)
        return
    if kind == DAY:
        _tell_broken(ctx, int(key), due)
        return
    row = ctx[ALERTS].get(key)
    at = alert.next_level_at(row, _POLICIES)
    if at is None:  # the policy has changed since the timer was set
        return
    if at > due:
        ctx.timers.set(LEVEL, key, at)
        return
    after = alert.escalate(row, _POLICIES, due)
    ctx[ALERTS][key] = after
    _watch(ctx, key, row, after)
    ctx.emit_latest("alerts", key, alert.published(key, after))


@alerts.time_of
def time_of(finding: dict[str, Any]) -> int:
    at: int = finding["at"]
    return at


def _watch(ctx: Context, key: str, before: alert.Row | None, after: alert.Row) -> None:
    """The timer of the next level, and the month's account of what was closed."""
    if alert.is_live(after):
        at = alert.next_level_at(after, _POLICIES)
        if at is not None:
            ctx.timers.set(LEVEL, key, at)
    elif alert.is_live(before):
        ctx.timers.cancel(LEVEL, key)
        month = repair.month_of(after["closed_at"])
        ctx[REPAIRED][month] = repair.closed(ctx[REPAIRED].get(month), after, _REPAIR)
        if ctx.timers.due(MONTH, month) is None:
            ctx.timers.set(MONTH, month, max(_REPAIR.due(month), ctx.now + _REPAIR.late_ms))


def _tell(ctx: Context, month: str, due: int) -> None:
    table = ctx[REPAIRED]
    row = table.get(month)
    if row is None:  # of a month that is forgotten by now
        return
    ctx.emit(repair.FACTS, repair.SERIES, repair.part(row, month, ctx.partition, due, _REPAIR))
    forgotten = repair.month_of(_REPAIR.due(month) - 2 * _REPAIR.kept_days * calendar.DAY_MS)
    for old, _ in [*table.scan("")]:
        if old < forgotten:
            del table[old]


def _broken(ctx: Context, finding: dict[str, Any]) -> None:
    """DQ-15: a record of the source named no order; its day is told at its hour, or, if that is over, again."""
    day = calendar.day_number(finding["at"])
    table, name, timer = ctx[BROKEN], lineage.key(day, finding["source"]), str(day)
    table[name] = table.get(name, 0) + 1
    if ctx.timers.due(DAY, timer) is None:
        hour = _QUALITY.due(day)
        ctx.timers.set(DAY, timer, hour if hour > ctx.now else ctx.now + _QUALITY.late_ms)


def _tell_broken(ctx: Context, day: int, due: int) -> None:
    table = ctx[BROKEN]
    by_source = lineage.counts(table.scan(lineage.key(day, "")), _QUALITY.listed)
    told = lineage.part(day, f"alerts/{ctx.partition}", lineage.UNJOINED, by_source, due, _QUALITY)
    ctx.emit(lineage.FACTS, lineage.SERIES, told)
    for name, _ in [*table.range("", lineage.key(day - _QUALITY.kept_days, ""))]:
        del table[name]
