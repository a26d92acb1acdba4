"""The run every two hours (FIN-04), the totals of a month before it closes (FIN-05), its audit (FIN-10).

Each partition keeps, as orders are compared, only what its next run has to say:

    open     level, size of the gap and guid -> an order that differs, worst first
    counts   channel -> [orders told to finance, orders listed]
    months   month of creation and currency -> [orders compared, sales, receipt, sold, shipped]
    ready    when it is complete enough to be compared, and guid: of an order that is not yet
    made     day of the creation and guid, for what is to be forgotten: nothing of it is open, nothing was heard of it
             for `forget_days`
    fresh    guids of orders whose alert is to be raised, told anew or closed

So a run looks at the orders that differ and at no other. It tells its alerts and then its part (see
`report.assembly`), if anything has changed since the one before; for a partition without news its last part stands in.
The audit is a series of its own: a partition that is days behind tells of runs that nobody asks for any more, but its
part of the month must not be missing.
In the totals an order counts once it is complete enough to be compared; what nobody told of it counts on neither side.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from streams.domain import calendar
from streams.domain.ledger import periods
from streams.domain.ledger.row import DEPOSIT, RECEIPT, REFUND
from streams.domain.report.assembly import Outcome, Part
from streams.domain.report.record import percent, record_of

from .compare import FITS, OVER, exceeds
from .row import SALES, Row, last_at
from .settings import AuditReports, MatchReports

SERIES, AUDITS = "match", "audit"
FACTS: Final = "report-facts"
ALERTS: Final = "alert-facts"
RULE, WATCH, AUDIT = "FIN-04", "FIN-05", "FIN-10"
TOTALS: Final = ("orders", "sales_minor", "receipt_minor", "sold", "shipped")
CRITICAL, WARNING = "critical", "warning"

_FIGURES: Final = ("sales", "receipt", "sold", "shipped")
_WIDTH: Final = 17
_VOUCHERS: Final = 12
_DIGITS: Final = 14
_COLUMNS: Final = ("order_guid", "channel", "currency", "sales_minor", "receipt_minor", "sold", "shipped", "gap_minor")
_MOST: Final = 10**_WIDTH - 1

CLOSED: Final = "closed"
"""Field of what is told of a closing (FIN-11)."""

Send = tuple[str, str, dict[str, Any]]
Told = Mapping[str, Any]
"""{"period": the last run told of, "levels": {alert key: severity}, "closed": the last month that was}"""

# -- what an order adds to the tables ---------------------------------------------------------------------------------


def open_key(guid: str, found: Mapping[str, Any]) -> str:
    """Sorts the worst first."""
    return f"{OVER - found['level']}{_MOST - min(_MOST, found['gap']):0{_WIDTH}d}{guid}"


def listed(guid: str, row: Row, found: Mapping[str, Any]) -> list[Any]:
    figures = [found[name] for name in _FIGURES]
    about = [guid, row.get("channel"), row["currency"], *figures, found["gap"], found["level"], found["cause"]]
    return [*about, vouchers(guid, row)]


def vouchers(guid: str, row: Row) -> list[list[str]]:
    """[what it is of, where it can be seen] of each voucher: the link its sender gave, else the record that keeps it,
    by topic and key."""
    links, audit = row.get("links", {}), f"audit-log/{guid}"
    found = [["sales", links.get(SALES, audit)]]
    for key, (kind, _, _) in row.get("money", {}).items():
        booked = f"ledger-entries/{guid}/{kind}/{key}" if kind in (RECEIPT, DEPOSIT, REFUND) else audit
        found.append(["receipt", links.get(key, booked)])
    found += [["shipment", links.get(name, audit)] for name in row.get("parcels", {})]
    return [[*one] for one in dict.fromkeys(map(tuple, found))][:_VOUCHERS]


def ready_key(at: int, guid: str) -> str:
    """Sorts by time (ms)."""
    return f"{at:0{_DIGITS}}{guid}"


def guid_of(ready: str) -> str:
    """The order of such a key."""
    return ready[_DIGITS:]


def made_key(at: int, guid: str) -> str:
    """Sorts by day."""
    return f"{calendar.day_number(at):07d}\0{guid}"


def forget_until(at: int, settings: MatchReports) -> str:
    """Behind the last key of `made` that is to be looked at, at `at` (ms)."""
    return f"{calendar.day_number(at) - settings.forget_days + 1:07d}"


def kept_until(row: Row, at: int, settings: MatchReports) -> int | None:
    """When (ms) the order is to be looked at again; None if it can be forgotten at `at`."""
    last = last_at(row)
    if calendar.day_number(last) > calendar.day_number(at) - settings.forget_days:
        return last
    found = row.get("found")
    return at if "due" in row or "told" in row or (found is not None and found["level"] != FITS) else None


def month_key(row: Row) -> str:
    return f"{periods.label_of(periods.month_at(row['at']))}\0{row['currency']}"


def totals(found: Mapping[str, Any] | None) -> list[int]:
    """What an order counts in its month."""
    if found is None:
        return [0] * len(TOTALS)
    sales, shipped = found["sales"], found["shipped"]
    money = [0, 0] if sales is None else [sales, found["receipt"]]
    return [1, *money, *([0, 0] if shipped is None else [found["sold"], shipped])]


def to_tell(row: Row) -> dict[str, Any] | None:
    """What people should know of the order: the figures, if they differ too much."""
    found = row.get("found")
    if found is None or found["level"] != OVER:
        return None
    return {name: found[name] for name in _FIGURES}


def watch_from(row: Row, settings: MatchReports) -> int:
    """The first run (ms) that watches the month the order counts in."""
    return _ends_at(periods.month_at(row["at"])) - settings.watch_days * calendar.DAY_MS + settings.every_ms


def audit_at(at: int) -> int:
    """The next run (ms) that is the last of a month, and so its audit."""
    return _ends_at(periods.month_at(at))


# -- what a partition tells -------------------------------------------------------------------------------------------


def finding(guid: str, row: Row, at: int, settings: MatchReports) -> Send:
    """The alert about an order, or its end."""
    found, about = to_tell(row), {"rule": RULE, "order_guid": guid, "channel": row.get("channel"), "at": at}
    about["last_event"] = f"reports/{RULE}/{period_of(at, settings)}"
    if found is None:
        return ALERTS, f"{RULE}/{guid}", {**about, "do": "close", "detail": "sales, shipment and receipt agree"}
    currency, shipped = row["currency"], found["shipped"]
    units = "" if shipped is None else f"; {shipped} units shipped of {found['sold']} sold"
    price = "no price was told" if found["sales"] is None else f"a price of {found['sales']}"
    detail = f"received {found['receipt']} minor units of {currency} for {price}{units}"
    title = "sales, shipment and receipt differ"
    return ALERTS, f"{RULE}/{guid}", {**about, "do": "open", "title": title, "detail": detail}


def period_of(due: int, settings: MatchReports) -> str:
    """The name of the run at or before that time: 2026-01-24T10:00."""
    run = settings.next_run(due) - settings.every_ms
    minutes = (run - calendar.day_start(run)) // calendar.MINUTE_MS
    return f"{calendar.business_date(run).isoformat()}T{minutes // 60:02d}:{minutes % 60:02d}"


def month_of(due: int) -> str:
    """The month a run looks at: one at midnight is the last of the month before."""
    return periods.label_of(periods.month_at(due - 1))


def part(
    due: int,
    place: int,
    open_: Iterable[list[Any]],
    counts: Iterable[tuple[str, list[int]]],
    months: Iterable[tuple[str, list[int]]],
    settings: MatchReports,
) -> dict[str, Any]:
    """What partition `place` tells at the run of `due`. `open_`: the worst orders, at most `listed`; `months`: the rows
    of the run's month."""
    about = {"series": SERIES, "period": period_of(due, settings), "due": due, "at": due, "place": f"match/{place}"}
    sums = {key.partition("\0")[2]: counted for key, counted in months}
    return {**about, "open": [*open_], "counts": dict(counts), "month": month_of(due), "sums": sums}


