"""ST-11: one print and three retries 30 s apart; the fourth failure is for a person."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from streams.domain.order import OrderSettings, from_row, reduce, to_row
from streams.domain.rules import data
from tests.unit.domain.order.facts import DAY, GUID, MINUTE, T0, Run, created, fact, paid, step

SETTINGS = OrderSettings(nodes=data.node_records())
SECOND = 1000
FAILED = T0 + 2 * MINUTE


def failed(when: int, **fields: Any) -> dict[str, Any]:
    return fact("wms", "label_print_failed", when, **{"warehouse": "hz", "error": "template rendering failed"} | fields)


def run(*events: dict[str, Any]) -> Run:
    order = Run(SETTINGS)
    order.tell(created(lines=[]), paid(), *events)
    return order


def retries(order: Run) -> list[tuple[int, int]]:
    """(attempt, ms after the first failure)."""
    return [(value["attempt"], value["at"] - FAILED) for topic, _, value in order.sent if topic == "warehouse-requests"]


@pytest.mark.rule("ST-11")
def test_a_retry_goes_out_30_s_after_the_failure_and_names_the_order() -> None:
    order = run(failed(FAILED))
    order.wait_until(FAILED + 30 * SECOND - 1)
    assert retries(order) == []
    order.wait_until(FAILED + 30 * SECOND)
    [(_, key, request)] = [sent for sent in order.sent if sent[0] == "warehouse-requests"]
    assert key == GUID
    assert request == {
        "request_id": f"print_label/{GUID}/{FAILED}/1",
        "kind": "print_label",
        "order_guid": GUID,
        "attempt": 1,
        "warehouse": "hz",
        "at": FAILED + 30 * SECOND,
        "channel": "douyin",
        "order_no": "6921234567890",
        "alias18": "DB2601240000000001",
        "internal_no": None,
        "waybills": [],
        "package_ids": [],
    }


@pytest.mark.rule("ST-11")
@pytest.mark.parametrize(("failures", "asked", "is_raised"), [(1, 1, False), (3, 3, False), (4, 3, True), (6, 3, True)])
def test_failures_1_to_3_are_retried_and_the_4th_is_an_alert(failures: int, asked: int, is_raised: bool) -> None:
    order = run(*(failed(FAILED + n * 35 * SECOND) for n in range(failures)))
    order.wait_until(FAILED + DAY // 24)
    assert retries(order) == [(n + 1, n * 35 * SECOND + 30 * SECOND) for n in range(asked)]
    assert order.alerts() == ({"ST-11": "open"} if is_raised else {})
    if is_raised:
        [alert] = [value for _, key, value in order.sent if key == f"ST-11/{GUID}"]
        assert (alert["recipient"], alert["at"]) == ("warehouse supervisor", FAILED + 3 * 35 * SECOND)
        assert "failed 4 times; last error: template rendering failed" in alert["detail"]


@pytest.mark.rule("ST-11")
@pytest.mark.parametrize(
    "end",
    [
        fact("wms", "label_printed", FAILED + 3 * MINUTE),
        fact("wms", "picking_started", FAILED + 3 * MINUTE),
        fact("orders", "cancel_marked", FAILED + 3 * MINUTE),
    ],
)
def test_the_alert_closes_when_the_label_is_printed_or_the_order_goes_on(end: dict[str, Any]) -> None:
    order = run(*(failed(FAILED + n * 35 * SECOND) for n in range(4)), end)
    assert order.alerts()["ST-11"] == "close"
    assert order.state is not None
    assert order.state.aside is not None
    assert order.state.aside.label is None


@pytest.mark.rule("ST-11")
def test_a_label_that_prints_in_time_is_not_asked_for_again_and_a_new_one_begins_anew() -> None:
    order = run(failed(FAILED), fact("wms", "label_printed", FAILED + 29 * SECOND))
    order.wait_until(FAILED + 5 * MINUTE)
    assert retries(order) == []
    again = FAILED + 10 * MINUTE
    order.tell(*(failed(again + n * 35 * SECOND) for n in range(3)))
    order.wait_until(again + 10 * MINUTE)
    assert [attempt for attempt, _ in retries(order)] == [1, 2, 3]
    assert "ST-11" not in order.alerts()


def risk(when: int, locked: bool) -> dict[str, Any]:
    told = {"score": 4.05, "locked": locked, "reason": "of a test", "operator": None if locked else "li"}
    said = fact("risk", "_risk", when, source="risk", **told)
    return {name: value for name, value in said.items() if name != "digest"}


@pytest.mark.rule("RSK-04")
@pytest.mark.rule("ST-11")
@pytest.mark.parametrize("lock_first", [True, False])
def test_no_label_of_a_locked_order_is_asked_for_until_it_is_unlocked(lock_first: bool) -> None:
    lock, fails = risk(FAILED - SECOND if lock_first else FAILED + SECOND, True), failed(FAILED)
    order = run(*([lock, fails] if lock_first else [fails, lock]))
    order.wait_until(FAILED + 10 * MINUTE)
    assert retries(order) == []
    order.tell(risk(FAILED + 10 * MINUTE, False))
    order.wait_until(FAILED + 10 * MINUTE + 30 * SECOND - 1)
    assert retries(order) == []
    order.wait_until(FAILED + 10 * MINUTE + 30 * SECOND)
    assert [attempt for attempt, _ in retries(order)] == [1]


@pytest.mark.rule("RSK-04")
@pytest.mark.rule("ST-11")
@pytest.mark.parametrize("lock_first", [True, False])
def test_nobody_is_to_print_the_label_of_a_locked_order_by_hand(lock_first: bool) -> None:
    lock, fails = risk(FAILED + 5 * MINUTE, True), [failed(FAILED + n * 35 * SECOND) for n in range(4)]
    order = run(*([lock, *fails] if lock_first else [*fails, lock]))
    assert order.alerts().get("ST-11") in (None, "close")
    order.tell(risk(FAILED + 10 * MINUTE, False))
    assert order.alerts()["ST-11"] == "open"


@pytest.mark.rule("ST-11")
def test_a_label_that_fails_again_before_its_retry_still_gets_each_of_them() -> None:
    order = run(failed(FAILED), failed(FAILED + 5 * SECOND))
    order.wait_until(FAILED + 10 * MINUTE)
    assert [attempt for attempt, _ in retries(order)] == [1, 2]


@pytest.mark.rule("ST-11")
def test_a_repeated_failure_counts_once() -> None:
    order = run(*(failed(FAILED, event_id="f-1") for _ in range(5)))
    order.wait_until(FAILED + 10 * MINUTE)
    assert retries(order) == [(1, 30 * SECOND)]
    assert order.alerts() == {}


@pytest.mark.rule("ST-11")
@pytest.mark.parametrize("printed", [0, 2, 4])
def test_what_is_left_of_the_failures_does_not_depend_on_their_order(printed: int) -> None:
    events = [failed(FAILED + n * SECOND) for n in range(5)]
    events.append(fact("wms", "label_printed", FAILED + printed * SECOND))
    found = set()
    for arrived in permutations(events):
        state = run().state
        for event in arrived:
            state = step(state, event | {"event_id": f"e{event['event_time']}{event['event_type']}"}, SETTINGS).state
        assert state is not None
        assert state.aside is not None
        label = state.aside.label
        found.add(None if label is None else (tuple(label.failed), label.is_raised))
    left = tuple(FAILED - T0 + n * SECOND for n in range(printed + 1, 5))
    assert found == {(left, len(left) > 3) if left else None}


@pytest.mark.rule("ST-11")
@pytest.mark.parametrize(("late", "asked"), [(MINUTE, 1), (7 * DAY, 1), (8 * DAY, 0)])
def test_a_failure_told_late_is_retried_from_now_and_history_is_not(late: int, asked: int) -> None:
    order = run()
    order.wait_until(FAILED + late)
    order.state = reduce(order.state, failed(FAILED), FAILED + late, SETTINGS).state
    order.wait_until(FAILED + late + 30 * SECOND - 1)
    assert retries(order) == []
    order.wait_until(FAILED + late + DAY)
    assert [attempt for attempt, _ in retries(order)] == [1] * asked


@pytest.mark.rule("ST-11")
def test_the_row_keeps_what_is_due() -> None:
    state = run(failed(FAILED), failed(FAILED + 5 * SECOND)).state
    assert state is not None
    assert from_row(to_row(state)) == state
