"""When a target may be sent to: so many messages a minute, a digest for what is over, longer and longer waits after
failures. Pure: times in ms are given; the same input gives the same schedule, so nothing is random about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from streams.domain import pace

MINUTE_MS: Final = 60_000


class Action(Enum):
    """What a target does next."""

    ONE = 1
    DIGEST = 2
    WAIT = 3


@dataclass(frozen=True, slots=True)
class Next:
    """`at` ms: when to look again, for WAIT; None: when there is something new."""

    action: Action
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """`per_minute`: messages in any 60 s. Waits after failures grow from `first_ms` twofold to `longest_ms`; what a
    target asks for (Retry-After) is heeded up to `asked_ms`. A message that a target refuses for what it says is given
    up after `refused_ms`; one that finds its target away never is.
    """

    per_minute: int = 20
    first_ms: int = 1_000
    longest_ms: int = 300_000
    asked_ms: int = 3_600_000
    refused_ms: int = 86_400_000


def free(sends: Sequence[int], now: int, limits: Limits) -> int:
    """How many messages may go now, given when (ms) messages went. One of exactly 60 s ago does not count any more."""
    return limits.per_minute - len(pace.recent(sends, now, MINUTE_MS))


def decide(due: int, sends: Sequence[int], blocked_until: int, now: int, limits: Limits) -> Next:
    """What to do about `due` messages. The last place of the minute goes to a digest if more than one message waits, so
    that what is over the limit is told within the minute, in one message."""
    if not due:
        return Next(Action.WAIT)
    if blocked_until > now:
        return Next(Action.WAIT, blocked_until)
    places = free(sends, now, limits)
    if places <= 0:
        return Next(Action.WAIT, pace.next_free(sends, now, MINUTE_MS, limits.per_minute))
    return Next(Action.DIGEST if places == 1 and due > 1 else Action.ONE)


def wait_ms(failures: int, limits: Limits, asked_ms: int | None = None) -> int:
    """How long to wait after so many failures in a row: 1 s, 2 s, 4 s ... 5 min, or as long as the target asked."""
    return pace.backoff(failures, limits.first_ms, limits.longest_ms, asked_ms, limits.asked_ms)