# -- records of `reports`, and whom they are brought to ---------------------------------------------------------------


def records(outcome: Outcome, period: str, at: int, settings: MatchReports) -> list[dict[str, Any]]:
    """FIN-04 of the run, in the last days of a month FIN-05; `at` ms is when they were made."""
    due = next(iter(outcome.parts.values()))["due"]
    parts = [*outcome.parts.values(), *outcome.carried.values()]
    found = [_deviations(parts, period, at, settings)]
    if due > _ends_at(periods.month_at(due - 1)) - settings.watch_days * calendar.DAY_MS:
        found.append(_watch([each for each in parts if each["month"] == month_of(due)], period, at, settings))
    return found


def _deviations(parts: list[Part], period: str, at: int, settings: MatchReports) -> dict[str, Any]:
    counts: dict[str, list[int]] = {}
    for told in parts:
        for channel, (over, few) in told["counts"].items():
            before = counts.get(channel, (0, 0))
            counts[channel] = [before[0] + over, before[1] + few]
    rows: list[dict[str, Any]] = [
        {"channel": channel or None, "alerted": over, "listed": few} for channel, (over, few) in sorted(counts.items())
    ]
    worst = sorted((entry for told in parts for entry in told["open"]), key=lambda one: (-one[8], -one[7], one[0]))
    for entry in worst[: settings.listed]:
        rows.append({**_named(entry), "alert": entry[8] == OVER, "vouchers": entry[10]})
    over, few = (sum(count[place] for count in counts.values()) for place in (0, 1))
    highlights = [f"{over} orders differ beyond the limits, {few} more by no more than {settings.pieces} units"]
    if over + few > settings.listed:
        highlights.append(f"{over + few - settings.listed} of them are not listed: the worst are")
    return record_of(RULE, period, rows, highlights, at)


