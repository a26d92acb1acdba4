"""The record of order-states: the one state of an order, for everybody."""

from __future__ import annotations

from typing import Any

from streams.domain.order import claims, codes, tiers
from streams.domain.order.flags import names
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import NODES, STATES


def record(order_guid: str, state: OrderState) -> dict[str, Any]:
    """All fields of the contract. Node SLAs, tiers of risk and scores have no rule yet: null."""
    node = NODES[state.node - 1]
    t0 = state.created_at
    return {
        "order_guid": order_guid,
        "channel": state.channel,
        "order_no": state.order_no,
        "codes": codes.view(state),
        "state": STATES[state.rank],
        "node": node.name,
        "flags": list(names(state.flags)),
        "tiers": tiers.view(state),
        "entered_at": {name: at + t0 for name, at in zip(STATES, state.reached, strict=True) if at is not None},
        "claims": claims.view(state),
        "tier": None,
        "score": None,
        "paid_minor": state.paid_minor,
        "refunded_minor": state.refunded_minor,
        "total_minor": state.total_minor,
        "currency": state.currency,
        "sla_due_at": None,
        "version": state.version,
        "updated_at": state.updated_at + t0,
        "customer_id": state.customer_id,
        "sales_type": state.sales_type,
        "status_text": node.label,
        "created_at": t0,
    }
