"""ST-12: the six atomic events of an order, each told when it first becomes true, at the time of its event.

created, paid, shipped and signed (once per sign_type: logistics, customer) come once per order, refunded once per
refund, invoiced once per order. A later event with an earlier time corrects `entered_at`, not what was told.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.order.state import Fact, OrderState

CREATED, PAID, SHIPPED, SIGNED, REFUNDED, INVOICED = "created", "paid", "shipped", "signed", "refunded", "invoiced"

OF_RANK: Final[tuple[tuple[str, str | None] | None, ...]] = (
    None,
    (PAID, None),
    (SHIPPED, None),
    (SIGNED, "logistics"),
    (SIGNED, "customer"),
    None,
)
"""(event, sign_type) of the first authoritative claim of a state, by rank."""

_WITH_AMOUNT: Final = (PAID, REFUNDED)


def record(state: OrderState, fact: Fact, event: str, sign_type: str | None = None) -> dict[str, Any]:
    """One record of order-events."""
    priced = event in _WITH_AMOUNT
    return {
        "order_guid": fact["order_guid"],
        "event": event,
        "sign_type": sign_type,
        "at": fact["event_time"],
        "operator": fact.get("operator"),
        "source": fact["source"],
        "event_id": fact["event_id"],
        "channel": state.channel,
        "order_no": state.order_no,
        "amount_minor": fact.get("amount_minor") if priced else None,
        "currency": state.currency if priced else None,
    }
