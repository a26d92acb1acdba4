"""BRK-05 and BRK-06: the tier of an order, and the lane in which it waits between payment and warehouse.

    L1  normal                   -> wms          straight to the warehouse
    L2  presale, custom          -> review_l2    a person signs as well
    L3  large, risky, locked or  -> review_l3    the risk model, then a person
        frozen

L3 goes before L2, L2 before L1; a new signal may change the tier, and with it the lane. An order enters its lane when
it is complete - paid, its stock answered for, and the request for an invoice, if there is one, taken or refused
(BRK-07) - and leaves it when the warehouse has it, or when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.order.asides import is_invoice_silent
from streams.domain.order.flags import CLOSED, HELD, REFUNDED
from streams.domain.order.reserved import is_silent
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import NODE_NUMBER, NODE_STEP, PAID

_REVIEWS: Final = (0, 0, NODE_NUMBER["order_review"], NODE_NUMBER["risk_review"])
"""By lane: the node at which an order waits in it."""
_PAID_NODE: Final = NODE_NUMBER["paid"]

TIERS: Final = (None, "L1", "L2", "L3")
LANES: Final = (None, "wms", "review_l2", "review_l3")
"""By tier; 0 is none."""
WMS: Final = 1

LANE_FACT: Final = "_lane"

_IN_WAREHOUSE: Final = NODE_STEP[NODE_NUMBER["warehouse_allocated"]]


@dataclass(frozen=True, slots=True)
class TierRules:
    """`co_signed`: sales types of L2. `large_minor`: from which total on an order is L3, by currency."""

    co_signed: tuple[str, ...] = ("presale", "custom")
    large_minor: Mapping[str, int] = field(default_factory=lambda: {"CNY": 1_000_000})


def tier_of(state: OrderState, rules: TierRules) -> int:
    """1 to 3."""
    if state.flags & HELD or state.risk is not None:  # RSK-08
        return 3
    large = rules.large_minor.get(state.currency)
    if large is not None and _amount(state) >= large:
        return 3
    return 2 if state.sales_type in rules.co_signed else 1


def _amount(state: OrderState) -> int:
    """What the order costs; of one that tells no total, what its lines are worth, for a large order is not to pass."""
    if state.total_minor is not None:
        return state.total_minor
    return sum((quantity or 0) * (price or 0) for _, _, quantity, price, is_gift in state.lines if not is_gift)


def is_due(state: OrderState) -> bool:
    """Paid, not ended, and not in the warehouse yet."""
    return state.rank == PAID and not state.flags & (CLOSED | REFUNDED) and NODE_STEP[state.node] < _IN_WAREHOUSE


def lane_of(state: OrderState) -> int:
    """The lane in which the order stands now, 0 for none."""
    if not is_due(state):
        return 0
    if state.stock is not None and is_silent(state.stock):
        return 0
    if not state.lane and is_invoice_silent(state.aside):  # one that is asked for later takes no order out of its lane
        return 0
    return state.tier


def review_of(state: OrderState) -> int:
    """RSK-08, BRK-05: the node of the review for which the order waits in its lane, 0 for none. It follows from the
    lane, so that no event need tell of it; what a shop or a warehouse tells of a later node goes before it."""
    return _REVIEWS[state.lane] if state.node == _PAID_NODE else 0


def told(order_guid: str, state: OrderState, lane: int, enter: bool, at: int) -> tuple[str, dict[str, Any]] | None:
    """(channel, fact): the order enters or leaves a lane. None for an order without a channel."""
    if state.channel is None:
        return None
    fact = {
        "event_type": LANE_FACT,
        "enter": enter,
        "lane": LANES[lane],
        "channel": state.channel,
        "order_guid": order_guid,
        "event_time": at,
        "source": "orders",
    }
    return state.channel, fact
