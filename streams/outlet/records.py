"""Where an outlet's records come from."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the topic; `value` None if its key was deleted or it cannot be read (`readable`). Times in ms."""

    partition: int
    offset: int
    appended_at: int
    key: str
    value: dict[str, Any] | None
    readable: bool = True


class Reader(Protocol):
    """Where records come from (`reader.TopicReader`)."""

    def start(self, offsets: dict[int, int]) -> None:
        """Read on from these offsets; a partition without one from its beginning."""

    def read(self, timeout_s: float) -> Iterable[Record]:
        """What came within the time."""

    def done(self, offsets: dict[int, int]) -> None:
        """All before these offsets is noted."""

    def at_end(self) -> bool:
        """Whether all that was there has been read."""

    def lag(self) -> int: ...


def wall_ms() -> int:
    return time.time_ns() // 1_000_000
