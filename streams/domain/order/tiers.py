"""ST-04: the three tiers of every state - what the warehouse, the customer and the accounts call it."""

from __future__ import annotations

from typing import Final

from streams.domain.order import returned
from streams.domain.order.flags import CLOSED, REFUNDED, is_unproven
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import BASE_NODE, LOGISTICS_SIGNED, NODE_RANK, NODES, SETTLED

TIERS: Final[dict[str, tuple[str, str, str]]] = {
    # node                  base (WMS)          business (customer)  finance (accounts)
    "pending_payment": ("NOT_RELEASED", "awaiting_payment", "not_due"),
    "paid": ("RELEASED", "preparing", "advance_received"),
    "risk_review": ("ON_HOLD", "under_review", "advance_received"),
    "order_review": ("ON_HOLD", "under_review", "advance_received"),
    "warehouse_allocated": ("ALLOCATED", "preparing", "advance_received"),
    "label_pending": ("LABEL_PENDING", "preparing", "advance_received"),
    "label_printing": ("LABEL_PRINTING", "preparing", "advance_received"),
    "label_printed": ("LABEL_PRINTED", "preparing", "advance_received"),
    "outbound_pending": ("OUTBOUND_PENDING", "preparing", "advance_received"),
    "picking": ("PICKING", "preparing", "advance_received"),
    "quality_check": ("QUALITY_CHECK", "preparing", "advance_received"),
    "packed": ("PACKED", "ready_to_ship", "advance_received"),
    "loaded": ("LOADED", "on_the_way", "accrual_ready"),
    "shipped": ("LOADED", "on_the_way", "accrual_ready"),
    "awaiting_pickup": ("LOADED", "awaiting_courier", "accrual_ready"),
    "picked_up": ("HANDED_OVER", "on_the_way", "accrual_ready"),
    "in_transit": ("HANDED_OVER", "on_the_way", "accrual_ready"),
    "transit_stalled": ("HANDED_OVER", "delayed", "accrual_ready"),
    "out_for_delivery": ("HANDED_OVER", "out_for_delivery", "accrual_ready"),
    "logistics_signed": ("DELIVERED", "delivered", "revenue_pending"),
    "awaiting_confirm": ("DELIVERED", "please_confirm", "revenue_pending"),
    "customer_signed": ("DELIVERED", "received", "revenue_due"),
    "settled": ("DELIVERED", "completed", "settled"),
}

REVENUE_BLOCKED: Final = "revenue_blocked"
"""Finance tier of an order signed by the customer but by no courier: ST-05 e holds revenue and invoice back."""

_OVER: Final = CLOSED | REFUNDED
_UNTOUCHED: Final = frozenset({"NOT_RELEASED", "RELEASED", "ON_HOLD"})
"""Base tiers of an order on which no warehouse has begun to work."""

if missing := {node.name for node in NODES} ^ set(TIERS):
    raise ValueError(f"nodes without tiers, or tiers without a node: {sorted(missing)}")

_BY_NUMBER: Final = tuple(
    {"base": base, "business": business, "finance": finance}
    for base, business, finance in (("", "", ""), *(TIERS[node.name] for node in NODES))
)


def view(state: OrderState) -> dict[str, str]:
    """{base, business, finance} of the order. Of one that only the customer's side calls delivered, the base tier says
    how far warehouse and courier have told of it (FIN-13)."""
    tiers = _BY_NUMBER[state.node]
    if is_unproven(state):
        tiers = {**tiers, "base": _BY_NUMBER[_proven(state)]["base"], "finance": REVENUE_BLOCKED}
    if state.flags & _OVER:
        return {**tiers, **_ended(state, tiers)}
    if returned.is_turned(state):
        tiers = {**tiers, "business": "returned" if returned.is_home(state) else "returning"}
    return tiers


def _ended(state: OrderState, tiers: dict[str, str]) -> dict[str, str]:
    """What is said in place of it of an order that is closed or paid back, wherever it stands: nobody prepares it or
    waits for its payment. What a warehouse or a courier has done with the goods stays true, and so does a settlement.
    """
    ended = {"business": "refunded" if state.flags & REFUNDED else "closed"}
    if tiers["base"] in _UNTOUCHED:
        ended["base"] = "CANCELLED"
    if state.rank == SETTLED:
        return ended
    if state.flags & REFUNDED:
        ended["finance"] = "refunded"
    elif state.paid_minor <= state.refunded_minor:
        ended["finance"] = "not_due"
    elif state.rank < LOGISTICS_SIGNED:
        ended["finance"] = "refund_due"
    return ended


def _proven(state: OrderState) -> int:
    """The furthest node of the states that the order has reached before its delivery."""
    rank = max((rank for rank in range(LOGISTICS_SIGNED) if state.reached[rank] is not None), default=0)
    return max((node for node in state.nodes if NODE_RANK[node] <= rank), default=BASE_NODE[rank])
