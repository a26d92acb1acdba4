"""What a step of a risk rule wants done, and how its tables, topics and timers are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.order.meanings import UNLOCK
from streams.domain.order.risk import RISK_FACT

__all__ = ["RISK_FACT", "UNLOCK", "Outcome"]

Row = Mapping[str, Any]
Fact = dict[str, Any]
Message = dict[str, Any]
Get = Callable[[str, str], Any]
"""(table, key) -> value or None."""

FACTS: Final = "risk-facts"
ORDER_FACTS: Final = "order-facts"
WARNINGS: Final = "risk-alerts"
ALERTS: Final = "alert-facts"

ORDERS: Final = "orders"
COUNTS: Final = "counts"
TALLIES: Final = "tallies"
TABLES: Final = (ORDERS, COUNTS, TALLIES)

DUE: Final = "order"
FORGET: Final = "forget"
REPORT: Final = "report"

REPORT_FACTS: Final = "report-facts"
SERIES: Final = "risk"


@dataclass(slots=True)
class Outcome:
    """Writes are (table, key, new value or None to delete), sends (topic, key, value), timers (kind, key, due time or
    None to cancel)."""

    writes: list[tuple[str, str, Any]] = field(default_factory=list)
    sends: list[tuple[str, str, Message]] = field(default_factory=list)
    timers: list[tuple[str, str, int | None]] = field(default_factory=list)

    def alarm(self, rule: str, guid: str, at: int, title: str, detail: str, **more: Any) -> None:
        """Opens the alert of a rule about an order."""
        said = {"do": "open", "rule": rule, "title": title, "detail": detail, "at": at, "order_guid": guid, **more}
        self.sends.append((ALERTS, f"{rule}/{guid}", said))

    def calm(self, rule: str, guid: str, at: int) -> None:
        """Its cause is gone."""
        self.sends.append((ALERTS, f"{rule}/{guid}", {"do": "close", "rule": rule, "at": at, "order_guid": guid}))

    def count(self, key: str, message: Message) -> None:
        """To the row of what is counted."""
        self.sends.append((FACTS, key, message))
