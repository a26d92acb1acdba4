"""RSK-11 against the promised delivery: on both sides of each limit, what closes it, and what it must not do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.domain.risk.settings import RiskError, Settings
from streams.domain.rules import data
from tests.unit.domain.risk.desk import DAY, GUID, HOUR, SETTINGS, T0, Desk, created, fact, paid

PROMISED = T0 + 10 * DAY
KEY = f"promise/{GUID}"


def begun(promised: int = PROMISED, **fields: Any) -> Desk:
    return Desk().say(created(promised_delivery_at=promised, **fields), paid())


def picked_up(at: int) -> dict[str, Any]:
    return fact("couriers", "picked_up", at, waybill_no="W1")


def told(desk: Desk) -> list[str]:
    return [value["do"] for topic, key, value in desk.out if (topic, key) == ("alert-facts", f"RSK-11/promise/{GUID}")]


@pytest.mark.rule("RSK-11")
def test_not_shipped_and_less_than_three_days_before_the_promise() -> None:
    desk = begun().pass_to(PROMISED - 3 * DAY)
    assert told(desk) == []
    assert told(desk.pass_to(PROMISED - 3 * DAY + 1)) == ["open"]
    assert told(desk.pass_to(PROMISED + DAY)) == ["open"]


@pytest.mark.rule("RSK-11")
def test_shipped_not_out_for_delivery_and_less_than_a_day_before_the_promise() -> None:
    desk = begun().say(picked_up(PROMISED - 3 * DAY)).pass_to(PROMISED - DAY)
    assert told(desk) == []
    assert told(desk.pass_to(PROMISED - DAY + 1)) == ["open"]


@pytest.mark.rule("RSK-11")
@pytest.mark.parametrize(("delivered", "wanted"), [(0, []), (1, ["open"])])
def test_out_for_delivery_is_late_only_when_the_promise_has_passed(delivered: int, wanted: list[str]) -> None:
    desk = begun().say(picked_up(T0 + HOUR), fact("couriers", "out_for_delivery", PROMISED - DAY, waybill_no="W1"))
    assert told(desk.pass_to(PROMISED + delivered)) == wanted


@pytest.mark.rule("RSK-11")
def test_the_alert_closes_when_the_order_has_time_enough_again_and_opens_when_that_is_gone_too() -> None:
    desk = begun().say(picked_up(PROMISED - 2 * DAY))
    assert told(desk) == ["open", "close"]
    assert told(desk.pass_to(PROMISED - DAY + 1)) == ["open", "close", "open"]
    desk.say(fact("couriers", "signed", PROMISED, waybill_no="W1"))
    assert told(desk.pass_to(PROMISED + 30 * DAY)) == ["open", "close", "open", "close"]


@pytest.mark.rule("RSK-11")
def test_shipped_with_too_little_time_left_it_stays_the_same_alert() -> None:
    desk = begun().say(picked_up(PROMISED - HOUR)).pass_to(PROMISED + DAY)
    assert told(desk) == ["open"]


@pytest.mark.rule("RSK-11")
def test_a_pickup_told_when_its_time_is_gone_too_leaves_the_alert_open_in_the_end() -> None:
    desk = begun().pass_to(PROMISED - HOUR)
    assert told(desk) == ["open"]
    assert told(desk.say(picked_up(T0 + HOUR)).pass_to(PROMISED - HOUR)) == ["open", "close", "open"]


@pytest.mark.rule("RSK-11")
def test_a_delivery_that_failed_counts_as_on_its_way_again() -> None:
    desk = begun().say(picked_up(T0), fact("couriers", "out_for_delivery", PROMISED - DAY, waybill_no="W1"))
    desk.say(fact("couriers", "scanned", PROMISED - HOUR, waybill_no="W1")).pass_to(PROMISED - HOUR + 1)
    assert told(desk) == ["open"]


@pytest.mark.rule("RSK-11")
@pytest.mark.parametrize("end", ["cancel_marked", "signed", "buyer_confirmed"])
def test_nothing_is_told_of_an_order_that_is_over(end: str) -> None:
    topic = "couriers" if end == "signed" else "orders"
    desk = begun().say(picked_up(T0), fact(topic, end, PROMISED - 2 * DAY)).pass_to(PROMISED + DAY)
    assert told(desk) == []


@pytest.mark.rule("RSK-11")
def test_unpaid_orders_and_orders_without_a_promise_have_none_to_break() -> None:
    assert told(Desk().say(created(promised_delivery_at=PROMISED)).pass_to(PROMISED + DAY)) == []
    desk = Desk().say(created(), paid()).pass_to(PROMISED + DAY)
    assert told(desk) == []


@pytest.mark.rule("RSK-11")
def test_the_hours_are_data() -> None:
    limits = replace(SETTINGS.limits, promise_ms={"paid": HOUR})
    desk = Desk(replace(SETTINGS, limits=limits)).say(created(promised_delivery_at=PROMISED), paid())
    assert told(desk.pass_to(PROMISED - HOUR)) == []
    assert told(desk.pass_to(PROMISED - HOUR + 1)) == ["open"]
    assert told(desk.say(picked_up(PROMISED))) == ["open", "close"]  # nothing is said of orders on their way


@pytest.mark.rule("RSK-11")
@pytest.mark.parametrize("wrong", [{"packed": 1}, {"paid": -1}, {"paid": 1.5}, {"paid": "1"}, {"paid": True}])
def test_hours_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    document = data.risk_document()
    document["limits"] = {**document["limits"], "promise_ms": wrong}
    with pytest.raises(RiskError, match="promise_ms"):
        Settings.parse(document)
