"""Whether a worker makes progress, not only whether it is up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from streams.engine.runner import Observer, Seat
from streams.engine.turn import Report

STUCK_SECONDS: Final = 30.0
"""An agent whose loop did not come round for this long is unhealthy, unless it is restoring and still reads."""


@dataclass(slots=True)
class _Seen:
    state: str = "starting"
    at: float = field(default_factory=time.monotonic)
    turn_at: float | None = None
    records: int = 0
    why: str | None = None


class Health(Observer):
    """Collects signs of life by agent; ``report`` is what /healthz answers."""

    def __init__(self, agents: tuple[str, ...]) -> None:
        self._seen = {name: _Seen() for name in agents}

    def turn(self, agent: str, report: Report) -> None:
        seen = self._seen[agent]
        seen.turn_at = time.monotonic()
        seen.records += report.records

    def alive(self, agent: str, seat: Seat) -> None:
        seen = self._seen[agent]
        seen.at = time.monotonic()
        seen.state = "running"

    def restoring(self, agent: str, records: int, partitions_left: int) -> None:
        seen = self._seen[agent]
        seen.at = time.monotonic()
        seen.state = "restoring"

    def stopped(self, agent: str, why: str) -> None:
        seen = self._seen[agent]
        seen.state, seen.why = "stopped", why

    def report(self) -> tuple[bool, dict[str, Any]]:
        """(healthy, by agent: state, seconds since the last sign of life and the last turn, records so far)."""
        now = time.monotonic()
        agents: dict[str, Any] = {}
        healthy = True
        for name, seen in self._seen.items():
            quiet = now - seen.at
            good = seen.state != "stopped" and quiet < STUCK_SECONDS
            healthy = healthy and good
            agents[name] = {
                "state": seen.state if good or seen.state == "stopped" else "stuck",
                "seconds_since_progress": round(quiet, 1),
                "seconds_since_turn": None if seen.turn_at is None else round(now - seen.turn_at, 1),
                "records": seen.records,
            }
            if seen.why:
                agents[name]["why"] = seen.why
        return healthy, agents


class Observers(Observer):
    """Tells several observers."""

    def __init__(self, *observers: Observer) -> None:
        self._all = observers

    def turn(self, agent: str, report: Report) -> None:
        for observer in self._all:
            observer.turn(agent, report)

    def aborted(self, agent: str) -> None:
        for observer in self._all:
            observer.aborted(agent)

    def stood_back(self, agent: str, seconds: float) -> None:
        for observer in self._all:
            observer.stood_back(agent, seconds)

    def fenced(self, agent: str) -> None:
        for observer in self._all:
            observer.fenced(agent)

    def restoring(self, agent: str, records: int, partitions_left: int) -> None:
        for observer in self._all:
            observer.restoring(agent, records, partitions_left)

    def alive(self, agent: str, seat: Seat) -> None:
        for observer in self._all:
            observer.alive(agent, seat)

    def stopped(self, agent: str, why: str) -> None:
        for observer in self._all:
            observer.stopped(agent, why)
