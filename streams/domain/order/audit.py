"""ST-06: one audit record for every event about an order, whatever became of it (DQ-13: with its payload)."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from streams.domain.order.flags import names
from streams.domain.order.state import Fact, OrderState
from streams.domain.rules.nodes import NODES

ACCEPTED, REFUSED, FILLED_IN, DUPLICATE = "accepted", "refused", "filled_in", "duplicate"

RAW: Final = "raw"
"""Left for the caller to fill: the envelope's `raw`, or the fact itself where there is none."""


def row(
    fact: Fact,
    rule: str,
    decision: str,
    before: str | None,
    after: str | None,
    reason: str | None = None,
) -> dict[str, Any]:
    """One record of audit-log; `at` is the event time."""
    return {
        "order_guid": fact["order_guid"],
        "operator": fact.get("operator"),
        "at": fact["event_time"],
        "source": fact["source"],
        "event_id": fact["event_id"],
        "rule": rule,
        "decision": decision,
        "before": before,
        "after": after,
        "reason": reason,
        RAW: None,
        "event_type": fact["event_type"],
        "topic": fact.get("topic"),
    }


def text(state: OrderState) -> str:
    """Where the order stands, as JSON text: {state, node, flags, paid_minor, refunded_minor}."""
    standing = _standing(state.node, state.flags)
    return f'{standing},"paid_minor":{state.paid_minor},"refunded_minor":{state.refunded_minor}}}'


@lru_cache(maxsize=4096)
def _standing(node: int, flags: int) -> str:
    here = NODES[node - 1]
    return json.dumps({"state": here.state, "node": here.name, "flags": names(flags)}, separators=(",", ":"))[:-1]
