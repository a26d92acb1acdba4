"""INV-12: a channel without a live API gets its stock pushed; a push older than five minutes is late.

Which channels those are, operations say (`reference_set`, `"api": false`) or the configuration does. A heartbeat with
`"stock_push": true` tells of a push. Row: {"last": ms of the newest push, or of when the watch began, "late"}.
"""

from __future__ import annotations

from typing import Final

from .outcome import PUSH, PUSHES, Get, Outcome
from .settings import Settings

RULE: Final = "INV-12"
HINT: Final = "库存动态刷新"
"""What pages show meanwhile: stock refreshes dynamically."""


def watch(out: Outcome, get: Get, channel: str, api: bool, now: int, settings: Settings) -> None:
    """Operations say whether the channel has a live API."""
    row = get(PUSHES, channel)
    if not api and row is None:
        out.writes.append((PUSHES, channel, {"last": now, "late": False}))
        out.timers.append((PUSH, channel, now + settings.stock_push_ms + 1))
    elif api and row is not None:
        if row["late"]:
            _well(out, channel, now, "the channel has a live API")
        out.writes.append((PUSHES, channel, None))
        out.timers.append((PUSH, channel, None))


def pushed(out: Outcome, get: Get, channel: str, at: int, now: int, settings: Settings) -> None:
    """Stock was pushed at `at` (ms); a time ahead of now is a wrong clock and counts as now."""
    row = get(PUSHES, channel)
    if row is None and channel not in settings.without_api:
        return
    last = min(at, now) if row is None else max(row["last"], min(at, now))
    if row is None or row["late"]:
        if now - last > settings.stock_push_ms and row is not None:
            return  # told late and still too old
        out.timers.append((PUSH, channel, last + settings.stock_push_ms + 1))
        if row is not None:
            _well(out, channel, now, "stock was pushed")
    out.writes.append((PUSHES, channel, {"last": last, "late": False}))


def due(out: Outcome, get: Get, channel: str, at: int, now: int, settings: Settings) -> None:
    """Time to look how old the last push is."""
    row = get(PUSHES, channel)
    if row is None or row["late"]:
        return
    last: int = row["last"]
    if now - last <= settings.stock_push_ms:
        out.timers.append((PUSH, channel, last + settings.stock_push_ms + 1))
    elif now - at > settings.away_ms:
        out.timers.append((PUSH, channel, now + settings.away_ms))  # the worker was away: first read what waits
    else:
        detail = f"the last stock push to {channel} is older than {settings.stock_push_ms} ms"
        out.writes.append((PUSHES, channel, {**row, "late": True}))
        out.tell(channel, RULE, "open", now, reason=f"{detail}; pages say {HINT}")
        out.alarm(f"{RULE}/{channel}", RULE, channel, now, "stock push late", detail)


def _well(out: Outcome, channel: str, now: int, why: str) -> None:
    out.tell(channel, RULE, "close", now, reason=why)
    out.calm(f"{RULE}/{channel}", now)
