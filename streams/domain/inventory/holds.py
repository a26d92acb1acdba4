"""What one order has of one SKU: its lines from Try to Confirm or Cancel (INV-07), and the compact row of it.

    (none) --reserve--> held --confirm--> confirmed --return--> returned
                         |--release--> released
                         |--time-----> expired            released, expired, (none) --confirm--> confirmed (INV-08)
    returned --confirm of a later round--> confirmed (INV-08)

Lines that ended are kept a while: a payment may come late, and a command may come twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from . import messages

HELD: Final = 0
CONFIRMED: Final = 1
RELEASED: Final = 2
EXPIRED: Final = 3
RETURNED: Final = 4

OUTCOMES: Final = (messages.HELD, messages.CONFIRMED, messages.RELEASED, messages.EXPIRED, messages.RETURNED)
"""By phase: what a repeated command is answered."""


@dataclass(slots=True)
class Line:
    """One order line. `since`: when it was held (of a line confirmed without a hold: when it was confirmed).
    `until`: while it is held when the hold ends, then when it was confirmed, released, expired or returned.
    `number`: the latest round that changed it. `taken`: [warehouse, units] deducted and not returned. `missing`: units
    of it that were oversold.
    """

    quantity: int
    phase: int
    since: int
    until: int
    number: int = 0
    warehouse: str | None = None
    quota: str | None = None
    frozen: int = 0
    taken: list[list[Any]] = field(default_factory=list)
    missing: int = 0

    def ended(self, phase: int, at: int) -> Line:
        """The line in a later phase: nothing is frozen for it any more."""
        return replace(self, phase=phase, until=at, frozen=0)


@dataclass(slots=True)
class Hold:
    """All lines of one order with one SKU, by line_no. `virtual`: line_no -> units awaiting confirmation (INV-14)."""

    lines: dict[int, Line] = field(default_factory=dict)
    virtual: dict[int, int] = field(default_factory=dict)

    def copy(self) -> Hold:
        return Hold(dict(self.lines), dict(self.virtual))


def key(sku: str, order_guid: str) -> str:
    """Row key of a hold."""
    return f"{sku}\0{order_guid}"


def next_due(hold: Hold, ended_ms: int, confirmed_ms: int) -> int:
    """When something is to be done about it: the first expiry, or when the row may be forgotten."""
    held = [line.until for line in hold.lines.values() if line.phase == HELD]
    if held:
        return min(held)
    kept = (line.until + (confirmed_ms if line.phase == CONFIRMED else ended_ms) for line in hold.lines.values())
    return max(kept, default=0)


def to_row(hold: Hold) -> list[Any]:
    """[[line_no, fields of the line ...] ..., [line_no, units] ...] as two lists."""
    return [
        [
            [
                number,
                line.quantity,
                line.phase,
                line.since,
                line.until,
                line.number,
                line.warehouse,
                line.quota,
                line.frozen,
                line.taken,
                line.missing,
            ]
            for number, line in hold.lines.items()
        ],
        list(hold.virtual.items()),
    ]


def from_row(row: list[Any]) -> Hold:
    """The inverse of `to_row`."""
    return Hold({entry[0]: Line(*entry[1:]) for entry in row[0]}, dict(row[1]))
