"""Where an order stands, as far as its risk goes: how far it is, whether it is over, and what may come of it when."""

from __future__ import annotations

from typing import Any, Final

from streams.domain.order import claims
from streams.domain.risk import promise, verdict
from streams.domain.risk.outcome import Fact, Row
from streams.domain.risk.settings import Settings
from streams.domain.rules.nodes import CUSTOMER_SIGNED, IN_LOOP, NODE_RANK, NODE_STEP, PAID, SHIPPED
from streams.domain.status_map import RETURNED, is_at_rest, says_closed

CALLED_CLOSED: Final = 2
"""As `over`: by no more than a word of its channel."""
TOLD_AND_CALM: Final = 2
"""As `overdue`: the alert was raised, and closed."""
_SCANS: Final = frozenset({"picked_up", "scanned", "out_for_delivery", "signed", "exception"})


def follow(row: dict[str, Any], fact: Fact) -> None:
    """Where the order is: state, node, latest scan, and whether it is over (RSK-01)."""
    meaning, refusal = claims.read(fact)
    at, mapped = fact["event_time"], fact.get("mapped")
    if refusal is None:
        if meaning.rank > row.get("rank", 0):
            row["rank"] = meaning.rank
            if meaning.rank >= CUSTOMER_SIGNED:
                row["over"] = 1
        # A node of a later state waits for that state (a waybill accepted is no parcel on its way).
        if meaning.node and (meaning.rank >= 0 or NODE_RANK[meaning.node] <= PAID):
            _node(row, meaning.node, at)
    if fact["topic"] == "couriers":
        if fact["event_type"] in _SCANS and at > row.get("scan", 0):
            row["scan"] = at
        axis = None if mapped is None else mapped.get("axis")
        if (axis in RETURNED or is_at_rest(fact)) and at > row.get("rests", 0):
            row["rests"] = at
    if says_closed(fact):
        row["closed"] = min(at, row.get("closed", at))
    if "closed" in row:
        if not is_part_refunded(row):
            row.setdefault("over", CALLED_CLOSED)
        elif row.get("over") == CALLED_CLOSED:  # it was a part that was paid back, as is told only now (FIN-07)
            del row["over"]
            if row.get("overdue") == TOLD_AND_CALM:
                del row["overdue"]


def is_part_refunded(row: Row) -> bool:
    """FIN-07: platforms call an order closed when a part of it was refunded; that ends nothing."""
    if "refunds" not in row:
        return False
    paid, back = _moved(row)
    return 0 < back < paid


def _moved(row: Row) -> tuple[int, int]:
    """(paid, paid back), minor units; the price stands for what was paid while nobody told that."""
    paid: int = sum(row.get("received", {}).values()) or row.get("total", 0)
    back: int = sum(row.get("refunds", {}).values())
    return paid, back


def is_trouble(row: Row, fact: Fact) -> bool:
    """RSK-12: a paid order that was closed, money paid back, a courier's exception, a complaint."""
    kind = fact["topic"], fact["event_type"]
    if kind in (("payments", "refund_settled"), ("couriers", "exception"), ("orders", "complaint")):
        return True
    return "paid" in row and (kind == ("orders", "cancel_marked") or (bool(row.get("over")) and "closed" in row))


def _node(row: dict[str, Any], node: int, at: int) -> None:
    """The furthest step, since when; in a loop the newest word."""
    here: list[int] | None = row.get("node")
    if here is None:
        row["node"] = [node, at]
        return
    ahead = NODE_STEP[node] - NODE_STEP[here[0]]
    if ahead > 0 or (not ahead and ((at, node) > (here[1], here[0]) if IN_LOOP[node] else at < here[1])):
        row["node"] = [node, at]


def dues(row: Row, settings: Settings) -> list[tuple[str, int]]:
    """(what, when) of all that is to come; `when` is the first ms at which a limit is passed."""
    if is_ended(row):
        return []
    limits, fired = settings.limits, row.get("signals", {})
    rank, found = row.get("rank", 0), list[tuple[str, int]]()
    if rank == PAID and "paid" in row and not row.get("overdue"):
        found.append(("unshipped", row["paid"][0] + limits.unshipped_ms + 1))
    if rank == SHIPPED and row.get("rests", 0) < row.get("scan", 0) and "transit_stall" not in fired:
        found.append(("stall", row["scan"] + limits.stall_ms + 1))
    if "promised" in row and (near := promise.due(row, limits)) is not None:
        found.append(("promise", near))
    node = row.get("node")
    if node is not None and (sla := limits.node_sla_ms.get(node[0])) is not None and "node_overdue" not in fired:
        found.append(("node", node[1] + sla + 1))
    if "late" not in row and (late := late_at(row, settings)) is not None:
        found.append(("late", late))
    return found


def late_at(row: Row, settings: Settings) -> int | None:
    """RSK-11: from when on the order is likely late at its node; None where it no longer can be, as it is shipped or
    ended. age / SLA + score >= limit, in whole milliseconds."""
    node, limits = row.get("node"), settings.limits
    sla = None if node is None or is_ended(row) else limits.node_sla_ms.get(node[0])
    if node is None or sla is None:
        return None
    missing = limits.likely_late - verdict.score_of(row, settings)
    since: int = node[1]
    return since + max(0, -(-missing * sla // 1_000_000))


def is_ended(row: Row) -> bool:
    """Whether nobody need hurry any more: it is over, or all its money is back and it is not to be sent (RSK-10)."""
    if "over" in row or "refunds" not in row:
        return bool(row.get("over"))
    paid, back = _moved(row)
    return 0 < paid <= back
