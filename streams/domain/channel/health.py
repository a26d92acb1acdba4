"""BRK-12: the share of good calls of an interface over the last 24 hours, and a warning below 99.5 %.

Counted in steps of five minutes by event time, so a row has 289 of them at most. Shares are compared as whole numbers:
exactly 99.5 % is good. Row: {"steps": [[begin, calls, errors], ...], "warned", "seen": [[at, event], ...]}.
"""

from __future__ import annotations

from typing import Any, Final

from .outcome import HEALTH, Get, Outcome, Row, place
from .settings import Settings
from .values import Report

RULE: Final = "BRK-12"
SEEN: Final = 16
"""Newest reports of an interface that are known again: one that is sent twice comes again soon."""


def is_known(get: Get, channel: str, report: Report, at: int, event: str) -> bool:
    """Whether the figures of this heartbeat have been counted (ID-05)."""
    row = get(HEALTH, place(channel, report.interface))
    return row is not None and [at, event] in row.get("seen", ())


def reported(
    out: Outcome, get: Get, channel: str, report: Report, at: int, event: str, now: int, settings: Settings
) -> None:
    """A heartbeat of `at` (ms) with figures about calls."""
    if not report.calls:
        return
    key = place(channel, report.interface)
    row: Row = get(HEALTH, key) or _NEW
    steps = added(row["steps"], report, at, settings)
    calls, errors = sum(step[1] for step in steps), sum(step[2] for step in steps)
    bad = (calls - errors) * 1000 < calls * settings.health_per_mille
    seen = sorted([*row.get("seen", ()), [at, event]])[-SEEN:]
    out.writes.append((HEALTH, key, {"steps": steps, "warned": bad, "seen": seen}))
    if bad == row["warned"]:
        return
    alert, name = f"{RULE}/{channel}/{report.interface}", report.interface
    detail = f"interface {name} of {channel}: {errors} of {calls} calls of the last 24 h failed"
    out.tell(channel, RULE, "open" if bad else "close", now, interface=name, reason=detail)
    if bad:
        out.alarm(alert, RULE, channel, now, "API success rate low", detail, source=name)
    else:
        out.calm(alert, now)


def added(steps: list[list[int]], report: Report, at: int, settings: Settings) -> list[list[int]]:
    """The steps with one report more, without those that have left the window; one too old for it counts no more."""
    begin = at - at % settings.health_step_ms
    newest = max(begin, steps[-1][0]) if steps else begin
    kept = [step for step in steps if step[0] > newest - settings.health_ms]
    if begin <= newest - settings.health_ms:
        return kept
    for index, (start, calls, errors) in enumerate(kept):
        if start == begin:
            return [*kept[:index], [start, calls + report.calls, errors + report.errors], *kept[index + 1 :]]
    return sorted([*kept, [begin, report.calls, report.errors]])


_NEW: Final[dict[str, Any]] = {"steps": [], "warned": False}
