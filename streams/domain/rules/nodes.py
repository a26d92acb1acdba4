"""The six atomic states (ST-01) and the 23 fine nodes (ST-02), as literal tables checked at import.

    pending_payment -> paid -> shipped -> logistics_signed -> customer_signed -> settled

An order may skip states but never goes back (ST-05 c, d). Inside a state it walks along the *steps* below, in their
order; a step with several nodes is a loop, where the newest event says which of them the order is at. `told_by` names
the input topics whose word moves an order to the node; AUTHORITY does the same for a state (ST-05 a).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

STATES: Final = ("pending_payment", "paid", "shipped", "logistics_signed", "customer_signed", "settled")
"""ST-01, by rank 0 to 5."""

PENDING_PAYMENT, PAID, SHIPPED, LOGISTICS_SIGNED, CUSTOMER_SIGNED, SETTLED = range(6)

RANK: Final[Mapping[str, int]] = {state: rank for rank, state in enumerate(STATES)}

INITIAL: Final = "pending_payment"

TRANSITIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "pending_payment": ("paid", "shipped", "logistics_signed", "customer_signed", "settled"),
    "paid": ("shipped", "logistics_signed", "customer_signed", "settled"),
    "shipped": ("logistics_signed", "customer_signed", "settled"),
    "logistics_signed": ("customer_signed", "settled"),
    "customer_signed": ("settled",),
    "settled": (),
}
"""Allowed moves. Every later state may be reached at once: the flag `gap` tells what was skipped (ST-05 d)."""

AUTHORITY: Final[Mapping[str, tuple[str, ...]]] = {
    "pending_payment": ("orders",),
    "paid": ("payments",),
    "shipped": ("wms", "couriers"),
    "logistics_signed": ("couriers",),
    "customer_signed": ("orders", "service"),
    "settled": ("finance",),
}
"""ST-05 a: the input topics whose claim moves an order to the state. Any other claim is kept and refused."""


class Node(NamedTuple):
    """One fine node of ST-02; `label` is its name on screens."""

    number: int
    name: str
    label: str
    state: str
    told_by: tuple[str, ...]


# fmt: off
NODES: Final[tuple[Node, ...]] = (
    Node(1,  "pending_payment",     "待支付",     "pending_payment",  ("orders",)),
    Node(2,  "paid",                "已支付",     "paid",             ("payments",)),
    Node(3,  "risk_review",         "风控审核中", "paid",             ("orders", "wms")),
    Node(4,  "order_review",        "审单",       "paid",             ("orders", "wms")),
    Node(5,  "warehouse_allocated", "分仓",       "paid",             ("wms",)),
    Node(6,  "label_pending",       "待打单",     "paid",             ("wms",)),
    Node(7,  "label_printing",      "面单打印中", "paid",             ("wms",)),
    Node(8,  "label_printed",       "已打单",     "paid",             ("wms",)),
    Node(9,  "outbound_pending",    "待出库",     "paid",             ("wms",)),
    Node(10, "picking",             "仓库拣货中", "paid",             ("wms",)),
    Node(11, "quality_check",       "质检",       "paid",             ("wms",)),
    Node(12, "packed",              "已打包",     "paid",             ("wms",)),
    Node(13, "loaded",              "已装车",     "shipped",          ("wms",)),
    Node(14, "shipped",             "已发货",     "shipped",          ("wms", "couriers")),
    Node(15, "awaiting_pickup",     "待揽收",     "shipped",          ("wms", "couriers")),
    Node(16, "picked_up",           "已揽收",     "shipped",          ("couriers",)),
    Node(17, "in_transit",          "中转",       "shipped",          ("couriers",)),
    Node(18, "transit_stalled",     "中转滞留",   "shipped",          ("couriers",)),
    Node(19, "out_for_delivery",    "派送中",     "shipped",          ("couriers",)),
    Node(20, "logistics_signed",    "物流签收",   "logistics_signed", ("couriers",)),
    Node(21, "awaiting_confirm",    "待确认",     "logistics_signed", ("couriers",)),
    Node(22, "customer_signed",     "客户签收",   "customer_signed",  ("orders", "service")),
    Node(23, "settled",             "结算完成",   "settled",          ("finance",)),
)
# fmt: on

STEPS: Final[tuple[tuple[int, ...], ...]] = (
    (1,), (2,), (3, 4), (5,), (6, 7, 8), (9,), (10,), (11,), (12,),
    (13,), (14,), (15,), (16,), (17, 18, 19), (20, 21), (22,), (23,),
)  # fmt: skip
"""Node transitions: from any node to any node of a later step, or to another one of its own step (a loop: the order is
reviewed again, a label is printed again, the parcel moves on after it lay still)."""

UNPROVEN: Final = ("awaiting_pickup",)
"""Nodes that do not prove their state: a courier waiting for a parcel does not say that it was shipped."""

BASE_NODE: Final = (1, 2, 14, 20, 22, 23)
"""The node of an order that reached a state (by rank) when nothing finer is known."""

AWAITING_CONFIRM: Final = 21
"""LOG-13: a courier's signature alone leaves the order here, until the customer signs."""


