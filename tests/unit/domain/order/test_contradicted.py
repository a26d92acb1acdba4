"""Money and goods that contradict each other: closed and paid all the same, refunded and shipped all the same."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.unit.domain.order.facts import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Fact,
    Run,
    created,
    fact,
    mapped,
    paid,
    refunded,
    says,
)

CLOSED = fact("orders", "cancel_marked", T0 + 15 * MINUTE)
LATE = paid(T0 + 16 * MINUTE)
BACK = refunded(T0 + HOUR, 30000)
PICKED = fact("couriers", "picked_up", T0 + DAY, waybill_no="W1")
RETURNED = says("couriers", "退回签收", T0 + 3 * DAY, mapped(axis="return:signed"), waybill_no="W1")


def said(what: str, *events: Fact) -> list[str]:
    """What was said of the alert, one after the other."""
    run = Run()
    run.tell(created(), *events)
    return [value["do"] for topic, key, value in run.sent if topic == "alert-facts" and key.startswith(what)]


@pytest.mark.rule("FIN-13", "ST-01")
def test_a_payment_for_an_order_that_was_closed_is_told_with_advice_until_it_is_refunded() -> None:
    run = Run()
    run.tell(created(), CLOSED, LATE)
    [finding] = [value for topic, key, value in run.sent if key.startswith("FIN-13")]
    assert (finding["do"], finding["rule"], finding["at"]) == ("open", "FIN-13", T0 + 16 * MINUTE)
    assert "30000 minor units of CNY" in finding["detail"]
    assert finding["advice"].startswith("Refund the money")
    assert said("FIN-13", CLOSED, LATE, BACK) == ["open", "close"]


@pytest.mark.rule("FIN-13", "FIN-07")
def test_a_part_of_the_money_that_went_back_leaves_it_open() -> None:
    half = refunded(T0 + HOUR, 15000)
    rest = refunded(T0 + 2 * HOUR, 15000)
    assert said("FIN-13", CLOSED, LATE, half) == ["open"]
    assert said("FIN-13", CLOSED, LATE, half, rest) == ["open", "close"]


@pytest.mark.rule("FIN-13")
def test_it_ends_when_the_goods_are_sent_all_the_same() -> None:
    assert said("FIN-13", CLOSED, LATE, PICKED) == ["open", "close"]
    assert said("FIN-13", CLOSED, PICKED, LATE) == []


@pytest.mark.rule("FIN-13")
@pytest.mark.parametrize("when", [T0 + MINUTE, T0 + 15 * MINUTE])
def test_an_order_that_was_closed_after_its_payment_awaits_its_refund_and_is_no_finding(when: int) -> None:
    for events in permutations((CLOSED, paid(when))):
        assert said("FIN-13", *events) == []


@pytest.mark.rule("FIN-13")
def test_a_payment_told_before_the_closing_that_came_before_it_is_a_finding() -> None:
    assert said("FIN-13", LATE, CLOSED) == ["open"]
    assert said("FIN-13", LATE, CLOSED, paid(T0 + 14 * MINUTE)) == ["open", "close"]  # one of two was in time


@pytest.mark.rule("WMS-02")
def test_a_refunded_order_that_leaves_all_the_same_is_told_once_until_its_parcel_is_back() -> None:
    again = fact("couriers", "scanned", T0 + 2 * DAY, waybill_no="W1")
    assert said("WMS-02", paid(), BACK, PICKED, again) == ["open"]
    assert said("WMS-02", paid(), BACK, PICKED, again, RETURNED) == ["open", "close"]


@pytest.mark.rule("WMS-02", "FIN-07")
@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([paid(), CLOSED, PICKED], ["open"]),
        ([paid(), PICKED, CLOSED], ["open"]),  # it counts when either happened
        ([paid(), CLOSED, PICKED, RETURNED], ["open", "close"]),
        ([paid(), CLOSED, PICKED, refunded(T0 + 2 * DAY, 30000)], ["open"]),  # money and goods are both gone
        ([paid(), CLOSED, PICKED, refunded(T0 + 2 * DAY, 15000)], ["open", "close"]),  # it was closed for a part
        ([paid(), CLOSED, PICKED, fact("orders", "buyer_confirmed", T0 + 5 * DAY)], ["open", "close"]),
        ([paid(), fact("wms", "loaded", T0 + 10 * MINUTE), CLOSED], []),
        ([CLOSED, LATE, PICKED], []),  # paid after all, and sent
        ([paid(), CLOSED, BACK, PICKED], []),  # told as refunded
    ],
)
def test_goods_of_a_closed_order_that_leave_all_the_same_are_told(events: list[Fact], told: list[str]) -> None:
    assert said("WMS-02/closed", *events) == told


@pytest.mark.rule("WMS-02")
@pytest.mark.parametrize("axis", ["return:in_transit", "return:destroyed", "return:new_waybill"])
def test_a_parcel_that_is_not_back_yet_ends_nothing(axis: str) -> None:
    on_its_way = says("couriers", "退回中", T0 + 3 * DAY, mapped(axis=axis), waybill_no="W1")
    assert said("WMS-02", paid(), BACK, PICKED, on_its_way) == ["open"]


@pytest.mark.rule("WMS-02")
def test_of_several_parcels_one_that_is_back_does_not_say_that_all_are() -> None:
    second = fact("couriers", "picked_up", T0 + DAY, waybill_no="W2")
    assert said("WMS-02", paid(), BACK, PICKED, second, RETURNED) == ["open"]


@pytest.mark.rule("WMS-02")
def test_goods_that_left_before_the_money_went_back_are_no_finding_whatever_is_told_first() -> None:
    left = fact("wms", "loaded", T0 + 30 * MINUTE, waybill_no="W1")
    for events in permutations((paid(), left, BACK)):
        assert said("WMS-02", *events) == []
    assert said("WMS-02", paid(), BACK, PICKED, left) == ["open", "close"]  # they had left, as it turns out


@pytest.mark.rule("WMS-02", "FIN-07")
def test_a_part_of_the_money_is_no_finding_and_an_order_paid_again_ends_it() -> None:
    assert said("WMS-02", paid(), refunded(T0 + HOUR, 15000), PICKED) == []
    assert said("WMS-02", paid(), BACK, PICKED, paid(T0 + 2 * DAY)) == ["open", "close"]
