"""What is kept of one SKU, and its compact row.

    available = sales - held        sales: over all warehouses; held: of unpaid orders and carts

Reducers never change a stock they were given: they change a `copy()`, and put new dicts and lists in place of the ones
they touch. Quantities are units, times UTC milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

POOLS: Final = ("sales", "reserved", "quality_check", "in_transit")
SALES: Final = 0
RESERVED: Final = 1
IN_TRANSIT: Final = 3

MOST_UNITS: Final = 10**15
"""In a pool, above and below zero: no more can be counted, or told in one figure."""
MOST_WAREHOUSES: Final = 4_000
"""Of a SKU. So every sum of its pools, and what is available of it, fits in 64 bits."""
MOST_SUM: Final = 10**18
"""Units of all quotas, and of all orders awaiting confirmation."""

ROW_VERSION: Final = 1


class RowError(ValueError):
    """A stored row that this version cannot read."""


@dataclass(slots=True)
class Stock:
    """One SKU. `sales` and `aside` are derived and not stored."""

    warehouses: dict[str, list[int]] = field(default_factory=dict)
    """Name -> level of each pool, then when each was last changed (0: never told). Empty: not under stock control."""
    held: int = 0
    vouchers: int = 0
    """Units of `held` that belong to carts (INV-05)."""
    frozen: int = 0
    """Units of the reserved pools bound by holds of promotions (INV-04)."""
    owed: int = 0
    """Units sold beyond availability and not covered since: never more than availability is below zero."""
    virtual: int = 0
    paused: bool = False
    version: int = 0
    updated_at: int = 0
    window: list[list[Any]] = field(default_factory=list)
    """[at, units, order_guid] of units oversold lately (INV-11)."""
    quotas: dict[str, list[int]] = field(default_factory=dict)
    """Key (see quotas) -> [limit, used, set at, first set at]."""
    activities: dict[str, list[int]] = field(default_factory=dict)
    """Name -> [starts, ends, units to freeze per 1,000 sold, flash sale (0, 1), set at]."""
    alternatives: dict[str, Any] | None = None
    """{"alternatives", "discount", "nearby", "next_batch_at", "at"} as told by reference_set (CUS-05)."""
    counts: dict[str, list[int]] = field(default_factory=dict)
    """Warehouse NUL pool -> [at, counted, level before it, heard of at] of the newest snapshot (INV-16)."""
    channel_stock: dict[str, list[int]] = field(default_factory=dict)
    """Channel -> [quantity it shows, at, units free to sell then] (INV-13)."""
    figures: dict[str, list[Any]] = field(default_factory=dict)
    """Warehouse NUL pool -> the newest Figure of it, as a list (INV-10)."""
    short: list[str] = field(default_factory=list)
    """Orders of which somebody was told that their units are not there, since all that was owed was last covered."""

    sales: int = 0
    aside: int = 0
    """Quota units not used yet: set aside for whom the quotas name (INV-03)."""

    @property
    def available(self) -> int:
        """Units free to sell; below zero by what is oversold."""
        return self.sales - self.held

    @property
    def oversold(self) -> int:
        """How far pools of sales are below zero, over all warehouses."""
        return sum(-levels[SALES] for levels in self.warehouses.values() if levels[SALES] < 0)

    def total(self, pool: int) -> int:
        """Units of a pool over all warehouses."""
        return sum(levels[pool] for levels in self.warehouses.values())

    def copy(self) -> Stock:
        """A shallow copy: replace its dicts and lists, do not change them."""
        return Stock(
            self.warehouses,
            self.held,
            self.vouchers,
            self.frozen,
            self.owed,
            self.virtual,
            self.paused,
            self.version,
            self.updated_at,
            self.window,
            self.quotas,
            self.activities,
            self.alternatives,
            self.counts,
            self.channel_stock,
            self.figures,
            self.short,
            self.sales,
            self.aside,
        )

    def shift(self, warehouse: str, pool: int, delta: int, at: int) -> bool:
        """Change one level. False: it, or the number of warehouses, leaves its bounds with this; what rows of before
        have beyond them may come back."""
        known = self.warehouses.get(warehouse)
        levels = list(known or [0] * (2 * len(POOLS)))
        level = levels[pool] = levels[pool] + delta
        levels[len(POOLS) + pool] = max(levels[len(POOLS) + pool], at)
        self.warehouses = {**self.warehouses, warehouse: levels}
        if pool == SALES:
            self.sales += delta
        if known is None and len(self.warehouses) > MOST_WAREHOUSES:
            return False
        return level <= MOST_UNITS if delta > 0 else level >= -MOST_UNITS

    def settle(self) -> None:
        """Bring `owed` into its bounds: at least the gap of the sales pools, at most the gap of availability."""
        self.owed = min(max(self.owed, -self.sales), max(0, -self.available))


def changed_at(stock: Stock, warehouse: str, pool: int) -> int:
    """When a pool was last changed, 0 if it was never told."""
    levels = stock.warehouses.get(warehouse)
    return levels[len(POOLS) + pool] if levels else 0


def deduction(stock: Stock, units: int, preferred: str | None) -> list[tuple[str, int]]:
    """Where units are taken from, in order: the preferred warehouse, then the fullest first, ties by name; what is in
    none of them, last, from `debtor`, which may have given what it had before. At least one warehouse is known.
    """
    taken: list[tuple[str, int]] = []
    left = units

    def order(name: str) -> tuple[bool, int, str]:
        return name != preferred, -stock.warehouses[name][SALES], name

    for name in sorted(stock.warehouses, key=order):
        part = min(left, max(0, stock.warehouses[name][SALES]))
        if part:
            taken.append((name, part))
            left -= part
    if left:
        name = debtor(stock, preferred)
        if taken and taken[-1][0] == name:
            left += taken.pop()[1]
        taken.append((name, left))
    return taken


def debtor(stock: Stock, preferred: str | None) -> str:
    """The warehouse whose sales pool goes below zero."""
    return preferred if preferred in stock.warehouses else min(stock.warehouses)


def quota_aside(quotas: dict[str, list[int]]) -> int:
    """Unused units of all quotas."""
    return sum(entry[0] - entry[1] for entry in quotas.values())


def to_row(stock: Stock) -> list[Any]:
    """The stock as a list of JSON values, in the order of the fields; new fields go to the end."""
    return [
        ROW_VERSION,
        stock.warehouses,
        stock.held,
        stock.vouchers,
        stock.frozen,
        stock.owed,
        stock.virtual,
        int(stock.paused),
        stock.version,
        stock.updated_at,
        stock.window,
        stock.quotas,
        stock.activities,
        stock.alternatives,
        stock.counts,
        stock.channel_stock,
        stock.figures,
        stock.short,
    ]


def from_row(row: list[Any]) -> Stock:
    """The inverse of `to_row`, which keeps the lists and dicts of `row`. Raises RowError for another version."""
    if not row or row[0] != ROW_VERSION:
        raise RowError(f"stock row of version {row[0] if row else None}, this program reads {ROW_VERSION}")
    stock = Stock(*row[1:])
    stock.paused = bool(stock.paused)
    stock.sales = stock.total(SALES)
    stock.aside = quota_aside(stock.quotas) if stock.quotas else 0
    return stock
