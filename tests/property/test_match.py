"""The three-way match against a naive oracle: shuffled or told twice, the last run reports what all facts say."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import topology
from streams.agents.alerts import alerts
from streams.agents.match import match
from streams.agents.reports import reports
from streams.domain import calendar
from streams.engine.local import LocalRunner
from tests.support.effort import tries

CODECS = topology.load()
START = calendar.at(2026, 1, 20)
HOUR, DAY = calendar.HOUR_MS, calendar.DAY_MS
END = START + 60 * DAY

KINDS = {
    "payment_succeeded": "payments",
    "deposit_paid": "payments",
    "refund_settled": "payments",
    "receipt_recorded": "finance",
    "packed": "wms",
    "loaded": "wms",
    "package_scanned": "wms",
    "picked_up": "couriers",
}
PRICES = (10000, 10000, 0, None)
UNITS = (3, 2, 1, 3)
"""Of each order."""

Event = tuple[str, int, int, int, str]
"""(kind, order, hours after the start, amount or units, parcel)."""
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([*KINDS, "payment_succeeded", "loaded"]),
        st.sampled_from([0, 0, 1, 2, 3]),
        st.sampled_from([1, 2, 24, 25, 26, 400]),
        st.sampled_from([10000, 9950, 9949, 51, 3, 2, 1, 0]),
        st.sampled_from(["W1", "W2"]),
    ),
    max_size=16,
    unique=True,
)


def as_fact(event: Event) -> dict[str, Any]:
    kind, order, hours, number, parcel = event
    fact: dict[str, Any] = {"topic": KINDS[kind], "event_type": kind, "source": "s", "order_guid": f"G{order}"}
    fact |= {"event_id": "-".join(map(str, event)), "event_time": START + hours * HOUR, "digest": 1}
    if KINDS[kind] in ("payments", "finance"):
        return {**fact, "amount_minor": number, "currency": "CNY"}
    return {**fact, "waybill_no": parcel, "courier": "zto", **({"quantity": number} if number else {})}


def created(order: int) -> dict[str, Any]:
    lines = [{"line_no": 1, "sku": "S", "quantity": UNITS[order], "unit_price_minor": None, "is_gift": False}]
    about = {"topic": "orders", "event_type": "order_created", "source": "tmall", "event_id": f"c{order}", "digest": 1}
    about |= {"order_guid": f"G{order}", "event_time": START, "channel": "tmall", "currency": "CNY", "lines": lines}
    return about if PRICES[order] is None else {**about, "total_minor": PRICES[order]}


def naive(order: int, events: list[Event]) -> tuple[int, bool] | None:
    """(gap, whether somebody is told) of an order that differs, once all its events are known."""
    own = [event for event in events if event[1] == order]
    sums = Counter[str]()
    for kind, _, _, number, _ in own:
        sums[kind] += number
    kinds = {event[0] for event in own}
    shipped = bool(kinds & {"loaded", "picked_up"})
    if not shipped and not kinds & {"payment_succeeded", "receipt_recorded"}:
        return None
    paid, back = sums["payment_succeeded"] + sums["deposit_paid"], sums["refund_settled"]
    if not shipped and 0 < paid <= back:
        return None
    receipt, price = sums["receipt_recorded"] or paid, PRICES[order]
    gap = 0
    if price is not None:
        gap = price - receipt if receipt <= price else max(0, receipt - price - back)
    units = [n for n in (said(kind, own) for kind in ("loaded", "packed", "package_scanned")) if n is not None]
    sent = 0 if not shipped else units[0] if units else None
    short = 0 if sent is None else abs(UNITS[order] - sent)
    told = (gap > 0 and (not price or gap / price > 0.005)) or short > 1
    return (gap, told) if told or short else None


def said(kind: str, own: list[Event]) -> int | None:
    """How many units all events of a kind speak of, if they do."""
    told = [event for event in own if event[0] == kind]
    if kind == "package_scanned":
        return sum(event[3] for event in told) or None
    last = {event[4]: event[3] for event in sorted(told, key=lambda event: (event[2], event[3]))}
    return sum(last.values()) if last and all(last.values()) else None


@pytest.mark.rule("FIN-04", "FIN-05")
@settings(max_examples=tries(200), deadline=None)
@given(EVENTS, st.data())
def test_the_last_run_reports_what_all_facts_say(events: list[Event], draws: st.DataObject) -> None:
    arrived = draws.draw(st.permutations([*events, *events[:3]]))
    runner = LocalRunner([match, reports, alerts], CODECS, partitions=1)
    for fact in [*map(created, range(4)), *map(as_fact, arrived)]:
        runner.send("order-facts", fact, fact["order_guid"])
        runner.run()
    runner.advance(END)

    wanted = {f"G{order}": found for order in range(4) if (found := naive(order, events)) is not None}
    runs = [value for _, value in runner.output("reports") if value is not None and value["name"] == "FIN-04"]
    last = max(runs, key=lambda one: one["period"], default=None)
    rows = [] if last is None else [row for row in json.loads(last["rows"]) if "order_guid" in row]
    assert {row["order_guid"]: (row["gap_minor"], row["alert"]) for row in rows} == wanted
    told = {str(key): value for key, value in runner.output("alerts") if value is not None}
    live = [value for value in told.values() if value["rule"] == "FIN-04" and value["status"] != "closed"]
    open_ = {value["order_guid"] for value in live}
    assert open_ == {name for name, (_, over) in wanted.items() if over}
    counts = runner.table("match", "counts")
    assert counts == ({"tmall": [len(open_), len(wanted) - len(open_)]} if wanted else {})
    assert not runner.table("match", "fresh")
    compared = [row["found"] for row in runner.table("match", "orders").values() if "found" in row]
    priced, weighed = ([row for row in compared if row[name] is not None] for name in ("sales", "shipped"))
    sums = [len(compared), *(sum(row[name] for row in priced) for name in ("sales", "receipt"))]
    sums += [sum(row[name] for row in weighed) for name in ("sold", "shipped")]
    assert runner.table("match", "months").get("2026-01\0CNY", [0] * 5) == sums
