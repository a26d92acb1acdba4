"""LOG-07: what a courier's interface may be asked in a day, and who comes first when it is little.

One row per courier: `day` (its number in Asia/Shanghai), `calls` of it so far, `warned`: shares of the quota that were
told; `checked`, `wrong`: see interfaces. Probes stop at 95 % of the quota; pushes of waybills and look-ups for customer
service go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .. import calendar
from .settings import Settings
from .watch import ALERTS, NOBODY, PROBE, Send

Row = Mapping[str, Any]
REQUESTS = "logistics-requests"
EMPTY: Final[Row] = {"day": -1, "calls": 0, "warned": []}


def step(row: Row | None, courier: str, wish: Mapping[str, Any], settings: Settings) -> tuple[Row, list[Send]]:
    """A call that somebody wants made: the row after it, and the request, unless the quota forbids it."""
    at: int = wish["at"]
    sends: list[Send] = []
    new = {**EMPTY, **(row or {})}
    today = calendar.day_number(at)
    if today > new["day"]:
        for percent in new["warned"]:
            sends.append((ALERTS, _key(courier, percent), {"do": "close", "rule": "LOG-07", "at": at}))
        new = {**new, "day": today, "calls": 0, "warned": []}
    known = settings.couriers.get(courier)
    quota = known.quota if known else None
    if quota is not None:
        if wish["do"] == PROBE and new["calls"] * 100 >= settings.stop_percent * quota:
            return new, sends
        new["calls"] += 1
        for percent in settings.warn_percent:
            if percent not in new["warned"] and new["calls"] * 100 >= percent * quota:
                new["warned"] = [*new["warned"], percent]
                detail = f"{new['calls']} of {quota} calls of {courier} used today ({percent} %)"
                title = "courier quota"
                said = {"do": "open", "rule": "LOG-07", "title": title, "detail": detail, "at": at, "source": courier}
                sends.append((ALERTS, _key(courier, percent), said))
    number = wish["waybill_no"]
    request = {
        "request_id": f"{wish['do']}/{number}/{at}",
        "kind": wish["do"],
        "courier": None if courier == NOBODY else courier,
        "waybill_no": number,
        "order_guid": wish["order_guid"],
        "attempt": wish["attempt"],
        "at": at,
    }
    sends.append((REQUESTS, number, request))
    return new, sends


def _key(courier: str, percent: int) -> str:
    """Each share is an alert of its own: a second finding of an open one is counted and reaches nobody."""
    return f"LOG-07/{courier}/{percent}"
