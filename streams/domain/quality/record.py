"""What a day's parts say: five records of `reports`, and whom the first of them is brought to (ST-07)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from streams.domain import calendar
from streams.domain.report.assembly import Outcome, Part
from streams.domain.report.record import percent, record_of
from streams.domain.rules.nodes import STATES

from .settings import QualityReports

CONSISTENCY, FAULTS, LAG, AGE, CODES = "ST-07", "DQ-06", "LOG-12", "FIN-14", "ST-03"
ALL: Final = "all"

Record = dict[str, Any]


def records(outcome: Outcome, period: str, at: int, settings: QualityReports) -> list[Record]:
    """The records of `reports` about a day; `at` ms is when they were made. Of partitions that told nothing, what was
    open there still is; the rest was another day's."""
    parts = [*outcome.parts.values()]
    return [
        _consistency(parts, period, at, settings),
        _faults(parts, period, at, settings),
        _lags(parts, period, at, settings),
        _ages(parts, outcome.carried, period, at, settings),
        _codes(parts, period, at, settings),
    ]


def _channels(parts: Iterable[Part]) -> dict[str, list[Any]]:
    sums: dict[str, list[Any]] = {}
    for part in parts:
        for channel, (orders, differing, faulty, guids) in part["channels"].items():
            before = sums.get(channel, [0, 0, 0, []])
            sums[channel] = [before[0] + orders, before[1] + differing, before[2] + faulty, before[3] + guids]
    return dict(sorted(sums.items()))


# -- ST-07 ------------------------------------------------------------------------------------------------------------


def _consistency(parts: list[Part], period: str, at: int, settings: QualityReports) -> Record:
    pairs: dict[str, dict[tuple[str, str], int]] = {}
    for part in parts:
        for name, orders in part["pairs"].items():
            channel, one, two = name.split("\0")
            of = pairs.setdefault(channel, {})
            of[one, two] = of.get((one, two), 0) + orders
    rows = []
    for channel, (orders, differing, _, guids) in _channels(parts).items():
        most = sorted(pairs.get(channel, {}).items(), key=lambda pair: (-pair[1], pair[0]))[: settings.listed]
        rows.append(
            {
                "channel": channel,
                "orders": orders,
                "differing": differing,
                "rate": percent(differing, orders),
                "highlighted": differing * 1000 > settings.differing_per_1000 * orders,
                "pairs": [{"systems": [*systems], "orders": count} for systems, count in most],
                "examples": sorted(guids)[: settings.examples],
            }
        )
    over = [_over(row) for row in rows if row["highlighted"]]
    orders, differing = sum(row["orders"] for row in rows), sum(row["differing"] for row in rows)
    first = f"{differing} of {orders} orders differ between systems" if orders else "no order was touched"
    return record_of(CONSISTENCY, period, rows, [first, *over], at)


def _over(row: Mapping[str, Any]) -> str:
    return f"{row['channel']}: {row['rate']} % ({row['differing']} of {row['orders']} orders)"


Told = Mapping[str, Any]
"""{"period": the last day brought to people, "over": its highlighted channels}"""
Send = tuple[str, str, dict[str, Any]]


def tell(found: list[Record], told: Told | None, settings: QualityReports) -> tuple[list[Send], Told | None]:
    """What the alerts agent is to hear of new records, and what was told by then.

    One alert a day names the channels above the limit in its detail, which follows a report told again as its title
    does not; the next day's report closes it, and so does one of the same day in which none is above it any more. A
    report of a day before is corrected, but wakes nobody.
    """
    record = found[0]
    period, over = record["period"], record["highlights"][1:]
    if told is not None and (told["period"] > period or (told["period"] == period and told["over"] == over)):
        return [], told
    sends: list[Send] = []
    if told is not None and told["over"] and (told["period"] < period or not over):
        closing = f"the report of {period} has come"
        sends.append(_finding(told["period"], {"do": "close", "by": "cause", "detail": closing}, record))
    if over:
        limit = f"{settings.differing_per_1000 // 10}.{settings.differing_per_1000 % 10}"
        said = {"do": "open", "title": f"state consistency {period}: channels above {limit} %"}
        detail = "; ".join(over)
        detail = detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]}..."
        sends.append(_finding(period, {**said, "detail": detail}, record))
    return sends, {"period": period, "over": over}


_LONGEST: Final = 1000


def _finding(period: str, said: dict[str, Any], record: Record) -> Send:
    about = {"rule": CONSISTENCY, "at": record["generated_at"], "last_event": f"reports/{record['report_id']}"}
    return "alert-facts", f"{CONSISTENCY}/{period}", {**about, **said}


# -- DQ-06 ------------------------------------------------------------------------------------------------------------


def _faults(parts: list[Part], period: str, at: int, settings: QualityReports) -> Record:
    channels = _channels(parts)
    listed = sorted(fault for part in parts for fault in part["faults"])[: settings.listed]
    orders, faulty = (sum(sums[place] for sums in channels.values()) for place in (0, 2))
    rows: list[dict[str, Any]] = [
        {"channel": channel, "orders": sums[0], "faulty": sums[2], "rate": percent(sums[2], sums[0])}
        for channel, sums in channels.items()
    ]
    if rows:
        total = {"channel": ALL, "orders": orders, "faulty": faulty, "rate": percent(faulty, orders)}
        rows.insert(0, total)
    rows += [
        {"order_guid": guid, "channel": channel, "state": STATES[state], "before": STATES[earlier], "by_ms": by}
        for guid, channel, state, earlier, by in listed
    ]
    first = f"{faulty} of {orders} orders have events out of order: {percent(faulty, orders)} %"
    highlights = [first if orders else "no order was touched"]
    if faulty > len(listed):
        highlights.append(f"{faulty - len(listed)} of them are not listed")
    return record_of(FAULTS, period, rows, highlights, at)