def _named(entry: list[Any]) -> dict[str, Any]:
    """An order as `listed` has it, up to its gap."""
    return dict(zip(_COLUMNS, entry, strict=False))


def audit_part(due: int, place: int, open_: Iterable[list[Any]], settings: AuditReports) -> dict[str, Any]:
    """FIN-10: what partition `place` tells as a month ends at `due`: of `open_`, the worst first, the largest."""
    about = {"series": AUDITS, "period": month_of(due), "due": due, "at": due, "place": f"match/{place}"}
    return {**about, "open": [entry for entry in islice(open_, settings.audited) if entry[8] == OVER]}


def audits(outcome: Outcome, month: str, at: int, settings: AuditReports) -> list[dict[str, Any]]:
    """FIN-10: the largest differences that are open as the month ends, and whose fault they are."""
    told = [entry for each in outcome.parts.values() for entry in each["open"]]
    largest = sorted(told, key=lambda one: (-one[7], one[0]))[: settings.audited]
    rows = [{**_named(entry), "cause": entry[9], "vouchers": entry[10]} for entry in largest]
    causes = Counter(row["cause"] for row in rows)
    highlights = [f"{month}: {len(rows)} differences are audited"]
    highlights += [f"{cause}: {count}" for cause, count in sorted(causes.items())]
    return [record_of(AUDIT, month, rows, highlights, at)]


