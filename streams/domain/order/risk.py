"""What an order learns of its weak signals: its score, and whether it is locked (RSK-04, RSK-08).

The risk agent tells it from orange on, whenever the band or the lock changes, not at each step of the score. So an
order that was told anything is of tier L3.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.order import audit, dedup, flags, labels, saga, shipped
from streams.domain.order.lanes import TierRules
from streams.domain.order.node_records import NodeRecords
from streams.domain.order.state import Fact, OrderState
from streams.domain.order.stock import Send, StockRules

RISK_FACT: Final = "_risk"
"""{score, locked, reason, operator?, refused?}, by the risk agent, in the order of the changes."""

Learned = tuple[OrderState, dict[str, Any], bool, list[Send]]
"""The state, the audit row (without `raw`), whether order-states differs, and what follows."""


def learn(
    state: OrderState, fact: Fact, now: int, tiers: TierRules, rules: StockRules, nodes: NodeRecords, memory_ms: int
) -> Learned:
    """Fold what the risk agent says; a lock moves an order that is not in the warehouse yet to the lane review_l3."""
    here, key = audit.text(state), dedup.event_key(fact["source"], fact["event_id"])
    rule = "RSK-04" if fact["locked"] or fact.get("operator") or _locked(state) else "RSK-03"
    if dedup.check(state.seen, key, 0) is not dedup.NEW:
        return state, audit.row(fact, "ID-05", audit.DUPLICATE, here, here, "event seen before"), False, []
    new = state.copy()
    new.seen = dedup.remember(state.seen, key, 0, fact["event_time"], memory_ms)
    if fact.get("refused"):
        return new, audit.row(fact, rule, audit.REFUSED, here, here, fact["refused"]), False, []
    since = fact["event_time"] - state.created_at
    if _locked(state) and len(state.risk or ()) > 2:
        since = state.risk[2]  # type: ignore[index]
    new.risk = [fact["score"], fact["locked"], *([since] if fact["locked"] else ())]
    new.flags = flags.derive(new)
    new.tier = 0  # to be found anew: the score alone makes it L3
    new.version += 1
    sends = saga.follow(state, new, fact, -1, now, tiers, rules)
    shipped.follow(fact["order_guid"], state, new, sends, fact["event_time"])
    labels.watch(fact["order_guid"], new, fact["event_time"], now, nodes, sends)
    return new, audit.row(fact, rule, audit.ACCEPTED, here, audit.text(new), fact["reason"]), True, sends


def _locked(state: OrderState) -> bool:
    return state.risk is not None and bool(state.risk[1])
