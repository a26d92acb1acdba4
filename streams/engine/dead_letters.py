"""Dead letters: the record as it came, where it stood and why it was refused; and when to stop instead.

Bad input (stages ``decode`` and ``contract``) never stops a source. Records that the rules themselves fail on (stage
``rule``) may mean broken code: ten in a row, or more than one in a hundred within a minute, stop the source, so that a
bad release does not drain a topic into dead-letters (arroyo's DLQ limits, KIP-1034).
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any, Final

from streams.engine.context import RecordLike

DEAD_LETTERS: Final = "dead-letters"
DECODE, CONTRACT, RULE = "decode", "contract", "rule"
ERROR_CHARACTERS: Final = 4000


def dead_letter(record: RecordLike, error: str, stage: str, at: int) -> dict[str, Any]:
    """The dead-letters value of contract.md, key and value as the bytes they were; ``at`` is ms."""
    return {
        "topic": record.topic(),
        "partition": record.partition(),
        "offset": record.offset(),
        "error": error[:ERROR_CHARACTERS],
        "stage": stage,
        "key": record.key(),
        "value": record.value(),
        "at": at,
    }


def describe(error: BaseException) -> str:
    """Type, message and the innermost frames in one line."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    frames.reverse()
    where = " < ".join(f"{frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})" for frame in frames)
    try:
        text = " ".join(str(error).split()).encode("utf-8", "backslashreplace").decode()
    except Exception:  # a broken __str__ must not keep the record from being buried
        text = "(no text)"
    return f"{type(error).__name__}: {text} at {where}"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a source stops: ``in_row`` failures by rule one after the other, or ``share`` of a ``window_ms`` window.

    The share counts only once ``least`` records were seen in the window, so that one failure in a quiet minute
    does not stop anything.
    """

    in_row: int = 10
    share: float = 0.01
    window_ms: int = 60_000
    least: int = 1000


@dataclass(slots=True)
class LimitState:
    """Counts of one source in one worker. A turn's counts hold once it is ``committed``; ``rolled_back`` undoes them:
    the same records will be counted when they are read again."""

    limits: Limits = field(default_factory=Limits)
    row: int = 0
    window_start: int = 0
    seen: int = 0
    failed: int = 0
    _durable: tuple[int, int, int, int] = (0, 0, 0, 0)

    def observe(self, good: int, now: int) -> None:
        """A turn folded ``good`` records without failure."""
        if good:
            self.row = 0
            self._roll(now)
            self.seen += good

    def failure(self, now: int) -> str | None:
        """A record failed by rule; answers why to stop, or None."""
        self._roll(now)
        self.row += 1
        self.seen += 1
        self.failed += 1
        if self.row >= self.limits.in_row:
            return f"{self.row} records in a row failed by rule"
        if self.seen >= self.limits.least and self.failed > self.limits.share * self.seen:
            return f"{self.failed} of {self.seen} records failed by rule within {self.limits.window_ms // 1000} s"
        return None

    def committed(self) -> None:
        self._durable = self.row, self.window_start, self.seen, self.failed

    def rolled_back(self) -> None:
        self.row, self.window_start, self.seen, self.failed = self._durable

    def _roll(self, now: int) -> None:
        if now - self.window_start >= self.limits.window_ms:
            self.window_start, self.seen, self.failed = now, 0, 0
