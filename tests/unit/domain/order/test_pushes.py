"""ST-13: what other systems are told at once, once per change and target, without personal data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.order.pushes import CHANGES, PushError, parse
from streams.domain.rules import data
from tests.property.test_order import histories
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    Fact,
    Run,
    created,
    fact,
    mapped,
    paid,
    says,
    step,
)

SETTINGS = data.order_settings()
ALL = ["erp", "wms", "crm"]


def run(*events: Fact) -> Run:
    order = Run(SETTINGS)
    order.tell(*events)
    return order


def pushed(order: Run) -> list[dict[str, Any]]:
    return [value for topic, _, value in order.sent if topic == "order-pushes"]


@pytest.mark.rule("ST-13")
def test_a_payment_is_pushed_with_what_the_warehouse_begins_with() -> None:
    order = run(created(warehouse="hz"), paid(platform_txn_no="T1"))
    [_, push] = pushed(order)
    assert push == {
        "push_id": f"paid/{GUID}",
        "change": "paid",
        "targets": ALL,
        "order_guid": GUID,
        "at": T0 + MINUTE,
        "source": "wechatpay",
        "channel": "douyin",
        "order_no": "6921234567890",
        "codes": {
            "platform_txn_no": "T1",
            "internal_no": None,
            "waybills": [],
            "package_ids": [],
            "alias18": "DB2601240000000001",
        },
        "state": "paid",
        "node": "paid",
        "flags": [],
        "tier": "L1",
        "sales_type": None,
        "warehouse": "hz",
        "lines": [{"line_no": 1, "sku": "BAG", "quantity": 2, "unit_price_minor": 15000, "is_gift": False}],
        "total_minor": 30000,
        "paid_minor": 30000,
        "currency": "CNY",
    }


@pytest.mark.rule("ST-13")
def test_receiver_and_address_are_not_pushed() -> None:
    address = {"receiver": "王小明", "phone": "13800138000", "street": "文三路 1"}
    order = run(created(address=address, ip="1.2.3.4", customer_id="c-1"), paid(), fact("couriers", "signed", T0 + DAY))
    text = str(pushed(order))
    assert len(pushed(order)) == 3
    assert not [word for word in ("王小明", "13800138000", "文三路", "1.2.3.4", "c-1") if word in text]


@pytest.mark.rule("ST-13")
@pytest.mark.parametrize("proof", ["picked_up", "scanned", "out_for_delivery", "signed"])
def test_each_change_is_told_once_and_a_pickup_by_whatever_proves_it(proof: str) -> None:
    events = [created(), paid(), fact("couriers", proof, T0 + HOUR, waybill_no="W1")]
    more = [paid(T0 + HOUR, 1, event_type="balance_paid"), fact("couriers", "scanned", T0 + DAY)]
    order = run(*events, *events, *more, fact("couriers", "signed", T0 + 2 * DAY))
    assert [push["change"] for push in pushed(order)] == ["created", "paid", "picked_up"]
    assert [push["codes"]["waybills"] for push in pushed(order)] == [[], [], ["W1"]]
    assert pushed(order)[2]["lines"] == []


@pytest.mark.rule("ST-13")
@pytest.mark.parametrize("no_pickup", [fact("couriers", "waybill_accepted", T0 + 1), fact("wms", "loaded", T0 + 1)])
def test_an_accepted_waybill_or_a_loaded_parcel_is_no_pickup(no_pickup: Fact) -> None:
    assert [push["change"] for push in pushed(run(created(), paid(), no_pickup))] == ["created", "paid"]


@pytest.mark.rule("ST-13")
def test_a_status_word_counts_as_the_event() -> None:
    order = run(created(), says("couriers", "已揽收", T0 + 1, mapped("shipped", "picked_up")))
    assert [push["change"] for push in pushed(order)] == ["created", "picked_up"]


@pytest.mark.rule("ST-13")
def test_a_push_says_what_must_not_be_handled() -> None:
    order = run(created(total_minor=2_000_000), fact("orders", "cancel_marked", T0 + 1), paid())
    push = pushed(order)[1]
    assert (push["tier"], push["flags"]) == ("L3", ["closed"])


@pytest.mark.rule("ST-13")
def test_targets_are_data() -> None:
    order = Run(replace(SETTINGS, pushes=parse({"paid": ["wms"], "created": []})))
    order.tell(created(), paid(), fact("couriers", "picked_up", T0 + HOUR))
    assert [(push["change"], push["targets"]) for push in pushed(order)] == [("paid", ["wms"])]


@pytest.mark.rule("ST-13")
@pytest.mark.parametrize("wrong", [{"shipped": ["wms"]}, {"paid": "wms"}, {"paid": [""]}, {"paid": ["wms", "wms"]}])
def test_targets_that_cannot_be_used_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(PushError, match="pushes: "):
        parse(wrong)


@pytest.mark.rule("ST-13")
@settings(max_examples=150, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_whatever_comes_each_change_is_told_when_it_is_true_and_once(history: list[Fact], chance: Any) -> None:
    arrived = [history[0], *chance.sample(history[1:] * 2, 2 * len(history[1:]))]
    state, told = None, list[str]()
    for event in arrived:
        decision = step(state, event, SETTINGS)
        told += [value["change"] for topic, _, value in decision.sends if topic == "order-pushes"]
        state = decision.state
    assert state is not None
    moved = any(node in state.nodes for node in (16, 17, 19)) or state.reached[3] is not None
    expected = {"created"} | ({"paid"} if state.reached[1] is not None else set()) | ({"picked_up"} if moved else set())
    assert sorted(told) == sorted(expected)
    assert {*told} <= {*CHANGES}
