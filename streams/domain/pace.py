"""How fast another system may be called, and how long to wait after it failed. Pure: times in ms are given."""

from __future__ import annotations

from collections.abc import Sequence


def recent(calls: Sequence[int], now: int, window_ms: int) -> list[int]:
    """When it was called within the window, the oldest first; a call of exactly so long ago does not count any more. A
    time to come is of a clock that was set back since: it would hold everything up until it comes."""
    return sorted(at for at in calls if now - window_ms < at <= now)


def next_free(calls: Sequence[int], now: int, window_ms: int, most: int) -> int:
    """When it may be called next: no window, whenever it begins, sees more calls than `most`."""
    counted = recent(calls, now, window_ms)
    return now if len(counted) < most else counted[-most] + window_ms


def backoff(failures: int, first_ms: int, longest_ms: int, asked_ms: int | None, asked_most_ms: int) -> int:
    """How long to wait after so many failures in a row: twofold each time up to `longest_ms`; longer if it was asked
    for (Retry-After), which is heeded up to `asked_most_ms`."""
    grown = min(first_ms << min(failures - 1, 40), longest_ms)
    return max(grown, min(asked_ms or 0, asked_most_ms))
