"""Who stands back when a worker cannot keep up: agents aside leave its core to those on the way.

A process folds on one core, and its agents share that alike. In a burst those that only look on (books, risk, reports)
would take most of it from those whose answer somebody waits for, and each answer would come as late as the last entry.
So while an agent on the way reads batches of ``PRESSING`` records or more, the agents aside have ``share`` of the core
together: one turn at a time, of ``SMALL`` records at most, and after it a pause in proportion to what it took.

Nothing is lost by it: what they have not come to lies in its topic, lag and `oms_stood_back_seconds_total` show it, and
their timers go by event time. ``HELD_SECONDS`` after the turn of the last such batch all agents are alike again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

PRESSING: Final = 500
"""Records of one batch of an agent on the way: what has gathered while it folded the batch before. At 500 events/s
batches have a dozen."""
SMALL: Final = 1_000
"""Records of a turn aside meanwhile: the others wait for the interpreter no longer, and a rebalance no longer for the
next poll."""
HELD_SECONDS: Final = 1.0
MOST_SECONDS: Final = 5.0
"""Longest pause, and longest wait for another's turn: a poll may have a restore within."""


class Precedence:
    """Of one worker; its agents' threads share it. ``share``: of a core, above 0, for all agents aside; at 1 nobody
    stands back. ``clock`` and ``spent``: seconds, and seconds of this thread on a processor."""

    def __init__(
        self,
        share: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._pause = 1 / share - 1
        self._clock = clock
        self._spent = spent
        self._lock = Lock()
        self._pressed_until = self._free_at = float("-inf")
        self._pressing: set[object] = set()
        self._taken: object = None
        self._taken_at = self._began = 0.0

    @property
    def pressed(self) -> bool:
        """Whether somebody on the way has too much to do."""
        return self._pause > 0 and (bool(self._pressing) or self._clock() < self._pressed_until)

    def polled(self, agent: object, records: int) -> None:
        """An agent on the way has a batch of so many, until it polls again: a turn may take seconds. None when it
        closes."""
        presses = records >= PRESSING
        if presses or agent in self._pressing:
            self._pressed_until = self._clock() + HELD_SECONDS
        (self._pressing.add if presses else self._pressing.discard)(agent)

    def wait(self, agent: object) -> float:
        """Seconds an agent aside has to wait before its next poll. 0: it may go on, and says ``done`` after its turn
        (or if there was none)."""
        now = self._clock()
        with self._lock:
            if self._taken not in (None, agent) and now < self._taken_at + MOST_SECONDS:
                return HELD_SECONDS / 10
            if now < self._free_at:
                return self._free_at - now
            self._taken, self._taken_at, self._began = agent, now, self._spent()
            return 0.0

    def done(self, agent: object) -> None:
        """Its turn is over. Of one that began when nobody had to stand back nothing is counted."""
        with self._lock:
            if self._taken is agent:
                self._taken = None
                took = self._spent() - self._began
                self._free_at = self._clock() + min(MOST_SECONDS, took * self._pause)
