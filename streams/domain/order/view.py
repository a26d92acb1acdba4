"""The record of order-states: the one state of an order, for everybody."""

from __future__ import annotations

from typing import Any, Final

from streams.domain.order import claims, codes, invoicing, manual, parked, sla, tiers
from streams.domain.order.arrival import expected, sentence
from streams.domain.order.flags import PROVISIONAL, names
from streams.domain.order.lanes import LANES, TIERS, review_of
from streams.domain.order.manual import ManualRules
from streams.domain.order.node_records import NodeRecords
from streams.domain.order.reserved import NAMES, is_told
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import LOGISTICS_SIGNED, NODES, STATES

_NO_RECORDS: Final = NodeRecords()
_NO_COMMANDS: Final = ManualRules()


def record(
    order_guid: str, state: OrderState, records: NodeRecords = _NO_RECORDS, by_hand: ManualRules = _NO_COMMANDS
) -> dict[str, Any]:
    """All fields of the contract. `score` as of the last change of band or lock."""
    if review := review_of(state):
        state = state.copy()
        state.node = review
    node, here = NODES[state.node - 1], sla.position(state, records)
    t0, arrives = state.created_at, expected(state)
    return {
        "order_guid": order_guid,
        "channel": state.channel,
        "order_no": state.order_no,
        "codes": codes.view(state),
        "state": STATES[state.rank],
        "node": node.name,
        "flags": list(names(state.flags)),
        "tiers": tiers.view(state),
        "entered_at": {STATES[rank]: at + t0 for rank, at in enumerate(_reached(state)) if at is not None},
        "claims": claims.view(state),
        "tier": TIERS[state.tier],
        "score": None if state.risk is None else state.risk[0],
        "paid_minor": state.paid_minor,
        "refunded_minor": state.refunded_minor,
        "total_minor": state.total_minor,
        "currency": state.currency,
        "sla_due_at": here.due_at,
        "version": state.version,
        "updated_at": state.updated_at + t0,
        "customer_id": state.customer_id,
        "sales_type": state.sales_type,
        "status_text": node.label,
        "created_at": t0,
        "lane": LANES[state.lane],
        "stock": None if state.stock is None else _stock(state),
        "held_ms": None if state.stock is None else state.stock.held_ms,
        "node_step": here.step,
        "node_entered_at": here.entered_at,
        "node_owner": here.owner,
        "expected_next": here.expects,
        "pending_approvals": None if state.aside is None else manual.waiting(state, by_hand),
        "estimated_arrival_at": None if arrives is None else arrives[0],
        "estimate_basis": None if arrives is None else arrives[1],
        "invoice": None if state.aside is None else invoicing.view(state.aside.invoice),
        "customer_text": None if arrives is None else f"parcel sent, {sentence(arrives[0], state.updated_at + t0)}",
    }


def _reached(state: OrderState) -> list[int | None]:
    if not state.flags & PROVISIONAL:
        return state.reached
    return [parked.signed_at(state) if rank == LOGISTICS_SIGNED else at for rank, at in enumerate(state.reached)]


def _stock(state: OrderState) -> list[dict[str, Any]] | None:
    """One entry per line to be reserved, by SKU; None while nothing is told or no SKU is under stock control."""
    assert state.stock is not None
    if not is_told(state.stock):
        return None
    return [
        {
            "line_no": number,
            "sku": group.sku,
            "quantity": quantity,
            "outcome": NAMES[group.told[n]],
            "reason": group.reasons[n] if group.reasons else None,
        }
        for group in state.stock.groups
        for n, (number, quantity) in enumerate(group.lines)
    ]
