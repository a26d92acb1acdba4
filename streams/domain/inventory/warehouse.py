"""What warehouses say about a pool (INV-01, INV-02, INV-10): goods received, moved, counted.

Every figure that changes a pool goes through here, so the sum of the ledger is the level. A count that differs from it
is corrected and, unless it is the first figure of that pool, an alert: somebody changed stock past the bus. Goods that
came or went before a figure but are told after it were in it: the ledger has them, a correction takes them out again,
and the alert is as if they had been told in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .change import Change
from .settings import Settings
from .stock import IN_TRANSIT, MOST_UNITS, POOLS, RESERVED, SALES, changed_at

RECEIVED = "received"
MOVED = "moved"
CORRECTION = "snapshot_correction"


class Figure(NamedTuple):
    """A level that was told of a pool. `level`: the ledger's before it, of all that is known by now. `first`: the pool
    was never told before, so nobody is asked about a difference. `since`: time of the figure before it, 0 without one.
    """

    at: int
    units: int
    level: int
    first: bool
    since: int

    @property
    def agrees(self) -> bool:
        return self.first or not _correction(self.units, self.level)


def received(change: Change, fact: Mapping[str, Any], settings: Settings) -> Change:
    """Goods came in, into the sales pool unless another is named."""
    pool = _pool(fact.get("pool"))
    if pool is None:
        return change.refuse("no such pool")
    if not settings.is_quantity(fact["quantity"]):
        return change.refuse("a quantity that is not a whole number of units")
    bring(change, fact["warehouse"], pool, fact["quantity"], RECEIVED)
    return change.finish()


def moved(change: Change, fact: Mapping[str, Any], settings: Settings) -> Change:
    """Goods went from one pool to another, of the same warehouse or of `to_warehouse`: never more than is there and not
    promised. A transfer is two of them: into the pool in_transit where it leaves, and out of that where it arrives; the
    second may name either warehouse (WMS-19)."""
    source, target = _pool(fact.get("pool")), _pool(fact.get("to_pool"))
    units, warehouse = fact["quantity"], fact["warehouse"]
    other = fact.get("to_warehouse") or warehouse
    if source is None or target is None or (source == target and other == warehouse):
        return change.refuse("no such pools to move between")
    if not settings.is_quantity(units):
        return change.refuse("a quantity that is not a whole number of units")
    wrong = _unmovable(change, warehouse, source, units, leaves=source != target)
    left = [(warehouse, units)]
    if wrong is not None:
        left = _on_the_way(change, warehouse, other, units) if source == IN_TRANSIT != target else []
        if not left:
            return change.refuse(wrong)
    for name, part in left:
        bring(change, name, source, -part, MOVED)
    bring(change, other, target, units, MOVED)
    return change.finish()


def _on_the_way(change: Change, teller: str, arrived: str, units: int) -> list[tuple[str, int]]:
    """Where goods stand that are told to arrive by a warehouse which has fewer in transit itself. Under the one they
    left, if it is the one they come to that tells it: the fullest first, ties by name. Under the one they come to, if
    the other tells it, and named both when they left. Empty if there are not so many in transit."""
    found: list[tuple[str, int]] = []
    names = [name for name in change.stock.warehouses if arrived in (teller, name)]
    there = {name: known_of(change, name, IN_TRANSIT) for name in names}
    for name in sorted(there, key=lambda name: (name == teller, -there[name], name)):
        part = min(units, max(0, there[name]))
        if part:
            found.append((name, part))
            units -= part
    return [] if units else found


def known_of(change: Change, warehouse: str, pool: int) -> int:
    """Units of a pool that a figure later than the change has not counted, or has, but knew of no other before."""
    figure = _later(change, warehouse, pool)
    if figure is None:
        return change.stock.warehouses[warehouse][pool]
    return 0 if change.at < figure.since else figure.level


def _unmovable(change: Change, warehouse: str, source: int, units: int, *, leaves: bool) -> str | None:
    """Why so many units cannot be taken from a pool; `leaves`: for another pool, which is not what was promised. What a
    later figure has seen is taken from nothing that is there now: it must have been there before that figure."""
    stock = change.stock
    levels, figure = stock.warehouses.get(warehouse), _later(change, warehouse, source)
    there = levels[source] if levels else 0
    if figure is not None:
        there = units if change.at < figure.since else figure.level
    if units > there:
        return f"more than the {there} units of {POOLS[source]} there"
    if figure is not None or not leaves:
        return None
    if source == SALES and units > stock.available:
        return "the units are held for orders"
    if source == RESERVED and units > stock.total(RESERVED) - stock.frozen:
        return "the units are frozen for orders of a promotion"
    return None


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
    delta = _correction(units, level)
    if change.at < last or (delta and change.at == last):
        return change.refuse("a figure from before the last change of that pool")
    if delta:
        change.shift(warehouse, pool, delta, CORRECTION)
    elif not last:
        change.touch().shift(warehouse, pool, 0, change.at)
    name = _name(warehouse, pool)
    before = stock.figures.get(name)
    if before is None or before[:2] != [change.at, units]:
        since = 0 if before is None else before[0] if before[0] < change.at else before[-1]
        _keep(change, name, Figure(change.at, units, level, not last, since))
    if audited:
        _audit(change, warehouse, pool, Figure(change.at, units, level, not last, 0))
    return change.finish()


def _correction(units: int, level: int) -> int:
    """What a figure changes at a level: an empty shelf does not pay what is owed."""
    return units - level if units or level > 0 else 0


def bring(
    change: Change,
    warehouse: str,
    pool: int,
    delta: int,
    reason: str,
    line_no: int | None = None,
    at: int | None = None,
) -> None:
    """Goods come or go; if a later figure has seen them, its correction is another one now. `line_no`: of the order
    they are for; `at`: when they did, ms, if not when it is told."""
    change.shift(warehouse, pool, delta, reason, line_no)
    at = change.at if at is None else at
    figure = _later(change, warehouse, pool, at)
    if figure is None:
        return
    if at < figure.since:  # seen by the figure before already: nothing is new for this one
        change.shift(warehouse, pool, -delta, CORRECTION)
        return
    now = figure._replace(level=figure.level + delta)
    if abs(now.level) > max(MOST_UNITS, abs(figure.level)):
        change.too_much = True
    back = _correction(now.units, now.level) - _correction(figure.units, figure.level)
    if back:
        change.shift(warehouse, pool, back, CORRECTION)
    name = _name(warehouse, pool)
    _keep(change, name, now)
    count = change.stock.counts.get(name)
    if count is not None and count[0] == figure.at:
        _audit(change, warehouse, pool, now)


def _later(change: Change, warehouse: str, pool: int, at: int | None = None) -> Figure | None:
    """The newest figure of a pool if it is later than what is told now, or happened `at`."""
    known = change.stock.figures.get(_name(warehouse, pool))
    return Figure(*known) if known is not None and (change.at if at is None else at) < known[0] else None


def _keep(change: Change, name: str, figure: Figure) -> None:
    stock = change.touch()
    stock.figures = {**stock.figures, name: [*figure]}


def _audit(change: Change, warehouse: str, pool: int, figure: Figure) -> None:
    name = _name(warehouse, pool)
    before = change.stock.counts.get(name)
    stock, units = change.touch(), figure.units
    expected = units if figure.first else max(0, figure.level)
    heard = before[3:] if before is not None and before[0] == figure.at else [change.told]
    stock.counts = {**stock.counts, name: [figure.at, units, expected, *heard]}
    alert = f"INV-10/{change.sku}/{warehouse}/{POOLS[pool]}"
    if figure.agrees:
        if before is not None and before[1] != before[2]:
            change.alert(alert, {"do": "close", "rule": "INV-10"})
        return
    change.alert(
        alert,
        {
            "do": "open",
            "rule": "INV-10",
            "title": "unauthorised_change",
            "detail": f"{warehouse} counts {units} of {change.sku} in {POOLS[pool]}, the ledger says {expected}",
        },
    )


def _name(warehouse: str, pool: int) -> str:
    return f"{warehouse}\0{POOLS[pool]}"


def _pool(name: Any) -> int | None:
    """Number of a pool; sales where none is named."""
    if name is None:
        return SALES
    return POOLS.index(name) if name in POOLS else None
