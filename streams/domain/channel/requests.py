"""BRK-10: a request breaker for a slow or failing service, worked out from what its heartbeats report.

    closed --p95 > 1 s over 10 s, or errors > 20 %--> open --30 s--> half_open --3 good reports--> closed
                                                       ^------------one bad report---|

The window goes by event time. A report stands for its calls: all of them are weighed with its p95. While the breaker
is open, reports say nothing: no requests are let through. It acts at the gateway, which reads channel-breaks.
Row: {"state", "window": [[when, calls, errors, p95 or null], ...], "good": good reports since half_open}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .outcome import PROBE, SERVICES, Get, Outcome, Row, place
from .settings import Settings
from .values import Report

RULE: Final = "BRK-10"
CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"

Sample = Sequence[Any]


def reported(out: Outcome, get: Get, channel: str, report: Report, at: int, now: int, settings: Settings) -> None:
    """A heartbeat of `at` (ms) with figures about calls."""
    if not report.calls:
        return
    key = place(channel, report.interface)
    row: Row = get(SERVICES, key) or _NEW
    sample = [at, report.calls, report.errors, report.p95_ms]
    if row["state"] == CLOSED:
        newest = max(at, row["window"][-1][0]) if row["window"] else at
        window = sorted(
            (one for one in (*row["window"], sample) if one[0] > newest - settings.window_ms), key=lambda one: one[0]
        )
        wrong = judge(window, settings)
        if wrong is None:
            out.writes.append((SERVICES, key, {**row, "window": window}))
        else:
            _open(out, key, now, wrong, settings)
    elif row["state"] == HALF_OPEN:
        wrong = judge([sample], settings)
        if wrong is not None:
            _open(out, key, now, wrong, settings)
        elif row["good"] + 1 < settings.probes:
            out.writes.append((SERVICES, key, {**row, "good": row["good"] + 1}))
        else:
            out.writes.append((SERVICES, key, _NEW))
            reason = f"{settings.probes} good reports in a row"
            out.tell(channel, RULE, "close", now, interface=report.interface, reason=reason)
            out.calm(_alert(key), now)


def due(out: Outcome, get: Get, key: str, now: int) -> None:
    """The breaker has been open long enough: a few requests may try."""
    row = get(SERVICES, key)
    if row is not None and row["state"] == OPEN:
        channel, _, name = key.partition("\0")
        out.writes.append((SERVICES, key, {**_NEW, "state": HALF_OPEN}))
        out.tell(channel, RULE, HALF_OPEN, now, interface=name, reason="a few requests may try")


def judge(window: Sequence[Sample], settings: Settings) -> str | None:
    """What is wrong with the calls of a window, or None."""
    calls, errors = sum(one[1] for one in window), sum(one[2] for one in window)
    if errors * 100 > calls * settings.errors_percent:
        return f"{errors} of {calls} calls failed"
    slow = p95(window)
    if slow is not None and slow > settings.slow_ms:
        return f"p95 of {calls} calls is {slow} ms"
    return None


def p95(window: Sequence[Sample]) -> int | None:
    """The 95th percentile by nearest rank, each report weighing as many calls as it speaks of."""
    timed = sorted((one[3], one[1]) for one in window if one[3] is not None)
    rank = (95 * sum(calls for _, calls in timed) + 99) // 100
    for latency, calls in timed:
        rank -= calls
        if rank <= 0:
            return int(latency)
    return None


def _open(out: Outcome, key: str, now: int, wrong: str, settings: Settings) -> None:
    channel, _, name = key.partition("\0")
    out.writes.append((SERVICES, key, {**_NEW, "state": OPEN}))
    out.timers.append((PROBE, key, now + settings.open_ms))
    out.tell(channel, RULE, "open", now, interface=name, reason=wrong)
    out.alarm(_alert(key), RULE, channel, now, "service slow or failing", f"{name} of {channel}: {wrong}", source=name)


def _alert(key: str) -> str:
    return f"{RULE}/{key.replace(chr(0), '/')}"


_NEW: Final[dict[str, Any]] = {"state": CLOSED, "window": [], "good": 0}
