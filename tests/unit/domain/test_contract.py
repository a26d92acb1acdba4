"""What the contract refuses, on both sides of every limit; a reason names the field and never its value."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.contract import LIMITS, Contract, Limits, Refusal, check
from streams.domain.events import SPECS

AT = calendar.at(2026, 1, 24, 10)
LINE = {"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}
NEEDED = {
    "channel": "douyin",
    "order_no": "692",
    "lines": [LINE],
    "raw_status": "已完成",
    "amount_minor": 9900,
    "currency": "CNY",
    "sku": "BAG",
    "warehouse": "hz",
    "quantity": 3,
    "pool": "sales",
    "to_pool": "reserved",
    "command": "unlock",
    "target": "x",
    "request_id": "r-1",
    "value": "{}",
    "period": "2026-01",
    "reply_to": "customer/C",
    "invoice_code": "F1",
    "error_code": "busy",
}


def event(event_type: str = "order_created", **fields: Any) -> dict[str, Any]:
    envelope = {"event_id": "e-1", "event_type": event_type, "event_time": AT, "source": "douyin"}
    return {**envelope, "channel": "douyin", "order_no": "692", "lines": [LINE], **fields}


def payment(**fields: Any) -> dict[str, Any]:
    envelope = {"event_id": "p-1", "event_type": "payment_succeeded", "event_time": AT, "source": "wechatpay"}
    return {**envelope, "platform_txn_no": "42", "amount_minor": 9900, "currency": "CNY", **fields}


def reason(topic: str, value: dict[str, Any], received_at: int | None = None) -> str | None:
    refusal = check(topic, value, received_at)
    return None if refusal is None else refusal.reason


EVERY = [(topic, event_type) for topic, specs in SPECS.items() for event_type in specs]


@pytest.mark.parametrize(("topic", "event_type"), EVERY)
def test_every_event_type_passes_with_what_it_needs(topic: str, event_type: str) -> None:
    needed = {name: NEEDED[name] for name in SPECS[topic][event_type].required}
    value = {"event_id": "e", "event_type": event_type, "event_time": AT, "source": "s", "waybill_no": "W", **needed}
    assert check(topic, value, AT) is None


@pytest.mark.parametrize(("topic", "event_type"), EVERY)
def test_every_event_type_misses_each_field_it_needs(topic: str, event_type: str) -> None:
    for missing in SPECS[topic][event_type].required:
        needed = {name: NEEDED[name] for name in SPECS[topic][event_type].required if name != missing}
        value = {
            "event_id": "e",
            "event_type": event_type,
            "event_time": AT,
            "source": "s",
            "waybill_no": "W",
            **needed,
        }
        assert reason(topic, value) == f"{event_type} needs {missing}"


def test_fields_an_event_does_not_need_may_be_missing() -> None:
    value = event()
    value["lines"] = [{"sku": "BAG", "quantity": 1}]
    assert check("orders", value) is None
    assert (
        check("payments", {**payment(), "event_type": "payment_failed", "amount_minor": None, "currency": None}) is None
    )


@pytest.mark.parametrize("field", ["event_id", "event_type", "source", "event_time"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_envelope_field_must_be_there(field: str, value: str | None) -> None:
    if field == "event_time" and value is not None:
        assert reason("orders", event(event_time=value)) == "event_time is not a time in milliseconds"
    elif field == "event_type" and value == "  ":
        assert reason("orders", event(event_type=value)) == "event_type is unknown on topic orders"
    else:
        assert reason("orders", {**event(), field: value}) == f"{field} is missing"


@pytest.mark.parametrize("event_type", ["teleported", "payment_succeeded", "ORDER_CREATED"])
def test_an_event_type_of_no_or_another_topic_is_refused(event_type: str) -> None:
    assert reason("orders", event(event_type)) == "event_type is unknown on topic orders"


def test_a_time_before_2000_is_refused() -> None:
    assert check("orders", event(event_time=946_684_800_000)) is None
    assert reason("orders", event(event_time=946_684_799_999)) == "event_time is before the year 2000"
    assert reason("orders", event(event_time=-1)) == "event_time is before the year 2000"


def test_a_time_over_a_day_ahead_is_refused_where_lateness_is_judged() -> None:
    ahead = event(event_time=AT + calendar.DAY_MS + 1)
    assert reason("orders", ahead, AT) == "event_time is more than a day ahead"
    assert check("orders", ahead, AT + 1) is None
    assert check("orders", ahead, None) is None


def test_a_time_beyond_this_century_is_refused_even_in_a_replay() -> None:
    assert check("orders", event(event_time=calendar.at(2100, 1, 1) - 1)) is None
    assert reason("orders", event(event_time=calendar.at(2100, 1, 1))) == "event_time is after the year 2099"


@pytest.mark.rule("RSK-11")
@pytest.mark.parametrize("field", ["promised_ship_at", "promised_delivery_at"])
def test_a_promise_before_2000_or_beyond_this_century_is_refused_like_any_absurd_time(field: str) -> None:
    assert check("orders", {**event(), field: 946_684_800_000}) is None
    assert reason("orders", {**event(), field: 0}) == f"{field} is before the year 2000"
    assert reason("orders", {**event(), field: calendar.at(2100, 1, 1)}) == f"{field} is after the year 2099"


@pytest.mark.rule("DQ-15")
@pytest.mark.parametrize("code", ["platform_txn_no", "internal_no", "waybill_no", "package_id"])
def test_one_code_is_enough_to_find_the_order(code: str) -> None:
    naked = payment(platform_txn_no=None)
    assert check("payments", naked) == Refusal(
        "payment_succeeded names no order: no code it could be found by", "DQ-15"
    )
    assert check("payments", {**naked, code: "1"}) is None
    assert check("payments", {**naked, code: " "}) is not None


@pytest.mark.rule("DQ-15", "ST-06")
def test_what_could_have_stood_in_place_of_a_code_is_named() -> None:
    about = {"event_id": "e", "event_time": calendar.at(2026, 1, 24), "source": "s"}
    chat = reason("service", {**about, "event_type": "chat_opened"})
    assert chat == "chat_opened names no order: no code it could be found by, and no customer_id"
    close = reason("ops", {**about, "event_type": "manual_command", "command": "alert_close"})
    assert close == "manual_command names no order: no code it could be found by, and no target or channel"


@pytest.mark.rule("DQ-15")
def test_an_order_number_counts_with_its_channel_only() -> None:
    assert check("payments", payment(platform_txn_no=None, channel="douyin", order_no="1")) is None
    assert check("payments", payment(platform_txn_no=None, order_no="1")) is not None
    assert check("payments", payment(platform_txn_no=None, channel="douyin")) is not None


@pytest.mark.rule("ID-07")
def test_an_alias_counts_as_a_code_without_a_channel() -> None:
    assert check("payments", payment(platform_txn_no=None, order_no="DBAJJQX7D6DWTWJ7YO")) is None


def test_an_order_guid_must_be_written_as_one() -> None:
    assert check("payments", payment(platform_txn_no=None, order_guid="DB20260124X7D6DWTWJ7YO")) is None
    assert check("payments", payment(platform_txn_no=None, order_guid=" DB20260124X7D6DWTWJ7YO\n")) is None
    assert reason("payments", payment(order_guid="DB2026")) == "order_guid is not written as an order_guid"


@pytest.mark.parametrize("lines", [None, []])
def test_an_order_without_lines_is_refused(lines: list[Any] | None) -> None:
    assert "lines" in (reason("orders", event(lines=lines)) or "")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ({"quantity": 0}, "lines item 1 has a quantity that is less than 1"),
        ({"quantity": -1}, "lines item 1 has a quantity that is less than 1"),
        ({"quantity": 1.5}, "lines item 1 has a quantity that is not a whole number"),
        ({"quantity": True}, "lines item 1 has a quantity that is not a whole number"),
        ({"quantity": None}, "lines item 1 has no quantity"),
        ({"quantity": 10**15 + 1}, f"lines item 1 has a quantity that is greater than {10**15}"),
        ({"sku": None}, "lines item 1 has no sku"),
        ({"unit_price_minor": -1}, "lines item 1 has a unit_price_minor that is negative"),
        ({"name": "a\0"}, "lines item 1 has a name that holds a NUL character"),
        ({"is_gift": "no"}, "lines item 1 has a is_gift that is not true or false"),
    ],
)
def test_a_bad_line_is_refused_by_number_and_field(line: dict[str, Any], wrong: str) -> None:
    assert reason("orders", event(lines=[{**LINE, **line}])) == wrong


def test_the_number_of_lines_is_limited() -> None:
    assert check("orders", event(lines=[LINE] * 10_000)) is None
    assert reason("orders", event(lines=[LINE] * 10_001)) == "lines holds more than 10000 items"


@pytest.mark.parametrize(
    ("amount", "wrong"),
    [
        (0, None),
        (10**15, None),
        (10**15 + 1, f"amount_minor is greater than {10**15}"),
        (-1, "amount_minor is negative"),
        (1.0, "amount_minor is not a whole number"),
        ("9900", "amount_minor is not a whole number"),
        (True, "amount_minor is not a whole number"),
    ],
)
def test_an_amount_is_a_sane_whole_number(amount: Any, wrong: str | None) -> None:
    assert reason("payments", payment(amount_minor=amount)) == wrong


@pytest.mark.parametrize("quantity", [0, -1])
def test_stock_that_moves_is_at_least_one_unit(quantity: int) -> None:
    stock = {"event_id": "e", "event_time": AT, "source": "wms", "sku": "A", "warehouse": "hz", "quantity": quantity}
    assert check("wms", {**stock, "event_type": "stock_received"}) is not None
    assert (check("wms", {**stock, "event_type": "stock_snapshot"}) is None) == (quantity == 0)


def test_a_pool_is_one_of_the_four() -> None:
    moved = {"event_id": "e", "event_time": AT, "source": "wms", "sku": "A", "warehouse": "hz", "quantity": 1}
    wrong = reason("wms", {**moved, "event_type": "stock_moved", "pool": "sales", "to_pool": "attic"})
    assert wrong == "to_pool is not one of sales, reserved, quality_check, in_transit"


@pytest.mark.parametrize("field", ["event_id", "order_no", "platform_txn_no", "source", "raw_status"])
def test_a_code_is_short(field: str) -> None:
    assert check("orders", event(**{field: "x" * 256})) is None
    assert reason("orders", event(**{field: "x" * 257})) == f"{field} is longer than 256 characters"


def test_a_megabyte_of_text_is_refused_by_bytes() -> None:
    assert check("orders", event(raw="x" * 262_144)) is None
    assert reason("orders", event(raw="x" * 1_000_000)) == "raw is longer than 262144 bytes"
    assert reason("orders", event(raw="龘" * 87_382)) == "raw is longer than 262144 bytes"
    assert check("orders", event(raw="龘" * 87_381)) is None


@pytest.mark.parametrize("field", ["event_id", "order_no", "waybill_no", "raw"])
def test_nul_and_broken_unicode_are_refused(field: str) -> None:
    assert reason("orders", event(**{field: "a\0b"})) == f"{field} holds a NUL character"
    assert reason("orders", event(**{field: "a\ud800"})) == f"{field} is not valid Unicode (lone surrogate)"
    assert reason("orders", event(**{field: "龘\0"})) == f"{field} holds a NUL character"


@pytest.mark.parametrize(
    "field", ["order_no", "raw", "lines", "address", "total_minor", "discounts", "sales_type", "promised_ship_at"]
)
def test_a_value_of_another_type_is_refused(field: str) -> None:
    wrong: Any = 1.5 if field != "lines" else {"sku": "A"}
    assert (reason("orders", event(**{field: wrong})) or "").startswith(field)


def test_a_discount_may_have_no_amount() -> None:
    assert check("orders", event(discounts=[{"text": "满300减50"}, {"text": None, "amount_minor": None}])) is None
    assert reason("orders", event(discounts=[{"text": "x", "amount_minor": -1}])) == (
        "discounts item 1 has a amount_minor that is negative"
    )


def test_an_address_is_checked_field_by_field_and_never_quoted() -> None:
    phone = "1" * 5000
    wrong = reason("orders", event(address={"phone": phone}))
    assert wrong == "address has a phone that is longer than 4096 characters"
    assert check("orders", event(address={"receiver": "龘", "lat": 31.2, "lon": 121})) is None


def test_a_field_added_later_passes_within_reason() -> None:
    assert check("orders", event(colour="red", weight_g=3, fragile=True)) is None
    assert reason("orders", event(colour="\0")) == "colour holds a NUL character"


def test_an_event_that_would_outgrow_a_message_is_refused() -> None:
    contract = Contract()
    assert contract.oversize(b"a" * 900_000) is None
    assert contract.oversize(b"a" * 900_001) == Refusal("the event is too large")
    assert contract.oversize(b"\x01" * 200_000) == Refusal("the event is too large")
    assert contract.oversize(b"\x01" * 131_072) is None


def test_every_limit_is_a_setting() -> None:
    strict = Contract(Limits(word=3, amount=10, ahead=0))
    assert strict.check("orders", event(order_no="1234")) is not None
    assert LIMITS.amount == 10**15


def test_service_and_ops_events_may_concern_no_order() -> None:
    base = {"event_id": "e", "event_time": AT, "source": "crm"}
    assert check("service", {**base, "event_type": "chat_opened", "customer_id": "c"}) is None
    assert check("service", {**base, "event_type": "chat_opened"}) is not None
    assert check("ops", {**base, "event_type": "heartbeat"}) is None
    assert check("finance", {**base, "event_type": "period_closed", "period": "2026-01"}) is None
