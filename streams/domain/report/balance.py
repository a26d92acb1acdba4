"""FIN-11: the trial balance of a month as it is closed, by account and currency: what is archived of it.

Each partition of the ledger adds up its postings by month, and tells those of the month (see `assembly`) when a closing
reaches it, or a configured date locks it; if months before it were never closed, which are locked with it, those of
each of them. What comes later for the month is booked in the next one, so nothing in it changes any more.

    sums    month, currency and account -> [postings, debited, credited], minor units
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.domain.ledger import periods

from .assembly import Outcome
from .record import record_of
from .settings import ReportError

SERIES: Final = "balance"
NAME: Final = "FIN-11"
FACTS: Final = "report-facts"


@dataclass(frozen=True, slots=True)
class BalanceReports:
    """The report goes out when all partitions have told their part, or after `grace_ms`; a late part is added for
    `kept_days`."""

    grace_ms: int
    kept_days: int

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> BalanceReports:
        """From the `balance` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**document)
        except TypeError as error:
            raise ReportError(f"trial balance: {error}") from None
        if not all(type(number) is int and number >= 1 for number in (found.grace_ms, found.kept_days)):
            raise ReportError("trial balance: a number is none, or below 1")
        return found


def added(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[int]]:
    """What postings add, by key of `sums`."""
    found: dict[str, list[int]] = {}
    for entry in entries:
        about, amount = f"{entry['period']}\0{entry['currency']}\0", abs(entry["amount_minor"])
        for account, debit, credit in ((entry["debit_account"], amount, 0), (entry["credit_account"], 0, amount)):
            count, debited, credited = found.get(key := about + account, (0, 0, 0))
            found[key] = [count + 1, debited + debit, credited + credit]
    return found


def span(last: int, month: int) -> tuple[str, str]:
    """The first key of the sums of the months behind `last` (see periods) up to `month`, and the first behind them."""
    return periods.label_of(last + 1), periods.label_of(month + 1)


def parts(period: str, place: int, rows: Iterable[tuple[str, list[int]]], at: int) -> list[dict[str, Any]]:
    """What partition `place` tells, at `at` (ms), of the months that the closing of `period` locks: of that one, and of
    each before it that was never closed. `rows`: their sums."""
    found: dict[str, list[Any]] = {period: []}
    for key, sums in rows:
        month, *about = key.split("\0")
        found.setdefault(month, []).append([*about, *sums])
    told = {"series": SERIES, "due": at, "at": at, "place": f"ledger/{place}"}
    return [{**told, "period": month, "sums": found[month]} for month in sorted(found)]


def records(outcome: Outcome, period: str, at: int, settings: BalanceReports) -> list[dict[str, Any]]:
    """The record of `reports`: an account per row. Debits and credits of a currency are the same, or it is said."""
    sums: dict[tuple[str, str], list[int]] = {}
    for told in outcome.parts.values():
        for currency, account, *counted in told["sums"]:
            before = sums.get((currency, account), [0, 0, 0])
            sums[currency, account] = [one + two for one, two in zip(before, counted, strict=True)]
    names = ("postings", "debit_minor", "credit_minor")
    rows: list[dict[str, Any]] = [
        {
            "currency": currency,
            "account": account,
            **dict(zip(names, counted, strict=True)),
            "balance_minor": counted[1] - counted[2],
        }
        for (currency, account), counted in sorted(sums.items())
    ]
    highlights = []
    for currency in sorted({currency for currency, _ in sums}):
        debit, credit = (sum(row[name] for row in rows if row["currency"] == currency) for name in names[1:])
        said = "the books balance" if debit == credit else f"the books do NOT balance, credits are {credit}"
        highlights.append(f"{period}: {debit} minor units of {currency} debited, {said}")
    return [record_of(NAME, period, rows, highlights, at)]
