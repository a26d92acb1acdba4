"""ST-06 and ST-12: what is told about each event; and the row that is stored."""

from __future__ import annotations

import json

import pytest

from streams.domain.events import SPECS
from streams.domain.order import OrderState, RowError, from_row, learn, record, to_row
from streams.domain.order.meanings import MEANINGS
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    created,
    fact,
    fold,
    mapped,
    paid,
    refunded,
    says,
    step,
    told,
)


@pytest.mark.rule("ST-06")
def test_the_audit_names_who_when_what_before_and_after() -> None:
    order, _ = fold([created()])

    decision = step(order, paid(operator="wang", event_id="p-9"))

    assert decision.audit == {
        "order_guid": GUID,
        "operator": "wang",
        "at": T0 + MINUTE,
        "source": "wechatpay",
        "event_id": "p-9",
        "rule": "ST-01",
        "decision": "accepted",
        "before": decision.audit["before"],
        "after": decision.audit["after"],
        "reason": None,
        "raw": None,
        "event_type": "payment_succeeded",
        "topic": "payments",
    }
    after = {"state": "paid", "node": "paid", "flags": [], "paid_minor": 30000, "refunded_minor": 0}
    assert json.loads(decision.audit["after"]) == after
    assert json.loads(decision.audit["before"])["state"] == "pending_payment"


@pytest.mark.rule("ST-06")
@pytest.mark.parametrize(
    ("topic", "event_type"),
    [
        (topic, event_type)
        for topic, types in SPECS.items()
        for event_type, spec in types.items()
        if event_type != "order_created" and spec.route != "tax"  # which answers an invoice, not an order
    ],
)
def test_every_event_type_of_the_contract_is_audited_and_accepted_if_acted_on(topic: str, event_type: str) -> None:
    order, _ = fold([created(), paid()])

    decision = step(order, fact(topic, event_type, T0 + HOUR, amount_minor=0, currency="CNY"))

    commands = {("ops", "manual_command"), ("ops", "approval")}
    expected = "refused" if (topic, event_type) in commands else "accepted"
    assert decision.audit["decision"] == expected
    assert decision.state.updated_at == (MINUTE if expected == "refused" else HOUR)


@pytest.mark.rule("ST-06")
def test_the_table_of_meanings_names_event_types_of_the_contract_only() -> None:
    assert {(topic, event_type) for topic, types in SPECS.items() for event_type in types} >= set(MEANINGS)


@pytest.mark.rule("ST-12")
def test_the_six_atomic_events_come_once_each() -> None:
    invoiced = says("orders", "已开票", T0 + 3 * DAY, mapped(event="invoiced", axis="invoice:issued"))
    again = says("orders", "已开票", T0 + 4 * DAY, mapped(event="invoiced", axis="invoice:issued"))
    _, decisions = fold(
        [
            created(),
            paid(),
            paid(T0 + HOUR, 1, event_type="balance_paid"),
            fact("couriers", "picked_up", T0 + 3 * HOUR),
            fact("wms", "loaded", T0 + 2 * HOUR),
            fact("couriers", "signed", T0 + DAY),
            fact("couriers", "signed", T0 + DAY + 1),
            fact("orders", "buyer_confirmed", T0 + 2 * DAY),
            fact("service", "confirmation_scanned", T0 + 2 * DAY),
            invoiced,
            again,
            refunded(T0 + 5 * DAY, 7),
            fact("finance", "settled", T0 + 6 * DAY),
        ]
    )

    assert told(decisions) == [
        ("created", None),
        ("paid", None),
        ("shipped", None),
        ("signed", "logistics"),
        ("signed", "customer"),
        ("invoiced", None),
        ("refunded", None),
    ]


@pytest.mark.rule("ST-12")
def test_an_atomic_event_has_the_time_and_the_names_of_the_event_that_made_it_true() -> None:
    order, _ = fold([created()])

    assert step(order, paid(event_id="p-1", operator="li")).events == [
        {
            "order_guid": GUID,
            "event": "paid",
            "sign_type": None,
            "at": T0 + MINUTE,
            "operator": "li",
            "source": "wechatpay",
            "event_id": "p-1",
            "channel": "douyin",
            "order_no": "6921234567890",
            "amount_minor": 30000,
            "currency": "CNY",
        }
    ]


def _full_order() -> list[dict[str, object]]:
    return [
        created(platform_txn_no="4200001234202601240000000001", internal_no="IN-1", customer_id="c-1"),
        paid(),
        fact("wms", "loaded", T0 + HOUR, waybill_no="ZTO731", package_id="PK1"),
        says("orders", "LOCKED", T0 + HOUR, mapped(flags=["locked", "closed"])),
        says("couriers", "??", T0 - DAY, mapped(known=False)),
        fact("ops", "_code_rejected", T0 + HOUR, code_kind="waybill_no", code="W", bound_to="G"),
        refunded(T0 + DAY, 1, line_no=1),
    ]


