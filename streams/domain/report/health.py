"""FIN-09: the monthly health of channels (《渠道健康度报告》), for management, before the 5th of the next month.

Three figures by channel, of the orders created in the month:

    creation success    orders created of those that should have been: beside them stand orders that were refused for
                        what they say, and payments whose order never came (`channel.failed`)
    split delay         mean time from the payment in full until the order's money was split, that is, its revenue
                        recognised by line (FIN-01, FIN-06); of the orders where it was by now
    abnormal            orders with money paid back, a complaint or a courier's exception, or that were cancelled or
                        closed after they were paid

Each partition of the ledger, and each channel that had failures, tells its part (see `assembly`); a month of which
something changes is told again for `kept_days`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from streams.domain import calendar
from streams.domain.ledger import periods
from streams.domain.ledger.recognise import paid_in_full
from streams.domain.ledger.row import RECEIPTS, REFUND, Row, marks

from .assembly import Outcome
from .record import percent, record_of
from .settings import ReportError

SERIES: Final = "health"
NAME: Final = "FIN-09"
FACTS: Final = "report-facts"
ITEMS: Final = ("created", "split", "split_ms", "abnormal")
FAILED: Final = "failed"
RECIPIENT: Final = "management"

NEVER: Final = 2**62
_BEFORE: Final = 5
"""The day of the month by which the report is there."""


@dataclass(frozen=True, slots=True)
class HealthReports:
    """On day `day` of the next month, before the 5th, at `hour` of Asia/Shanghai. The report goes out when all have
    told their part, or after `grace_ms`. What changes later waits `late_ms` for more, then the part is told again, for
    `kept_days`."""

    day: int
    hour: int
    grace_ms: int
    late_ms: int
    kept_days: int

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> HealthReports:
        """From the `health` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**document)
        except TypeError as error:
            raise ReportError(f"channel health report: {error}") from None
        if not all(type(getattr(found, name)) is int for name in cls.__slots__):
            raise ReportError("channel health report: a number is none")
        if not 1 <= found.day < _BEFORE or not 0 <= found.hour < 24:
            raise ReportError(f"channel health report: it is due before the {_BEFORE}th")
        if min(found.grace_ms, found.late_ms, found.kept_days) < 1:
            raise ReportError("channel health report: a number out of range")
        return found

    def due(self, month: str) -> int:
        """When (ms) a month such as 2026-01 is told."""
        return _begins_after(month) + ((self.day - 1) * 24 + self.hour) * calendar.HOUR_MS

    def tells_at(self, month: str, now: int) -> int | None:
        """When a part of the month that changes at `now` is told; None if it is over."""
        due = self.due(month)
        if now < due:
            return due
        return now + self.late_ms if now < due + self.kept_days * calendar.DAY_MS else None


@lru_cache(maxsize=256)
def _begins_after(month: str) -> int:
    number = periods.month_of(month)
    assert number is not None
    return periods.begins_at(number + 1)


def month_of(at: int) -> str:
    """The Shanghai month of a time in ms: 2026-01."""
    return periods.label_of(periods.month_at(at))


# -- what the ledger counts -------------------------------------------------------------------------------------------


def changed(before: Row | None, after: Row, rounding: int) -> list[int] | None:
    """By how much an order changes the sums of its month and channel, as ITEMS; None for not at all."""
    if before is None:
        return _counted(after, rounding)
    one, two = _counted(before, rounding), _counted(after, rounding)
    return None if one == two else [new - old for old, new in zip(one, two, strict=True)]


LOOKED_AT: Final = ("money", "done", "marked", "marks", "closed", "trouble")
"""What of a row matters here, and for the books of FIN-08: what a fact leaves as it is, is the same object."""


def _counted(row: Row, rounding: int) -> list[int]:
    done, split, took = row.get("done"), 0, 0
    if done is not None:
        paid = paid_in_full(row, rounding)
        split, took = 1, max(0, done - (done if paid is None else paid))
    return [1, split, took, int(is_abnormal(row))]


def is_abnormal(row: Row) -> bool:
    """As the module says."""
    if "trouble" in row:
        return True
    if "money" not in row:
        return False
    moved = row["money"].values()
    if any(kind == REFUND for kind, *_ in moved):
        return True
    if "marked" not in row and "closed" not in row:
        return False
    paid = min((at for kind, _, _, at in moved if kind in RECEIPTS), default=NEVER)
    # Nobody says when a channel began to call it closed; a cancel mark from before the payment is none after it.
    return paid < NEVER and ("closed" in row or marks(row)[-1] >= paid)


def key(row: Row) -> str:
    return f"{periods.label_of(periods.month_at(row['at']))}\0{row.get('channel') or ''}"


# -- parts and the record ---------------------------------------------------------------------------------------------


def part(month: str, place: str, counts: Mapping[str, Mapping[str, int]], at: int, due: int) -> dict[str, Any]:
    """What a place tells of a month at `at` (ms): {channel: {item: count}}."""
    return {"series": SERIES, "period": month, "due": due, "at": at, "place": place, "counts": counts}


def of_rows(rows: Iterable[tuple[str, list[int]]]) -> dict[str, dict[str, int]]:
    """The rows of a month as a part has them."""
    return {name.partition("\0")[2]: dict(zip(ITEMS, sums, strict=True)) for name, sums in rows}


def records(outcome: Outcome, month: str, at: int, settings: HealthReports) -> list[dict[str, Any]]:
    """The record of `reports` for a month; the channel with the largest share of failed creations stands first."""
    sums: dict[str, dict[str, int]] = {}
    for told in outcome.parts.values():
        for channel, counts in told["counts"].items():
            before = sums.setdefault(channel, dict.fromkeys((*ITEMS, FAILED), 0))
            for item, count in counts.items():
                before[item] += count
    # Nothing was attempted where all that failed came after all, in another month.
    tried = {channel: counts for channel, counts in sums.items() if counts["created"] + counts[FAILED]}
    rows = [_row(channel, counts) for channel, counts in sorted(tried.items())]
    rows.sort(key=lambda row: -(row["failed"] / row["attempts"]))
    highlights = [
        f"{row['channel'] or 'no channel'}: {row['creation_success']} % created, split after {row['split_delay_h']} h, "
        f"{row['abnormal_share']} % abnormal"
        for row in rows
    ]
    return [record_of(NAME, month, rows, highlights, at)]


def _row(channel: str, counts: Mapping[str, int]) -> dict[str, Any]:
    created, failed, split = counts["created"], counts[FAILED], counts["split"]
    attempts = created + failed
    lost = percent(failed, attempts)  # rounded up, so that one loss of many shows
    hundredths = 10_000 - int(lost.replace(".", ""))
    mean = counts["split_ms"] // split if split else None
    return {
        "channel": channel or None,
        "attempts": attempts,
        "created": created,
        "failed": failed,
        "creation_success": f"{hundredths // 100}.{hundredths % 100:02d}",
        "split_orders": split,
        "split_delay_ms": mean,
        "split_delay_h": "-" if mean is None else f"{mean * 10 // calendar.HOUR_MS / 10:.1f}",
        "abnormal": counts["abnormal"],
        "abnormal_share": percent(counts["abnormal"], created),
        "recipient": RECIPIENT,
    }