# -- LOG-12 -----------------------------------------------------------------------------------------------------------


def _lags(parts: list[Part], period: str, at: int, settings: QualityReports) -> Record:
    sums: dict[str, list[Any]] = {}
    for part in parts:
        for courier, (count, within, total, lags) in part["couriers"].items():
            for name in (courier, ""):
                before = sums.setdefault(name, [0, 0, 0, {}])
                before[0], before[1], before[2] = before[0] + count, before[1] + within, before[2] + total
                for lag, times in lags.items():
                    before[3][int(lag)] = before[3].get(int(lag), 0) + times
    rows = [_lag(courier or ALL, figures, settings) for courier, figures in sorted(sums.items())]
    minutes = settings.lag_ms // calendar.MINUTE_MS
    highlights = [
        f"{row['courier']}: mean {row['mean_s']} s, p95 {row['p95_s']} s, above the target of {minutes} min"
        for row in rows
        if not row["reached"]
    ]
    if not rows:
        highlights.append("no signature became known")
    return record_of(LAG, period, rows, highlights, at)


def _lag(courier: str, figures: list[Any], settings: QualityReports) -> dict[str, Any]:
    count, within, total, lags = figures
    counted, p95 = 0, 0
    for lag, times in sorted(lags.items()):
        counted += times
        if counted * 100 >= 95 * count:
            p95 = lag
            break
    return {
        "courier": courier,
        "signatures": count,
        "within_target": within,
        "mean_ms": total // count,
        "mean_s": -(-total // (count * 1000)),
        "p95_s": p95,
        "reached": total <= settings.lag_ms * count and within * 100 >= 95 * count,
    }


# -- FIN-14 -----------------------------------------------------------------------------------------------------------


def _ages(parts: list[Part], carried: Mapping[str, Part], period: str, at: int, settings: QualityReports) -> Record:
    sums: dict[str, list[Any]] = {}
    for part in (*parts, *carried.values()):
        for channel, (counts, oldest, guids) in part["open"].items():
            before = sums.get(channel)
            if before is not None:
                counts = [one + two for one, two in zip(before[0], counts, strict=True)]
                oldest, guids = min(before[1], oldest), before[2] + guids
            sums[channel] = [counts, oldest, guids]
    names = age_classes(settings)
    rows = [
        {
            "channel": channel,
            "orders": sum(counts),
            "by_age": dict(zip(names, counts, strict=True)),
            "oldest_signed_at": oldest,
            "examples": [guid for _, guid in sorted(guids)[: settings.examples]],
        }
        for channel, (counts, oldest, guids) in sorted(sums.items())
    ]
    orders = sum(row["orders"] for row in rows)
    highlights = [f"{orders} orders are delivered and not confirmed"]
    if last := sum(counts[-1] for counts, _, _ in sums.values()):
        highlights.append(f"{last} of them {names[-1]}")
    if stale := [part["period"] for part in carried.values() if part["open"]]:
        highlights.append(f"{len(stale)} partitions told nothing new: theirs is of {min(stale)} or later")
    return record_of(AGE, period, rows, highlights, at)


def age_classes(settings: QualityReports) -> list[str]:
    """Names of the classes, youngest first; the upper end of each is in it."""
    ends = [_span(age) for age in settings.ages_ms]
    between = [f"over {low} to {high}" for low, high in pairwise(ends)]
    return [f"up to {ends[0]}", *between, f"over {ends[-1]}"]


def _span(ms: int) -> str:
    for unit, size in (("d", calendar.DAY_MS), ("h", calendar.HOUR_MS), ("min", calendar.MINUTE_MS), ("s", 1000)):
        if ms % size == 0:
            return f"{ms // size} {unit}"
    return f"{ms} ms"


# -- ST-03 ------------------------------------------------------------------------------------------------------------


def _codes(parts: list[Part], period: str, at: int, settings: QualityReports) -> Record:
    sums: dict[str, list[int]] = {}
    for part in parts:
        for name, (count, first, last) in part["codes"].items():
            before = sums.get(name, (0, first, last))
            sums[name] = [before[0] + count, min(before[1], first), max(before[2], last)]
    most = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))[: settings.listed]
    rows = [
        {**_said(name), "count": count, "first_seen_at": first, "last_seen_at": last}
        for name, (count, first, last) in most
    ]
    events = sum(count for count, _, _ in sums.values())
    highlights = [f"{events} events with {len(sums)} status codes that no map knows"]
    if len(sums) > len(rows):
        highlights.append(f"{len(sums) - len(rows)} codes are not listed: the most frequent are")
    return record_of(CODES, period, rows, highlights, at)


def _said(name: str) -> dict[str, Any]:
    topic, source, speaker, field, code = json.loads(name)
    return {"topic": topic, "source": source, "channel": speaker, "field": field, "code": code}
