"""Business days and months are those of Asia/Shanghai, which has kept +08:00 without summer time since 1991."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
SHANGHAI_OFFSET_MS = 8 * HOUR_MS
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def day_number(ms: int) -> int:
    """Days since 1970-01-01 of the Shanghai day that holds `ms` (UTC milliseconds)."""
    return (ms + SHANGHAI_OFFSET_MS) // DAY_MS


def business_date(ms: int) -> date:
    """The Shanghai calendar date of `ms`. Raises OverflowError or ValueError outside the years 1 to 9999."""
    return date.fromordinal(_EPOCH_ORDINAL + day_number(ms))


@lru_cache(maxsize=4096)
def _compact(day: int) -> str:
    when = date.fromordinal(_EPOCH_ORDINAL + day)
    return f"{when.year:04d}{when.month:02d}{when.day:02d}"


def compact_date(ms: int) -> str:
    """`yyyymmdd` of the Shanghai day of `ms`."""
    return _compact(day_number(ms))


def day_start(ms: int) -> int:
    """UTC milliseconds at which the Shanghai day of `ms` began."""
    return day_number(ms) * DAY_MS - SHANGHAI_OFFSET_MS


def number_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a calendar date. ValueError for a date that does not exist."""
    return date(year, month, day).toordinal() - _EPOCH_ORDINAL


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """UTC milliseconds of a Shanghai wall-clock time."""
    local = number_of(year, month, day) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * 1000
    return local - SHANGHAI_OFFSET_MS
