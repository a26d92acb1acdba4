"""One order and the rules that fold it. Start at `order.reduce`.

    state      what is kept, and its compact row        meanings   what each event type says
    dedup      ID-05  repeated events                   claims     ST-03, ST-05  who may say it
    progress   ST-01, ST-02  state and fine node        money      FIN-07  paid and refunded
    flags      ST-01  side flags                        codes      ID-04  the order's codes
    parked     ST-03  statuses no map knows             tiers      ST-04  three wordings
    atomic     ST-12  the six events                    audit      ST-06  one row per event
    stock      INV-07, INV-14  the reservation saga     reserved   what is kept of it
    lanes      BRK-05, BRK-06  tiers and lanes          deadlines  BRK-07, BRK-11, INV-15
    risk       RSK-04, RSK-08  score and lock
    saga       the four of them together                order      folds them all
    sla        ST-10, ST-15  time at a node             node_records  ST-08  who owns a node, its SLA
    pushes     ST-13  other systems told at once        labels     ST-11  labels printed again
    lag        ST-14  shipped, shown as waiting         manual     ST-09  moved by two approvals
    arrival    LOG-16  when it is expected              asides     what only some orders keep
    invoicing  TAX-01, TAX-08  its invoice              branch     BRK-07  the invoice branch
    shipped    RSK-04  locked, and shipped all the same verdicts   ST-09  what an approval says
    returned   INV-07, ST-04  refunded early; sent back   oversold   INV-08  sold short, and shipped after all
    contradicted FIN-13, WMS-02  closed, and paid; refunded, and shipped
    called_off FIN-07  cancelled, paid back in parts
    placed     INV-10  the warehouse that sends it      numbers    which line a number means
    view       the record of order-states
"""

from streams.domain.order.arrival import learn
from streams.domain.order.deadlines import ASKED, TIMER, asked, asked_of, asked_until, due_at
from streams.domain.order.labels import TOPIC as WAREHOUSE
from streams.domain.order.lanes import TierRules
from streams.domain.order.manual import ManualRules
from streams.domain.order.node_records import NodeRecords
from streams.domain.order.order import Decision, OrderSettings, UnknownOrder, answer, reduce
from streams.domain.order.parked import waiting_names
from streams.domain.order.pushes import TOPIC as PUSHES
from streams.domain.order.saga import Answer, due
from streams.domain.order.state import Fact, OrderState, RowError, from_row, to_row
from streams.domain.order.stock import REPLY, Send, StockRules
from streams.domain.order.view import record

__all__ = [
    "ASKED",
    "PUSHES",
    "REPLY",
    "TIMER",
    "WAREHOUSE",
    "Answer",
    "Decision",
    "Fact",
    "ManualRules",
    "NodeRecords",
    "OrderSettings",
    "OrderState",
    "RowError",
    "Send",
    "StockRules",
    "TierRules",
    "UnknownOrder",
    "answer",
    "asked",
    "asked_of",
    "asked_until",
    "due",
    "due_at",
    "from_row",
    "learn",
    "record",
    "reduce",
    "to_row",
    "waiting_names",
]