def _watch(parts: list[Part], period: str, at: int, settings: MatchReports) -> dict[str, Any]:
    sums: dict[str, list[int]] = {}
    for told in parts:
        for currency, counted in told["sums"].items():
            before = sums.get(currency, [0] * len(TOTALS))
            sums[currency] = [one + two for one, two in zip(before, counted, strict=True)]
    month = period[:7] if not parts else parts[0]["month"]
    rows, highlights = [], []
    for currency, counted in sorted(sums.items()):
        _, sales, receipt, sold, shipped = counted
        row: dict[str, Any] = {"month": month, "currency": currency, **dict(zip(TOTALS, counted, strict=True))}
        for name, one, other in (("amount", sales, receipt), ("units", sold, shipped)):
            level = _level(abs(one - other), one, settings)
            row |= {f"{name}_rate": percent(abs(one - other), one), f"{name}_level": level}
            if level is not None:
                highlights.append(f"{month}, {currency}: {name} of {one} and {other} differ, {level}")
        rows.append(row)
    return record_of(WATCH, period, rows, highlights or [f"{month}: the totals agree"], at)


def _level(gap: int, whole: int, settings: MatchReports) -> str | None:
    if exceeds(gap, whole, settings.critical_per_1000):
        return CRITICAL
    return WARNING if exceeds(gap, whole, settings.warn_per_1000) else None


def tell(found: list[dict[str, Any]], told: Told | None, settings: MatchReports) -> tuple[list[Send], Told | None]:
    """FIN-05: what the alerts agent is to hear of new records, and what was told by then. An alert per month, currency
    and pair of totals; one whose severity changes is closed and opens anew. A run told again wakes nobody twice."""
    record = next((each for each in found if each["name"] == WATCH), None)
    if record is None or (told is not None and told["period"] > record["period"]):
        return [], told
    known = {} if told is None else told["levels"]
    levels, details = dict[str, str](), dict[str, str]()
    over = "" if told is None else told.get(CLOSED, "")
    for row in json.loads(record["rows"]):
        if row["month"] <= over:
            continue
        for name, one, other in (("amount", "sales_minor", "receipt_minor"), ("units", "sold", "shipped")):
            if (level := row[f"{name}_level"]) is not None:
                key = f"{WATCH}/{row['month']}/{row['currency']}/{name}"
                levels[key] = level
                details[key] = f"{one} {row[one]}, {other} {row[other]}: {row[f'{name}_rate']} %"
    sends = [*_changes(known, levels, details, record)]
    return sends, {**(told or {}), "period": record["period"], "levels": levels}


def closing(fact: Mapping[str, Any]) -> dict[str, Any]:
    """What a partition tells, in place of a part, of a closing that reaches it; all of them tell the same."""
    return {"series": SERIES, CLOSED: fact["period"], "at": fact["event_time"]}


def closed(told: Told | None, month: str, at: int) -> tuple[list[Send], Told]:
    """FIN-05: `month` is closed, and those before it: nobody watches them any more, and what was told of them ends."""
    known: Told = told or {"period": "", "levels": {}}
    month = max(month, known.get(CLOSED, ""))
    over = [key for key in sorted(known["levels"]) if key.split("/")[1] <= month]
    about = {"rule": WATCH, "at": at, "do": "close", "detail": f"{month} is closed"}
    levels = {key: level for key, level in known["levels"].items() if key not in over}
    return [(ALERTS, key, about) for key in over], {**known, "levels": levels, CLOSED: month}


def _changes(
    known: Mapping[str, str], levels: Mapping[str, str], details: Mapping[str, str], record: Mapping[str, Any]
) -> Iterator[Send]:
    about = {"rule": WATCH, "at": record["generated_at"], "last_event": f"reports/{record['report_id']}"}
    for key in sorted({*known, *levels}):
        before, after = known.get(key), levels.get(key)
        if before == after:
            continue
        if before is not None:
            yield ALERTS, key, {**about, "do": "close", "detail": "it is of another severity, or the month is over"}
        if after is not None:
            title = "the month's totals differ before it closes"
            yield ALERTS, key, {**about, "do": "open", "severity": after, "title": title, "detail": details[key]}


def _ends_at(month: int) -> int:
    return periods.begins_at(month + 1)
