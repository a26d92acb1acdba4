"""The twelve signals of RSK-02, each at both sides of its boundary."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import calendar, risk
from streams.domain.risk import chats
from tests.unit.domain.risk.desk import DAY, GUID, HOUR, MINUTE, SETTINGS, T0, Desk, created, fact, paid

OTHER = "DB20260512BBBBBBBBBBBB"
THIRD = "DB20260512CCCCCCCCCCCC"

pytestmark = pytest.mark.rule("RSK-02")


@pytest.mark.parametrize(("apart", "fires"), [(30 * MINUTE, True), (30 * MINUTE + 1, False)])
@pytest.mark.parametrize("customer", ["C1", None])
def test_two_address_changes_in_30_minutes(apart: int, fires: bool, customer: str | None) -> None:
    desk = Desk().say(created(customer_id=customer))
    desk.say(fact("orders", "address_changed", T0), fact("orders", "address_changed", T0 + apart))
    assert ("address_change" in desk.signals()) is fires


def test_one_change_told_twice_is_one() -> None:
    change = fact("orders", "address_changed", T0)
    assert not Desk().say(created(customer_id="C1"), change, change).signals()


def test_address_changes_count_by_customer_over_all_his_orders() -> None:
    desk = Desk().say(created(customer_id="C1"), created(guid=OTHER, customer_id="C1"))
    desk.say(created(guid=THIRD, customer_id="C2"))
    for guid in (GUID, OTHER, THIRD):
        desk.say(fact("orders", "address_changed", T0 + 1, guid))
    assert [desk.signals(guid) for guid in (GUID, OTHER, THIRD)] == [{"address_change"}, {"address_change"}, set()]


@pytest.mark.parametrize(("after", "fires"), [(0, True), (10_000, True), (10_001, False), (-1, False)])
@pytest.mark.parametrize("chat_first", [True, False])
def test_a_chat_within_10_seconds_after_payment(after: int, fires: bool, chat_first: bool) -> None:
    facts = [fact("service", "chat_opened", T0 + after), paid(T0)]
    desk = Desk().say(created(T0 - HOUR), *(facts if chat_first else reversed(facts)))
    assert ("chat_after_payment" in desk.signals()) is fires


def print_(at: int, ms: int, guid: str = GUID, warehouse: str | None = None) -> dict[str, Any]:
    return fact("wms", "label_printed", at, guid, duration_ms=ms, warehouse=warehouse)


@pytest.mark.parametrize(("ms", "fires"), [(1470, True), (1469, False)])
def test_a_label_47_percent_over_the_mean_of_the_warehouse(ms: int, fires: bool) -> None:
    desk = Desk().say(created(), created(guid=OTHER))
    desk.say(*(print_(T0 + n, took, OTHER) for n, took in enumerate((900, 1000, 1100))))
    assert ("label_surge" in desk.say(print_(T0 + MINUTE, ms)).signals()) is fires


@pytest.mark.parametrize(("later", "fires"), [(60 * MINUTE, True), (61 * MINUTE, False)])
def test_the_mean_is_that_of_the_hour_before(later: int, fires: bool) -> None:
    desk = Desk().say(created(), created(guid=OTHER), *(print_(T0, 1000, OTHER) for _ in range(3)))
    assert ("label_surge" in desk.say(print_(T0 + later, 5000)).signals()) is fires


@pytest.mark.parametrize(("before", "fires"), [(0, False), (1, True), (2, True)])
def test_the_mean_is_that_of_the_same_warehouse_of_as_many_prints_as_there_were(before: int, fires: bool) -> None:
    desk = Desk().say(created(), created(guid=OTHER), *(print_(T0, 1000, OTHER, "SH") for _ in range(3)))
    desk.say(*(print_(T0, 1000, OTHER, "HZ") for _ in range(before)))
    assert ("label_surge" in desk.say(print_(T0, 1470, warehouse="HZ")).signals()) is fires


@pytest.mark.parametrize(("seconds", "fires"), [(180, False), (180.5, True)])
def test_more_than_180_seconds_on_the_payment_page(seconds: float, fires: bool) -> None:
    assert ("page_dwell" in Desk().say(created(page_dwell_s=seconds)).signals()) is fires


@pytest.mark.parametrize(
    ("fields", "fires"),
    [
        ({"coupon_count": 3}, True),
        ({"coupon_count": 2}, False),
        ({"discounts": [{"text": "券", "amount_minor": 1}] * 3}, True),
        ({"discounts": [{"text": "券", "amount_minor": 1}] * 2}, False),
        ({"discounts": [{"text": "券", "amount_minor": 1}, {"text": "满300减50"}, {"text": "赠"}]}, True),
        ({"discounts": [{"text": "券", "amount_minor": 1}, {"amount_minor": 0}, {"text": "赠"}]}, False),
        ({"discounts": [{"text": "券", "amount_minor": 1}] * 3, "coupon_count": 1}, False),
        ({"discounts": [{"amount_minor": 15000}]}, True),
        ({"discounts": [{"amount_minor": 14999}]}, False),
        ({"discounts": [{"amount_minor": 10000}, {"amount_minor": 5000}]}, True),
    ],
)
def test_three_coupons_or_half_the_price(fields: dict[str, Any], fires: bool) -> None:
    assert ("coupon_depth" in Desk().say(created(**fields)).signals()) is fires


@pytest.mark.parametrize(("text", "fires"), [("我急用", True), ("今天必须到!", True), ("今天天气好", False)])
def test_urgent_words_and_nothing_else_of_what_was_said(text: str, fires: bool) -> None:
    desk = Desk().say(created(), fact("service", "chat_message", T0, text=f"{text} 13800000000"))
    assert ("urgent_words" in desk.signals()) is fires
    assert "13800000000" not in str(desk.tables)


@pytest.mark.parametrize(("apart", "fires"), [(DAY, True), (DAY + 1, False)])
def test_chasing_twice_in_a_day(apart: int, fires: bool) -> None:
    desk = Desk().say(created(), fact("service", "chat_message", T0, text="催单"))
    assert not desk.signals()
    desk.say(fact("service", "ticket_opened", T0 + apart, text="怎么还没发货?"))
    assert ("repeated_chasing" in desk.signals()) is fires


@pytest.mark.rule("RSK-02")
@pytest.mark.parametrize(
    "text", ["什么时候发货", "亲，快点发货吧", "赶紧发", "尽快发货", "付了三天了还没发货", "帮我催一催", "什么时候能到"]
)
def test_customers_chase_in_their_own_words(text: str) -> None:
    desk = Desk().say(created(), fact("service", "chat_message", T0, text="催单"))
    assert "repeated_chasing" in desk.say(fact("service", "chat_message", T0 + HOUR, text=text)).signals()


@pytest.mark.parametrize(("after", "fires"), [(4 * HOUR, False), (4 * HOUR + 1, True)])
def test_no_scan_for_more_than_4_hours(after: int, fires: bool) -> None:
    desk = Desk().say(created(), paid(), fact("couriers", "picked_up", T0 + HOUR))
    desk.say(fact("couriers", "scanned", T0 + 2 * HOUR))
    assert ("transit_stall" in desk.pass_to(T0 + 2 * HOUR + after).signals()) is fires


def test_a_parcel_that_was_delivered_is_not_scanned_any_more() -> None:
    desk = Desk().say(created(), paid(), fact("couriers", "picked_up", T0), fact("couriers", "signed", T0 + HOUR))
    assert not desk.pass_to(T0 + 3 * DAY).signals()


@pytest.mark.rule("RSK-02")
@pytest.mark.parametrize("axis", ["delivery:at_pickup_point", "return:signed"])
def test_a_parcel_at_a_pickup_point_or_back_with_its_sender_is_not_scanned_any_more(axis: str) -> None:
    word: dict[str, Any] = {"known": True, "state": None, "node": None, "flags": [], "event": None, "axis": axis}
    desk = Desk().say(created(), paid(), fact("couriers", "picked_up", T0))
    desk.say(fact("couriers", "scanned", T0 + HOUR, mapped=word)).pass_to(T0 + 3 * DAY)
    assert "transit_stall" not in desk.signals()
    desk.say(fact("couriers", "scanned", T0 + 3 * DAY)).pass_to(T0 + 4 * DAY)
    assert "transit_stall" in desk.signals()


def refund(at: int, guid: str, ip: str | None = "1.2.3.4") -> dict[str, Any]:
    return fact("orders", "refund_requested", at, guid, ip=ip)


def test_three_refund_requests_of_one_ip_in_a_day() -> None:
    desk = Desk().say(*(created(guid=guid) for guid in (GUID, OTHER, THIRD)))
    desk.say(refund(T0, GUID), refund(T0, OTHER))
    assert not desk.signals(GUID)
    desk.say(refund(T0, THIRD))
    assert [desk.signals(guid) for guid in (GUID, OTHER, THIRD)] == [{"ip_refunds"}] * 3


def test_the_day_is_the_business_day_and_the_ip_one() -> None:
    desk = Desk().say(*(created(guid=guid, ip="9.9.9.9") for guid in (GUID, OTHER, THIRD)))
    midnight = calendar.day_start(T0) + DAY
    desk.say(refund(midnight - 1, GUID), refund(midnight - 1, OTHER), refund(midnight, THIRD))
    assert not desk.signals(THIRD)
    desk.say(refund(midnight, GUID, "5.6.7.8"), refund(midnight, OTHER, "5.6.7.8"))
    assert not desk.signals(THIRD)
    assert "1.2.3.4" not in str(desk.tables)
    assert "9.9.9.9" not in str(desk.tables)


def test_an_ip_that_the_request_does_not_tell_is_that_of_the_order() -> None:
    desk = Desk().say(*(created(guid=guid, ip="9.9.9.9") for guid in (GUID, OTHER, THIRD)))
    desk.say(*(refund(T0, guid, None) for guid in (GUID, OTHER, THIRD)))
    assert desk.signals() == {"ip_refunds"}


@pytest.mark.parametrize(("after", "fires"), [(2 * HOUR, True), (2 * HOUR + 1, False)])
@pytest.mark.parametrize("late", [True, False])
def test_a_customer_who_cancelled_a_paid_order_within_2_hours(after: int, fires: bool, late: bool) -> None:
    first = [
        created(guid=OTHER, customer_id="C1"),
        paid(T0, OTHER),
        fact("orders", "cancel_requested", T0 + after, OTHER),
    ]
    second = [created(T0 + DAY, customer_id="C1")]
    desk = Desk().say(*(second + first if late else first + second))
    assert ("earlier_cancellation" in desk.signals()) is fires
    assert not desk.signals(OTHER)


@pytest.mark.parametrize(("after", "fires"), [(90 * DAY, True), (90 * DAY + 1, False)])
def test_cancellations_are_held_against_him_for_90_days(after: int, fires: bool) -> None:
    desk = Desk().say(created(guid=OTHER, customer_id="C1"), paid(T0, OTHER))
    desk.say(fact("orders", "cancel_requested", T0, OTHER), created(T0 + after, customer_id="C1"))
    assert ("earlier_cancellation" in desk.signals()) is fires


@pytest.mark.parametrize(("hour", "minute", "fires"), [(21, 59, False), (22, 0, True), (23, 29, True), (23, 30, False)])
def test_paid_between_2200_and_2330(hour: int, minute: int, fires: bool) -> None:
    desk = Desk().say(created(), paid(calendar.at(2026, 5, 12, hour, minute, 59 if minute % 10 == 9 else 0)))
    assert ("night_payment" in desk.signals()) is fires


@pytest.mark.parametrize(("after", "fires"), [(2 * HOUR, False), (2 * HOUR + 1, True)])
def test_a_node_over_its_limit(after: int, fires: bool) -> None:
    desk = Desk().say(created(), paid(), fact("wms", "picking_started", T0))
    assert ("node_overdue" in desk.pass_to(T0 + after).signals()) is fires


def test_a_node_that_was_left_in_time_is_not_over_its_limit() -> None:
    desk = Desk().say(created(), paid(), fact("wms", "picking_started", T0), fact("wms", "packed", T0 + 2 * HOUR))
    desk.say(fact("wms", "loaded", T0 + 3 * HOUR))
    assert not desk.pass_to(T0 + 4 * HOUR).signals()


def customer_says(at: int, text: str = "", kind: str = "chat_message", number: int = 0) -> tuple[str, dict[str, Any]]:
    """As intake hands on what names only a customer."""
    said = {"event_id": f"c-{number}-{at}", "event_type": kind, "event_time": at, "source": "desk", "text": text}
    found = chats.of_customer({**said, "customer_id": "C1"}, SETTINGS.limits)
    assert found is not None
    return found


WEEK = SETTINGS.limits.chat_orders_ms


@pytest.mark.rule("RSK-02")
@pytest.mark.parametrize(("after", "fires"), [(-1, False), (0, True), (WEEK, True), (WEEK + 1, False)])
@pytest.mark.parametrize("chat_first", [False, True])
def test_a_chat_that_names_only_a_customer_counts_for_the_orders_of_the_week_before(
    after: int, fires: bool, chat_first: bool
) -> None:
    desk, order = Desk(), created(customer_id="C1")
    key, message = customer_says(T0 + after, "急用")
    for chat in (chat_first, not chat_first):
        if chat:
            desk._do(risk.hear(desk._get, key, message, SETTINGS, T0))
            desk._do(risk.hear(desk._get, key, message, SETTINGS, T0))
        else:
            desk.say(order)
    assert ("urgent_words" in desk.signals()) is fires


@pytest.mark.rule("RSK-02")
def test_such_chats_weigh_like_those_that_name_the_order() -> None:
    desk = Desk().say(created(customer_id="C1"), paid(T0 + 1))
    for number, (kind, text) in enumerate((("chat_opened", "催单"), ("chat_message", "催一下"))):
        key, message = customer_says(T0 + 10_001 + number, text, kind, number)
        desk._do(risk.hear(desk._get, key, message, SETTINGS, T0))
    assert desk.signals() == {"chat_after_payment", "repeated_chasing"}


@pytest.mark.rule("RSK-02")
@pytest.mark.parametrize("fields", [{"text": "在吗"}, {"text": None}, {}, {"customer_id": None, "text": "急用"}])
def test_nothing_is_passed_on_of_what_says_nothing(fields: dict[str, Any]) -> None:
    said = {"event_id": "c", "event_type": "chat_message", "event_time": T0, "source": "desk", "customer_id": "C1"}
    assert chats.of_customer({**said, **fields}, SETTINGS.limits) is None
