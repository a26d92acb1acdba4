"""BRK-06 and BRK-09: how many orders of a channel wait in each lane, and what is switched off while too many do.

`orders` says when an order enters a lane and when it leaves for its next stage; what the gate holds back waits too.
More than 500 waiting orders switch the coupon gift off; fewer than 400 for five minutes switch it on again. The depth
of a lane is told at most every ten seconds, so that a busy lane does not cost a record per order.

Rows: lanes {"depth": {lane: waiting}, "told": {lane: as told last}, "due": a timer is set};
switches {"off", "calm": below the lower mark since, ms, or None}.
"""

from __future__ import annotations

from typing import Any, Final

from . import values
from .outcome import CALM, DEPTH, LANES, SWITCHES, Get, Message, Outcome, Row
from .settings import Settings

LANE_RULE: Final = "BRK-06"
RULE: Final = "BRK-09"


def moved(out: Outcome, get: Get, channel: str, fact: Message, now: int, settings: Settings) -> int:
    """An order enters or leaves a lane; answers how many wait in all lanes now."""
    row: Row = get(LANES, channel) or _NO_LANES
    lane = values.word(fact.get("lane")) or "none"
    depth = max(0, row["depth"].get(lane, 0) + (1 if fact["enter"] else -1))
    new = {**row, "depth": {**row["depth"], lane: depth}, "due": True}
    if not row["due"]:
        out.timers.append((DEPTH, channel, now + settings.depth_every_ms))
    out.writes.append((LANES, channel, new))
    return sum(new["depth"].values())


def depths_due(out: Outcome, get: Get, channel: str, now: int) -> None:
    """Tells the depth of the lanes that changed."""
    row = get(LANES, channel)
    if row is None:
        return
    for lane, depth in sorted(row["depth"].items()):
        if row["told"].get(lane) != depth:
            out.tell(channel, LANE_RULE, "depth", now, lane=lane, depth=depth)
    out.writes.append((LANES, channel, {**row, "told": row["depth"], "due": False}))


def in_lanes(get: Get, channel: str) -> int:
    """How many orders wait in the lanes of a channel."""
    row = get(LANES, channel)
    return 0 if row is None else sum(row["depth"].values())


def weigh(out: Outcome, get: Get, channel: str, unprocessed: int, now: int, settings: Settings) -> None:
    """So many orders are received and not yet at their next stage."""
    row: Row | None = get(SWITCHES, channel)
    if row is None or not row["off"]:
        if unprocessed > settings.backlog_off:
            out.writes.append((SWITCHES, channel, {"off": True, "calm": None}))
            detail = f"{unprocessed} orders of {channel} are unprocessed: {settings.feature} is off"
            out.tell(channel, RULE, "open", now, reason=detail, feature=settings.feature, depth=unprocessed)
            out.alarm(_alert(channel), RULE, channel, now, "order backlog", detail)
    elif unprocessed < settings.backlog_on:
        if row["calm"] is None:
            out.writes.append((SWITCHES, channel, {"off": True, "calm": now}))
            out.timers.append((CALM, channel, now + settings.backlog_calm_ms))
    elif row["calm"] is not None:
        out.writes.append((SWITCHES, channel, {"off": True, "calm": None}))
        out.timers.append((CALM, channel, None))


def calm_due(out: Outcome, get: Get, channel: str, now: int, settings: Settings) -> None:
    """The backlog has stayed low long enough."""
    row = get(SWITCHES, channel)
    if row is None or row["calm"] is None:
        return
    out.writes.append((SWITCHES, channel, None))
    out.tell(channel, RULE, "close", now, reason=f"{settings.feature} is on again", feature=settings.feature)
    out.calm(_alert(channel), now)


def _alert(channel: str) -> str:
    return f"{RULE}/{channel}"


_NO_LANES: Final[dict[str, Any]] = {"depth": {}, "told": {}, "due": False}
