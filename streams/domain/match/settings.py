"""The numbers of the three-way match; the values in force stand in rules/reports.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streams.domain import calendar
from streams.domain.ledger.settings import Settings as Money
from streams.domain.report.settings import ReportError


@dataclass(frozen=True, slots=True)
class AuditReports:
    """FIN-10: as a month ends, the `audited` largest differences are listed with their causes, when all partitions have
    told their part, or after `grace_ms`; a late part is added for `kept_days`."""

    grace_ms: int
    kept_days: int
    audited: int

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> AuditReports:
        """From the `audit` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**document)
        except TypeError as error:
            raise ReportError(f"audit of the month: {error}") from None
        if not all(type(number) is int and number >= 1 for number in (found.grace_ms, found.kept_days, found.audited)):
            raise ReportError("audit of the month: a number is none, or below 1")
        return found


@dataclass(frozen=True, slots=True)
class MatchReports:
    """A run every `every_ms` of Asia/Shanghai; times in ms. The report goes out when all partitions have told their
    part, or after `grace_ms`; a late part is added for `kept_days`. `listed`: orders of a list, `rows_per_step`: alerts
    told in one turn, at most. An order of which nothing is open is forgotten `forget_days` after its last event.

    FIN-04: an order is compared when it has been paid and shipped for `settle_ms` (0: by the next run; more for a shop
    whose parcels and payments come in parts), or either for `age_ms`. Alerted is what differs by more than
    `amount_per_1000` of the price, or by more than `pieces`.
    FIN-05: in the last `watch_days` of a month its totals may differ by `warn_per_1000`, and by `critical_per_1000`.
    """

    every_ms: int
    grace_ms: int
    kept_days: int
    listed: int
    rows_per_step: int
    settle_ms: int
    age_ms: int
    amount_per_1000: int
    pieces: int
    watch_days: int
    warn_per_1000: int
    critical_per_1000: int
    forget_days: int
    money: Money

    @classmethod
    def parse(cls, document: Mapping[str, Any], money: Money) -> MatchReports:
        """From the `match` part of the file. `money`: how the ledger reads a price. ReportError if a number cannot
        be."""
        try:
            found = cls(**document, money=money)
        except TypeError as error:
            raise ReportError(f"three-way match: {error}") from None
        numbers = [getattr(found, name) for name in cls.__slots__ if name != "money"]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ReportError("three-way match: a number is none, or below 0")
        counts = (found.every_ms, found.grace_ms, found.kept_days, found.listed, found.rows_per_step, found.watch_days)
        if min(counts) < 1:
            raise ReportError("three-way match: a number out of range")
        if found.grace_ms >= found.every_ms or calendar.DAY_MS % found.every_ms:
            raise ReportError("three-way match: every_ms is no part of a day, or a number out of range")
        if found.forget_days * calendar.DAY_MS < max(62 * calendar.DAY_MS, 2 * found.age_ms):
            raise ReportError(
                "three-way match: forget_days is within the time in which orders are compared and audited"
            )
        if found.age_ms < found.settle_ms or found.critical_per_1000 < found.warn_per_1000:
            raise ReportError("three-way match: age_ms is below settle_ms, or critical_per_1000 below warn_per_1000")
        return found

    def next_run(self, now: int) -> int:
        """The first run after `now`."""
        start = calendar.day_start(now)
        return start + ((now - start) // self.every_ms + 1) * self.every_ms
