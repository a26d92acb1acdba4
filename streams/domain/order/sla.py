"""ST-10, ST-15: how long an order may stay at its node, and who is told when it stays longer.

    ST-15    longer than the SLA of the node: an alert to the owner of the node, with the last error
    ST-10    at an abnormal node (a parcel that lies still, or was not scanned for 8 h): to the logistics lead, with the
             waybill, the courier's telephone and a ticket number

An SLA that is just reached does not count as passed. It runs by event time from the entry into the node; each newer
word of a node in a loop (a scan in transit, a label printed once more) is an entry. The alerts close when the order
leaves the node or ends, and raise once per entry; that of ST-10 closes too when the parcel is back with its sender.
While the parcel lies ready for its customer, no SLA runs.

What a worker reads late - it was away, its source was, or somebody plays years of history - is two things. Late by
more than the SLA, the order gets the SLA once more from now: its next event most likely stands behind in the same
backlog, and whoever is told can still act. Late by more than `history_ms` (7 days), nobody can: it raises nothing, and
`sla_due_at` alone says what happened. Else the first read of a shop's past would raise an alert for each of its orders.

The timer is lazy. An order passes most nodes in time, so its timer is not moved as it goes on; one that fires too early
is set again to what is due by then. An order that moves on thus costs no change of a timer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from streams.domain.inventory import messages
from streams.domain.order import parked
from streams.domain.order.flags import CLOSED, REFUNDED, is_unproven
from streams.domain.order.lanes import review_of
from streams.domain.order.node_records import ABNORMAL, OVERDUE, NodeRecord, NodeRecords
from streams.domain.order.returned import is_home, is_ready, is_turned
from streams.domain.order.state import OrderState, Wait
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import NODE_RANK, NODE_STEP, NODES, STEPS
from streams.domain.status_map import masked

_RULES: Final = {OVERDUE: "ST-15", ABNORMAL: "ST-10"}
_OVER: Final = CLOSED | REFUNDED
BLOCKED: Final = "the courier's signature, or a manual resolution: only the customer's side says that it was delivered"
"""FIN-13: what an order waits for whose delivery no courier has told of (ST-05 e), whatever its node."""

GONE: Final = "the refund, or the goods sent again: the parcel does not go to its customer any more"
"""What an order waits for whose parcel was refused, goes back or is back."""

FETCHED: Final = "the customer, who is to fetch the parcel"


class Position(NamedTuple):
    """What order-states says of the node; times in ms since the epoch."""

    step: int
    entered_at: int
    due_at: int | None
    owner: str | None
    expects: str | None


def entered(state: OrderState) -> int:
    """When the order came to its node, ms after its creation: told there, and in the state of the node."""
    reached = state.reached[NODE_RANK[state.node]]
    if reached is None:
        reached = parked.signed_at(state) or 0
    told = state.nodes.get(state.node)
    return reached if told is None or told < reached else told


def position(state: OrderState, records: NodeRecords) -> Position:
    """Step, entry, SLA, owner and next event of the node. No SLA for an order that is closed or paid back, or whose
    parcel waits for its customer."""
    at, record = entered(state) + state.created_at, records.of(state.node)
    step = NODE_STEP[state.node] + 1
    if record is None:
        return Position(step, at, None, None, None)
    over = state.flags & _OVER
    if not over and is_ready(state):
        return Position(step, at, None, record.owner, FETCHED)
    due = None if record.sla_ms is None or over else at + record.sla_ms
    expects = BLOCKED if is_unproven(state) else GONE if is_turned(state) else record.expects
    return Position(step, at, due, record.owner, None if over else expects)


def watch(guid: str, state: OrderState, at: int, now: int, records: NodeRecords, sends: list[Send]) -> None:
    """After a change of nodes or flags at event time `at`: close what was open about the node the order left, set when
    the present one is due. Replaces `state.wait`."""
    record, wait = records.of(state.node), state.wait
    if record is None or not record.limits or state.flags & _OVER or is_ready(state):
        if wait is not None:
            close(guid, wait.raised, at, sends)
            state.wait = None
        return
    begun, wake = entered(state), None
    if wait is not None:
        if wait.node == state.node and wait.entered == begun:
            if wait.raised & ABNORMAL and is_home(state):
                close(guid, ABNORMAL, at, sends)
                state.wait = wait._replace(raised=wait.raised & ~ABNORMAL)
            return
        if wait.raised:
            close(guid, wait.raised, at, sends)
        wake = wait.wake
    limit, passed = record.limits[0][0] + 1, now - state.created_at
    due: int | None = begun + limit
    if begun + limit < passed:
        due = None if passed - begun - limit > records.history_ms else passed + limit
    if due is not None and (wake is None or due < wake):
        wake = due
    if due is None and wake is None and wait is None:
        return
    state.wait = Wait(state.node, begun, due, wake)


def close(guid: str, raised: int, at: int, sends: list[Send]) -> None:
    """Close these alerts of an order."""
    for bit, rule in _RULES.items():
        if raised & bit:
            said = {"do": "close", "rule": rule, "at": at, "order_guid": guid}
            sends.append((messages.ALERTS, f"{rule}/{guid}", said))


def fire(guid: str, state: OrderState, at: int, records: NodeRecords, sends: list[Send]) -> None:
    """The order's timer is due at `at` (ms): tell what has passed its limit, and when to look again. Replaces
    `state.wait`."""
    wait, passed = state.wait, at - state.created_at
    if wait is None or wait.wake is None or wait.wake > passed:
        return
    record, due, raised = records.of(wait.node), wait.due, wait.raised
    limits = record.limits if record is not None else ()
    while record is not None and due is not None and due <= passed:
        told = raised
        for n, (limit, bit) in enumerate(limits):
            if not raised & bit:
                review = review_of(state)
                about = (records.of(review) if review else None) or record
                if bit != ABNORMAL or not is_home(state):
                    said = _finding(guid, state, at, bit, about, records.phones)
                    sends.append((messages.ALERTS, f"{_RULES[bit]}/{guid}", said))
                raised |= bit
                due = due + limits[n + 1][0] - limit if n + 1 < len(limits) else None
                break
        if raised == told:
            due = None
    state.wait = wait._replace(due=due, wake=due, raised=raised)


def _finding(
    guid: str, state: OrderState, at: int, bit: int, record: NodeRecord, phones: Mapping[str, str]
) -> dict[str, Any]:
    node, begun = NODES[(review_of(state) or state.node) - 1], entered(state)
    parts = [
        f"step {NODE_STEP[node.number] + 1} of {len(STEPS)}, {node.name} for {span(at - state.created_at - begun)}",
        f"waits for {GONE if is_turned(state) else record.expects}",
    ]
    if state.waybills and bit == ABNORMAL:
        parts.append(f"waybill {', '.join(state.waybills)}")
        parts += [f"call {source} {phones[source]}" for source in state.claims if source in phones]
    if bit == ABNORMAL:
        parts.append(f"ticket {ticket(guid, state.created_at + begun)}")
    if state.error is not None and state.error[0] >= begun:
        parts.append(f"last error: {masked(state.error[1])}")
    parts.append(f"all of it: oms order {guid}")
    return {
        "do": "open",
        "rule": _RULES[bit],
        "severity": "critical" if bit == ABNORMAL else "warning",
        "title": f"order at the abnormal node {node.name}" if bit == ABNORMAL else f"order over its SLA at {node.name}",
        "detail": "; ".join(parts),
        "advice": record.manual,
        "recipient": record.owner,
        "targets": [*record.targets],
        "at": at,
        "order_guid": guid,
        "channel": state.channel,
    }


def ticket(guid: str, entered_at: int) -> str:
    """The number of the case with the courier: of one stay at one node, the same whenever it is worked out again."""
    return f"{_RULES[ABNORMAL]}/{guid}/{entered_at}"


def span(ms: int) -> str:
    """`1 h 52 min`, whole minutes, rounded down."""
    hours, minutes = divmod(max(ms, 0) // 60_000, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
