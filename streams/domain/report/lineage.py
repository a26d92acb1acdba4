"""DQ-15: of the records of a day, by source, how many could be joined to an order.

    quality    counts what came to an order, by the day of the event                  -> its part, with `joined`
    alerts     counts what named no order though it concerns one (lineage_break)      -> its part, with `unjoined`

A record that is sent twice is two records. What waits for its order is in neither until that comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from streams.domain import calendar
from streams.domain.report.assembly import Outcome
from streams.domain.report.record import percent, record_of
from streams.domain.report.settings import Waiting

SERIES: Final = "lineage"
FACTS: Final = "report-facts"
RULE: Final = "DQ-15"
JOINED, UNJOINED = "joined", "unjoined"
ALL: Final = "all"
OTHERS: Final = "*"
"""All sources that a part does not list."""


class Hours(Protocol):
    def due(self, day: int) -> int: ...


def key(day: int, source: str) -> str:
    """Of the row that counts a source's records of a day."""
    return f"{day:07d}\0{source}"


def counts(rows: Iterable[tuple[str, int]], most: int) -> dict[str, int]:
    """{source: records} of the rows of a day."""
    found: dict[str, int] = {}
    for name, count in rows:
        add(found, name.partition("\0")[2], count, most)
    return found


def add(found: dict[str, int], source: str, count: int, most: int) -> None:
    """Count records of a source. A sender that makes up ever new ones must not make the part too large to be sent."""
    name = source if source in found or len(found) < most else OTHERS
    found[name] = found.get(name, 0) + count


def part(day: int, place: str, what: str, by_source: Mapping[str, int], at: int, hours: Hours) -> dict[str, Any]:
    """What a place tells of a day: its records by source, all of them `what`."""
    due = hours.due(day)
    period = calendar.business_date(due - calendar.DAY_MS).isoformat()
    about = {"series": SERIES, "period": period, "due": due, "at": at, "place": place}
    return {**about, JOINED: {}, UNJOINED: {}, what: {**by_source}}


def records(outcome: Outcome, period: str, at: int, settings: Waiting) -> list[dict[str, Any]]:
    """The record of `reports` about a day."""
    sums: dict[str, list[int]] = {}
    for told in outcome.parts.values():
        for place, what in enumerate((JOINED, UNJOINED)):
            for source, count in told[what].items():
                sums.setdefault(source, [0, 0])[place] += count
    total = [sum(each[place] for each in sums.values()) for place in (0, 1)]
    rows = [_row(source, *each) for source, each in sorted(sums.items())]
    if rows:
        rows.insert(0, _row(ALL, *total))
    first = f"{total[1]} of {sum(total)} records named no order" if rows else "no record came"
    return [record_of(RULE, period, rows, [first], at)]


def _row(source: str, joined: int, unjoined: int) -> dict[str, Any]:
    return {
        "source": source,
        "records": joined + unjoined,
        "joined": joined,
        "unjoined": unjoined,
        "share": _share(joined, joined + unjoined),
    }


def _share(joined: int, records: int) -> str:
    """Two decimals, rounded down: what is not all must not look as if it were."""
    return percent(joined * 10_000 // records, 10_000)
