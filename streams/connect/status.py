"""What Connect says of its connectors and tasks, and when one that has failed is started again. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

RUNNING, FAILED, MISSING, STARTING = "RUNNING", "FAILED", "MISSING", "STARTING"
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 60.0
_SETTLED_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Part:
    """A task of a connector, or (`task` None) the connector itself. `why`: one line, where it has failed."""

    connector: str
    task: int | None
    state: str
    why: str = ""

    @property
    def runs(self) -> bool:
        return self.state == RUNNING

    @property
    def failed(self) -> bool:
        """It does not run and will not by itself."""
        return self.state in (FAILED, MISSING)

    def __str__(self) -> str:
        name = self.connector if self.task is None else f"{self.connector} task {self.task}"
        return f"{name} {self.state}{f': {self.why}' if self.why else ''}"


def parts(statuses: Mapping[str, Any], wanted: Iterable[str]) -> list[Part]:
    """Each wanted connector, then its tasks. A connector is there before its task is: that one is starting."""
    found = []
    for name in wanted:
        entry = statuses.get(name)
        if entry is None:
            found.append(Part(name, None, MISSING, "not there: run `oms connect apply`"))
            continue
        own = entry["connector"]
        found.append(Part(name, None, own["state"], cause(own.get("trace"))))
        found += [Part(name, task["id"], task["state"], cause(task.get("trace"))) for task in entry["tasks"]]
        if not entry["tasks"] and own["state"] == RUNNING:
            found.append(Part(name, 0, STARTING))
    return found


def cause(trace: str | None) -> str:
    """The root of a Java stack trace in one line."""
    if not trace:
        return ""
    lines = [line.strip() for line in trace.splitlines() if line.strip() and not line.startswith(("\tat ", "\t..."))]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    root = causes[-1].removeprefix("Caused by: ") if causes else lines[0]
    return " ".join(root.split())[:300]


@dataclass(slots=True)
class Restarts:
    """When to start again what has failed: at once, then after pauses that grow. Times are monotonic seconds."""

    _waits: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Connector -> when it may be started again, and the pause after that."""

    def due(self, failed: Iterable[str], now: float) -> list[str]:
        """Which of these connectors are to be started now."""
        found = []
        for name in sorted(set(failed)):
            at, pause = self._waits.get(name, (now, _FIRST_S))
            if now >= at:
                pause = _FIRST_S if now - at > _SETTLED_S else pause
                self._waits[name] = (now + pause, min(2 * pause, _LONGEST_S))
                found.append(name)
        return found
