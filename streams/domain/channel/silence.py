"""BRK-02: an interface that sent heartbeats once has said nothing for more than three minutes.

Measured by when its words arrive (processing time): the wall clock of a live worker, event time in a replay. Only
interfaces that have ever sent a heartbeat are watched, so a quiet channel does not alarm; any event of the interface is
as good as a heartbeat. Row: {"seen": ms, "silent": true once told}.
"""

from __future__ import annotations

from typing import Final

from .outcome import INTERFACES, SILENCE, Get, Outcome, place
from .settings import Settings

RULE: Final = "BRK-02"


def heard(out: Outcome, get: Get, channel: str, name: str, now: int, settings: Settings) -> None:
    """A sign of life of a watched interface. The timer is not moved: it looks again when it fires."""
    key = place(channel, name)
    row = get(INTERFACES, key)
    if row is None or row["silent"]:
        out.timers.append((SILENCE, key, now + settings.silence_ms + 1))
    if row is not None:
        if row["seen"] >= now and not row["silent"]:
            return
        if row["silent"]:
            out.tell(channel, RULE, "close", now, interface=name, reason="the interface speaks again")
            out.calm(_alert(channel, name), now)
    out.writes.append((INTERFACES, key, {"seen": now, "silent": False}))


def due(out: Outcome, get: Get, key: str, at: int, now: int, settings: Settings) -> None:
    """Time to look whether anything has been said since."""
    row = get(INTERFACES, key)
    if row is None or row["silent"]:
        return
    seen: int = row["seen"]
    if now - seen <= settings.silence_ms:
        out.timers.append((SILENCE, key, seen + settings.silence_ms + 1))
    elif now - at > settings.away_ms:
        # The worker was away; what the interface said meanwhile waits in the topic and must be read first.
        out.timers.append((SILENCE, key, now + settings.away_ms))
    else:
        channel, _, name = key.partition("\0")
        detail = f"interface {name} of {channel}: no heartbeat and no event for more than {settings.silence_ms} ms"
        out.writes.append((INTERFACES, key, {**row, "silent": True}))
        out.tell(channel, RULE, "open", now, interface=name, reason=detail)
        out.alarm(_alert(channel, name), RULE, channel, now, "interface silent", detail, source=name)


def _alert(channel: str, name: str) -> str:
    return f"{RULE}/{channel}/{name}"
