"""The numbers of the quality reports; the values in force stand in rules/reports.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import calendar
from streams.domain.report.settings import ReportError

_MOST: Final = 100_000
_FIRST: Final = calendar.DAY_MS - calendar.SHANGHAI_OFFSET_MS
"""Midnight after day 0."""


@dataclass(frozen=True, slots=True)
class QualityReports:
    """At `hour` of Asia/Shanghai about the day before; times in ms.

    The reports go out when all partitions have told their part, or after `grace_ms`. What comes late for one of the
    last `kept_days` days waits `late_ms` for more, then the day is told again. `rows_per_step`: rows looked at in one
    turn. An order is forgotten when nothing was heard of it for `forget_days`. `examples`: orders named per row,
    `listed`: rows of a list, at most.

    ST-07: two systems may differ for `differ_ms`; more than `differing_per_1000` of a channel's orders is highlighted.
    DQ-06: `tolerance_ms`. LOG-12: mean and p95 are at most `lag_ms`. FIN-14: `ages_ms` are the upper ends of the age
    classes but the last, which has none; an order of exactly that age is still in. LOG-13: a courier's signature ends
    the waiting for the customer on channels of `auto_complete`.
    """

    hour: int
    grace_ms: int
    late_ms: int
    kept_days: int
    rows_per_step: int
    forget_days: int
    examples: int
    listed: int
    differ_ms: int
    differing_per_1000: int
    tolerance_ms: int
    lag_ms: int
    ages_ms: tuple[int, ...]
    auto_complete: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, document: Mapping[str, Any], auto_complete: frozenset[str] = frozenset()) -> QualityReports:
        """From the `quality` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**{**document, "ages_ms": tuple(document["ages_ms"]), "auto_complete": auto_complete})
        except (KeyError, TypeError) as error:
            raise ReportError(f"quality reports: {error}") from None
        numbers = [getattr(found, name) for name in cls.__slots__ if name not in ("ages_ms", "auto_complete")]
        if not all(type(number) is int for number in (*numbers, *found.ages_ms)):
            raise ReportError("quality reports: a number is none")
        counts = (found.grace_ms, found.late_ms, found.kept_days, found.rows_per_step, found.examples, found.listed)
        if not 0 <= found.hour < 24 or min(counts) < 1 or found.grace_ms >= calendar.DAY_MS:
            raise ReportError("quality reports: hour, grace_ms or a count out of range")
        if found.rows_per_step > _MOST or found.listed > _MOST or found.forget_days <= found.kept_days:
            raise ReportError("quality reports: rows_per_step or listed too many, or forget_days within kept_days")
        if min(found.differ_ms, found.tolerance_ms, found.lag_ms) < 0 or not 0 <= found.differing_per_1000 <= 1000:
            raise ReportError("quality reports: a limit out of range")
        if not found.ages_ms or list(found.ages_ms) != sorted({*found.ages_ms}) or found.ages_ms[0] < 1:
            raise ReportError("quality reports: ages_ms must rise")
        return found

    def due(self, day: int) -> int:
        """When (ms) the day of that number is reported: at `hour` of the next day."""
        return (day + 1) * calendar.DAY_MS - calendar.SHANGHAI_OFFSET_MS + self.hour * calendar.HOUR_MS

    def first_day(self, at: int) -> int:
        """The first day whose report sees an event of that time, ms: until its hour, that of the day before."""
        return -((_FIRST + self.hour * calendar.HOUR_MS - at) // calendar.DAY_MS)
