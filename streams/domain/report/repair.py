"""How long it takes until an alert is closed, by rule and month (OTH-12).

Each partition of the alerts agent keeps one row per month of what it closed, by rule, and tells it as its part (see
`assembly`) when the month is over; what is closed later, with a time of that month, makes it tell the part again.

    row of a month   {rule: [alerts closed, of these within the target, sum of ms, longest ms, closed by a person,
                     forgotten]}

The time of an alert runs from its opening to its closing, both by the clock of the events. The target is the month's
mean: at most `target_ms`. What was closed since nobody follows it any more was never repaired: it has no time, and is
counted by itself. Rows and parts of before do not have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from streams.domain import calendar
from streams.domain.alert import FORGOTTEN, PERSON

from .assembly import Outcome
from .record import record_of
from .settings import ReportError

SERIES: Final = "repair"
NAME: Final = "OTH-12"
FACTS: Final = "report-facts"

Row = Mapping[str, list[int]]
_FIGURES: Final = 6
_LONGEST: Final = 3
"""Place of the figure that is a maximum and no sum."""


@dataclass(frozen=True, slots=True)
class RepairReports:
    """On day `day` of the next month at `hour` of Asia/Shanghai; times in ms. The report goes out when all partitions
    have told their part, or after `grace_ms`. A closing of a month that is over waits `late_ms` for others before the
    part is told again, for `kept_days` after the month. A mean above `target_ms` is highlighted.
    """

    day: int
    hour: int
    grace_ms: int
    late_ms: int
    kept_days: int
    target_ms: int

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> RepairReports:
        """From the `repair` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**document)
        except TypeError as error:
            raise ReportError(f"repair report: {error}") from None
        counts = (found.grace_ms, found.late_ms, found.kept_days, found.target_ms)
        if not 1 <= found.day <= 28 or not 0 <= found.hour < 24 or min(counts) < 1:
            raise ReportError("repair report: day, hour or a number out of range")
        return found

    def due(self, month: str) -> int:
        """When (ms) the report of a month, such as 2026-01, is made."""
        year, number = int(month[:4]), int(month[5:])
        year, number = (year + 1, 1) if number == 12 else (year, number + 1)
        return calendar.at(year, number, self.day, self.hour)


def month_of(at: int) -> str:
    """The Shanghai month of a time in ms: 2026-01."""
    return calendar.business_date(at).isoformat()[:7]


def closed(row: Row | None, alert: Mapping[str, Any], settings: RepairReports) -> Row:
    """The row of a month with one more closed alert."""
    took = max(0, alert["closed_at"] - alert["opened_at"])
    count, within, total, longest, by_person, forgotten = _whole((row or {}).get(alert["rule"] or "", []))
    if alert.get("closed_by") == FORGOTTEN:
        return {**(row or {}), alert["rule"] or "": [count, within, total, longest, by_person, forgotten + 1]}
    counted = [
        count + 1,
        within + (took <= settings.target_ms),
        total + took,
        max(longest, took),
        by_person + (alert.get("closed_by") == PERSON),
        forgotten,
    ]
    return {**(row or {}), alert["rule"] or "": counted}


def _whole(figures: list[int]) -> list[int]:
    return figures + [0] * (_FIGURES - len(figures))


def part(row: Row, month: str, place: int, at: int, settings: RepairReports) -> dict[str, Any]:
    """What partition `place` tells about a month."""
    about = {"series": SERIES, "period": month, "due": settings.due(month), "at": at, "place": f"alerts/{place}"}
    return {**about, "closed": row}


def records(outcome: Outcome, month: str, at: int, settings: RepairReports) -> list[dict[str, Any]]:
    """The record of `reports` for a month; `at` ms is when it was made. Older parts of silent partitions are of another
    month and do not count."""
    sums: dict[str, list[int]] = {}
    for told in outcome.parts.values():
        for rule, figures in told["closed"].items():
            sums[rule] = _added(sums.get(rule, []), figures)
    nothing: list[int] = []
    over_all = reduce(_added, sums.values(), nothing)
    rows = [_row(rule or None, figures, settings) for rule, figures in sorted(sums.items())]
    highlights = []
    if over_all:
        rows.insert(0, _row("all", over_all, settings))
        if over_all[0]:
            highlights.append(f"mean time to repair {rows[0]['mean_h']} h of {over_all[0]} alerts")
        if over_all[-1]:
            highlights.append(f"{over_all[-1]} alerts were never seen to, and nobody follows them any more")
    highlights += [
        f"{row['rule'] or 'no rule'}: mean {row['mean_h']} h, above the target of {_hours(settings.target_ms)} h"
        for row in rows
        if not row["reached"]
    ]
    return [record_of(NAME, month, rows, highlights, at)]


def _added(one: list[int], other: list[int]) -> list[int]:
    pairs = enumerate(zip(_whole(one), _whole(other), strict=True))
    return [max(pair) if place == _LONGEST else sum(pair) for place, pair in pairs]


def _row(rule: str | None, figures: list[int], settings: RepairReports) -> dict[str, Any]:
    count, within, total, longest, by_person, forgotten = figures
    return {
        "rule": rule,
        "alerts_closed": count,
        "closed_by_person": by_person,
        "within_target": within,
        "forgotten": forgotten,
        "mean_ms": total // count if count else None,
        "mean_h": _hours(-(-total // count)) if count else None,
        "longest_ms": longest,
        "reached": total <= settings.target_ms * count,
    }


def _hours(ms: int) -> str:
    """Two decimals, rounded up: a mean just above 8 h must not look like 8.00 h."""
    hundredths = -(-ms * 100 // calendar.HOUR_MS)
    return f"{hundredths // 100}.{hundredths % 100:02d}"