def test_a_row_is_the_state_as_json_and_back() -> None:
    state, _ = fold(_full_order())

    assert from_row(json.loads(json.dumps(to_row(state)))) == state


def test_a_row_of_another_version_is_refused() -> None:
    state, _ = fold([created()])

    with pytest.raises(RowError, match="version 99"):
        from_row([99, *to_row(state)[1:]])
    with pytest.raises(RowError, match="version None"):
        from_row([])


def test_a_typical_order_with_two_lines_takes_less_than_710_bytes() -> None:
    line = {"sku": "SKU-20260124-001", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}
    number = "0123456789abcdef0123456789abcdef"
    state, _ = fold(
        [
            created(
                event_id=number,
                platform_txn_no="4200001234202601240000000001",
                customer_id="c-123456",
                lines=[{**line, "line_no": 1}, {**line, "line_no": 2}],
            ),
            paid(T0 + 5000),
            fact("wms", "allocated", T0 + HOUR),
            fact("wms", "loaded", T0 + 5 * HOUR, waybill_no="ZTO7310001234", package_id="PK1-0001"),
            fact("couriers", "picked_up", T0 + 8 * HOUR, waybill_no="ZTO7310001234"),
            fact("couriers", "signed", T0 + 2 * DAY, waybill_no="ZTO7310001234"),
        ]
    )

    row = json.dumps(to_row(state), separators=(",", ":"), ensure_ascii=False).encode()

    assert len(row) < 710, row.decode()


@pytest.mark.rule("ST-01")
def test_a_copy_has_every_field_of_the_order() -> None:
    order, _ = fold([created(), paid()])
    copy = order.copy()
    assert copy is not order
    for name in OrderState.__slots__:
        assert getattr(copy, name) is getattr(order, name), name


@pytest.mark.rule("LOG-16")
@pytest.mark.parametrize(("refund", "is_awaited"), [(0, True), (10000, True), (30000, False)])
def test_a_parcel_whose_order_was_paid_back_is_awaited_by_nobody(refund: int, is_awaited: bool) -> None:
    order, _ = fold([created(), paid(), fact("couriers", "picked_up", T0 + HOUR, waybill_no="W1")])
    told_of = {"waybill": "W1", "picked_at": T0 + HOUR, "arrives_at": T0 + 3 * DAY, "basis": "lane"}
    order = learn(order, told_of)
    if refund:
        order = step(order, refunded(T0 + DAY, refund)).state
    shown = record(GUID, order)
    assert (shown["customer_text"] is not None) is (shown["estimated_arrival_at"] is not None) is is_awaited


@pytest.mark.rule("LOG-16")
def test_a_parcel_that_was_refused_is_awaited_by_nobody_until_it_moves_on() -> None:
    order, _ = fold([created(), paid(), fact("couriers", "picked_up", T0 + HOUR, waybill_no="W1")])
    order = learn(order, {"waybill": "W1", "picked_at": T0 + HOUR, "arrives_at": T0 + 3 * DAY, "basis": "lane"})
    refused = says("couriers", "203", T0 + DAY, mapped(axis="delivery:refused"), waybill_no="W1")
    order = step(order, refused).state
    assert record(GUID, order)["customer_text"] is None
    order = step(order, fact("couriers", "out_for_delivery", T0 + 2 * DAY, waybill_no="W1")).state
    assert record(GUID, order)["customer_text"] == "parcel sent, arrives in about 1 day"


@pytest.mark.rule("LOG-16")
def test_no_arrival_is_told_of_a_parcel_that_lies_at_its_pickup_point() -> None:
    order, _ = fold([created(), paid(), fact("couriers", "picked_up", T0 + HOUR, waybill_no="W1")])
    order = learn(order, {"waybill": "W1", "picked_at": T0 + HOUR, "arrives_at": T0 + 3 * DAY, "basis": "lane"})
    ready = mapped("shipped", "out_for_delivery", axis="delivery:at_pickup_point")
    order = step(order, says("couriers", "待取件", T0 + DAY, ready, waybill_no="W1")).state
    assert record(GUID, order)["customer_text"] is None
    order = step(order, fact("couriers", "out_for_delivery", T0 + 2 * DAY, waybill_no="W1")).state
    assert record(GUID, order)["customer_text"] == "parcel sent, arrives in about 1 day"
