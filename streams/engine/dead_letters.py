"""Dead letters: the record as it came, where it stood and why it was refused; and when to stop instead.

Bad input (stages ``decode`` and ``contract``) never stops a source. Records that the rules themselves fail on (stage
``rule``) may mean broken code: ten in a row, or more than one in a hundred within a minute, stop the source, so that a
bad release does not drain a topic into dead-letters (arroyo's DLQ limits, KIP-1034). The same holds for an agent's
timers: one that failed is gone, and its dead letter cannot be sent again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from traceback import StackSummary, TracebackException
from typing import Any, Final

from streams.engine.context import RecordLike

DEAD_LETTERS: Final = "dead-letters"
DECODE, CONTRACT, RULE = "decode", "contract", "rule"
TIMERS: Final = "timers"
"""Where limits are counted by source topic: the timers of an agent."""
ERROR_CHARACTERS: Final = 4000
TRACEBACK_CHARACTERS: Final = 16_000
"""Of a longer one the end is kept: the innermost frames and the error."""


def dead_letter(record: RecordLike, error: str | Exception, stage: str, agent: str, at: int) -> dict[str, Any]:
    """The dead-letters value of contract.md, key and value as the bytes they were; ``at`` is ms.

    ``error`` is the reason in one line, or what a rule raised: then its traceback goes along.
    """
    return {
        "topic": record.topic(),
        "partition": record.partition(),
        "offset": record.offset() if record.offset() >= 0 else None,  # none: it was handed over within a turn
        "error": (error if isinstance(error, str) else describe(error))[:ERROR_CHARACTERS],
        "stage": stage,
        "key": record.key(),
        "value": record.value(),
        "at": at,
        "agent": agent,
        "traceback": None if isinstance(error, str) else traceback_of(error),
    }


def describe(error: BaseException) -> str:
    """Type and message in one line."""
    try:
        text = _encodable(" ".join(str(error).split()))
    except Exception:  # a broken __str__ must not keep the record from being buried
        text = "(no text)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def traceback_of(error: BaseException) -> str | None:
    """The traceback with its causes as Python prints it, but the same on every machine and Python: files by their path
    within the package, and no marks under the lines."""
    try:
        told = TracebackException.from_exception(error)
        _plain(told)
        return _encodable("".join(told.format()))[-TRACEBACK_CHARACTERS:]
    except Exception:
        return None


def _plain(told: TracebackException) -> None:
    told.stack = StackSummary.from_list(
        [(_within(frame.filename), frame.lineno or 0, frame.name, frame.line) for frame in told.stack]
    )
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None:
            _plain(other)


def _within(file: str) -> str:
    """The path below the folder that it was imported from."""
    roots = [root for root in sys.path if root and file.startswith(root.rstrip("/") + "/")]
    return file.removeprefix(max(roots, key=len).rstrip("/") + "/") if roots else file.rpartition("/")[2]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


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
    what: str = "records"
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
            return f"{self.row} {self.what} in a row failed by rule"
        if self.seen >= self.limits.least and self.failed > self.limits.share * self.seen:
            within = f"within {self.limits.window_ms // 1000} s"
            return f"{self.failed} of {self.seen} {self.what} failed by rule {within}"
        return None

    def committed(self) -> None:
        self._durable = self.row, self.window_start, self.seen, self.failed

    def rolled_back(self) -> None:
        self.row, self.window_start, self.seen, self.failed = self._durable

    def _roll(self, now: int) -> None:
        if now - self.window_start >= self.limits.window_ms:
            self.window_start, self.seen, self.failed = now, 0, 0
