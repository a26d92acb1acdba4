"""TAX-11: how fast a tax interface may be called, and when a request that failed is tried again. Pure: times in ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streams.domain import pace

SECOND_MS: Final = 1_000
FIRST_MS: Final = 1_000
LONGEST_MS: Final = 300_000
ASKED_MS: Final = 3_600_000
"""What a service asks for (Retry-After) is heeded up to this."""


def next_call(calls: Sequence[int], now: int, per_second: int) -> int:
    """When the next call may be made, given when the last ones were. Each token comes back one second after it was
    taken, so no second, whenever it begins, sees more calls than `per_second`: the sixth of five waits."""
    return pace.next_free(calls, now, SECOND_MS, per_second)


def wait_ms(attempts: int, asked: int | None = None) -> int:
    """How long a request waits after so many attempts: twofold each time, or as long as the service asked for."""
    return pace.backoff(attempts, FIRST_MS, LONGEST_MS, asked, ASKED_MS)
