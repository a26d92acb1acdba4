"""What one command or timer does to a SKU: its stock, copied on the first change, and everything that goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import messages
from .holds import Hold
from .stock import MOST_UNITS, MOST_WAREHOUSES, POOLS, SALES, Stock

HELD_POOL: Final = "held"

SKUS: Final = "skus"
HOLDS: Final = "holds"
VOUCHERS: Final = "vouchers"
SEEN: Final = "seen"
TABLES: Final = (SKUS, HOLDS, VOUCHERS, SEEN)

# Kinds of timers; their keys are the row's key, for ACTIVITY sku NUL name, for FORGET sku.
HOLD: Final = "hold"
VOUCHER: Final = "voucher"
ACTIVITY: Final = "activity"
FORGET: Final = "forget"

TOO_MUCH: Final = f"more than {MOST_UNITS} units in a pool, or than {MOST_WAREHOUSES} warehouses of a SKU"

Send = tuple[str, str, dict[str, Any]]
"""(topic, key, value)."""


class Change:
    """`stock` is the one given until `touch` is called; then a copy that may be changed. Writes are (table, key, value
    or None to delete), timers (kind, key, due ms). `refusal`: why the command was not taken at all. `told`: when it was
    heard of, ms. `too_much`: a level left its bounds, so nothing of it may be kept. `first`: no hold of the order is
    kept yet. A hold is kept with its timer and forgotten by it, so there is no timer of it either.
    """

    __slots__ = (
        "_given", "at", "event_id", "first", "order_guid", "refusal", "sends", "sku", "stock", "timers", "told",
        "too_much", "writes",
    )  # fmt: skip

    def __init__(
        self,
        sku: str,
        stock: Stock,
        at: int,
        event_id: str | None,
        order_guid: str | None = None,
        told: int | None = None,
    ) -> None:
        self.sku = sku
        self.stock = stock
        self.at = at
        self.event_id = event_id
        self.order_guid = order_guid
        self.told = at if told is None else max(at, told)
        self.sends: list[Send] = []
        self.writes: list[tuple[str, str, Any]] = []
        self.timers: list[tuple[str, str, int]] = []
        self.refusal: str | None = None
        self.too_much = False
        self.first = False
        self._given = stock

    @property
    def changed(self) -> bool:
        return self.stock is not self._given

    def touch(self) -> Stock:
        """The stock to be changed: one copy per command."""
        if self.stock is self._given:
            self.stock = self.stock.copy()
        return self.stock

    def finish(self) -> Change:
        """Count the version, and keep what is owed within its bounds."""
        if self.too_much:
            return self.refuse(TOO_MUCH)
        if self.changed:
            stock = self.stock
            stock.settle()
            if stock.short and not stock.owed:
                for guid in stock.short:  # INV-08: there is a unit for each of them now
                    self.alert(f"INV-08/{self.sku}/{guid}", {"do": "close", "rule": "INV-08"})
                stock.short = []
            stock.version += 1
            stock.updated_at = max(stock.updated_at, self.at)
            self.writes.append((SKUS, self.sku, stock))
        return self

    def refuse(self, reason: str) -> Change:
        """Take nothing of it."""
        self._undo()
        self.refusal = reason
        return self

    def refuse_lines(self, command: Mapping[str, Any], reason: str) -> Change:
        """Take nothing of it, and tell the order."""
        self._undo()
        refused = [[line[0], messages.REFUSED, reason] for line in command["lines"]]
        self.reply(command["do"], command.get("round") or 0, refused)
        return self

    def _undo(self) -> None:
        self.stock, self.sends, self.writes, self.timers = self._given, [], [], []
        self.too_much = False

    # -- units ------------------------------------------------------------------------------------------------------

    def shift(self, warehouse: str, pool: int, delta: int, reason: str, line_no: int | None = None) -> None:
        """Change a pool and write its ledger row."""
        if not self.touch().shift(warehouse, pool, delta, self.at):
            self.too_much = True
        self._ledger(warehouse, POOLS[pool], delta, reason, line_no, None)

    def sell(self, warehouse: str, units: int, line_no: int) -> None:
        """Units leave the sales pool of a warehouse for good."""
        self.shift(warehouse, SALES, -units, messages.CONFIRMED, line_no)

    def hold(self, delta: int, reason: str, line_no: int | None = None, held_ms: int | None = None) -> None:
        """Change what is held and write its ledger row; without a line it is a cart's, and no order's. `held_ms`: how
        long the units were held (INV-17)."""
        self.touch().held += delta
        self._ledger(None, HELD_POOL, delta, reason, line_no, held_ms)

    def _ledger(
        self, warehouse: str | None, pool: str, delta: int, reason: str, line_no: int | None, held_ms: int | None
    ) -> None:
        row = {
            "sku": self.sku,
            "warehouse": warehouse,
            "pool": pool,
            "delta": delta,
            "reason": reason,
            "order_guid": None if line_no is None else self.order_guid,
            "line_no": line_no,
            "at": self.at,
            "event_id": self.event_id,
            "held_ms": held_ms,
        }
        self.sends.append((messages.LEDGER, self.sku, row))

    # -- what is said -----------------------------------------------------------------------------------------------

    def reply(self, do: str, number: int, lines: list[list[Any]], held_ms: int | None = None) -> None:
        """Answer the order."""
        assert self.order_guid is not None
        value = messages.reply(self.sku, self.order_guid, do, number, self.at, lines)
        value["held_ms"] = held_ms
        self.sends.append((messages.REPLIES, self.order_guid, value))

    def alert(self, key: str, finding: dict[str, Any]) -> None:
        """Tell the alerts agent."""
        self.sends.append((messages.ALERTS, key, {**finding, "at": self.at, "last_event": self.event_id}))

    def keep_hold(self, key: str, hold: Hold, due: int) -> None:
        """Store the order's lines, and when to look at them again."""
        self.writes.append((HOLDS, key, hold))
        self.timers.append((HOLD, key, due))
