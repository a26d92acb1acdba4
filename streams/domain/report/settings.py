"""The numbers of the stock reports; the values in force stand in rules/reports.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from streams.domain import calendar

WMS: Final = "wms"
CHANNEL: Final = "channel"


class ReportError(ValueError):
    """A setting of a report that must not be used."""


class Waiting(Protocol):
    """What `assembly` needs to know of a series of reports."""

    @property
    def grace_ms(self) -> int: ...

    @property
    def kept_days(self) -> int: ...


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Who sees to a difference (INV-13): a person or desk by warehouse or channel, and one for all others."""

    default: str
    by_warehouse: Mapping[str, str] = field(default_factory=dict)
    by_channel: Mapping[str, str] = field(default_factory=dict)

    def person(self, side: str, name: str) -> str:
        """`side` is WMS or CHANNEL, `name` the warehouse or channel."""
        return (self.by_warehouse if side == WMS else self.by_channel).get(name, self.default)


@dataclass(frozen=True, slots=True)
class StockReports:
    """`hour` of Asia/Shanghai; times in ms. A count belongs to a report if it was told within `counted_within_ms`
    before its hour. The report goes out when all partitions have told their part, or after `grace_ms`; a late part is
    added for `kept_days`. `skus_per_step`: SKUs looked at in one turn. `rows_per_part`, `rows`: differences listed at
    most. Below `accuracy_per_1000` the accuracy is highlighted (INV-16).
    """

    hour: int
    counted_within_ms: int
    grace_ms: int
    kept_days: int
    skus_per_step: int
    rows_per_part: int
    rows: int
    accuracy_per_1000: int
    follow_up: FollowUp

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> StockReports:
        """From the `stock` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**{**document, "follow_up": FollowUp(**document["follow_up"])})
        except (KeyError, TypeError) as error:
            raise ReportError(f"stock reports: {error}") from None
        counts = (found.grace_ms, found.kept_days, found.skus_per_step, found.rows_per_part, found.rows)
        if not 0 <= found.hour < 24 or min(counts) < 1 or found.grace_ms >= calendar.DAY_MS:
            raise ReportError("stock reports: hour, grace_ms or a count out of range")
        if not 0 <= found.accuracy_per_1000 <= 1000 or not found.follow_up.default:
            raise ReportError("stock reports: accuracy_per_1000 out of range, or nobody follows up")
        return found

    def next_due(self, now: int) -> int:
        """The first time after `now` at which it is `hour` in Shanghai."""
        due = calendar.day_start(now) + self.hour * calendar.HOUR_MS
        return due if due > now else due + calendar.DAY_MS


def period(due: int) -> str:
    """The day a report of that hour is named by: 2026-01-24."""
    return calendar.business_date(due).isoformat()
