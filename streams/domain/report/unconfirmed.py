"""FIN-14: accounts held open - orders of a period that were paid and delivered and that no customer confirmed, as it
closes.

Each partition of the ledger keeps them in two tables, and tells its part (see `assembly`) when a closing reaches it:

    index    time of delivery and guid -> [channel, currency, amount]      the oldest come first
    days     day of delivery and currency -> [orders, amount]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import calendar
from streams.domain.ledger import periods

from .assembly import Outcome
from .record import record_of
from .settings import ReportError

SERIES: Final = "unconfirmed"
NAME: Final = "FIN-14"
FACTS: Final = "report-facts"

_DIGITS: Final = 14


@dataclass(frozen=True, slots=True)
class UnconfirmedReports:
    """The report goes out when all partitions have told their part, or after `grace_ms`; a late part is added for
    `kept_days`. `ages`: whole days at which a class of age begins, rising from 0. `oldest`: orders listed at most."""

    grace_ms: int
    kept_days: int
    oldest: int
    ages: tuple[int, ...]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> UnconfirmedReports:
        """From the `unconfirmed` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**{**document, "ages": tuple(document["ages"])})
        except (KeyError, TypeError) as error:
            raise ReportError(f"report of unconfirmed orders: {error}") from None
        rising = found.ages[:1] == (0,) and found.ages == tuple(sorted({*found.ages}))
        if not rising or min(found.grace_ms, found.kept_days, found.oldest) < 1:
            raise ReportError("report of unconfirmed orders: ages that do not rise from 0, or a number out of range")
        return found


def index_key(since: int, guid: str) -> str:
    """Sorts by time (ms)."""
    return f"{since:0{_DIGITS}}{guid}"


def day_key(since: int, currency: str) -> str:
    return f"{calendar.day_number(since):06d}{currency}"


def part(
    index: Iterable[tuple[str, list[Any]]],
    days: Iterable[tuple[str, list[int]]],
    period: str,
    place: int,
    at: int,
    settings: UnconfirmedReports,
) -> dict[str, Any]:
    """What partition `place` tells of a period that was closed at `at` (ms). What was delivered behind its end is not
    what holds it open."""
    month, listed = periods.month_of(period), list[list[Any]]()
    assert month is not None  # intake has seen to it
    end = periods.begins_at(month + 1)
    for key, (channel, currency, amount) in index:
        if len(listed) == settings.oldest or int(key[:_DIGITS]) >= end:
            break
        listed.append([int(key[:_DIGITS]), key[_DIGITS:], channel, currency, amount])
    within = [[day, key[6:], *counted] for key, counted in days if (day := int(key[:6])) < calendar.day_number(end)]
    about = {"series": SERIES, "period": period, "due": at, "at": at, "place": f"ledger/{place}"}
    return {**about, "oldest": listed, "days": within}


def records(outcome: Outcome, period: str, at: int, settings: UnconfirmedReports) -> list[dict[str, Any]]:
    """The record of `reports`: classes of age first, then the oldest orders. Age is the days of Shanghai from
    delivery to closing; amounts are prices."""
    parts = outcome.parts.values()
    today = calendar.day_number(max(told["at"] for told in parts))
    orders, amounts = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for told in parts:
        for day, currency, count, amount in told["days"]:
            age = max(0, today - day)
            group = currency, max(least for least in settings.ages if least <= age)
            orders[group] += count
            amounts[group] += amount
    rows: list[dict[str, Any]] = [
        {"currency": group[0], "days_from": group[1], "orders": orders[group], "amount_minor": amounts[group]}
        for group in sorted(orders)
        if orders[group]
    ]
    oldest = sorted(entry for told in parts for entry in told["oldest"])[: settings.oldest]
    rows += [
        {"order_guid": guid, "channel": channel, "delivered_at": since, "currency": currency, "amount_minor": amount}
        for since, guid, channel, currency, amount in oldest
    ]
    count = sum(orders.values())
    highlights = [f"{count} orders delivered and not confirmed hold {period} open"] if count else []
    return [record_of(NAME, period, rows, highlights, at)]
