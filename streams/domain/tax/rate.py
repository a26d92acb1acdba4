"""TAX-16: how often requests fail, by tax interface.

Row of an interface: {"day": number of the Shanghai day, "attempts", "failures", "recent": {error code: [times]},
"raised": [alerts that are open]}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.domain import calendar

from .settings import Settings

RULE: Final = "TAX-16"
RATE: Final = "rate"
"""Of the alerts of an interface, that of its rate; the others are named by their error."""

_REMEMBERED: Final = 64
"""Failures of an error, the newest, whose times are kept for the day."""

Row = Mapping[str, Any]
Finding = tuple[str, dict[str, Any]]
"""(name, finding)."""


def count(row: Row | None, at: int, error: str | None, settings: Settings) -> tuple[dict[str, Any], list[Finding]]:
    """An attempt at `at` (ms), and its error if it failed. One of a day that is over counts for the present day."""
    day, found = calendar.day_number(at), list[Finding]()
    if row is None:
        row = {"day": day, "attempts": 0, "failures": 0, "recent": {}, "raised": []}
    elif day > row["day"]:
        row, found = over(row, at, settings)
        row = {**row, "day": day}
    new: dict[str, Any] = {**row, "attempts": row["attempts"] + 1, "failures": row["failures"] + (error is not None)}
    if error is not None:
        times = sorted([*row["recent"].get(error, ()), at])[-max(_REMEMBERED, settings.same_error) :]
        new["recent"] = {**row["recent"], error: times}
        if often := _together(times, at, settings):
            _open(new, found, error, f"error {error} {often} times in {settings.same_error_ms // 60_000} min", at)
        if new["attempts"] >= settings.judged_from and _is_high(new, settings):
            _open(new, found, RATE, _share(new), at)
    return new, found


def _together(times: Sequence[int], at: int, settings: Settings) -> int:
    """How many failures stand together with that of `at`, if that is often enough; 0 if not. One may be told after a
    later one, as customers are in several partitions."""
    for first, last in zip(times, times[settings.same_error - 1 :], strict=False):
        if first <= at <= last < first + settings.same_error_ms:
            return sum(first <= time < first + settings.same_error_ms for time in times)
    return 0


def over(row: Row, at: int, settings: Settings) -> tuple[dict[str, Any], list[Finding]]:
    """The row's day has ended: what is to be told of it, and the row of a day on which nothing happened yet."""
    new, found = dict(row), list[Finding]()
    end = (row["day"] + 1) * calendar.DAY_MS - calendar.SHANGHAI_OFFSET_MS
    if _is_high(row, settings):
        _open(new, found, RATE, _share(row), at)
    elif RATE in row["raised"] and row["attempts"]:
        _close(new, found, RATE, at)
    for error in row["raised"]:
        if error != RATE and not any(time >= end - calendar.DAY_MS for time in row["recent"].get(error, ())):
            _close(new, found, error, at)
    recent = {error: times for error, times in row["recent"].items() if times[-1] > end - settings.same_error_ms}
    return {**new, "day": row["day"] + 1, "attempts": 0, "failures": 0, "recent": recent}, found


def ends_at(row: Row) -> int:
    """When the row's day is over, ms."""
    end: int = (row["day"] + 1) * calendar.DAY_MS - calendar.SHANGHAI_OFFSET_MS
    return end


def _is_high(row: Row, settings: Settings) -> bool:
    high: bool = row["failures"] * 100 > settings.failures_percent * row["attempts"]
    return high


def _share(row: Row) -> str:
    return f"{row['failures']} of {row['attempts']} requests of the day failed"


def _open(row: dict[str, Any], found: list[Finding], name: str, detail: str, at: int) -> None:
    if name not in row["raised"]:
        row["raised"] = sorted([*row["raised"], name])
        found.append((name, {"do": "open", "title": "invoice requests fail", "detail": detail, "at": at}))


def _close(row: dict[str, Any], found: list[Finding], name: str, at: int) -> None:
    row["raised"] = [other for other in row["raised"] if other != name]
    found.append((name, {"do": "close", "at": at}))
