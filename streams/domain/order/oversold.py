"""INV-08: units that were sold beyond what there was are an alert of the stock, by SKU and order: call the customer.

It ends when the units come back (see inventory.settle), or here when the order was served all the same: its goods left,
and nothing but such units could have left, or the customer has signed for them. Nothing is kept for it: closing what is
not open does no harm.
"""

from __future__ import annotations

from typing import Final

from streams.domain.inventory import messages
from streams.domain.order.reserved import CONFIRM, CONFIRMED, HELD, OVERSOLD, UNTOLD, Group
from streams.domain.order.returned import left_at
from streams.domain.order.state import OrderState
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import CUSTOMER_SIGNED

RULE: Final = "INV-08"
_OTHERS: Final = frozenset(CONFIRMED + HELD + UNTOLD)
"""Of a line whose goods are there, as far as is known: they may be sent before those that are not."""


def follow(guid: str, old: OrderState, new: OrderState, sends: list[Send], at: int) -> None:
    """What a change of the order at event time `at` (ms) closes: it was served."""
    if is_served(new) and not is_served(old):
        close(guid, new, sends, at)


def is_served(state: OrderState) -> bool:
    """Whether nobody need be called about oversold units of the order any more."""
    if state.stock is None or left_at(state) is None:
        return False
    return state.rank >= CUSTOMER_SIGNED or not any(map(_may_be_there, state.stock.groups))


def _may_be_there(group: Group) -> bool:
    """Whether some of it may be sent before what is not there: also what is paid, as long as its answer is awaited."""
    if not _OTHERS.isdisjoint(group.told):
        return True
    awaited = zip(group.sent, group.told, strict=True) if group.answered < group.round else ()
    return any(sent == CONFIRM and told != OVERSOLD for sent, told in awaited)


def close(guid: str, state: OrderState, sends: list[Send], at: int) -> None:
    """Close the alerts about the order's oversold units."""
    for group in state.stock.groups if state.stock is not None else ():
        if OVERSOLD in group.told:
            said = {"do": "close", "rule": RULE, "at": at, "order_guid": guid}
            sends.append((messages.ALERTS, f"{RULE}/{group.sku}/{guid}", said))
