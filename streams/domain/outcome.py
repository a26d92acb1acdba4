"""What a step over keyed rows wants done: the shape that agents carry out (`streams.agents.outcome`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Message = dict[str, Any]
Get = Callable[[str, str], Any]
"""(table, key) -> value or None."""


@dataclass(slots=True)
class Outcome:
    """Writes are (table, key, new value or None to delete), sends (topic, key, value), timers (kind, key, due time or
    None to cancel)."""

    writes: list[tuple[str, str, Any]] = field(default_factory=list)
    sends: list[tuple[str, str, Message]] = field(default_factory=list)
    timers: list[tuple[str, str, int | None]] = field(default_factory=list)
