"""FIN-04: when an order is complete enough to be compared, and by how much sales, shipment and receipt differ.

Money and parcels move late, so an order is compared from the moment when it has been paid and shipped for `settle_ms`,
or one of the two for `age_ms`. A deposit alone is no sale yet, nor is an order that nobody paid or shipped; and one
that was refunded in full before it left is a sale no more. From then on each further fact is compared as it comes.

    sales      the price, and the units of all lines; without those of lines that were refunded whole before the goods
               left, which nobody sends any more
    receipt    what finance has recorded as received, or, while it has recorded nothing, what payment platforms say
               came in; what was paid above the price and went back again does not count. Other refunds do not change
               it: they are documents of their own, and the goods were sold, shipped and paid all the same
    shipment   the units that were loaded; where a warehouse tells them for packing or for scans alone, those. If units
               were shipped and nobody says how many, none are compared
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.ledger.row import DEPOSIT, RECEIPT, REFUND
from streams.domain.order import returned

from .row import MOST, PARCELS, RECORDED, Fact, Row, observe
from .settings import MatchReports

FITS, LISTED, OVER = 0, 1, 2
"""How an order is found: nothing is to be said, to be listed, to be told to finance."""
_PAID: Final = (RECEIPT, RECORDED)

BY_HAND, OTHERS, OURS = "manual_intervention", "third_party_error", "system_defect"
"""FIN-10: whose fault a difference is. A person had a hand in the order; else others say something else than we sold,
if payment platforms received another amount; else books or warehouse, which are ours, differ from what was sold."""


def step(row: Row | None, fact: Fact, now: int, settings: MatchReports) -> Row | None:
    """One fact about the order; the same object if there is nothing to store. `now` in ms."""
    new = observe(row, fact, settings)
    return new if new is row or new is None else _judged(new, now, settings)


def due(row: Row, at: int, settings: MatchReports) -> Row:
    """The order has waited until it is complete, which it is by `at` (ms)."""
    return _judged({name: value for name, value in row.items() if name != "due"}, at, settings)


def ready_at(row: Row, settings: MatchReports) -> int | None:
    """From when on (ms) the order is compared; None while nothing says so. Further facts only bring it forward."""
    paid = min((at for kind, _, at in row.get("money", {}).values() if kind in _PAID), default=None)
    shipped: int | None = row.get("shipped")
    told = [at for at in (paid, shipped) if at is not None]
    if not told:
        return None
    old = min(told) + settings.age_ms
    return old if len(told) == 1 else min(old, max(told) + settings.settle_ms)


def compare(row: Row, settings: MatchReports) -> dict[str, Any] | None:
    """{sales, receipt: minor units, sold, shipped: units, gap: minor units, level, cause}; sales and shipped None where
    nobody said, cause None where nothing differs. None for an order that is no sale any more."""
    sums = dict.fromkeys((RECEIPT, DEPOSIT, REFUND, RECORDED), 0)
    for kind, amount, _ in row.get("money", {}).values():
        sums[kind] += amount
    paid = sums[RECEIPT] + sums[DEPOSIT]
    if "shipped" not in row and 0 < paid <= sums[REFUND]:
        return None
    sales: int | None = row.get("total")
    limit = settings.amount_per_1000
    receipt = _kept(sums[RECORDED] or paid, sales, sums[REFUND])
    gap = 0 if sales is None else abs(sales - receipt)
    sold, shipped = row["pieces"] - _called_off(row, paid), units_shipped(row)
    pieces = 0 if shipped is None else abs(sold - shipped)
    level, cause = LISTED if pieces else FITS, None
    if exceeds(gap, sales or 0, limit) or pieces > settings.pieces:
        level = OVER
    if level != FITS:
        theirs = gap > 0 and exceeds(abs((sales or 0) - _kept(paid, sales, sums[REFUND])), sales or 0, limit)
        cause = BY_HAND if "manual" in row else OTHERS if theirs else OURS
    figures = {"sales": sales, "receipt": receipt, "sold": sold, "shipped": shipped}
    return {**figures, "gap": gap, "level": level, "cause": cause}


def _kept(receipt: int, sales: int | None, refunded: int) -> int:
    """What came in, without what was too much and went back."""
    return receipt if sales is None or receipt <= sales else receipt - min(receipt - sales, refunded)


def exceeds(gap: int, whole: int, per_1000: int) -> bool:
    """Whether `gap` is more than so many thousandths of the whole, unrounded."""
    return gap * 1000 > per_1000 * whole


def _called_off(row: Row, paid: int) -> int:
    """Units of lines that were refunded whole before the goods left."""
    if "lines" not in row or "backs" not in row:
        return 0
    parts: dict[int, list[returned.Refund]] = {}
    for key, number in row["backs"].items():
        _, amount, at = row["money"][key]
        parts.setdefault(number, []).append((amount, at))
    prices = {number: price for number, _, price in row["lines"] if price is not None}
    left = row.get("shipped")
    gone = [n for n, at in returned.whole(prices, paid, parts).items() if left is None or (at or 0) < left]
    units: int = sum(units for number, units, _ in row["lines"] if number in gone)
    # If nothing was to be sent any more, what left all the same was sold.
    return 0 if left is not None and units >= row["pieces"] else min(units, row["pieces"])


def units_shipped(row: Row) -> int | None:
    """0 for what never left; None if it left and nobody said how many units."""
    if "shipped" not in row:
        return 0
    for kind in PARCELS:
        told = [units for name, (_, units) in row.get("parcels", {}).items() if name.startswith(f"{kind}\0")]
        if told and None not in told:
            total: int = sum(told)
            return min(MOST, total)
    return None


def _judged(row: Row, now: int, settings: MatchReports) -> Row:
    ready = ready_at(row, settings)
    new = {name: value for name, value in row.items() if name != "found"}
    if ready is None:
        return new
    if ready <= now:
        found = compare(row, settings)
        if found is not None:
            new["found"] = found
    elif ready < row.get("due", ready + 1):
        new["due"] = ready
    return new
