"""One order and the rules that fold it. Start at `order.reduce`.

    state      what is kept, and its compact row        meanings   what each event type says
    dedup      ID-05  repeated events                   claims     ST-03, ST-05  who may say it
    progress   ST-01, ST-02  state and fine node        money      FIN-07  paid and refunded
    flags      ST-01  side flags                        codes      ID-04  the order's codes
    parked     ST-03  statuses no map knows             tiers      ST-04  three wordings
    atomic     ST-12  the six events                    audit      ST-06  one row per event
    view       the record of order-states               order      folds them
"""

from streams.domain.order.order import Decision, OrderSettings, UnknownOrder, reduce
from streams.domain.order.state import Fact, OrderState, RowError, from_row, to_row
from streams.domain.order.view import record

__all__ = [
    "Decision",
    "Fact",
    "OrderSettings",
    "OrderState",
    "RowError",
    "UnknownOrder",
    "from_row",
    "record",
    "reduce",
    "to_row",
]
