"""RSK-11, against the promise: the promised delivery is near, and the order is not far enough to keep it.

    paid               not shipped, and less than 72 h are left
    shipped            not out for delivery, and less than 24 h are left
    out_for_delivery   on the last mile, and the promised time has passed

The hours are `promise_ms` of the risk table. The alert closes when the order comes so far that its time is enough
again, when it is delivered, or over. `row["promised"]` is when delivery was promised (ms), `row["near"]` [phase,
since] of the open alert.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain import calendar
from streams.domain.risk.outcome import Outcome, Row
from streams.domain.risk.settings import Limits
from streams.domain.rules.nodes import LOGISTICS_SIGNED, NODE_NUMBER, PAID, SHIPPED

ABOUT: Final = "promise"
_LAST_MILE: Final = NODE_NUMBER["out_for_delivery"]
_WHERE: Final = {
    "paid": "not shipped yet",
    "shipped": "on its way, not out for delivery yet",
    "out_for_delivery": "out for delivery, not delivered",
}


def phase_of(row: Row) -> str | None:
    """Where the order is; None while it is not paid, and once it is delivered."""
    rank = row.get("rank", 0)
    if not PAID <= rank < LOGISTICS_SIGNED:
        return None
    if rank < SHIPPED:
        return "paid"
    node = row.get("node")
    return "out_for_delivery" if node is not None and node[0] == _LAST_MILE else "shipped"


def due(row: Row, limits: Limits) -> int | None:
    """The first ms at which too little time is left; None for never, or if that is told already."""
    if "near" in row:
        return None
    phase = phase_of(row)
    return None if phase is None else _too_late(row, phase, limits)


def tell(out: Outcome, guid: str, row: dict[str, Any], at: int, limits: Limits) -> None:
    """Too little time is left at `at` (ms). Changes `row`."""
    phase = phase_of(row)
    assert phase is not None
    row["near"] = [phase, at]
    hours = limits.promise_ms[phase] // calendar.HOUR_MS
    left = f"less than {hours} h before its promised delivery" if hours else "past its promised delivery"
    out.alarm("RSK-11", guid, at, "promised delivery at risk", f"{_WHERE[phase]}, {left}", about=ABOUT)


def settle(out: Outcome, guid: str, row: dict[str, Any], at: int, limits: Limits, ended: bool) -> None:
    """After a fact of `at` (ms) about an order with an open alert: close it if its cause is gone, or the order `ended`.
    Changes `row`."""
    told_in, since = row["near"]
    phase = None if ended else phase_of(row)
    if phase == told_in:
        return
    again = None if phase is None else _too_late(row, phase, limits)
    if phase is None or again is None or again > max(at, since):
        del row["near"]
        out.calm("RSK-11", guid, at, about=ABOUT)
    else:
        row["near"] = [phase, since]


def _too_late(row: Row, phase: str, limits: Limits) -> int | None:
    left = limits.promise_ms.get(phase)
    promised: int = row["promised"]
    return None if left is None else promised - left + 1
