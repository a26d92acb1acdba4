"""ST-01, ST-02, ST-05 c and d: how far the order is.

The state is the highest one that an authority ever claimed, the node the furthest step reached within it. Both follow
from the set of claims, so late events fill in what was skipped and never turn anything back.
"""

from __future__ import annotations

from streams.domain.order import parked
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import (
    AWAITING_CONFIRM,
    BASE_NODE,
    IN_LOOP,
    LOGISTICS_SIGNED,
    NEXT_RANKS,
    NODE_RANK,
    NODE_STEP,
    PAID,
)


def reach(state: OrderState, rank: int, node: int, at: int) -> bool:
    """Note the claim of a state (rank, or -1) and of a node (or 0) at event time `at`. True if it told anything new."""
    new = False
    if rank >= 0:
        known = state.reached[rank]
        if known is None or at < known:
            reached = state.reached.copy()
            reached[rank] = at
            state.reached = reached
            new = True
        if rank in NEXT_RANKS[state.rank]:
            state.rank = rank
    if node:
        seen = state.nodes.get(node)
        if seen is None or (at > seen if IN_LOOP[node] else at < seen):
            state.nodes = {**state.nodes, node: at}
            new = True
    if new:
        state.node = current_node(state)
        if state.unmapped:
            provisional(state)
    return new


def provisional(state: OrderState) -> None:
    """LOG-05: bring the rank in line with the words that wait: a likely signature among them counts as one, and no
    longer when it has left them. Of an order that nobody paid yet it proves too little: its units would be sold.
    """
    rank = max(rank for rank, at in enumerate(state.reached) if at is not None)
    if PAID <= rank < LOGISTICS_SIGNED and parked.signed_at(state) is not None:
        rank = LOGISTICS_SIGNED
    if rank != state.rank:
        state.rank = rank
        state.node = current_node(state)


def current_node(state: OrderState) -> int:
    """The node: the furthest step of the current state; in a loop the newest. Nodes of later states wait for theirs."""
    rank = state.rank
    if rank == LOGISTICS_SIGNED:
        return AWAITING_CONFIRM
    best, best_step, best_at = BASE_NODE[rank], -1, 0
    for node, at in state.nodes.items():
        if NODE_RANK[node] > rank:
            continue
        step = NODE_STEP[node]
        if step > best_step or (step == best_step and (at, node) > (best_at, best)):
            best, best_step, best_at = node, step, at
    return best


def is_late(state: OrderState, node: int, at: int) -> bool:
    """Whether the order is already beyond `node` as told at event time `at`: such an event only fills in (ST-05 c)."""
    ahead = NODE_STEP[state.node] - NODE_STEP[node]
    if ahead:
        return ahead > 0
    return IN_LOOP[node] and node != state.node and at < state.nodes.get(state.node, at)
