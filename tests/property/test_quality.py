"""The quality reports against a naive oracle: shuffled or told twice, each day ends in the report of all its events."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import topology
from streams.agents.quality import quality
from streams.agents.reports import reports
from streams.domain import calendar
from streams.domain.rules import data
from streams.engine.local import LocalRunner
from tests.support.effort import tries

CODECS = topology.load()
SETTINGS = data.quality_reports()
HOUR, MINUTE, DAY = calendar.HOUR_MS, calendar.MINUTE_MS, calendar.DAY_MS
FIRST = date(2026, 1, 20)
START = calendar.at(2026, 1, 20)
CHANNELS = ("douyin", "tmall", "douyin")

# kind -> (topic, event type, source, state it claims, state it has the authority for)
KINDS: dict[str, tuple[str, str, str, int | None, int | None]] = {
    "created": ("orders", "order_created", "shop", None, 0),
    "failed": ("payments", "payment_failed", "pay", 0, None),
    "paid": ("payments", "payment_succeeded", "pay", 1, 1),
    "packed": ("wms", "packed", "wms-hz", 1, None),
    "loaded": ("wms", "loaded", "wms-hz", 2, 2),
    "moved": ("couriers", "scanned", "zto", 2, 2),
    "signed": ("couriers", "signed", "zto", 3, 3),
    "probed": ("couriers", "signed", "probe", 3, 3),
    "trouble": ("couriers", "exception", "zto", None, None),
    "shown": ("orders", "status_changed", "shop", 3, None),
    "unknown": ("orders", "status_changed", "shop", None, None),
    "confirmed": ("orders", "buyer_confirmed", "shop", 4, 4),
    "scanned": ("service", "confirmation_scanned", "app", 4, 4),
    "settled": ("finance", "settled", "books", 5, 5),
    "closed": ("orders", "cancel_marked", "shop", None, None),
}
LIMIT = {"orders": 4, "payments": 1, "wms": 2, "couriers": 3, "service": 4, "finance": 5}

Event = tuple[str, int, int]
"""(kind, order, time after the start)."""

# Around midnight, the hour of the reports, the grace of 30 min and the tolerance of 60 s.
TIMES = st.builds(
    lambda day, hour, more: day * DAY + hour * HOUR + more,
    st.sampled_from([0, 1, 1, 4]),
    st.sampled_from([0, 8, 8, 9, 23]),
    st.sampled_from([0, 1, 60_000, 60_001, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1]),
)
EVENTS = st.lists(
    st.tuples(st.sampled_from([*KINDS]), st.sampled_from([0, 0, 0, 1, 2, 3]), TIMES), min_size=6, max_size=25
)


def guid(order: int) -> str:
    return f"DB20260120{order:012d}"


def as_fact(event: Event) -> dict[str, Any]:
    kind, order, after = event
    topic, event_type, source, _, _ = KINDS[kind]
    fact = {"topic": topic, "event_type": event_type, "source": source, "order_guid": guid(order), "digest": 1}
    fact |= {"event_id": f"{kind}-{order}-{after}", "event_time": START + after}
    if kind == "created":
        fact["channel"] = CHANNELS[order % 3]
    if topic == "couriers":
        fact |= {"waybill_no": f"W{order}", "courier": "zto"}
    mapped: dict[str, Any] = {"known": True, "state": None, "node": None, "flags": [], "event": None, "axis": None}
    if kind == "shown":
        fact |= {"raw_status": "SIGNED", "mapped": {**mapped, "state": "logistics_signed", "node": "logistics_signed"}}
    if kind == "unknown":
        fact |= {"raw_status": "???", "mapped": {**mapped, "known": False}}
    return fact


def due(day: int) -> int:
    """After the start, ms."""
    return (day + 1) * DAY + 9 * HOUR


def differs(events: list[Event], day: int) -> bool:
    """ST-07 as it is defined, over all events of one order."""
    systems = {(KINDS[kind][0], KINDS[kind][2]) for kind, _, _ in events}
    last = {}
    for system in systems:
        said = [(t, KINDS[k][3]) for k, _, t in events if (KINDS[k][0], KINDS[k][2]) == system]
        ranks = [(t, rank) for t, rank in said if rank is not None]
        if before := [word for word in ranks if word[0] <= due(day)]:
            rank = max(before)[1]
            last[system] = rank, min(t for t, other in ranks if other == rank)
    for (one, (a, since)), (two, (b, since_too)) in combinations(last.items(), 2):
        low, a, b = (one[0], a, b) if a < b else (two[0], b, a)
        late = due(day) - max(since, since_too) > 30 * MINUTE
        if one[0] != two[0] and late and min(b, LIMIT[low]) > a:
            return True
    return False


def firsts(events: list[Event]) -> dict[int, int]:
    found: dict[int, int] = {}
    for kind, _, t in events:
        rank = KINDS[kind][4]
        if rank is not None:
            found[rank] = min(t, found.get(rank, t))
    return found


def naive(events: list[Event], arrived: list[Event], day: int) -> dict[str, Any]:
    """Per report its rows, as far as they matter."""
    consistency: dict[str, list[int]] = {}
    faults = []
    waiting: dict[str, list[int]] = {}
    created = {order for kind, order, _ in events if kind == "created"}
    for order in sorted(created):
        own = [event for event in events if event[1] == order]
        at, channel = firsts(own), CHANNELS[order % 3]
        if any(t // DAY == day for _, _, t in own):
            sums = consistency.setdefault(channel, [0, 0, 0])
            wrong = [
                (at[low] - at[high], low, high)
                for low, high in combinations(sorted(at), 2)
                if at[low] - at[high] > 60_000 and at[low] // DAY == day
            ]
            sums[0], sums[1] = sums[0] + 1, sums[1] + differs(own, day)
            sums[2] += bool(wrong)
            if wrong:
                faults.append((guid(order), max(wrong)[0]))
        over = [at[rank] for rank in (4, 5) if rank in at] + [t for kind, _, t in own if kind == "closed"]
        if 3 in at and at[3] <= due(day) and min([*over, due(day) + 1]) > due(day):
            age = due(day) - at[3]
            place = sum(age > limit for limit in (DAY, 3 * DAY, 7 * DAY))
            waiting.setdefault(channel, [0] * 4)[place] += 1
    codes = {event for event in events if event[0] == "unknown" and event[2] // DAY == day}
    return {
        "ST-07": {channel: sums[:2] for channel, sums in consistency.items()},
        "DQ-06": ({channel: [sums[0], sums[2]] for channel, sums in consistency.items()}, sorted(faults)),
        "LOG-12": lags(arrived, day),
        "FIN-14": waiting,
        "ST-03": len(codes),
    }


def lags(arrived: list[Event], day: int) -> list[int] | None:
    """[signatures, sum of their lags]; in a replay they come in at the time of the stream."""
    now, known, signed = 0, dict[int, int](), dict[int, int]()
    for kind, order, t in arrived:
        now = max(now, t)
        if kind in ("signed", "probed"):
            known.setdefault(order, now)
            signed[order] = min(t, signed.get(order, t))
    found = [known[order] - at for order, at in signed.items() if known[order] // DAY == day]
    return [len(found), sum(found)] if found else None


def told(record: dict[str, Any]) -> Any:
    rows = json.loads(record["rows"])
    name = record["name"]
    if name == "ST-07":
        return {row["channel"]: [row["orders"], row["differing"]] for row in rows}
    if name == "DQ-06":
        channels = {row["channel"]: [row["orders"], row["faulty"]] for row in rows if "orders" in row}
        channels.pop("all", None)
        return channels, sorted((row["order_guid"], row["by_ms"]) for row in rows if "by_ms" in row)
    if name == "LOG-12":
        return next(([row["signatures"], row["mean_ms"]] for row in rows if row["courier"] == "zto"), None)
    if name == "FIN-14":
        return {row["channel"]: [*row["by_age"].values()] for row in rows}
    return sum(row["count"] for row in rows)


@pytest.mark.rule("ST-07", "DQ-06", "LOG-12", "FIN-14", "ST-03")
@settings(max_examples=tries(300), deadline=None)
@given(EVENTS, st.data())
def test_the_last_report_of_each_day_is_that_of_all_its_events(events: list[Event], draws: st.DataObject) -> None:
    events = [*dict.fromkeys(events)]
    arrived = draws.draw(st.permutations([*events, *events[:4]]))
    runner = LocalRunner([quality, reports], CODECS, partitions=1)
    for event in arrived:
        fact = as_fact(event)
        runner.send("order-facts", fact, fact["order_guid"])
        runner.run()
    runner.advance(START + 20 * DAY)

    last = {str(key): value for key, value in runner.output("reports")}
    for day in range(6):
        period = (FIRST + timedelta(days=day)).isoformat()
        wanted = naive(events, arrived, day)
        for name, expected in wanted.items():
            record = last.get(f"{name}/{period}")
            if name == "LOG-12" and expected is not None:
                expected = [expected[0], expected[1] // expected[0]]
            if record is None:
                assert not expected or expected == ({}, []), (name, period)
            else:
                assert told(record) == expected, (name, period)
