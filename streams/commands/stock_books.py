"""The books of `oms stock check`: what the topics say about stock, added up, and what does not agree.

Everything here is a function of the records given, so it can be fed from a broker or from a replay's folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

POOLS: Final = ("sales", "reserved", "quality_check", "in_transit")
HELD: Final = "held"
WAITING: Final = "pending_payment"
OVER: Final = frozenset({"closed", "refunded"})

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up: `wanted` by the one side, `found` on the other, in units."""

    kind: str
    sku: str
    where: str
    wanted: int
    found: int
    text: str

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """Stays the same while stock moves: a real difference does, one between two moments does not."""
        return self.kind, self.sku, self.where, self.found - self.wanted

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Books:
    """Sums of the ledger, the newest state of each SKU, and the orders that something is held for."""

    levels: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_order: dict[tuple[str, str], int] = field(default_factory=dict)
    lowest: dict[tuple[str, str, str], int] = field(default_factory=dict)
    states: dict[str, Row] = field(default_factory=dict)
    orders: dict[str, str | None] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    """SKUs whose oldest ledger rows the topic no longer has: their sums prove nothing."""
    rows: int = 0

    def post(self, row: Row, cut: bool = False) -> None:
        """A row of stock-ledger, in the order of its partition."""
        self.rows += 1
        sku, pool, delta = row["sku"], row["pool"], row["delta"]
        if cut:
            self.cut.add(sku)
        if pool == HELD:
            self.held[sku] += delta
            level, where = self.held[sku], ("", HELD)
            guid = row.get("order_guid")
            if guid is not None:
                left = self.by_order.get((guid, sku), 0) + delta
                if left:
                    self.by_order[guid, sku] = left
                else:
                    self.by_order.pop((guid, sku), None)
        else:
            where = row.get("warehouse") or "", pool
            pools = self.levels.setdefault(sku, {})
            level = pools[where] = pools.get(where, 0) + delta
        if level < 0 and pool != "sales":
            spot = (sku, *where)
            self.lowest[spot] = min(level, self.lowest.get(spot, 0))

    def state(self, sku: str, value: Row | None) -> None:
        """A record of inventory-states; None is a tombstone."""
        if value is None:
            self.states.pop(sku, None)
        else:
            self.states[sku] = value

    def order(self, value: Row) -> None:
        """A record of order-states: how far the order is, None if it may still hold stock."""
        over = OVER.intersection(value.get("flags") or ())
        state = value.get("state")
        waiting = state in (None, WAITING) and not over
        self.orders[value["order_guid"]] = None if waiting else ", ".join([str(state), *sorted(over)])

    def holding(self) -> set[str]:
        """The orders the ledger holds stock for (or gave too much back for)."""
        return {guid for guid, _ in self.by_order}

    @property
    def skus(self) -> int:
        return len({*self.levels, *self.held, *self.states})

    def findings(self) -> list[Finding]:
        """All that does not add up, by SKU."""
        found = [finding for sku in {*self.levels, *self.held, *self.states} for finding in self._of_sku(sku)]
        found += self._of_orders()
        return sorted(found, key=lambda each: (each.sku, each.kind, each.where))

    def _of_sku(self, sku: str) -> Iterator[Finding]:
        state = self.states.get(sku)
        if state is None:
            yield Finding("state", sku, "", 1, 0, "has ledger rows and no inventory-states record")
            return
        warehouses: Mapping[str, Row] = state.get("warehouses") or {}
        if sku not in self.cut:
            yield from self._against_ledger(sku, state, warehouses)
        sales = sum(pools["sales"] for pools in warehouses.values())
        if state["held"] + state["available"] != sales:
            text = f"held {state['held']} + available {state['available']} is not the {sales} of sales"
            yield Finding("balance", sku, "sales", sales, state["held"] + state["available"], text)
        below = sum(max(0, -pools["sales"]) for pools in warehouses.values())
        if below != state["oversold"]:
            text = f"sales are {below} below zero, {state['oversold']} are said to be oversold"
            yield Finding("oversold", sku, "sales", below, state["oversold"], text)
        for name, pools in sorted(warehouses.items()):
            for pool in POOLS[1:]:
                if pools[pool] < 0:
                    yield Finding("below_zero", sku, f"{name} {pool}", 0, pools[pool], f"is at {pools[pool]}")
        if state["held"] < 0:
            yield Finding("below_zero", sku, HELD, 0, state["held"], f"is at {state['held']}")

    def _against_ledger(self, sku: str, state: Row, warehouses: Mapping[str, Row]) -> Iterator[Finding]:
        ledger = self.levels.get(sku, {})
        places = {(name, pool) for name in warehouses for pool in POOLS} | {*ledger}
        for name, pool in sorted(places):
            summed, level = ledger.get((name, pool), 0), warehouses.get(name, {}).get(pool, 0)
            if summed != level:
                text = f"the ledger sums to {summed}, inventory-states says {level}"
                yield Finding("level", sku, f"{name} {pool}", summed, level, text)
        if self.held.get(sku, 0) != state["held"]:
            text = f"the ledger sums to {self.held.get(sku, 0)}, inventory-states says {state['held']}"
            yield Finding("level", sku, HELD, self.held.get(sku, 0), state["held"], text)
        for (_, name, pool), level in sorted(spot for spot in self.lowest.items() if spot[0][0] == sku):
            where = f"{name} {pool}".strip()
            yield Finding("below_zero", sku, f"{where} (ledger)", 0, level, f"the ledger went down to {level}")

    def _of_orders(self) -> Iterator[Finding]:
        for (guid, sku), units in self.by_order.items():
            if sku in self.cut:
                continue
            if units < 0:
                yield Finding("order", sku, guid, 0, units, f"gave back {-units} more than was held for it")
            elif guid not in self.orders:
                yield Finding("order", sku, guid, 0, units, f"holds {units}, and order-states does not know it")
            elif (how_far := self.orders[guid]) is not None:
                yield Finding("order", sku, guid, 0, units, f"still holds {units}: it is {how_far}")
