"""ST-08, ST-10, ST-15: time at a node; an SLA just reached is not passed."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from streams.agents.orders import decode, encode
from streams.commands.order_view import sla_sentence
from streams.domain.order import NodeRecords, OrderSettings, due, from_row, reduce, to_row
from streams.domain.order.node_records import ABNORMAL, OVERDUE, NodeRecordError
from streams.domain.rules import data
from streams.domain.rules.nodes import NODES
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    Run,
    created,
    fact,
    mapped,
    next_due,
    paid,
    refunded,
    says,
)

SETTINGS = OrderSettings(nodes=data.node_records())
PAID = T0 + MINUTE


def run(*events: dict[str, Any]) -> Run:
    """An order without stock that people review (so BRK-11 times nothing), paid a minute after its creation."""
    told = Run(SETTINGS)
    told.tell(created(lines=[], sales_type="custom"), *events)
    return told


def findings(sent: list[tuple[str, str, dict[str, Any]]]) -> list[tuple[str, str]]:
    return [(value["do"], key) for topic, key, value in sent if topic == "alert-facts"]


@pytest.mark.rule("ST-15")
def test_an_order_over_its_sla_is_told_once_and_closed_when_it_moves_on() -> None:
    order = run(paid(PAID), fact("wms", "allocated", PAID + MINUTE))
    entered = PAID + MINUTE
    assert findings(order.wait_until(entered + 2 * HOUR)) == []
    ((_, key, alert),) = order.wait_until(entered + 2 * HOUR + 1)
    assert key == f"ST-15/{GUID}"
    assert (alert["do"], alert["rule"], alert["recipient"]) == ("open", "ST-15", "warehouse supervisor")
    assert (alert["at"], alert["order_guid"], alert["targets"]) == (entered + 2 * HOUR + 1, GUID, ["wecom"])
    assert alert["advice"]
    assert "step 4 of 17, warehouse_allocated for 2 h 0 min" in alert["detail"]
    assert order.wait_until(entered + 3 * DAY) == []
    order.tell(fact("wms", "label_print_started", entered + 3 * DAY))
    assert order.alerts() == {"ST-15": "close"}


@pytest.mark.rule("ST-15")
def test_the_alert_tells_the_last_error_without_telephone_numbers() -> None:
    error = "template rendering failed 13800138000"
    order = run(paid(PAID), fact("wms", "label_print_failed", PAID + 1, error=error))
    (alert,) = [value for topic, *_, value in order.wait_until(PAID + 1 + 2 * HOUR + 1) if topic == "alert-facts"]
    assert "last error: template rendering failed #" in alert["detail"]
    assert f"oms order {GUID}" in alert["detail"]


@pytest.mark.rule("ST-10")
def test_8_h_without_a_scan_is_abnormal_and_a_scan_closes_it() -> None:
    scan = PAID + DAY
    order = run(paid(PAID), fact("couriers", "scanned", scan, waybill_no="ZT1"))
    assert findings(order.wait_until(scan + 4 * HOUR)) == []
    assert findings(order.wait_until(scan + 4 * HOUR + 1)) == [("open", f"ST-15/{GUID}")]
    assert findings(order.wait_until(scan + 8 * HOUR)) == []
    ((_, key, alert),) = order.wait_until(scan + 8 * HOUR + 1)
    assert (key, alert["severity"], alert["recipient"]) == (f"ST-10/{GUID}", "critical", "logistics lead")
    assert "waybill ZT1" in alert["detail"]
    assert f"ticket ST-10/{GUID}/{scan}" in alert["detail"]
    order.tell(fact("couriers", "scanned", scan + 9 * HOUR))
    assert order.alerts() == {"ST-15": "close", "ST-10": "close"}
    assert findings(order.wait_until(scan + 13 * HOUR + 1)) == [("open", f"ST-15/{GUID}")]


@pytest.mark.rule("ST-10")
@pytest.mark.parametrize(("back_after", "found"), [(5 * HOUR, []), (9 * HOUR, ["open", "close"])])
def test_nobody_is_to_call_the_courier_about_a_parcel_that_is_back(back_after: int, found: list[str]) -> None:
    scan = PAID + HOUR
    order = run(paid(PAID), fact("couriers", "scanned", scan, waybill_no="W1"))
    back = says("couriers", "4", scan + back_after, mapped(axis="return:signed"), waybill_no="W1")
    order.tell(back)
    order.wait_until(scan + DAY)
    assert [do for do, key in findings(order.sent) if key == f"ST-10/{GUID}"] == found
    order.tell(fact("couriers", "scanned", scan + 2 * DAY, waybill_no="W1"))
    assert ("open", f"ST-10/{GUID}") in findings(order.wait_until(scan + 3 * DAY)), "sent again, and it stands still"


@pytest.mark.rule("ST-10")
def test_entry_to_the_abnormal_node_is_told_at_once() -> None:
    order = run(paid(PAID), fact("couriers", "scanned", PAID + 1), fact("couriers", "exception", PAID + 2))
    assert findings(order.wait_until(PAID + 3)) == [("open", f"ST-10/{GUID}")]


@pytest.mark.rule("ST-15")
@pytest.mark.parametrize(
    "end",
    [
        fact("orders", "cancel_marked", PAID + HOUR),
        refunded(PAID + HOUR, 30000),
        fact("finance", "settled", PAID + HOUR),
        fact("couriers", "signed", PAID + HOUR),
    ],
)
def test_an_order_that_ends_has_no_timer(end: dict[str, Any]) -> None:
    order = run(paid(PAID))
    assert next_due(order.state) == PAID + 2 * HOUR + 1
    order.tell(end)
    assert next_due(order.state) is None
    assert order.view()["sla_due_at"] is None


@pytest.mark.rule("ST-15")
def test_an_open_alert_is_closed_by_the_end_of_the_order() -> None:
    order = run(paid(PAID))
    order.wait_until(PAID + 3 * HOUR)
    order.tell(fact("orders", "cancel_marked", PAID + 3 * HOUR))
    assert order.alerts() == {"ST-15": "close"}


@pytest.mark.rule("ST-15")
def test_an_order_that_moves_on_in_time_leaves_its_timer_where_it_is() -> None:
    order = run(paid(PAID))
    order.tell(fact("wms", "allocated", PAID + HOUR))
    assert next_due(order.state) == PAID + 2 * HOUR + 1
    assert order.wait_until(PAID + 2 * HOUR + 1) == []
    assert next_due(order.state) == PAID + 3 * HOUR + 1


@pytest.mark.rule("ST-15")
@pytest.mark.parametrize(
    ("late", "due_in"),
    [
        (2 * HOUR + 1, 0),
        (2 * HOUR + 2, 2 * HOUR + 1),
        (2 * HOUR + 1 + 7 * DAY, 2 * HOUR + 1),
        (2 * HOUR + 2 + 7 * DAY, None),
        (5 * 365 * DAY, None),
    ],
)
def test_what_is_read_late_has_its_sla_again_and_history_raises_nothing(late: int, due_in: int | None) -> None:
    now = PAID + late
    state = reduce(None, created(lines=[], sales_type="custom"), now, SETTINGS).state
    state = reduce(state, paid(PAID), now, SETTINGS).state
    assert next_due(state) == (None if due_in is None else now + due_in)


@pytest.mark.rule("ST-10")
def test_order_states_says_step_owner_and_what_is_next() -> None:
    order = run(paid(PAID), fact("couriers", "waybill_accepted", PAID + 1), fact("wms", "loaded", PAID + 2))
    view = order.view()
    assert (view["node"], view["node_step"], view["node_owner"]) == ("awaiting_pickup", 12, "logistics specialist")
    assert view["node_entered_at"] == PAID + 2, "the waybill was accepted before the order was shipped"
    assert (view["sla_due_at"], view["expected_next"]) == (PAID + 2 + 4 * HOUR, "the courier's pickup")
    left = sla_sentence(view, PAID + 2 + 2 * HOUR + 8 * MINUTE)
    assert left.startswith("step 12 of 17, logistics specialist: 1 h 52 min left, due 2026-01-24 14:01:00")
    assert "over the SLA by 1 min" in sla_sentence(view, view["sla_due_at"] + MINUTE)
    assert sla_sentence({}, 0) == ""


@pytest.mark.rule("ST-15")
def test_the_row_keeps_what_is_due_and_raised_and_older_rows_are_read() -> None:
    order = run(paid(PAID), fact("wms", "label_print_failed", PAID + 1, error="no template"))
    order.wait_until(PAID + 3 * HOUR)
    assert order.state is not None
    stored = decode(encode(order.state))
    assert stored == order.state
    assert stored.wait is not None
    assert due(GUID, stored, PAID + DAY, SETTINGS.stock, SETTINGS.nodes, SETTINGS.manual).sends == []
    old = from_row(to_row(order.state)[:32])
    assert (old.wait, old.error, old.node) == (None, None, order.state.node)


WAREHOUSE = (
    *("warehouse_allocated", "label_pending", "label_printing", "label_printed", "outbound_pending", "picking"),
    *("quality_check", "packed"),
)


@pytest.mark.rule("ST-08", "LOG-03")
def test_the_warehouse_has_two_hours_per_node_a_parcel_four_without_a_scan_and_eight_are_abnormal() -> None:
    records = data.node_records().nodes
    limits = {node.name: record.limits for node, record in zip(NODES, records, strict=True)}
    assert {name: limits[name] for name in WAREHOUSE} == dict.fromkeys(WAREHOUSE, ((2 * HOUR, OVERDUE),))
    in_transit = ((4 * HOUR, OVERDUE), (8 * HOUR, ABNORMAL))
    assert limits["picked_up"] == limits["in_transit"] == in_transit
    assert [record for record in records if not (record.owner and record.manual)] == []


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((data.FOLDER / "node_records.json").read_text(encoding="utf-8"))
    return document


@pytest.mark.rule("ST-08")
@pytest.mark.parametrize(
    ("node", "change", "says"),
    [
        ("picking", {"owner": " "}, "picking: owner is empty"),
        ("picking", {"sla_ms": -1}, "picking: sla_ms is not a time"),
        ("picking", {"sla_ms": True}, "picking: sla_ms is not a time"),
        ("picking", {"targets": ["pigeon"]}, "unknown targets"),
        ("picking", {"entry": []}, "entered by"),
        ("picking", {"retry": {"times": 0, "every_ms": 1}}, "retry is not"),
        ("picking", {"retry": {"often": 1}}, "retry:"),
        ("picking", {"manual_move": 1}, "neither true nor false"),
        ("picking", {"more": 1}, "fields missing or unknown"),
        ("lunch", {}, "lunch"),
    ],
)
def test_a_node_record_that_must_not_be_used_is_named(node: str, change: dict[str, Any], says: str) -> None:
    document = _document()
    document["nodes"][node] = {**document["nodes"].get(node, {}), **change}
    with pytest.raises(NodeRecordError, match=says):
        NodeRecords.parse(document)


@pytest.mark.rule("ST-08")
def test_a_node_without_a_record_or_another_version_is_not_loaded() -> None:
    document = _document()
    del document["nodes"]["packed"]
    with pytest.raises(NodeRecordError, match="packed"):
        NodeRecords.parse(document)
    with pytest.raises(NodeRecordError, match="version 2"):
        NodeRecords.parse({**_document(), "version": 2})


@pytest.mark.rule("ST-15")
def test_of_a_parcel_that_lies_ready_for_its_customer_nothing_is_asked_of_the_courier() -> None:
    out = PAID + DAY
    ready = mapped("shipped", "out_for_delivery", axis="delivery:at_pickup_point")
    words = [
        fact("couriers", "out_for_delivery", out, waybill_no="W1"),
        says("couriers", "待取件", out + HOUR, ready, waybill_no="W1"),
    ]
    for events in permutations(words):
        order = run(paid(PAID), *events)
        order.wait_until(out + 3 * DAY)
        assert order.alerts().get("ST-15") != "open"
        view = order.view()
        assert (view["sla_due_at"], view["expected_next"]) == (None, "the customer, who is to fetch the parcel")
    again = out + 3 * DAY
    left = mapped("shipped", "out_for_delivery", axis="delivery:left_pickup_point")
    order.tell(says("couriers", "取出", again, left, waybill_no="W1"))
    assert order.view()["sla_due_at"] == again + 8 * HOUR
    assert findings(order.wait_until(again + DAY))[0] == ("open", f"ST-15/{GUID}")


@pytest.mark.rule("ST-15")
def test_what_lies_ready_ends_the_alert_about_it() -> None:
    out = PAID + DAY
    order = run(paid(PAID), fact("couriers", "out_for_delivery", out, waybill_no="W1"))
    order.wait_until(out + 9 * HOUR)
    assert order.alerts()["ST-15"] == "open"
    ready = mapped("shipped", "out_for_delivery", axis="delivery:at_pickup_point")
    order.tell(says("couriers", "待取件", out + 10 * HOUR, ready, waybill_no="W1"))
    assert order.alerts()["ST-15"] == "close"
    assert findings(order.wait_until(out + 9 * DAY)) == []


@pytest.mark.rule("ST-15", "ST-04")
def test_what_nobody_fetched_and_goes_back_waits_for_the_shop() -> None:
    out = PAID + DAY
    ready = mapped("shipped", "out_for_delivery", axis="delivery:at_pickup_point")
    back = mapped(axis="return:in_transit")
    words = [
        says("couriers", "待取件", out, ready, waybill_no="W1"),
        says("couriers", "退回", out + 5 * DAY, back, waybill_no="W1"),
    ]
    for events in permutations(words):
        view = run(paid(PAID), *events).view()
        assert view["expected_next"] != "the customer, who is to fetch the parcel"
        assert view["sla_due_at"] == out + 8 * HOUR
