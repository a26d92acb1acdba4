"""What is kept of an order's stock: one group per SKU, and what is due if nobody answers. Its compact row.

Both tuples are never changed, only replaced. Orders whose SKUs are under no stock control have none (`OrderState.stock`
is None), so that they cost nothing; but see NOTHING.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from streams.domain.inventory import messages

# What the last command asked for, one letter per line of the SKU; also what an order wants of a line.
UNSENT, RESERVE, CONFIRM, RELEASE, KEEP = "-", "r", "c", "x", "k"

# What was last told of a line, one letter per line.
UNTOLD, HELD, REFUSED, CONFIRMED, OVERSOLD = "-", "h", "r", "c", "o"
RELEASED, EXPIRED, RETURNED, UNMANAGED = "l", "e", "t", "u"
OUTCOMES: Final[dict[str, str]] = {
    messages.HELD: HELD,
    messages.REFUSED: REFUSED,
    messages.CONFIRMED: CONFIRMED,
    messages.OVERSOLD: OVERSOLD,
    messages.RELEASED: RELEASED,
    messages.EXPIRED: EXPIRED,
    messages.RETURNED: RETURNED,
    messages.UNMANAGED: UNMANAGED,
}
NAMES: Final[dict[str, str | None]] = {UNTOLD: None} | {letter: name for name, letter in OUTCOMES.items()}
DEDUCTED: Final = CONFIRMED + OVERSOLD
_NOTHING: Final = UNTOLD + UNMANAGED
"""Nothing that is worth showing."""

SILENT, UNPAID, UNDEDUCTED, TICKET, STAGE = (1 << n for n in range(5))
"""Alerts that may be open about an order, as bits of `Stock.raised`."""


class Group(NamedTuple):
    """The lines of one SKU, in the order of the order's lines. They stand here once more, so that an answer need not
    work them out again."""

    sku: str
    lines: list[list[int]]
    """[line_no, quantity] per line."""
    sent: str
    told: str
    round: int = 0
    """Commands sent so far; a reply names the command it answers."""
    answered: int = 0
    """The newest command that was answered."""
    virtual: str = ""
    """INV-14: "v" per line that stands in the virtual warehouse, "-" for others; empty if none does."""
    reasons: list[str | None] | None = None
    """Why a line was refused."""


class Stock(NamedTuple):
    """`groups` in the order of first mention of their SKUs. Due times are ms after the order's creation."""

    groups: list[Group]
    branch_due: int | None = None
    """BRK-07: when the stock branch has been silent for too long."""
    payment_due: int | None = None
    """BRK-07: when the payment branch has, after the channel called the order paid."""
    deduct_due: int | None = None
    """INV-15: when paid units that were not deducted are an alert, are confirmed again, or become a ticket."""
    stage_due: int | None = None
    """BRK-11: when the order must have reached its next stage."""
    raised: int = 0
    tries: int = 0
    """INV-15: how often the confirm was sent again."""
    held_ms: int | None = None
    """INV-17: how long units were held for the order, the longest of its holds that ended."""


NOTHING: Final = Stock([])
"""Of an order under no stock control. While such an order is paid and not with the warehouse, it has one with no groups
and a time by when it must be (BRK-11)."""

_GROUP: Final = (None, None, None, None, *Group._field_defaults.values())
_STOCK: Final = (None, *Stock._field_defaults.values())


def to_row(stock: Stock) -> list[Any]:
    """JSON values in the order of the fields, defaults at the end left out."""
    row = _short(stock, _STOCK)
    row[0] = [_short(group, _GROUP) for group in stock.groups]
    return row


def from_row(row: list[Any]) -> Stock:
    """The inverse of `to_row`."""
    return Stock([Group(*group) for group in row[0]], *row[1:])


def _short(fields: tuple[Any, ...], defaults: tuple[Any, ...]) -> list[Any]:
    count = len(fields)
    while fields[count - 1] == defaults[count - 1]:
        count -= 1
    return list(fields[:count])


def is_silent(stock: Stock) -> bool:
    """Whether some SKU has not said a word yet."""
    for group in stock.groups:  # noqa: SIM110 - of one group, most often
        if not group.answered:
            return True
    return False


def next_due(stock: Stock) -> int | None:
    """The earliest of what is due but for the first answer, ms after the order's creation."""
    earliest: int | None = None
    for due in stock[2:5]:
        if due is not None and (earliest is None or due < earliest):
            earliest = due
    return earliest


def is_told(stock: Stock) -> bool:
    """Whether the stock said anything that is worth showing."""
    for group in stock.groups:  # noqa: SIM110 - of one group, most often
        if group.told.strip(_NOTHING):
            return True
    return False