def check(states: tuple[str, ...], transitions: Mapping[str, tuple[str, ...]], initial: str) -> None:
    """A table of moves is whole: known states only, all reachable, never back, and closed under skipping.

    The last is what makes a merged state independent of the order of arrival. Raises ValueError naming the fault.
    """
    if initial not in states:
        raise ValueError(f"initial state {initial} is not a state")
    if set(transitions) != set(states):
        raise ValueError(f"states without a row, or rows without a state: {sorted(set(transitions) ^ set(states))}")
    for state in states:
        for target in transitions[state]:
            if target not in states:
                raise ValueError(f"{state} moves to the unknown state {target}")
            if states.index(target) <= states.index(state):
                raise ValueError(f"{state} moves back to {target}")
    reachable = {initial}
    for state in states:  # no way leads back, so one pass in order finds them all
        if state in reachable:
            reachable.update(transitions[state])
    if unreachable := [state for state in states if state not in reachable]:
        raise ValueError(f"unreachable from {initial}: {unreachable}")
    for state in states:
        for target in transitions[state]:
            if missing := set(transitions[target]) - set(transitions[state]):
                raise ValueError(f"{state} reaches {sorted(missing)} by way of {target} only")


def check_nodes(nodes: tuple[Node, ...], steps: tuple[tuple[int, ...], ...], states: tuple[str, ...]) -> None:
    """The nodes are numbered 1, 2, ..., named once, and each stands in exactly one step of its own state, in order."""
    if [node.number for node in nodes] != list(range(1, len(nodes) + 1)):
        raise ValueError("nodes are not numbered 1, 2, 3, ...")
    if len({node.name for node in nodes}) != len(nodes):
        raise ValueError("two nodes have one name")
    if [number for step in steps for number in step] != [node.number for node in nodes]:
        raise ValueError("the steps do not hold each node once, in order")
    ranks = []
    for step in steps:
        of_step = {nodes[number - 1].state for number in step}
        if len(of_step) != 1 or not of_step <= set(states):
            raise ValueError(f"step {step} does not belong to one known state")
        ranks.append(states.index(of_step.pop()))
    if ranks != sorted(ranks) or set(ranks) != set(range(len(states))):
        raise ValueError("the steps do not follow the states, each with a node at least")


check(STATES, TRANSITIONS, INITIAL)
check(tuple(AUTHORITY), TRANSITIONS, INITIAL)
check_nodes(NODES, STEPS, STATES)

NODE_NUMBER: Final[Mapping[str, int]] = {node.name: node.number for node in NODES}

# By node number (0 is no node), for the reducer.
NODE_RANK: Final = (-1, *(RANK[node.state] for node in NODES))
NODE_STEP: Final = (-1, *(next(at for at, step in enumerate(STEPS) if node.number in step) for node in NODES))
IN_LOOP: Final = (False, *(len(STEPS[NODE_STEP[node.number]]) > 1 for node in NODES))

NEXT_RANKS: Final = tuple(frozenset(RANK[target] for target in TRANSITIONS[state]) for state in STATES)
