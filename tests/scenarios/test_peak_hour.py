"""Failure case 4: 8,426 orders in an hour, through what was made for 3,000. Nothing misses, nothing doubles, and what
is paid is deducted - also with workers that die again and again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streams.commands.stock_books import Books
from streams.convert.common import write
from streams.engine.local import Abort, Crash
from tests.scenarios.cases import peak_hour as story
from tests.scenarios.play import Played, Record, flood, new_runner, records

CASES = story.cases()
BY_NUMBER = {case.order_no: case for case in CASES}
LUMP, LUMP_MS = 25, 5_000


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    path: Path = tmp_path_factory.mktemp("peak") / "events.jsonl"
    write(path, story.lines())
    return records(path)


@pytest.fixture(scope="module")
def run(events: list[Record]) -> Played:
    return played(events)


def played(events: list[Record], **options: Any) -> Played:
    """A few seconds of events at a time, so that turns hold many records, as they do in a peak."""
    runner = new_runner(partitions=2, batch=4 * LUMP, **options)
    for start in range(0, len(events), LUMP):
        flood(runner, events[start : start + LUMP])
    while True:
        try:
            runner.advance(story.END)
            return Played(runner)
        except Crash:
            continue


def outcome(state: dict[str, Any]) -> str:
    [line] = state["stock"]
    return str(line["outcome"])


def sent(run: Played, topic: str, event_type: str) -> Iterator[tuple[str | None, dict[str, Any]]]:
    for key, value in run.runner.output(topic):
        if value is not None and value.get("event_type") == event_type:
            yield key, value


def test_the_story_is_the_one_that_was_told() -> None:
    counts = Counter(case.outcome for case in CASES)
    assert sum(counts.values()) == len(BY_NUMBER) == story.ORDERS
    assert min(counts.values()) >= 30
    assert len(counts) == 4
    assert max(case.created for case in CASES) < story.START + 3_600_000
    taken = sorted(story.taken_up(CASES).values())
    assert all(later - sooner >= 1_200 for sooner, later in pairwise(taken))
    assert taken[-1] < story.END


@pytest.mark.rule("INV-06", "INV-07", "INV-08", "ID-05")
def test_the_sum_of_outcomes_is_the_number_of_orders_and_each_got_its_own(run: Played) -> None:
    assert len(run.states) == story.ORDERS
    wrong = {
        number: (outcome(state), BY_NUMBER[number].outcome)
        for number, state in run.states.items()
        if outcome(state) != BY_NUMBER[number].outcome
    }
    assert wrong == {}
    assert not run.dead


@pytest.mark.rule("ID-05")
def test_orders_that_came_twice_are_there_once(run: Played) -> None:
    created = Counter(row["order_guid"] for row in run.output("order-events") if row["event"] == "created")
    assert (len(created), set(created.values())) == (story.ORDERS, {1})
    doubles = [row for row in run.output("audit-log") if row["decision"] == "duplicate"]
    assert len(doubles) == story.TWICE
    reserved = Counter(
        value["order_guid"] for _, value in sent(run, "order-facts", "_stock") if value["do"] == "reserve"
    )
    assert set(reserved.values()) == {1}
    assert len(reserved) == story.ORDERS


@pytest.mark.rule("INV-15", "INV-07")
def test_nothing_is_paid_without_its_stock_deducted(run: Played) -> None:
    paid = {number for number, case in BY_NUMBER.items() if case.paid is not None}
    assert {number for number, state in run.states.items() if state["state"] != "pending_payment"} == paid
    assert {outcome(run.states[number]) for number in paid} == {"confirmed"}
    assert run.alerts("INV-15") == []
    sold = -sum(
        row["delta"] for row in run.output("stock-ledger") if (row["pool"], row["reason"]) == ("sales", "confirmed")
    )
    assert sold == len(paid)


@pytest.mark.rule("BRK-06")
def test_every_paid_order_was_in_its_review_pool_once(run: Played) -> None:
    lanes = [(value["order_guid"], value["lane"]) for _, value in sent(run, "channel-facts", "_lane") if value["enter"]]
    numbers = {state["order_guid"]: number for number, state in run.states.items()}
    assert sorted((numbers[guid], lane) for guid, lane in lanes) == sorted(
        (case.order_no, case.lane) for case in CASES if case.paid is not None
    )
    assert {state["lane"] for state in run.states.values()} == {None}


@pytest.mark.rule("BRK-11")
def test_every_order_that_waited_too_long_for_the_warehouse_was_told_and_is_closed(run: Played) -> None:
    taken = story.taken_up(CASES)

    def waited(limit: int) -> set[str]:
        return {
            case.order_no
            for case in CASES
            if case.ready is not None and case.lane == "wms" and taken[case.number] - case.ready > limit
        }

    numbers = {state["order_guid"]: number for number, state in run.states.items()}
    alerts = run.alerts("BRK-11")
    told = {numbers[alert["order_guid"]] for alert in alerts}
    # To a few seconds: an order counts from the newest event before it, and events come in lumps.
    assert waited(story.STAGE_MS + LUMP_MS) <= told <= waited(story.STAGE_MS - LUMP_MS)
    assert len(alerts) == len(told) > story.ORDERS // 2
    assert {alert["status"] for alert in alerts} == {"closed"}


@pytest.mark.rule("INV-01", "INV-10")
def test_the_books_are_right_at_the_end(run: Played) -> None:
    books = Books()
    for row in run.output("stock-ledger"):
        books.post(row)
    for state in run.output("inventory-states"):
        books.state(state["sku"], state)
    for state in run.states.values():
        books.order(state)
    assert books.findings() == []
    assert books.skus == story.SKUS
    assert all((state["held"], state["oversold"]) == (0, 0) for state in books.states.values())
    assert books.states[story.SCARCE]["available"] == 0


@pytest.mark.rule("INV-07", "INV-15")
def test_workers_that_die_in_the_middle_change_nothing_of_it(events: list[Record], run: Played) -> None:
    chance = random.Random(4)
    died = 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if chance.random() < 0.003:
            died += 1
            raise Abort if step in ("fold", "collect", "commit") and chance.random() < 0.5 else Crash

    again = played(events, fault=fault)
    assert died > 100
    assert {number: outcome(state) for number, state in again.states.items()} == {
        number: outcome(state) for number, state in run.states.items()
    }
    for topic in ("stock-ledger", "order-events"):
        assert sorted(map(str, again.runner.output(topic))) == sorted(map(str, run.runner.output(topic))), topic
    assert levels(again) == levels(run)


def levels(run: Played) -> dict[str | None, Any]:
    last = dict(run.runner.output("inventory-states"))
    return {key: (value["warehouses"], value["held"], value["available"]) for key, value in last.items()}
