"""What warehouses say about a pool (INV-01, INV-02, INV-10): goods received, moved, counted.

Every figure that changes a pool goes through here, so the sum of the ledger is the level. A count that differs from it
is corrected and, unless it is the first figure of that pool, an alert: somebody changed stock past the bus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .change import Change
from .settings import Settings
from .stock import POOLS, RESERVED, SALES, changed_at

RECEIVED = "received"
MOVED = "moved"
CORRECTION = "snapshot_correction"


def received(change: Change, fact: Mapping[str, Any], settings: Settings) -> Change:
    """Goods came in, into the sales pool unless another is named."""
    pool = _pool(fact.get("pool"))
    if pool is None:
        return change.refuse("no such pool")
    if not settings.is_quantity(fact["quantity"]):
        return change.refuse("a quantity that is not a whole number of units")
    change.shift(fact["warehouse"], pool, fact["quantity"], RECEIVED)
    return change.finish()


def moved(change: Change, fact: Mapping[str, Any], settings: Settings) -> Change:
    """Goods went from one pool to another within a warehouse: never more than is there and not promised."""
    source, target = _pool(fact.get("pool")), _pool(fact.get("to_pool"))
    if source is None or target is None or source == target:
        return change.refuse("no such pools to move between")
    units, warehouse = fact["quantity"], fact["warehouse"]
    if not settings.is_quantity(units):
        return change.refuse("a quantity that is not a whole number of units")
    stock = change.stock
    levels = stock.warehouses.get(warehouse)
    if levels is None or units > levels[source]:
        return change.refuse(f"more than the {levels[source] if levels else 0} units of {POOLS[source]} there")
    if source == SALES and units > stock.available:
        return change.refuse("the units are held for orders")
    if source == RESERVED and units > stock.total(RESERVED) - stock.frozen:
        return change.refuse("the units are frozen for orders of a promotion")
    change.shift(warehouse, source, -units, MOVED)
    change.shift(warehouse, target, units, MOVED)
    return change.finish()


def counted(change: Change, fact: Mapping[str, Any], settings: Settings) -> Change:
    """A stock_snapshot. Warehouses cannot count below zero: none where units are owed agrees with what is known."""
    pool = _pool(fact.get("pool"))
    if pool is None:
        return change.refuse("no such pool")
    return _set(change, fact["warehouse"], pool, fact["quantity"], settings, audited=True)


def told(change: Change, figure: Mapping[str, Any], settings: Settings) -> Change:
    """reference_set of kind stock: operations say the level, so nobody need be asked about a difference."""
    pool = _pool(figure.get("pool"))
    if pool is None:
        return change.refuse("no such pool")
    return _set(change, figure["warehouse"], pool, figure["quantity"], settings, audited=False)


def _set(change: Change, warehouse: str, pool: int, units: Any, settings: Settings, *, audited: bool) -> Change:
    if not (units == 0 and type(units) is int) and not settings.is_quantity(units):
        return change.refuse("a quantity that is not a whole number of units")
    stock = change.stock
    known = warehouse in stock.warehouses
    level = stock.warehouses[warehouse][pool] if known else 0
    last = changed_at(stock, warehouse, pool)
    delta = units - level if units or level > 0 else 0
    if change.at < last or (delta and change.at == last):
        return change.refuse("a figure from before the last change of that pool")
    if delta or not last:
        stock = change.touch()
        if delta:
            change.shift(warehouse, pool, delta, CORRECTION)
        else:
            stock.shift(warehouse, pool, 0, change.at)
    if audited:
        _audit(change, warehouse, pool, units, level, first=not last, agrees=not delta)
    return change.finish()


def _audit(
    change: Change, warehouse: str, pool: int, units: int, level: int, *, first: bool, agrees: bool
) -> None:
    name = f"{warehouse}\0{POOLS[pool]}"
    before = change.stock.counts.get(name)
    stock = change.touch()
    stock.counts = {**stock.counts, name: [change.at, units, units if first else max(0, level)]}
    alert = f"INV-10/{change.sku}/{warehouse}/{POOLS[pool]}"
    if agrees or first:
        if before is not None and before[1] != before[2]:
            change.alert(alert, {"do": "close", "rule": "INV-10"})
        return
    change.alert(
        alert,
        {
            "do": "open",
            "rule": "INV-10",
            "title": "unauthorised_change",
            "detail": f"{warehouse} counts {units} of {change.sku} in {POOLS[pool]}, the ledger says {level}",
        },
    )


def _pool(name: Any) -> int | None:
    """Number of a pool; sales where none is named."""
    if name is None:
        return SALES
    return POOLS.index(name) if name in POOLS else None
