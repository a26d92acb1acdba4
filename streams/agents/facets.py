"""The other facets of an order beside its state: its money, its match, its parcels and the quality of its service.

All of them read `order-facts` by the same clock, so they are run as one agent: one consumer, one transaction.
"""

from __future__ import annotations

from typing import Final

from streams.agents.ledger import ledger
from streams.agents.logistics import logistics
from streams.agents.match import match
from streams.agents.quality import quality
from streams.engine.agent import joined

facets: Final = joined("facets", (ledger, match, logistics, quality))
