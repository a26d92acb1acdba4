"""FIN-08: what a BI system says a channel has sold in a period (GMV), against what the ledger booked of its orders.

Both sides are of the same orders, those created in the period; the ledger counts those of which money came in. Each
partition of it keeps their sums by day, and tells its part (see `assembly`) when a `bi_total` reaches it:

    books    channel, currency and day of creation -> [orders, GMV, discounts, refunds, unrecognised, fees, booked]

What is compared is the computed difference; the items of the bridge say what it is made of:

    difference = GMV as told - booked = discounts + refunds + unrecognised + fees + unexplained

`unexplained` is what the BI system sold more than the ledger knows of. Money moves and revenue is recognised late: what
changes the books of a period within `kept_days` of its total changes its report, within `late_ms`. A total of the same
channel, period and currency that is told again, with a later time, takes the place of the one before.

A channel is the same in whichever spelling (see `spelling`) of the BI system or of our orders; a shop of it is another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import calendar
from streams.domain.ledger import periods
from streams.domain.ledger.row import RECEIPTS, Row
from streams.domain.ledger.view import bridge
from streams.domain.spelling import bare, tidy

from .assembly import Outcome
from .record import percent, record_of
from .settings import ReportError

SERIES: Final = "variance"
FACTS: Final = "report-facts"
NAME: Final = "FIN-08"
ITEMS: Final = ("orders", "gmv", "discounts", "refunds", "unrecognised", "fees", "booked")

_OWN: Final = "CNY"
_KEPT: Final = ("event_time", "source", "event_id", "channel", "currency", "period", "amount_minor")

_END: Final = "\U0010ffff"
"""Behind every name of a row."""

Fact = Mapping[str, Any]
Send = tuple[str, str, dict[str, Any]]
Book = tuple[str, list[int]]
"""A row of `books`."""


@dataclass(frozen=True, slots=True)
class VarianceReports:
    """The report goes out when all partitions have told their part, or after `grace_ms`. What comes late waits
    `late_ms` for more, then the part is told again, for `kept_days`. More than `limit_per_1000` of the GMV fails."""

    grace_ms: int
    late_ms: int
    kept_days: int
    limit_per_1000: int

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> VarianceReports:
        """From the `variance` part of the file. ReportError if a number cannot be."""
        try:
            found = cls(**document)
        except TypeError as error:
            raise ReportError(f"report of variances: {error}") from None
        numbers = [getattr(found, name) for name in cls.__slots__]
        if not all(type(number) is int for number in numbers):
            raise ReportError("report of variances: a number is none")
        if min(found.grace_ms, found.late_ms, found.kept_days) < 1 or not 0 <= found.limit_per_1000 <= 1000:
            raise ReportError("report of variances: a number out of range")
        return found


def changed(before: Row | None, after: Row) -> list[int] | None:
    """By how much an order changes the sums of its day; None for not at all, as most facts do."""
    money, done = (None, None) if before is None else (before.get("money"), before.get("done"))
    if after.get("money") is money and after.get("done") == done:
        return None
    if money is None:
        return None if (two := _counted(after)) == _NOTHING else two
    one, two = _counted(before), _counted(after)
    return None if one == two else [new - old for old, new in zip(one, two, strict=True)]


def _counted(row: Row | None) -> list[int]:
    if row is not None and any(kind in RECEIPTS for kind, *_ in row.get("money", {}).values()):
        found = bridge(row)
        if found is not None:
            return [1, *found.values()]
    return _NOTHING


_NOTHING: Final = [0] * len(ITEMS)


def book_key(row: Row) -> str:
    return _key(row.get("channel") or "", row["currency"], calendar.day_number(row["at"]))


def span(fact: Fact, channel: str) -> tuple[str, str]:
    """The first key of the books of that channel a `bi_total` is about, and the first behind them."""
    days = periods.days_of(fact["period"])
    assert days is not None  # intake has seen to it
    currency = fact["currency"]
    return _key(channel, currency, days[0]), _key(channel, currency, days[1] + 1)


def rows(fact: Fact, books: Callable[[str, str], Iterable[Book]]) -> Iterator[Book]:
    """The rows a `bi_total` is about. `books`: those from one key to before another, in their order."""
    wanted, low = _name(fact["channel"]), ""
    while (first := next(iter(books(low, _END)), None)) is not None:
        channel = first[0].partition("\0")[0]
        if _name(channel) == wanted:
            yield from books(*span(fact, channel))
        low = f"{channel}\1"  # behind all of this name


def _name(channel: str) -> str:
    return bare(channel) or channel


def _key(channel: str, currency: str, day: int) -> str:
    return f"{channel}\0{currency}\0{day:06d}"


def stated_key(channel: str, period: str, currency: str) -> str:
    return f"{_name(channel)}\0{period}" + _apart("\0", currency)


def _apart(sign: str, currency: str) -> str:
    """What tells totals of a channel and period apart that are in several currencies; of those in CNY nothing."""
    return "" if currency == _OWN else sign + currency


def stated(fact: Fact) -> dict[str, Any]:
    """What a partition remembers of a `bi_total`."""
    return {name: fact[name] for name in _KEPT}


def concerned(row: Row) -> tuple[str, str]:
    """Keys of the totals that a change of the order may concern: of its day and of its month."""
    channel, date = row.get("channel") or "", calendar.business_date(row["at"]).isoformat()
    currency = row["currency"]
    return stated_key(channel, date, currency), stated_key(channel, date[:7], currency)


def version(fact: Fact) -> list[Any]:
    """Of two totals of a channel and period the one with the higher version counts."""
    return [fact["event_time"], fact["source"], fact["event_id"]]


def tells_again_at(fact: Fact, now: int, settings: VarianceReports) -> int | None:
    """When (ms) a part about a total is told again, if its books change now; None if that is over."""
    return None if now >= fact["event_time"] + settings.kept_days * calendar.DAY_MS else now + settings.late_ms


def part(fact: Fact, rows: Iterable[Book], place: int, at: int) -> dict[str, Any]:
    """What partition `place` tells of a `bi_total` at `at` (ms)."""
    sums = [0] * len(ITEMS)
    for _, counted in rows:
        sums = [one + two for one, two in zip(sums, counted, strict=True)]
    period = f"{fact['period']}/{tidy(fact['channel'])}{_apart('/', fact['currency'])}"
    about = {"series": SERIES, "period": period, "due": fact["event_time"], "at": at, "place": f"ledger/{place}"}
    told = {name: fact[name] for name in ("channel", "currency", "amount_minor")}
    return {**about, "label": fact["period"], "version": version(fact), "told": told, "sums": sums}


def records(outcome: Outcome, period: str, at: int, settings: VarianceReports) -> list[dict[str, Any]]:
    """The record of `reports` about a channel and period."""
    parts = [*outcome.parts.values()]
    newest = max(parts, key=lambda one: one["version"])
    label, told, sums = newest["label"], newest["told"], [0] * len(ITEMS)
    for each in parts:
        if each["told"]["currency"] == told["currency"]:
            sums = [one + two for one, two in zip(sums, each["sums"], strict=True)]
    found = dict(zip(ITEMS, sums, strict=True))
    gmv = told["amount_minor"]
    difference = gmv - found["booked"]
    row = {
        "channel": told["channel"],
        "currency": told["currency"],
        "orders": found["orders"],
        "gmv_minor": gmv,
        "booked_minor": found["booked"],
        "difference_minor": difference,
        "rate": percent(abs(difference), gmv),
        "passes": abs(difference) * 1000 <= settings.limit_per_1000 * gmv,
        **{f"{name}_minor": found[name] for name in ("discounts", "refunds", "unrecognised", "fees")},
        "unexplained_minor": gmv - found["gmv"],
    }
    said = "passes" if row["passes"] else "fails"
    about = f"{tidy(told['channel'])}{_apart('/', told['currency'])}"
    first = f"{about}, {label}: {said}, {difference} of {gmv} minor units are not booked ({row['rate']} %)"
    return [record_of(NAME, label, [row], [first], at, about=about)]


def tell(found: list[dict[str, Any]], told: Any, settings: VarianceReports) -> tuple[list[Send], Any]:
    """What the alerts agent is to hear: an alert per channel, period and currency, until a total told again passes."""
    sends: list[Send] = []
    for record in found:
        [row] = json.loads(record["rows"])
        about = {"rule": NAME, "channel": row["channel"], "at": record["generated_at"]}
        about["last_event"], detail = f"reports/{record['report_id']}", record["highlights"][0]
        do = {"do": "close"} if row["passes"] else {"do": "open", "title": "GMV and booked amount differ"}
        sends.append(("alert-facts", record["report_id"], {**about, **do, "detail": detail}))
    return sends, told
