"""RSK-04: no fulfilment step of a locked order may pass, nor of one that its platform has frozen. One that left all the
same did leave, and somebody is told.

Goods that were on their way before the lock began are no finding, whatever is told first. The alert closes when the
order is unlocked or ends: it is closed, refunded, or its customer has it. Nothing is kept for it: closing what is not
open does no harm.
"""

from __future__ import annotations

from typing import Final

from streams.domain.inventory import messages
from streams.domain.order.flags import CLOSED, HELD, LOCKED, REFUNDED
from streams.domain.order.state import OrderState
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import CUSTOMER_SIGNED, LOGISTICS_SIGNED, SHIPPED

RULE: Final = "RSK-04"
_OVER: Final = CLOSED | REFUNDED


def follow(guid: str, old: OrderState, new: OrderState, sends: list[Send], at: int) -> None:
    """What a change of the order at event time `at` (ms) opens or closes."""
    if not (old.flags | new.flags) & HELD:
        return
    left = _left(new)
    if left is None:
        return
    key, said = f"{RULE}/shipped/{guid}", {"rule": RULE, "at": at, "order_guid": guid}
    if _is_over(new) or not new.flags & HELD:
        if old.flags & HELD and not _is_over(old):
            sends.append((messages.ALERTS, key, {**said, "do": "close"}))
    elif _left(old) is None and left >= _locked_since(new):
        held = "locked" if new.flags & LOCKED else "frozen"
        finding = {
            "do": "open",
            "title": f"{held} order shipped",
            "detail": f"the goods left the warehouse while the order was {held}",
            "advice": "Have the parcel stopped or called back, and find out who let it go; then unlock the order.",
            "channel": new.channel,
        }
        sends.append((messages.ALERTS, key, {**said, **finding}))


def _is_over(state: OrderState) -> bool:
    return bool(state.flags & _OVER) or state.rank >= CUSTOMER_SIGNED


def _left(state: OrderState) -> int | None:
    """When the goods left by the word of warehouse or courier, ms after the creation."""
    shipped = state.reached[SHIPPED]
    return state.reached[LOGISTICS_SIGNED] if shipped is None else shipped


def _locked_since(state: OrderState) -> int:
    """When the lock or freeze began, ms after the creation: by its score, or by the claim of a system; 0 if nobody
    knows."""
    since = [claim[2] for claim in state.claims.values() if len(claim) > 3]
    if state.risk is not None and state.risk[1]:
        since.append(state.risk[2] if len(state.risk) > 2 else 0)
    return min(since, default=0)
