"""What agents beside the way of an order pass over. They are `aside`: nobody waits for what they tell (BRK-08)."""

from __future__ import annotations

from typing import Final

from streams.domain.inventory.messages import STOCK_FACT
from streams.domain.logistics.arrival import ESTIMATED
from streams.domain.order.meanings import REPEATED_PAYMENT

FOR_THE_ORDER: Final = tuple(f'{{"event_type":"{kind}"'.encode() for kind in (STOCK_FACT, ESTIMATED, REPEATED_PAYMENT))
"""How facts on order-facts begin that are told the orders agent alone: nearly every second one."""
