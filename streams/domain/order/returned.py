"""Which lines of an order were refunded whole, and whether their goods stayed in the warehouse (FIN-07, INV-07);
whether its parcel came back (INV-14), or does not go to its customer any more (ST-04).

A line that was refunded before the goods left goes back to stock, one refunded after that was shipped and stays sold.
It counts when that happened, not what was heard of first: payment platforms are quick to tell, warehouses are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.domain.order.numbers import numbered
from streams.domain.order.reserved import Group
from streams.domain.order.state import OrderState
from streams.domain.rules.nodes import LOGISTICS_SIGNED, NODE_NUMBER, SHIPPED
from streams.domain.status_map import RETURNED, goes_back

Back = Mapping[int, bool | None]
"""Number of a line that was refunded whole -> whether its goods stayed in the warehouse. None: a row of before, which
does not say when it was refunded; the line stays as it is."""

NOTHING: Final[Back] = {}
Refund = tuple[int, "int | None"]
"""(minor units, when)."""

BACK: Final = RETURNED - {"return:destroyed", "return:new_waybill", "return:or_forwarded"}
"""Axes of a parcel that is with its sender."""
CAME_BACK: Final = "came_back"
"""A mark, no flag, of an order of whose parcel courier or warehouse said so."""
TURNED: Final = "turned"
"""A mark, no flag: when it was told last that the parcel was refused, goes back, or is back."""
READY: Final = "ready"
"""A mark, no flag: when a courier last said that a parcel lies at a pickup point for its customer."""
_REFUSED: Final = "delivery:refused"
_AWAITED: Final = (SHIPPED, LOGISTICS_SIGNED)
_CARRIED: Final = NODE_NUMBER["picked_up"]
CARRY: Final = ("couriers", "wms")
"""Topics of those who have parcels in their hands."""


def is_back(state: OrderState) -> bool:
    """Whether all that was sent is with the sender again: of several parcels one does not say so of the others."""
    return CAME_BACK in state.marks and len(state.waybills) <= 1


def turns(topic: str, axis: str | None) -> bool:
    """Whether it is the word of a courier that a parcel does not go to its customer any more, or of a warehouse that it
    is back."""
    if axis is None or topic != "couriers":
        return topic in CARRY and axis in BACK
    return axis == _REFUSED or goes_back(axis)


def turn(state: OrderState, at: int) -> bool:
    """Note such a word, the latest one. True if that is news."""
    return note(state, TURNED, at)


def lie_ready(state: OrderState, at: int) -> bool:
    """Note that a parcel lay at its pickup point, the latest time. True if that is news."""
    return note(state, READY, at)


def note(state: OrderState, mark: str, at: int) -> bool:
    """Note the latest time at which a mark was told. True if that is news."""
    if at <= state.marks.get(mark, at - 1):
        return False
    state.marks = {**state.marks, mark: at}
    return True


def is_turned(state: OrderState) -> bool:
    """Whether the order's parcel was refused, goes back or is back, be it after its signature, and neither it nor one
    sent in its place has moved since. Of several parcels one does not say so of the others."""
    at = state.marks.get(TURNED)
    return at is not None and state.rank in _AWAITED and _lies_since(state, at)


def is_ready(state: OrderState) -> bool:
    """Whether the order's parcel lies at a pickup point until its customer fetches it, and has not moved since."""
    at = state.marks.get(READY)
    if at is None or state.rank != SHIPPED or at <= state.marks.get(TURNED, at - 1):
        return False
    return _lies_since(state, at)


def _lies_since(state: OrderState, at: int) -> bool:
    if sum(told <= at for told in state.waybills.values()) > 1:
        return False
    moves = [told for node, told in state.nodes.items() if node >= _CARRIED]
    moves += [told[0] for told in state.arrivals.values()]  # when each was picked up
    return max(moves, default=at) <= at


def is_home(state: OrderState) -> bool:
    """Whether its parcel is back, and no courier has to move it any more."""
    return CAME_BACK in state.marks and is_turned(state)


def left_at(state: OrderState) -> int | None:
    """When goods left by the word of warehouse or courier, ms after the creation: a buyer's confirmation alone proves
    no shipment."""
    shipped, signed = state.reached[SHIPPED], state.reached[LOGISTICS_SIGNED]
    if shipped is None or signed is None:
        return signed if shipped is None else shipped
    return min(shipped, signed)


def lines(state: OrderState, groups: list[Group]) -> Back:
    """The lines of the order that were refunded whole."""
    since, left = _refunded(state), left_at(state)
    if left is None:
        return dict.fromkeys(since, True)
    back = {number: None if at is None else at < left for number, at in since.items()}
    if all(back.get(line[0]) for group in groups for line in group.lines):
        return dict.fromkeys(back, False)  # nothing was to be sent any more, and goods left all the same: these
    return back


def _refunded(state: OrderState) -> dict[int, int | None]:
    """Numbers of the lines that were refunded whole, and when, ms after the creation."""
    parts: dict[int, list[Refund]] = {}
    for entry in state.money.values():
        if entry[0] is not None and entry[0] < 0 and entry[1] is not None:
            at = entry[2] if len(entry) > 2 else None
            parts.setdefault(entry[1], []).append((-entry[0], at))
    return whole(worth(state.lines, state.total_minor), state.paid_minor, parts)


def whole(worth: Mapping[int, int], paid: int, parts: Mapping[int, Sequence[Refund]]) -> dict[int, int | None]:
    """Numbers of the lines whose price, or share of what was paid, was refunded, and when that sum was reached.
    `parts`: the refunds of each line."""
    listed = sum(worth.values())
    found: dict[int, int | None] = {}
    for number, refunds in parts.items():
        if number not in worth:
            continue
        full, back = worth[number], 0
        for amount, at in sorted(refunds, key=_when):
            back += amount
            # A discount is shared out and rounded, so the share may be off by one unit.
            if back >= full or (0 < paid < listed and (back + 1) * listed >= full * paid):
                found[number] = at
                break
    return found


def worth(lines: Sequence[Sequence[Any]], total: int | None) -> dict[int, int]:
    """Number of a line -> its price, minor units; without those that nobody told a price of: whether one of them was
    refunded whole nobody can say. What was sold alone is worth the total, a gift nothing. `lines` as in OrderState."""
    named = list(zip(numbered([line[0] for line in lines]), lines, strict=True))
    found = {number: (units or 0) * (price or 0) for number, (_, _, units, price, gift) in named if price is not None}
    found |= {number: 0 for number, line in named if line[4]}
    sold = [number for number, line in named if not line[4]]
    if len(sold) == 1 and sold[0] not in found and total:
        found[sold[0]] = total
    return found


def _when(refund: Refund) -> tuple[bool, int]:
    return refund[1] is not None, refund[1] or 0
