"""LOG-16: when the order's parcels are expected, and how customers are told."""

from __future__ import annotations

from streams.domain.order.flags import CLOSED, REFUNDED
from streams.domain.order.returned import is_ready, is_turned
from streams.domain.order.state import Fact, OrderState
from streams.domain.rules.nodes import SHIPPED

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MAX_PARCELS = 64


def learn(state: OrderState, fact: Fact) -> OrderState:
    """The state with the estimate of a waybill; the one given if it says nothing new. The earliest pickup stands."""
    t0 = state.created_at
    told = [fact["picked_at"] - t0, fact["arrives_at"] - t0, fact["basis"]]
    known = state.arrivals.get(fact["waybill"])
    if len(state.arrivals) >= MAX_PARCELS if known is None else known <= told:
        return state
    new = state.copy()
    new.arrivals = {**state.arrivals, fact["waybill"]: told}
    new.version += 1
    return new


def expected(state: OrderState) -> tuple[int, str] | None:
    """(ms, basis) of the last parcel while the order is on its way, else None: nobody waits for what was paid back,
    goes back itself or lies at its pickup point already."""
    if state.rank != SHIPPED or not state.arrivals or state.flags & (CLOSED | REFUNDED):
        return None
    if is_turned(state) or is_ready(state):
        return None
    at, basis = max((told[1], told[2]) for told in state.arrivals.values())
    return at + state.created_at, basis


def sentence(arrives_at: int, now: int) -> str:
    """`arrives in about 2 days`: days and hours are rounded to the nearest."""
    left = arrives_at - now
    if left <= 0:
        return "should arrive any time now"
    if left < DAY_MS:
        hours = max(1, (left + HOUR_MS // 2) // HOUR_MS)
        return f"arrives in about {hours} {'hour' if hours == 1 else 'hours'}"
    days = (left + DAY_MS // 2) // DAY_MS
    return f"arrives in about {days} {'day' if days == 1 else 'days'}"
