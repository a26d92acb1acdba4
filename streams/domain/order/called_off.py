"""FIN-07 beside INV-07: an order that was cancelled before it left, and of which a part of the money went back.

Platforms call an order closed of which only a part is refunded, so nothing that is paid back in part is closed. But one
that was cancelled is often paid back in parts, and between two of them it must not go to the warehouse as if nobody had
cancelled it. Until all the money is back it is frozen: it waits for a person in the lane of the reviews (BRK-05), and
its units stay where the cancellation has put them.

Whether the whole order was meant: a cancel mark says so, whenever it comes. A status word does where it was told before
any money went back; one that comes with a refund, or after it, may be about that part, and the rest is to be sent.

It is free again by what came after both the cancellation and the first refund: a payment, or a move by hand into
the warehouse that two people approved (ST-09). What left is held back no more (see contradicted).
"""

from __future__ import annotations

from typing import Final

from streams.domain.order import returned
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import NODE_NUMBER, NODE_STEP

CANCELLED: Final = "cancelled"
"""A mark, no flag: when a cancel mark was told last."""
_IN_WAREHOUSE: Final = NODE_STEP[NODE_NUMBER["warehouse_allocated"]]


def note(state: OrderState, at: int) -> bool:
    """Note a cancel mark. True if that is news."""
    return returned.note(state, CANCELLED, at)


def since(state: OrderState) -> int | None:
    """From when on the order is held back, ms after the creation; None: nothing says so, or something lifted it."""
    if "closed" not in state.marks or not 0 < state.refunded_minor < state.paid_minor:
        return None
    told = [(entry[0] or 0, entry[2]) for entry in state.money.values() if len(entry) > 2 and entry[2] is not None]
    back = min((at for amount, at in told if amount < 0), default=None)
    cancelled = state.marks.get(CANCELLED)
    if back is None or (cancelled is None and state.marks["closed"] >= back):
        return None
    begun = max(back, state.marks["closed"] if cancelled is None else cancelled)
    if any(amount > 0 and at > begun for amount, at in told) or _is_moved(state, begun):
        return None
    return begun


def is_held(state: OrderState) -> bool:
    """Whether nothing of the order is to be sent or deducted for now."""
    return since(state) is not None and returned.left_at(state) is None


def _is_moved(state: OrderState, begun: int) -> bool:
    """Whether people handed the order to the warehouse after that."""
    requests = (state.aside.requests or {}).values() if state.aside is not None else ()
    moves = [request for request in requests if NODE_STEP[request.node] >= _IN_WAREHOUSE]
    return any(move.done is not None and move.done > begun for move in moves)
