"""The reports of a month: orders that do not match (TAX-13), stale profiles (TAX-14), the deduction list (TAX-15).

On `day` at `hour` of the month that follows each partition tells its part (see report.assembly) in pages: the first has
the orders and profiles, all of them rows of the deduction list. What changes of a month that was told before has the
month told again, `late_ms` later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from streams.domain import calendar
from streams.domain.ledger import periods
from streams.domain.report.assembly import Outcome
from streams.domain.report.record import record_of

from .desk import ISSUED, Desk
from .match import ORDER_COLUMNS
from .settings import Settings

FACTS: Final = "report-facts"
SERIES: Final = "invoices"
MATCH, STALE, LIST = "TAX-13", "TAX-14", "TAX-15"


def list_row(desk: Desk, request_id: str, name: str, code: str, rates: Iterable[tuple[int, int]]) -> None:
    """TAX-15: note an issued invoice, or a red one with amounts below 0, in the list of its month."""
    sums: dict[int, int] = {}
    for rate, amount in rates:
        sums[rate] = sums.get(rate, 0) + amount
    month = periods.label_of(periods.month_at(desk.at))
    desk.put(ISSUED, f"{month}\0{request_id}", [name, code, sorted(sums.items())])
    desk.months.add(month)


def run_of(month: str, settings: Settings) -> int:
    """When a month (2026-01) is reported, ms."""
    number = periods.month_of(month)
    assert number is not None
    day = (settings.day - 1) * calendar.DAY_MS + settings.hour * calendar.HOUR_MS
    return periods.begins_at(number + 1) + day


def month_before(now: int, settings: Settings) -> str:
    """The first month that is not reported yet."""
    month = periods.label_of(periods.month_at(now) - 1)
    return month if run_of(month, settings) > now else periods.label_of(periods.month_at(now))


def month_of(due: int) -> str:
    """The month that a run is about."""
    return periods.label_of(periods.month_at(due) - 1)


def is_whole(month: str, now: int, settings: Settings) -> bool:
    """Whether all rows of a month are still there: none of them may have ended with its order."""
    number = periods.month_of(month)
    assert number is not None
    return now < periods.begins_at(number) + settings.memory_ms


def stale_before(due: int, settings: Settings) -> int:
    """TAX-14: profiles last used before this day (see calendar) are stale at a run."""
    today = calendar.business_date(due)
    month = today.year * 12 + today.month - 1 - settings.stale_months
    last = calendar.day_number(periods.begins_at(month + 1)) - 1
    return min(last, calendar.day_number(periods.begins_at(month)) + today.day - 1)


def part(
    due: int, place: str, page: int, unmatched: Sequence[Any], stale: Sequence[Any], listed: Sequence[Any]
) -> dict[str, Any]:
    """What a partition tells on a page; `listed`: rows of `issued`."""
    about = {"series": SERIES, "period": month_of(due), "due": due, "at": due, "place": f"{place}/{page}"}
    return {**about, "unmatched": list(unmatched), "stale": list(stale), "listed": list(listed)}


def records(outcome: Outcome, period: str, at: int, settings: Settings) -> list[dict[str, Any]]:
    """TAX-13, TAX-14, and TAX-15 in pages: `TAX-15/2026-01`, `TAX-15/2026-01/2` ... For a partition that is silent no
    other month stands in."""
    parts = outcome.parts.values()
    unmatched = sorted(row for told in parts for row in told["unmatched"])
    rows = [dict(zip(ORDER_COLUMNS, row, strict=True)) for row in unmatched]
    said = [f"{len(rows)} orders whose order, contract and invoice do not agree"] if rows else []
    found = [record_of(MATCH, period, rows, said, at)]
    stale = sorted(row for told in parts for row in told["stale"])
    profiles = [{"customer": customer, "last_used": day} for day, customer in stale]
    months = settings.stale_months
    said = [f"{len(profiles)} profiles not used for {months} months: have them confirmed"] if profiles else []
    found.append(record_of(STALE, period, profiles, said, at))
    listed = sorted(
        (name, code, rate, amount) for told in parts for name, code, rates in told["listed"] for rate, amount in rates
    )
    pages = [listed[start : start + settings.page] for start in range(0, len(listed), settings.page)] or [[]]
    total = sum(row[3] for row in listed)
    said = [f"{len({row[1] for row in listed})} invoices, {total} minor units, {len(pages)} pages"]
    for number, page in enumerate(pages, 1):
        rows = [
            {"customer_name": name, "invoice_code": code, "amount_minor": amount, "tax_rate_per_10000": rate}
            for name, code, rate, amount in page
        ]
        found.append(record_of(LIST, period, rows, said, at, None if number == 1 else str(number)))
    return found


def stale_row(key: str) -> list[Any]:
    """A row of TAX-14 from a key of `used`."""
    day, _, customer = key.partition("\0")
    when = calendar.business_date(int(day) * calendar.DAY_MS - calendar.SHANGHAI_OFFSET_MS)
    return [when.isoformat(), customer]
