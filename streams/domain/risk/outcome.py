"""What a step of a risk rule wants done, and how its tables, topics and timers are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from streams.domain import outcome
from streams.domain.order.meanings import UNLOCK
from streams.domain.order.risk import RISK_FACT
from streams.domain.outcome import Get, Message, Row

__all__ = ["RISK_FACT", "UNLOCK", "Get", "Message", "Outcome", "Row"]

Fact = dict[str, Any]

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
class Outcome(outcome.Outcome):
    """With the ways to say what a risk rule says."""

    def alarm(
        self, rule: str, guid: str, at: int, title: str, detail: str, about: str | None = None, **more: Any
    ) -> None:
        """Opens the alert of a rule about an order; `about`: which, of a rule that has several."""
        said = {"do": "open", "rule": rule, "title": title, "detail": detail, "at": at, "order_guid": guid, **more}
        self.sends.append((ALERTS, _key(rule, guid, about), said))

    def calm(self, rule: str, guid: str, at: int, about: str | None = None) -> None:
        """Its cause is gone."""
        said = {"do": "close", "rule": rule, "at": at, "order_guid": guid}
        self.sends.append((ALERTS, _key(rule, guid, about), said))

    def count(self, key: str, message: Message) -> None:
        """To the row of what is counted."""
        self.sends.append((FACTS, key, message))


def _key(rule: str, guid: str, about: str | None) -> str:
    return f"{rule}/{guid}" if about is None else f"{rule}/{about}/{guid}"
