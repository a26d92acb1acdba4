"""Stock from the input topics to the output topics: intake, inventory and alerts, in process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams import topology
from streams.agents.alerts import alerts
from streams.agents.intake import intake
from streams.agents.inventory import inventory
from streams.domain import calendar
from streams.engine.local import LocalRunner

T0 = calendar.at(2026, 1, 22, 10)
MINUTE, DAY = calendar.MINUTE_MS, calendar.DAY_MS
SKU = "BAG"


class Flow:
    """One event at a time, each with an id of its own unless one is given."""

    def __init__(self) -> None:
        self.runner = LocalRunner([intake, inventory, alerts], topology.load(), partitions=4)
        self._events = 0

    def say(self, topic: str, event_type: str, at: int = 0, **fields: Any) -> Flow:
        self._events += 1
        envelope = {"event_id": f"e{self._events}", "event_type": event_type, "event_time": T0 + at, "source": "s"}
        self.runner.send(topic, {**envelope, **fields})
        self.runner.run()
        return self

    def set(self, event_type: str, at: int = 0, **value: Any) -> Flow:
        return self.say("ops", event_type, at, value=json.dumps(value))

    def receive(self, units: int, at: int = 0, **fields: Any) -> Flow:
        return self.say("wms", "stock_received", at, **{"sku": SKU, "warehouse": "hz", "quantity": units, **fields})

    def order(self, do: str, guid: str, units: int, at: int = 0, **fields: Any) -> Flow:
        command = {"do": do, "sku": SKU, "order_guid": guid, "lines": [[1, units]], "at": T0 + at, "round": 1}
        self.runner.send("stock-commands", {**command, **fields}, SKU)
        self.runner.run()
        return self

    def out(self, topic: str) -> list[dict[str, Any]]:
        return [value for _, value in self.runner.output(topic)]

    @property
    def state(self) -> dict[str, Any]:
        last: dict[str, Any] = dict(self.runner.output("inventory-states"))[SKU]
        return last

    def dead(self) -> list[tuple[str, str]]:
        return [(letter["stage"], letter["error"]) for letter in self.out("dead-letters")]


@pytest.mark.rule("INV-01", "INV-02")
def test_what_operations_and_warehouses_say_becomes_the_state_of_the_sku() -> None:
    flow = Flow().set("reference_set", kind="stock", sku=SKU, warehouse="bj", quantity=4)
    flow.receive(5, at=1).receive(2, at=2, pool="reserved")
    flow.say("wms", "stock_moved", 3, sku=SKU, warehouse="hz", pool="reserved", to_pool="sales", quantity=2)
    none = {"reserved": 0, "quality_check": 0, "in_transit": 0}
    assert flow.state["warehouses"] == {"bj": {"sales": 4, **none}, "hz": {"sales": 7, **none}}
    assert (flow.state["available"], flow.state["version"], flow.state["updated_at"]) == (11, 4, T0 + 3)
    assert not flow.dead()


@pytest.mark.rule("INV-10", "ID-05")
def test_an_event_id_that_comes_again_with_another_quantity_is_a_dead_letter() -> None:
    flow = Flow()
    for units in (3, 3, 4):
        flow.say("wms", "stock_received", 5, event_id="same", sku=SKU, warehouse="hz", quantity=units)
    assert flow.state["available"] == 3
    assert flow.dead() == [("rule", "event id reused with other content")]


@pytest.mark.rule("INV-05", "INV-06", "INV-17")
def test_a_cart_becomes_an_order_and_the_order_expires_to_the_millisecond() -> None:
    flow = Flow().receive(3)
    lines = [{"line_no": n, "sku": SKU, "name": "福袋", "quantity": 1} for n in (1, 2)]
    flow.say("orders", "cart_added", 10, channel="douyin", customer_id="c-1", lines=lines, raw="{}")
    assert (flow.state["vouchers"], flow.state["held"]) == (2, 2)
    assert all("raw" not in command for _, command in flow.runner.output("stock-commands"))
    flow.order("reserve", "G1", 3, at=20, customer_id="c-1")
    assert (flow.state["vouchers"], flow.state["held"], flow.state["available"]) == (0, 3, 0)
    flow.runner.advance(T0 + 20 + 15 * MINUTE - 1)
    assert flow.state["held"] == 3
    flow.runner.advance(T0 + 20 + 15 * MINUTE)
    assert (flow.state["held"], flow.state["available"]) == (0, 3)
    reply = flow.out("order-facts")[-1]
    assert (reply["do"], reply["event_time"], reply["held_ms"]) == ("expire", T0 + 20 + 15 * MINUTE, 15 * MINUTE)
    assert [row["held_ms"] for row in flow.out("stock-ledger") if row["reason"] == "expired"] == [15 * MINUTE]


@pytest.mark.rule("INV-11")
def test_the_breaker_pauses_tells_the_group_and_is_released_by_hand() -> None:
    flow = Flow().receive(1).order("confirm", "G0", 32, at=1)
    assert flow.state["paused"]
    [alert] = [value for value in flow.out("alerts") if value["rule"] == "INV-11"]
    assert (alert["targets"], alert["status"]) == (["dingtalk"], "open")
    flow.say("ops", "manual_command", 2, command="release_sku", target=SKU)
    assert flow.dead() == [("rule", "31 units are still oversold: reconcile the stock first")]
    flow.receive(31, at=3).say("ops", "manual_command", 4, command="release_sku", target=SKU)
    assert not flow.state["paused"]
    assert [record["action"] for record in flow.out("oversell-breaks")] == ["pause", "release"]
    assert [value for value in flow.out("alerts") if value["rule"] == "INV-11"][-1]["status"] == "closed"


@pytest.mark.rule("INV-11")
def test_whoever_closes_the_alert_of_a_pause_releases_the_sku_or_is_refused() -> None:
    """Closed alone, it would leave a pause that nobody knows of."""
    flow = Flow().receive(1).order("confirm", "G0", 32, at=2)

    def close(at: int, sku: str = SKU) -> None:
        flow.say("ops", "manual_command", at, command="alert_close", target=f"INV-11/{sku}", operator="li")

    def alerts() -> list[tuple[str, str | None]]:
        return [(row["status"], row["closed_by"]) for row in flow.out("alerts") if row["rule"] == "INV-11"]

    close(3)
    close(3, "never/heard of")
    flow.receive(31, at=4)
    close(1)
    assert (flow.state["paused"], alerts()) == (True, [("open", None)])
    close(5)
    assert (flow.state["paused"], alerts()[-1]) == (False, ("closed", "person"))
    assert [reason for _, reason in flow.dead()] == [
        "31 units are still oversold: reconcile the stock first",
        "the SKU is not paused",
        "the alert was opened after this closing",
    ]


@pytest.mark.rule("INV-02")
@pytest.mark.parametrize(("later", "counts"), [(7 * DAY - 1, 5), (8 * DAY, 10)])
def test_a_delivery_told_twice_is_recognised_for_seven_days(later: int, counts: int) -> None:
    flow = Flow().receive(5, event_id="same")
    flow.runner.advance(T0 + later)
    flow.receive(5, event_id="same")
    assert flow.state["available"] == counts


def test_what_is_remembered_of_events_goes_at_its_time() -> None:
    flow = Flow()
    for day in range(4):
        flow.receive(1, at=day * DAY)
    flow.runner.advance(T0 + 7 * DAY)
    assert len(flow.runner.table("inventory", "seen")) == 3
    flow.runner.advance(T0 + 11 * DAY)
    assert not flow.runner.table("inventory", "seen")


@pytest.mark.rule("INV-03", "INV-10")
def test_what_cannot_be_is_a_dead_letter_with_its_reason_and_the_totals_stay_right() -> None:
    flow = Flow().receive(5, at=9).set("quota_set", 10, sku=SKU, channel="jd", quota=2)
    flow.order("reserve", "G1", 2, at=11, channel="jd")
    before = flow.state
    flow.set("quota_set", 12, sku=SKU, channel="jd", quota=1)
    flow.set("quota_set", 12, sku=SKU, channel="jd", quota=-1)
    flow.say("wms", "stock_snapshot", 8, sku=SKU, warehouse="hz", quantity=50)
    flow.say("wms", "stock_moved", 12, sku="nobody's", warehouse="hz", pool="sales", to_pool="reserved", quantity=1)
    flow.say("wms", "stock_received", 12, sku=SKU, warehouse="hz", quantity=-1)
    flow.say("wms", "stock_received", 12, sku=SKU, warehouse="hz", quantity=1, pool="attic")
    flow.say("ops", "manual_command", 12, command="resume_sku", channel="jd")
    assert flow.dead() == [
        ("rule", "a quota of 1 below the 2 units used"),
        ("contract", "value has a quota that is out of range"),
        ("rule", "a figure from before the last change of that pool"),
        ("rule", "more than the 0 units of sales there"),
        ("contract", "quantity is negative"),
        ("contract", "pool is not one of sales, reserved, quality_check, in_transit"),
        ("contract", "resume_sku needs a SKU as target"),
    ]
    assert flow.state == before
