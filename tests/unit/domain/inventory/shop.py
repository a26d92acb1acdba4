"""One SKU over plain dicts: say what happens, look at what comes of it. Times are ms after T0."""

from __future__ import annotations

import json
from typing import Any

from streams.domain import inventory as rules
from streams.domain.inventory import change, holds, messages, stock, vouchers
from streams.domain.inventory.change import Change
from streams.domain.inventory.stock import Stock
from streams.domain.inventory.view import record
from streams.domain.rules import data

T0 = 1_769_220_000_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
SKU = "cream-50ml"

_CODECS: dict[str, Any] = {change.SKUS: stock, change.HOLDS: holds, change.VOUCHERS: vouchers}


class Shop:
    """Folds messages and fires timers as the agent does; rows go through JSON, so what is not in a row is lost."""

    def __init__(self, settings: rules.Settings | None = None) -> None:
        self.settings = settings or data.inventory()
        self.rows: dict[tuple[str, str], str] = {}
        self.timers: dict[tuple[str, str], int] = {}
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.refused: list[str] = []
        self._events = 0
        self._now = 0

    # -- what happens -------------------------------------------------------------------------------------------------

    def receive(self, units: Any, at: int = 0, warehouse: str = "hz", **fields: Any) -> Change:
        return self.fact("stock_received", at, warehouse=warehouse, quantity=units, **fields)

    def move(self, units: Any, pool: str, to_pool: str, at: int = 0, warehouse: str = "hz") -> Change:
        return self.fact("stock_moved", at, warehouse=warehouse, quantity=units, pool=pool, to_pool=to_pool)

    def count(self, units: Any, at: int = 0, warehouse: str = "hz", **fields: Any) -> Change:
        return self.fact("stock_snapshot", at, warehouse=warehouse, quantity=units, **fields)

    def set(self, kind: str, at: int = 0, **fields: Any) -> Change:
        return self.fact(kind, at, source="oms", set=fields)

    def cart(self, customer: str | None, units: int, at: int = 0, **fields: Any) -> Change:
        lines = [{"sku": SKU, "quantity": units}]
        return self.fact("cart_added", at, source="douyin", customer_id=customer, lines=lines, **fields)

    def fact(self, kind: str, at: int = 0, source: str = "wms-hz", **fields: Any) -> Change:
        self._events += 1
        fact = {"event_type": kind, "event_id": f"e{self._events}", "event_time": T0 + at, "source": source}
        fact |= {"topic": "wms", "sku": SKU, "digest": 0}
        return self.fold({**fact, **fields})

    def reserve(self, guid: str, *lines: Any, at: int = 0, number: int = 1, **fields: Any) -> list[Any]:
        return self.command("reserve", guid, *lines, at=at, round=number, **fields)

    def confirm(self, guid: str, *lines: Any, at: int = 0, number: int = 1, **fields: Any) -> list[Any]:
        return self.command("confirm", guid, *lines, at=at, round=number, **fields)

    def release(self, guid: str, *lines: Any, at: int = 0, do: str = "release", **fields: Any) -> list[Any]:
        return self.command(do, guid, *lines, at=at, **fields)

    def command(self, do: str, guid: str, *lines: Any, at: int = 0, **fields: Any) -> list[Any]:
        """The lines of the reply; a bare number is the quantity of line 1."""
        listed = [[1, line] if not isinstance(line, list) else line for line in lines]
        before = len(self.sent)
        self.fold({"do": do, "sku": SKU, "order_guid": guid, "lines": listed, "at": T0 + at, **fields})
        told = [value for topic, _, value in self.sent[before:] if topic == messages.REPLIES and value["do"] == do]
        return told[-1]["lines"] if told else []

    def fold(self, message: dict[str, Any]) -> Change:
        self.pass_time(rules.time_of(message) - T0)
        before = json.dumps(sorted(self.rows.items()), default=str)
        done = rules.step(self._get, message, self.settings)
        assert json.dumps(sorted(self.rows.items()), default=str) == before
        self._apply(done)
        return done

    def pass_time(self, until: int) -> None:
        """Fire what is due by then, in order of time."""
        self._now = max(self._now, T0 + until)
        while self.timers:
            (kind, key), at = min(self.timers.items(), key=lambda timer: (timer[1], timer[0]))
            if at > self._now:
                return
            del self.timers[kind, key]
            done = None if kind == change.FORGET else rules.due(self._get, kind, key, at, self.settings)
            if done is not None:
                self._apply(done)

    # -- what came of it ----------------------------------------------------------------------------------------------

    @property
    def stock(self) -> Stock:
        found = self._get(change.SKUS, SKU)
        assert isinstance(found, Stock)
        return found

    @property
    def state(self) -> dict[str, Any]:
        return record(SKU, self.stock)

    @property
    def figures(self) -> tuple[int, int, int]:
        """available, held, oversold."""
        return self.stock.available, self.stock.held, self.stock.oversold

    def out(self, topic: str) -> list[dict[str, Any]]:
        return [value for name, _, value in self.sent if name == topic]

    def sums(self) -> dict[tuple[str | None, str], int]:
        """The ledger's sum of each warehouse and pool."""
        found: dict[tuple[str | None, str], int] = {}
        for row in self.out(messages.LEDGER):
            place = row["warehouse"], row["pool"]
            found[place] = found.get(place, 0) + row["delta"]
        return {place: units for place, units in found.items() if units}

    def adds_up(self) -> bool:
        """Ledger and state agree."""
        levels = {
            (name, pool): level
            for name, pools in self.state["warehouses"].items()
            for pool, level in pools.items()
            if level
        }
        if self.stock.held:
            levels[None, "held"] = self.stock.held
        return levels == self.sums()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _get(self, table: str, key: str) -> Any:
        row = self.rows.get((table, key))
        codec = _CODECS.get(table)
        value = None if row is None else json.loads(row)
        return value if codec is None or value is None else codec.from_row(value)

    def _apply(self, done: Change) -> None:
        if done.refusal is not None:
            self.refused.append(done.refusal)
        self.sent += done.sends
        for table, key, value in done.writes:
            codec = _CODECS.get(table)
            if value is None:
                self.rows.pop((table, key), None)
            else:
                self.rows[table, key] = json.dumps(value if codec is None else codec.to_row(value))
        for kind, key, at in done.timers:
            self.timers[kind, key] = at
