"""TAX-06: the lines of an invoice split over several, none of them above the cap of the place; sums exact.

Greedy by line, in order: a line goes to the invoice in hand if it fits, else to a new one. A line that is above the cap
by itself is cut: into whole units where one of them fits, else by amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streams.domain.ledger.apportion import split as apportion

from .settings import WHOLE


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order to be invoiced; amounts with tax, minor units. `quantity` None: part of a single unit."""

    guid: str
    line_no: int
    sku: str
    quantity: int | None
    amount: int


def greedy(lines: Sequence[Line], cap: int) -> list[list[Line]]:
    """Invoices of at most `cap`; lines of amount 0 are left out. 6,000 + 5,000 + 200 at 10,000 is 6,000 and 5,200."""
    found: list[list[Line]] = []
    left = 0
    for line in lines:
        for piece in _pieces(line, cap):
            if not found or piece.amount > left:
                found.append([])
                left = cap
            found[-1].append(piece)
            left -= piece.amount
    return found


def _pieces(line: Line, cap: int) -> list[Line]:
    if line.amount <= 0:
        return []
    if line.amount <= cap:
        return [line]
    units = cap * line.quantity // line.amount if line.quantity else 0
    if units < 1 or line.quantity is None:
        amounts = [cap] * (line.amount // cap) + [line.amount % cap]
        return [replace(line, quantity=None, amount=amount) for amount in amounts if amount]
    whole, rest = divmod(line.quantity, units)
    counts = [units] * whole + ([rest] if rest else [])
    # The floor of a share of `units` is at most the cap, but a unit of rounding on top of it may not be.
    amounts = apportion(line.amount, counts)
    if max(amounts) > cap:
        return _pieces(replace(line, quantity=None), cap)
    return [replace(line, quantity=count, amount=amount) for count, amount in zip(counts, amounts, strict=True)]


def tax_within(amount: int, rate: int) -> int:
    """The tax in an amount that holds it, rounded half up; `rate` in ten-thousandths."""
    whole = WHOLE + rate
    return (2 * amount * rate + whole) // (2 * whole)
