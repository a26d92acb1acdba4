"""INV-10: the stock hears which warehouse sends an order that was deducted before anybody knew.

It is told when the order's warehouse becomes known, or another one, while the goods have not left: what is heard of it
later is where a parcel came back to. A word about one SKU of it is about no other. A confirm that is still to be sent
names the warehouse itself.
"""

from __future__ import annotations

from typing import Final

from streams.domain.inventory import messages
from streams.domain.order.reserved import CONFIRM
from streams.domain.order.returned import left_at
from streams.domain.order.state import Fact, OrderState
from streams.domain.order.stock import Send

RULE: Final = "INV-10"


def follow(guid: str, old: OrderState, new: OrderState, fact: Fact, sends: list[Send], at: int) -> None:
    """What a change of the order by `fact`, at event time `at` (ms), says about the place of its goods."""
    name, left, sku = _warehouse(new), left_at(new), fact.get("sku")
    if new.stock is None or name is None or (sku is None and name == _warehouse(old)):
        return
    if left is not None and at - new.created_at > left:
        return
    for group in new.stock.groups:
        if sku not in (None, group.sku):
            continue
        lines = [line for line, sent in zip(group.lines, group.sent, strict=True) if sent == CONFIRM]
        if lines:
            command = {"do": messages.PLACE, "sku": group.sku, "order_guid": guid, "lines": lines, "at": at}
            sends.append((messages.COMMANDS, group.sku, {**command, "warehouse": name}))


def _warehouse(state: OrderState) -> str | None:
    aside = state.aside
    return None if aside is None or aside.warehouse is None else aside.warehouse[1]
