"""FIN-09: orders of a channel that should have been created and were not, by month, for its health report.

One is failed from when its order_created is refused for what it says, or its payment has waited in vain for its order
(ID-08), until an order of one of its codes comes after all. In the row of the channel:

    failed    {code: month} of the newest; what is more than `refused_codes` can be found no more and is
    gone      counted: {month: orders}
    health    {month: whether it was told}; a month goes `kept_days` after its report

A payment that names no channel fails for nobody: it is told under its platform.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from streams.domain import calendar, ids
from streams.domain.report import health
from streams.domain.report.health import HealthReports

from . import gate
from .outcome import HEALTH_DUE, Message, Outcome, Row, place
from .settings import Settings

CODES: Final = (ids.ORDER_NO, ids.PLATFORM_TXN_NO, ids.INTERNAL_NO)


def is_found(row: Row, order: Message) -> bool:
    """Whether the order is one of those that had failed."""
    failed = row.get("failed")
    return failed is not None and len(failed) > 0 and any(order.get(kind) in failed for kind in CODES)


def found(out: Outcome, channel: str, row: Row, order: Message, now: int, settings: Settings) -> Row:
    """The order has come after all."""
    if not is_found(row, order):
        return row
    codes = {order.get(kind) for kind in CODES}
    months = sorted({month for code, month in row["failed"].items() if code in codes})
    row = {**row, "failed": {code: month for code, month in row["failed"].items() if code not in codes}}
    for month in months:
        row = _tells(out, channel, row, month, now, settings.health)
    return gate.saved(out, channel, row)


def refused(out: Outcome, channel: str, row: Row, order: Message, now: int, settings: Settings) -> Row:
    """An order was refused; its payments are no failures of their own. Without a time of its own it failed now."""
    codes = [order[kind] for kind in CODES if order.get(kind)]
    others = {code: month for code, month in row.get("failed", {}).items() if code not in codes[1:]}
    since = order.get("created_at", now)
    return _fails({**row, "failed": others}, out, channel, codes[0], since, now, settings) if codes else row


def missed(out: Outcome, channel: str, row: Row, fact: Message, now: int, settings: Settings) -> Row:
    """A payment's order has not come in time."""
    code = fact["code"][2]
    if not fact.get("channel") or code in row["refused"]:
        return row
    return _fails(row, out, channel, code, fact["paid_at"], now, settings)


def due(out: Outcome, channel: str, row: Row | None, month: str, at: int, settings: HealthReports) -> None:
    """The month is told, at `at` (ms)."""
    if row is None or month not in row.get("health", {}):
        return
    counts = {channel: {health.FAILED: count_of(row, month)}}
    told = health.part(month, f"channels/{channel}", counts, at, settings.due(month))
    out.sends.append((health.FACTS, health.SERIES, told))
    over = {old for old in row["health"] if settings.due(old) + settings.kept_days * calendar.DAY_MS <= at}
    new: dict[str, Any] = {**row, "health": {**row["health"], month: True}}
    for name in ("health", "gone"):
        new[name] = {old: value for old, value in new.get(name, {}).items() if old not in over}
    new["failed"] = {code: of for code, of in row.get("failed", {}).items() if of not in over}
    gate.saved(out, channel, new)


def count_of(row: Row, month: str) -> int:
    """Orders that failed in a month and have not come since."""
    return Counter(row.get("failed", {}).values())[month] + int(row.get("gone", {}).get(month, 0))


def _fails(row: Row, out: Outcome, channel: str, code: str, since: int, now: int, settings: Settings) -> Row:
    failed, month = dict(row.get("failed", {})), health.month_of(since)
    if code in failed or settings.health.tells_at(month, now) is None:
        return row
    failed[code] = month
    gone = dict(row.get("gone", {}))
    while len(failed) > settings.refused_codes:
        oldest = failed.pop(next(iter(failed)))
        gone[oldest] = gone.get(oldest, 0) + 1
    row = _tells(out, channel, {**row, "failed": failed, "gone": gone}, month, now, settings.health)
    return gate.saved(out, channel, row)


def _tells(out: Outcome, channel: str, row: Row, month: str, now: int, settings: HealthReports) -> Row:
    """See to it that the month is told, or told again."""
    told = row.get("health", {}).get(month)
    at = settings.tells_at(month, now)
    if told is False or at is None:
        return row
    out.timers.append((HEALTH_DUE, place(channel, month), at))
    return {**row, "health": {**row.get("health", {}), month: False}}
