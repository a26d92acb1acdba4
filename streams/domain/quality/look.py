"""A partition's part of a day: its rows looked at in bounded steps, other facts folded between them.

A look in hand is a row of JSON values: `tasks`, each [what to look at, day], the first of them come to `after`; and the
parts of its days so far. A part holds, besides what `report.assembly` needs:

    channels   {channel: [orders touched, of these differing, of these with a fault, guids that differ]}
    pairs      {channel NUL source NUL other source: orders in which the two differ}
    faults     [guid, channel, state, earlier state that came later, by ms], the first of them by guid
    couriers   {courier: [signatures, of these in time, sum of lags ms, {lag in s: signatures}]}
    codes      {JSON of [topic, source, speaker, field, code]: [events, first at, last at]}
    open       {channel: [orders by age class, first delivery ms, [delivered at, guid] of the oldest]}
    sources    {source: records}; told as a part of its own (DQ-15)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import combinations
from typing import Any, Final

from streams.domain import calendar
from streams.domain.report import lineage
from streams.domain.rules.nodes import CUSTOMER_SIGNED, LOGISTICS_SIGNED, PAID, PENDING_PAYMENT, SETTLED, SHIPPED

from .row import CODES, DAYS, LAGS, OPEN, ORDERS, SOURCES, Row, key
from .settings import QualityReports

SERIES: Final = "quality"
FACTS: Final = "report-facts"
STATE, PLAN = "state", "plan"
"""Tables of the look in hand, and of the days to be told (again), by number."""
TABLES: Final = (ORDERS, DAYS, LAGS, CODES, OPEN, SOURCES, STATE, PLAN)
NOBODY: Final = ""

OTHERS: Final = '["*","*",null,null,"*"]'
"""In `codes`: all that a part does not list."""
FORGET: Final = "forget"
_TABLE: Final[Mapping[str, str]] = {FORGET: DAYS}
_HIGHEST: Final = "\U0010ffff"

HIGHEST_TOLD: Final[Mapping[str, int]] = {
    "orders": CUSTOMER_SIGNED,
    "payments": PAID,
    "wms": SHIPPED,
    "couriers": LOGISTICS_SIGNED,
    "service": CUSTOMER_SIGNED,
    "finance": SETTLED,
}
"""The last state systems of a kind tell of: a payment platform that says "paid" of a signed order says nothing else."""

Look = Mapping[str, Any]
Step = tuple[dict[str, Any], list[tuple[str, str]]]
"""The look after a step, and rows to delete."""


def begin(days: Iterable[int], newest: int, settings: QualityReports) -> Look:
    """A look that has seen nothing yet, at the reports of these days, rising. `newest`: the last day told so far."""
    days = list(days)
    oldest = max(newest, *days) - settings.kept_days
    tasks = [[table, day] for day in days for table in (DAYS, LAGS, CODES, SOURCES)]
    tasks += [
        [OPEN, 0],
        [LAGS, -oldest],
        [CODES, -oldest],
        [SOURCES, -oldest],
        [FORGET, max(newest, *days) - settings.forget_days],
    ]
    parts: dict[str, Any] = {
        str(day): {"channels": {}, "pairs": {}, "faults": [], "couriers": {}, "codes": {}, "open": {}, SOURCES: {}}
        for day in days
    }
    return {"tasks": tasks, "after": None, "parts": parts, "oldest": oldest}


def following(look: Look) -> tuple[str, str, str]:
    """(table, from this key, up to but without this one): what is to be looked at next. A day below zero: all days
    until then, which are looked at to be forgotten."""
    what, day = look["tasks"][0]
    table, after = _TABLE.get(what, what), look["after"]
    if table == OPEN:
        low, high = "", _HIGHEST
    elif what == FORGET or day < 0:
        low, high = "", key(abs(day) + 1)
    else:
        low, high = key(day, ""), key(day) + "\1"
    return table, low if after is None else after + "\0", high


def step(
    look: Look, rows: list[tuple[str, Any]], full: bool, order: Callable[[str], Row | None], settings: QualityReports
) -> Step:
    """The look after these rows, those that follow; `full`: there may be more of them."""
    new: dict[str, Any] = {**look, "parts": deepcopy(look["parts"])}
    what, day = look["tasks"][0]
    gone: list[tuple[str, str]] = []
    if full:
        new["after"] = rows[-1][0]
    else:
        new["after"], new["tasks"] = None, look["tasks"][1:]
    if what == FORGET:
        gone = [item for name, _ in rows for item in _forgotten(name, day, order)]
    elif what == OPEN:
        for guid, waiting in rows:
            gone += _waits(new, guid, waiting, order, settings)
    elif day < 0:
        gone = [(what, name) for name, _ in rows]
    else:
        part = new["parts"][str(day)]
        for name, value in rows:
            if what == DAYS:
                guid = name.partition("\0")[2]
                _touched(part, guid, order(guid), day, settings)
            elif what == SOURCES:
                lineage.add(part.setdefault(SOURCES, {}), name.partition("\0")[2], value, settings.listed)
            elif what == LAGS:
                courier, lag = value
                _lag(part, courier, lag, settings)
            else:
                at, said = value
                _code(part, at, said, settings)
    return new, gone


def parts(look: Look, partition: int, at: int, settings: QualityReports) -> Iterator[dict[str, Any]]:
    """The finished look as parts for the reports agent, told at `at` ms."""
    for text, part in look["parts"].items():
        day = int(text)
        due = settings.due(day)
        period = calendar.business_date(due - calendar.DAY_MS).isoformat()
        about = {"series": SERIES, "period": period, "due": due, "at": at, "place": f"quality/{partition}"}
        yield {**about, **{name: value for name, value in part.items() if name != SOURCES}}
        yield lineage.part(day, f"quality/{partition}", lineage.JOINED, part.get(SOURCES, {}), at, settings)


# -- ST-07, DQ-06 -----------------------------------------------------------------------------------------------------


def _touched(part: dict[str, Any], guid: str, row: Row | None, day: int, settings: QualityReports) -> None:
    if row is None or row["channel"] is None or row["reached"][PENDING_PAYMENT] is None:
        return  # of an order that was never created, or is forgotten
    channel = row["channel"]
    counts = part["channels"].setdefault(channel, [0, 0, 0, []])
    counts[0] += 1
    pairs = differing(row, day, settings)
    if pairs:
        counts[1] += 1
        if len(counts[3]) < settings.examples:
            counts[3].append(guid)
        for pair in pairs:
            name = "\0".join((channel, *pair))
            part["pairs"][name] = part["pairs"].get(name, 0) + 1
    fault = worst_fault(row, day, settings)
    if fault is not None:
        counts[2] += 1
        if len(part["faults"]) < settings.listed:
            part["faults"].append([guid, channel, *fault])


def differing(row: Row, day: int, settings: QualityReports) -> list[tuple[str, str]]:
    """ST-07: the pairs of systems, by name, whose last words differ at the hour of the day's report, and have done so
    for more than the grace.

    Compared is what both could say: a system is behind another if it tells of a later state than its own last word,
    up to the other's. Systems of one kind are not compared: couriers, or warehouses, of one order have parcels of
    their own. The difference is as old as the younger of the two systems' first words of what they say now. What a
    system says is its order's status, or the furthest of its fields where it has none: "paid" in that of the money
    does not take back "shipped" in that of the parcels.
    """
    due = settings.due(day)
    said: dict[tuple[str, str], tuple[bool, int, int]] = {}
    for speaker, (firsts, words) in row["said"].items():
        word = next((word for word in reversed(words) if word[0] <= day), None)
        if word is not None:
            topic, source, *field = speaker.split("\0")
            says = (not field, word[2], firsts[word[2]])
            said[source, topic] = max(said.get((source, topic), says), says)
    last = [(*speaker, rank, since) for speaker, (_, rank, since) in said.items()]
    found = set()
    for (one, topic, rank, since), (two, other, rank_two, since_two) in combinations(last, 2):
        if topic == other or one == two or rank == rank_two or due - max(since, since_two) <= settings.differ_ms:
            continue
        behind, ahead = ((topic, rank), rank_two) if rank < rank_two else ((other, rank_two), rank)
        if min(ahead, HIGHEST_TOLD.get(behind[0], -1)) > behind[1]:
            found.add((min(one, two), max(one, two)))
    return sorted(found)


def worst_fault(row: Row, day: int, settings: QualityReports) -> tuple[int, int, int] | None:
    """DQ-06: (state, earlier state that came later, by ms), the longest of a day; None if all is in order within the
    tolerance. A fault is of the day of the event that came too late."""
    reached = [(rank, at) for rank, at in enumerate(row["reached"]) if at is not None]
    faults = [
        (late_at - at, -rank, -late)
        for (late, late_at), (rank, at) in combinations(reached, 2)
        if late_at - at > settings.tolerance_ms and calendar.day_number(late_at) == day
    ]
    if not faults:
        return None
    by, rank, late = max(faults)
    return -rank, -late, by


# -- LOG-12, ST-03, FIN-14 --------------------------------------------------------------------------------------------


def _lag(part: dict[str, Any], courier: str, lag: int, settings: QualityReports) -> None:
    sums = part["couriers"].setdefault(courier, [0, 0, 0, {}])
    sums[0] += 1
    sums[1] += lag <= settings.lag_ms
    sums[2] += lag
    name = str(rounded_s(lag))
    sums[3][name] = sums[3].get(name, 0) + 1


def rounded_s(ms: int) -> int:
    """Seconds, rounded up; from 1000 on to three digits, so that a part stays small."""
    seconds, unit = -(-ms // 1000), 1
    while seconds > 999 * unit:
        unit *= 10
    return -(-seconds // unit) * unit


def _code(part: dict[str, Any], at: int, said: list[Any], settings: QualityReports) -> None:
    name = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    if name not in part["codes"] and len(part["codes"]) >= settings.listed:
        name = OTHERS  # a sender whose every word is new must not make the part too large to be sent
    count, first, last = part["codes"].get(name, (0, at, at))
    part["codes"][name] = [count + 1, min(first, at), max(last, at)]


def _waits(
    look: dict[str, Any], guid: str, waiting: list[Any], order: Callable[[str], Row | None], settings: QualityReports
) -> list[tuple[str, str]]:
    channel, delivered, over = waiting
    for text, part in look["parts"].items():
        due = settings.due(int(text))
        if delivered > due or (over is not None and over <= due):
            continue
        sums = part["open"].setdefault(channel, [[0] * (len(settings.ages_ms) + 1), delivered, []])
        sums[0][sum(due - delivered > age for age in settings.ages_ms)] += 1
        sums[1] = min(sums[1], delivered)
        sums[2] = sorted([*sums[2], [delivered, guid]])[: settings.examples]
    is_over = over is not None and over <= settings.due(look["oldest"])
    return [(OPEN, guid)] if is_over or order(guid) is None else []


def _forgotten(name: str, last: int, order: Callable[[str], Row | None]) -> Iterator[tuple[str, str]]:
    """The order too, unless it was touched since."""
    yield DAYS, name
    guid = name.partition("\0")[2]
    row = order(guid)
    if row is not None and row["days"][-1] <= last:
        yield ORDERS, guid
        yield OPEN, guid
