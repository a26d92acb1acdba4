"""The rows one message works on, and what goes out of it.

orders     guid -> what is known of an order somebody wants an invoice for, or has a contract about (see orders)
customers  customer -> profile, past headings, last use (see profiles)
groups     name of a group -> the orders that wait for one invoice (see groups)
invoices   invoice id -> the invoice, with its reds (see groups, answers)
requests   request id -> what the tax service was asked for
refs       sku/SKU, place/PLACE -> what is set, and who waits for it (see codes)
counts     interface -> attempts and failures (see rate)
issued     month NUL request id -> a row of the deduction list (see report)
unmatched  month NUL guid -> an order whose order, contract and invoice do not agree
used       day NUL customer -> a profile, by the day of its last use
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.outcome import Get, Outcome

from .buyer import WrongNumber
from .settings import Settings

ORDERS, CUSTOMERS, GROUPS, INVOICES, REQUESTS = "orders", "customers", "groups", "invoices", "requests"
REFS, COUNTS, ISSUED, UNMATCHED, USED = "refs", "counts", "issued", "unmatched", "used"
TABLES: Final = (ORDERS, CUSTOMERS, GROUPS, INVOICES, REQUESTS, REFS, COUNTS, ISSUED, UNMATCHED, USED)

FACTS: Final = "invoice-facts"
ORDER_FACTS: Final = "order-facts"
ASKS: Final = "tax-requests"
RECORDS: Final = "invoices"
ALERTS: Final = "alert-facts"

GROUP, SLA, DAY, RUN, END = "group", "sla", "day", "run", "end"
"""Kinds of timers: a group goes out; an invoice is late; the day of an interface is over; a month is reported; the rows
of an order end."""

Row = dict[str, Any]
_GONE: Final = object()


@dataclass(slots=True)
class Desk:
    """Reads what was written in the same step; `done()` is what the agent carries out. `at`: the time of the message,
    `now`: stream time, ms."""

    get: Get
    at: int
    now: int
    settings: Settings
    wrong_number: WrongNumber
    sends: list[tuple[str, str, Any]] = field(default_factory=list)
    timers: list[tuple[str, str, int | None]] = field(default_factory=list)
    refusal: str | None = None
    """Why the message is a dead letter."""
    months: set[str] = field(default_factory=set)
    """Months (2026-01) whose reports have something to say that they had not before."""
    _writes: dict[tuple[str, str], Any] = field(default_factory=dict)

    def row(self, table: str, key: str) -> Any:
        """A row, or None. It is not to be changed: put a new one."""
        found = self._writes.get((table, key), _GONE)
        return self.get(table, key) if found is _GONE else found

    def put(self, table: str, key: str, row: Any) -> None:
        """None deletes."""
        self._writes[table, key] = row

    def send(self, topic: str, key: str, value: Mapping[str, Any]) -> None:
        self.sends.append((topic, key, value))

    def alert(self, rule: str, name: str, **said: Any) -> None:
        """A finding about `name`; `do` is open, count or close."""
        self.send(ALERTS, f"{rule}/{name}", {"rule": rule, "at": self.at, **said})

    def done(self) -> Outcome:
        writes = [(table, key, row) for (table, key), row in self._writes.items()]
        writes = [entry for entry in writes if entry[2] is not None or self.get(entry[0], entry[1]) is not None]
        return Outcome(writes, self.sends, self.timers)
