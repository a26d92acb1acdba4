"""The side flags of an order: they say something about it and are no states (ST-01). All are derived."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from streams.domain.order import called_off, codes, money, parked
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import CUSTOMER_SIGNED, LOGISTICS_SIGNED

FLAGS: Final = (
    "closed",
    "frozen",
    "locked",
    "invoice_red",
    "conflict",
    "gap",
    "partially_refunded",
    "refunded",
    "provisional",
)
"""In the order in which they are listed."""

CLOSED, FROZEN, LOCKED, INVOICE_RED, CONFLICT, GAP, PARTIALLY_REFUNDED, REFUNDED, PROVISIONAL = (
    1 << n for n in range(len(FLAGS))
)

HELD: Final = LOCKED | FROZEN
"""Nobody is to ship it: locked by its risk or by a system, or frozen: by its platform, or see called_off."""

MARKED: Final = {"closed": ("orders",), "invoice_red": ("orders", "finance")}
"""Flags that stay once they were told, and the topics that may tell them."""


def derive(state: OrderState) -> int:
    """The flags as bits."""
    bits = 0
    reached = state.reached
    if None in reached[: state.rank]:
        bits |= GAP
    if is_unproven(state):
        bits |= CONFLICT
    if state.unmapped and state.rank >= LOGISTICS_SIGNED and reached[LOGISTICS_SIGNED] is None:
        bits |= PROVISIONAL if parked.signed_at(state) is not None else 0  # LOG-05: by a word that no table knows yet
    if state.rejected and codes.is_in_conflict(state):
        bits |= CONFLICT  # ID-04: somebody binds a code of another order to this one
    if state.refunded_minor:
        bits |= REFUNDED if money.is_refunded(state) else PARTIALLY_REFUNDED
    if state.marks:
        if "invoice_red" in state.marks:
            bits |= INVOICE_RED
        # FIN-07: platforms say "closed" of a partial refund; it never closes the order.
        if "closed" in state.marks and not 0 < state.refunded_minor < state.paid_minor:
            bits |= CLOSED
        elif called_off.is_held(state):
            bits |= FROZEN
    if state.risk is not None and state.risk[1]:
        bits |= LOCKED  # RSK-04: until a person unlocks it
    for claim in state.claims.values():
        if len(claim) > 3:
            bits |= (FROZEN if "frozen" in claim[3] else 0) | (LOCKED if "locked" in claim[3] else 0)
    return bits


def is_unproven(state: OrderState) -> bool:
    """ST-05 e: the customer confirmed what no courier delivered yet, and nobody resolved it."""
    reached = state.reached
    return reached[CUSTOMER_SIGNED] is not None and reached[LOGISTICS_SIGNED] is None and "resolved" not in state.marks


_NAMES: Final = tuple(tuple(name for n, name in enumerate(FLAGS) if bits >> n & 1) for bits in range(1 << len(FLAGS)))


def names(bits: int) -> tuple[str, ...]:
    """The flags by name, in fixed order."""
    return _NAMES[bits]


def mark(state: OrderState, name: str, at: int) -> bool:
    """Note since when (earliest event time) a lasting flag was told. True if that is news."""
    known = state.marks.get(name)
    if known is not None and known <= at:
        return False
    state.marks = {**state.marks, name: at}
    return True


def mark_all(state: OrderState, topic: str, told: Iterable[str], at: int) -> bool:
    """Note the lasting ones among the flags of a mapped status."""
    new = False
    for name in told:
        if topic in MARKED.get(name, ()):
            new |= mark(state, name, at)
    return new
