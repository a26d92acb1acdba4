"""How an accepted event becomes a fact, and which code it is found by."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import ids
from streams.domain.events import fact_of, primary_code
from streams.domain.order import money

GUID = ids.order_guid("douyin", "692", 1_769_220_000_000)
ALIAS = ids.alias18(GUID)
CODES = {
    "order_guid": GUID,
    "order_no": "692",
    "platform_txn_no": "T",
    "internal_no": "I",
    "waybill_no": "W",
    "package_id": "P",
}


def event(**fields: Any) -> dict[str, Any]:
    return {"event_id": "e", "event_type": "loaded", "event_time": 1, "source": "s", "channel": "douyin", **fields}


def fact(topic: str = "wms", **fields: Any) -> dict[str, Any]:
    return fact_of(topic, event(**fields), 7)


def test_a_fact_is_what_was_said_with_topic_and_digest() -> None:
    assert fact(order_no="692", raw=None) == {**event(order_no="692"), "topic": "wms", "digest": 7}


@pytest.mark.rule("ID-01")
def test_codes_count_in_a_fixed_order() -> None:
    left = dict(CODES)
    for kind in ids.KINDS:
        code = primary_code(event(**left))
        assert code == (kind, "douyin" if kind == "order_no" else "", left.pop(kind))
    assert primary_code(event()) is None


@pytest.mark.rule("ID-01")
def test_an_order_created_is_always_its_channel_and_number() -> None:
    assert primary_code(event(**CODES, event_type="order_created")) == ("order_no", "douyin", "692")


def test_blank_codes_are_no_codes() -> None:
    assert primary_code(fact(order_no=" ", waybill_no="", package_id="P")) == ("package_id", "", "P")
    assert "waybill_no" not in fact(waybill_no="")


@pytest.mark.rule("ID-01", "ID-08")
def test_blanks_around_a_code_are_no_part_of_it() -> None:
    said = fact(order_no="692\r\n", channel=" douyin", waybill_no="W 1 ")
    assert primary_code(said) == ("order_no", "douyin", "692")
    assert said["waybill_no"] == "W 1"


@pytest.mark.rule("ST-03", "RSK-02", "INV-05")
@pytest.mark.parametrize("field", ["customer_id", "warehouse", "sku", "currency", "raw_status", "raw_field"])
@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_name_or_status_says_nothing(field: str, blank: str) -> None:
    assert field not in fact(**{field: blank})


@pytest.mark.rule("INV-01", "INV-02", "RSK-02", "ST-09", "BRK-01")
@pytest.mark.parametrize(
    "field",
    ["customer_id", "warehouse", "to_warehouse", "sku", "activity", "target", "request_id", "ticket_code"],
)
def test_blanks_around_a_name_are_no_part_of_it(field: str) -> None:
    assert fact(**{field: " x y\t"})[field] == "x y"


@pytest.mark.rule("FIN-07")
@pytest.mark.rule("DQ-11")
@pytest.mark.parametrize("said", ["CNY ", " cny", "cny"])
def test_a_currency_stays_as_it_was_told_and_is_the_same_however_it_is_written(said: str) -> None:
    told = fact("payments", currency=said)
    assert told["currency"] == said
    assert money.refusal("CNY", told) is None


@pytest.mark.rule("INV-01")
def test_blanks_around_the_sku_of_a_line_are_no_part_of_it() -> None:
    lines = [{"sku": "BAG ", "quantity": 1}, {"sku": "CUP", "quantity": 2}]
    made = fact("orders", event_type="order_created", lines=lines)
    assert made["lines"] == [{"sku": "BAG", "quantity": 1}, {"sku": "CUP", "quantity": 2}]
    assert lines[0]["sku"] == "BAG "


@pytest.mark.rule("ST-03")
def test_a_status_is_kept_as_it_was_said() -> None:
    assert fact(raw_status=" x")["raw_status"] == " x"


@pytest.mark.rule("ID-07")
@pytest.mark.parametrize("field", ["internal_no", "order_no"])
def test_an_alias_said_back_stands_for_its_guid(field: str) -> None:
    made = fact(**{field: ALIAS}, channel=None)
    assert made["order_guid"] == GUID
    assert field not in made
    assert primary_code(made) == ("order_guid", "", GUID)


@pytest.mark.rule("ID-07")
def test_an_alias_is_not_looked_for_in_a_new_order() -> None:
    made = fact_of("orders", event(event_type="order_created", order_no=ALIAS), 7)
    assert primary_code(made) == ("order_no", "douyin", ALIAS)


@pytest.mark.parametrize("target", [GUID, ALIAS, f" {GUID}\n"])
def test_a_command_may_name_its_order_as_target(target: str) -> None:
    made = fact_of("ops", event(event_type="manual_command", channel=None, target=target), 7)
    assert primary_code(made) == ("order_guid", "", GUID)
    assert primary_code(fact_of("ops", event(event_type="manual_command", target="BAG"), 7)) is None
