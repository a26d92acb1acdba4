"""The postings of an order: what each of its facts is debited and credited to.

    receipt, deposit        cash                 to  customer_advances
    refund                  customer_advances    to  cash
    fee, commission, ...    platform_fees, ...   to  cash                    split over the lines (FIN-06)
    revenue                 customer_advances    to  revenue                 per line, and one for freight and the like
    discount                discounts            to  customer_advances       per line
    adjustment              refunds              to  customer_advances       per refund, once there is revenue

All that customer and shop pay each other goes through customer_advances, the customer's account; a refund of an order
whose revenue is recognised also takes back revenue, but for what only gives back what was paid above the price. So what
stands in the end is a function of the set of facts, and after each of them, per order and in total,

    cash = paid - refunded - fees        customer_advances + revenue - discounts - refunds = paid - refunded

An id names the order and the cause: GUID/revenue/1, GUID/refund/KEY. Nothing that was posted is changed or taken out
of the topic: a fact that proves a recognition wrong (a cancel mark told late) reverses it by entries of their own, not
before what they take back, and if revenue comes after all its ids end in ~2. So does a payment told late that proves a
refund to be one of too much: its other share is returned/KEY~r2. What is posted for a locked period is an adjustment in
the next (FIN-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.ledger import periods
from streams.domain.ledger.apportion import split
from streams.domain.ledger.row import DEPOSIT, RECEIPT, REFUND, Row, taken_back
from streams.domain.ledger.settings import FEES

Entry = dict[str, Any]

CASH, ADVANCES, REVENUE, DISCOUNTS, REFUNDS = "cash", "customer_advances", "revenue", "discounts", "refunds"
ADJUSTMENT: Final = "adjustment"
_RULES: Final = {DEPOSIT: "FIN-02", RECEIPT: "FIN-01", REFUND: "FIN-07"}


@dataclass(slots=True)
class Book:
    """Collects the postings of one order in one step. `locked`: the last month that is (see periods)."""

    guid: str
    row: Row
    locked: int
    entries: list[Entry] = field(default_factory=list)

    def money(self, key: str) -> None:
        """A receipt, refund or fee, by the key of its event."""
        kind, amount, line_no, at = self.row["money"][key]
        if kind in FEES:
            self._fee(key, kind, amount, line_no, at)
        elif kind == REFUND:
            self._post(f"refund/{key}", kind, ADVANCES, CASH, -amount, at, _RULES[kind], line_no)
        else:
            self._post(f"{kind}/{key}", kind, CASH, ADVANCES, amount, at, _RULES[kind], line_no)

    def _fee(self, key: str, kind: str, amount: int, line_no: int | None, at: int) -> None:
        parts = self.row.get("parts", [])
        weights = [gross for _, gross, _ in parts]  # before discount, as FIN-06 has it
        if line_no is not None or len(parts) < 2:
            one = line_no if line_no is not None or len(parts) != 1 else parts[0][0]
            self._post(f"fee/{key}", kind, FEES[kind], CASH, -amount, at, "FIN-06", one)
            return
        for n, (part, share) in enumerate(zip(parts, split(amount, weights), strict=True), 1):
            self._post(f"fee/{key}/{n}", kind, FEES[kind], CASH, -share, at, "FIN-06", part[0])

    def recognise(self, at: int) -> None:
        """FIN-03: the revenue of every line, at `at` (ms), with what takes it back again."""
        for name, kind, debit, credit, amount, line_no in _sold(self.row):
            self._post(self._name(name), kind, debit, credit, amount, at, "FIN-01", line_no)
        for key, share in taken_back(self.row).items():
            self._give_back(key, share, at)

    def give_back(self, before: Row, at: int) -> None:
        """Money moved, for a cause of `at` (ms), while revenue was recognised: new refunds take some of it back, and
        those that were there in `before` may have another share in that now."""
        old = taken_back(before)
        for key, share in taken_back(self.row).items():
            if share == old.get(key):
                continue
            if key in old:
                posted, shares = Book(self.guid, before, periods.NONE), self.row.get("shares", {})
                posted._give_back(key, old[key], before["done"])
                self._reverse(posted, at)
                times, since = shares.get(key, (1, at))
                self.row = {**self.row, "shares": {**shares, key: [times + 1, max(at, since)]}}
            self._give_back(key, share, before["done"])

    def _give_back(self, key: str, share: int, at: int) -> None:
        """What a refund takes back of revenue, at `at` (ms), or when it was paid or known to be so much."""
        _, _, line_no, when = self.row["money"][key]
        times, since = self.row.get("shares", {}).get(key, (1, at))
        name = self._name(f"returned/{key}" + (f"~r{times}" if times > 1 else ""))
        self._post(name, ADJUSTMENT, REFUNDS, ADVANCES, -share, max(at, when, since), "FIN-07", line_no)

    def reverse(self, before: Row, at: int) -> None:
        """All that was posted of the revenue of `before`, for a cause of `at` (ms)."""
        posted = Book(self.guid, before, periods.NONE)
        posted.recognise(before["done"])
        self._reverse(posted, at)

    def _reverse(self, posted: Book, at: int) -> None:
        """Take back what was posted, none of it before it was there."""
        for entry in posted.entries:
            name = entry["entry_id"].removeprefix(f"{self.guid}/")
            debit, credit = entry["credit_account"], entry["debit_account"]
            amount, when = -entry["amount_minor"], max(at, entry["recognized_at"])
            kind, rule, line_no = entry["kind"], entry["rule"], entry["line_no"]
            self._post(f"{name}/reversal", kind, debit, credit, amount, when, rule, line_no, entry["entry_id"])

    def _name(self, name: str) -> str:
        times = self.row.get("gen", 0)
        return f"{name}~{times + 1}" if times else name

    def _post(
        self,
        name: str,
        kind: str,
        debit: str,
        credit: str,
        amount: int,
        at: int,
        rule: str,
        line_no: int | None,
        reversal_of: str | None = None,
    ) -> None:
        if not amount:
            return
        month = periods.month_at(at)
        if month <= self.locked:
            month, kind, rule = self.locked + 1, ADJUSTMENT, "FIN-11"
        self.entries.append(
            {
                "entry_id": f"{self.guid}/{name}",
                "order_guid": self.guid,
                "line_no": line_no,
                "channel": self.row.get("channel"),
                "kind": kind,
                "debit_account": debit,
                "credit_account": credit,
                "amount_minor": amount,
                "currency": self.row["currency"],
                "period": periods.label_of(month),
                "rule": rule,
                "recognized_at": at,
                "reversal_of": reversal_of,
            }
        )


def _sold(row: Row) -> Iterator[tuple[str, str, str, str, int, int | None]]:
    """(name, kind, debit, credit, amount, line_no)."""
    for n, (line_no, gross, off) in enumerate(row.get("parts", []), 1):
        yield f"revenue/{n}", "revenue", ADVANCES, REVENUE, gross, line_no
        yield f"discount/{n}", "discount", DISCOUNTS, ADVANCES, -off, line_no
    yield "revenue/other", "revenue", ADVANCES, REVENUE, row.get("other", 0), None
