"""LOG-07: the daily quota of a courier's interface."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import calendar
from streams.domain import logistics as rules
from streams.domain.logistics.settings import Courier, Settings

MORNING = calendar.at(2026, 3, 2, 9)
SETTINGS = Settings(couriers={"zto": Courier("95311", 100), "sf": Courier()})


def calls(count: int, do: str = "probe", courier: str = "zto", at: int = MORNING, row: Any = None) -> tuple[Any, Any]:
    """The row after so many wishes, and all that was sent."""
    sent = []
    for number in range(count):
        wish = {"do": do, "waybill_no": f"W{number}", "order_guid": "G", "attempt": 0, "at": at}
        row, sends = rules.called(row, courier, wish, SETTINGS)
        sent += sends
    return row, sent


def requests(sent: list[Any]) -> int:
    return sum(topic == rules.REQUESTS for topic, _, _ in sent)


def told(sent: list[Any]) -> list[Any]:
    return [(value["do"], value.get("detail")) for topic, _, value in sent if topic == rules.ALERTS]


@pytest.mark.rule("LOG-07")
def test_eighty_percent_of_the_quota_are_told_once() -> None:
    row, sent = calls(79)
    assert not told(sent)
    row, sent = calls(1, row=row)
    assert told(sent) == [("open", "80 of 100 calls of zto used today (80 %)")]
    assert not told(calls(10, row=row)[1])


@pytest.mark.rule("LOG-07")
def test_probes_stop_at_95_percent_and_pushes_go_on_to_the_end_and_are_told_there() -> None:
    row, sent = calls(94)
    assert requests(sent) == 94
    row, sent = calls(10, row=row)
    assert requests(sent) == 1
    row, sent = calls(5, "push", row=row)
    assert requests(sent) == 5
    assert told(sent) == [("open", "100 of 100 calls of zto used today (100 %)")]
    assert requests(calls(1, "refresh", row=row)[1]) == 1


@pytest.mark.rule("LOG-07")
def test_the_end_of_the_quota_is_an_alert_of_its_own() -> None:
    """A repeated finding of an open alert is counted, and nobody hears of it."""
    keys = [key for topic, key, _ in calls(100, "push")[1] if topic == rules.ALERTS]
    assert keys == ["LOG-07/zto/80", "LOG-07/zto/100"]


@pytest.mark.rule("LOG-07")
def test_a_new_day_in_shanghai_begins_at_nothing_and_closes_the_alerts() -> None:
    row, _ = calls(100, "push")
    same, sent = calls(1, row=row, at=calendar.at(2026, 3, 2, 23, 59, 59))
    assert not requests(sent)
    row, sent = calls(1, row=same, at=calendar.at(2026, 3, 3))
    assert requests(sent) == 1
    closed = [key for _, key, value in sent if value.get("do") == "close"]
    assert closed == ["LOG-07/zto/80", "LOG-07/zto/100"]
    assert row["calls"] == 1


@pytest.mark.rule("LOG-07")
def test_a_courier_without_a_quota_is_asked_as_often_as_needed() -> None:
    assert requests(calls(5_000, courier="sf")[1]) == 5_000


def test_a_request_says_what_it_is_for_and_is_the_same_for_the_same_wish() -> None:
    _, first = calls(1, "push", "-")
    _, again = calls(1, "push", "-")
    assert first == again
    [(topic, key, request)] = first
    assert (topic, key, request["kind"], request["courier"]) == (rules.REQUESTS, "W0", "push", None)
