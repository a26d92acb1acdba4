"""ST-09, ST-11, ST-13, ST-14 through all agents: failure cases 9 (shipped, shown as waiting) and 14 (pushed events)."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from streams.domain import calendar
from streams.engine.local import Abort, Crash, LocalRunner
from tests.scenarios.play import Played, new_runner, run
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 2, 22, 10)
SECOND, MINUTE, HOUR = 1000, calendar.MINUTE_MS, calendar.HOUR_MS
NAMES = {"channel": "douyin", "order_no": "D1"}


def bought(runner: LocalRunner | None = None) -> Shop:
    return Shop(runner).order("douyin", "D1", T0).pay("douyin", "D1", T0 + SECOND)


# -- case 9 -----------------------------------------------------------------------------------------------------------


def left_behind() -> Shop:
    """The channel shows 待发货 (Douyin's main_status 2); the warehouse loads at T0 + 1 h."""
    shop = bought()
    shop.say("orders", "status_changed", T0 + MINUTE, "douyin", **NAMES, raw_field="main_status", raw_status="2")
    assert shop.out("order-states")[-1]["claims"]["douyin"]["state"] == "paid"
    return shop.say("wms", "loaded", T0 + HOUR, "wms-hz", **NAMES, waybill_no="W1")


@pytest.mark.rule("ST-14")
def test_case_9_shipped_but_shown_as_waiting_is_told_after_5_minutes_not_after_22() -> None:
    shop = left_behind()
    shop.runner.advance(T0 + HOUR + 5 * MINUTE)
    assert Played(shop.runner).alerts("ST-14") == []
    shop.runner.advance(T0 + HOUR + 5 * MINUTE + 1)
    [alert] = Played(shop.runner).alerts("ST-14")
    assert (alert["status"], alert["recipient"], alert["targets"]) == ("open", "operations", ["wecom"])
    assert alert["order_guid"] == shop.out("order-states")[-1]["order_guid"]
    shop.say(
        "orders", "status_changed", T0 + HOUR + 22 * MINUTE, "douyin", **NAMES, raw_field="main_status", raw_status="3"
    )
    [alert] = Played(shop.runner).alerts("ST-14")
    assert (alert["status"], alert["count"]) == ("closed", 1)


@pytest.mark.rule("ST-14")
def test_case_9_a_channel_that_is_told_in_time_raises_nothing() -> None:
    shop = left_behind()
    later = T0 + HOUR + 5 * MINUTE
    shop.say("orders", "status_changed", later, "douyin", **NAMES, raw_field="main_status", raw_status="3")
    shop.runner.advance(T0 + 10 * HOUR)
    assert Played(shop.runner).alerts("ST-14") == []


# -- case 14 ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("ST-13")
def test_case_14_the_warehouse_hears_of_each_payment_at_once_and_once() -> None:
    """300 orders in a rush; an ERP that asks every 15 minutes would have handled none of them in time."""
    shop = Shop()
    for number in range(300):
        shop.order("tmall", f"T{number}", T0 + 200 * number)
    for number in range(300):
        shop.pay("tmall", f"T{number}", T0 + MINUTE + 200 * number)
        # Nothing but the payment moved the time: the push goes out with it.
        push = [row for row in shop.out("order-pushes") if "wms" in row["targets"]][-1]
        assert (push["change"], push["order_no"], push["lines"][0]["sku"]) == ("paid", f"T{number}", "BAG")
    # A system that takes the pushes begins with each of them; its first word is within 60 s.
    for push in [row for row in shop.out("order-pushes") if row["change"] == "paid"]:
        shop.say("wms", "allocated", push["at"] + SECOND, "wms-hz", internal_no=push["codes"]["alias18"])
    states = Played(shop.runner).states.values()
    handled = [state["node_entered_at"] - state["entered_at"]["paid"] for state in states]
    assert len(handled) == 300
    assert max(handled) <= 60 * SECOND
    assert {state["node"] for state in states} == {"warehouse_allocated"}
    for number in range(300):  # all of it again
        shop.pay("tmall", f"T{number}", T0 + MINUTE + 200 * number)
    pushed = [row["push_id"] for row in shop.out("order-pushes")]
    assert (len(pushed), len({*pushed})) == (600, 600)


@pytest.mark.rule("ST-13")
@pytest.mark.parametrize("seed", range(3))
def test_case_14_a_push_goes_out_once_whatever_dies(seed: int) -> None:
    chance, died = random.Random(seed), 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent == "orders" and chance.random() < 0.02:
            died += 1
            raise Abort if step in ("fold", "collect") else Crash

    shops = [Shop(new_runner()), Shop(new_runner(fault=fault))]
    for shop in shops:
        for number in range(30):
            order_no, at = f"T{number}", T0 + number * SECOND
            shop.order("tmall", order_no, at).pay("tmall", order_no, at + SECOND)
            shop.say("couriers", "picked_up", at + HOUR, "zto", channel="tmall", order_no=order_no, waybill_no=order_no)
    assert died > 10
    plain, broken = ([row["push_id"] for row in shop.out("order-pushes")] for shop in shops)
    assert sorted(broken) == sorted(plain)
    assert len({*plain}) == len(plain) == 90


# -- ST-11 ------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("ST-11")
@pytest.mark.parametrize("lose_stores", [False, True])
def test_a_label_is_printed_again_three_times_then_by_a_person(lose_stores: bool) -> None:
    shop = bought(new_runner(workers=2))
    failure = T0 + MINUTE
    for attempt in range(4):
        shop.say("wms", "label_print_failed", failure, "wms-hz", **NAMES, warehouse="hz", error="no template")
        for worker in (0, 1):
            shop.runner.crash(worker, lose_stores=lose_stores)
        shop.runner.advance(failure + 30 * SECOND)
        failure += 35 * SECOND
        assert len(shop.out("warehouse-requests")) == min(attempt + 1, 3)
    asked = [(row["attempt"], row["warehouse"], row["at"] - T0) for row in shop.out("warehouse-requests")]
    assert asked == [(1, "hz", 90 * SECOND), (2, "hz", 125 * SECOND), (3, "hz", 160 * SECOND)]
    [alert] = Played(shop.runner).alerts("ST-11")
    assert (alert["status"], alert["severity"], alert["recipient"]) == ("open", "critical", "warehouse supervisor")
    shop.say("wms", "label_printed", failure, "wms-hz", **NAMES)
    [alert] = Played(shop.runner).alerts("ST-11")
    assert alert["status"] == "closed"
    shop.runner.advance(T0 + 24 * HOUR)
    assert len(shop.out("warehouse-requests")) == 3


# -- ST-09 ------------------------------------------------------------------------------------------------------------


def skip(shop: Shop, at: int, **fields: Any) -> Shop:
    given = {"command": "skip_quality_check", "reason": "checked by hand", "request_id": "R-7", "operator": "li"}
    return shop.ops("manual_command", at, **given, **fields)


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize("target", ["guid", "alias", "order"])
@pytest.mark.parametrize("early", [False, True])
def test_two_approvals_that_name_the_request_alone_move_the_order(target: str, early: bool) -> None:
    shop = bought().say("wms", "picking_started", T0 + MINUTE, "wms-hz", **NAMES)
    state = shop.out("order-states")[-1]
    names: dict[str, Any] = {
        "guid": {"target": state["order_guid"]},
        "alias": {"target": state["codes"]["alias18"]},
        "order": NAMES,
    }[target]
    if not early:
        skip(shop, T0 + 2 * MINUTE, **names)
        [pending] = shop.out("order-states")[-1]["pending_approvals"]
        assert (pending["node"], pending["missing"], pending["expires_at"]) == ("packed", 2, T0 + 2 * MINUTE + 2 * HOUR)
    for n, operator in enumerate(("wang", "wang", "zhao")):
        shop.ops("approval", T0 + (3 + n) * MINUTE, request_id="R-7", operator=operator)
        shop.runner.crash(0, lose_stores=True)
    if early:
        assert shop.out("order-states")[-1]["node"] == "picking"
        skip(shop, T0 + 2 * MINUTE, **names)
    state = shop.out("order-states")[-1]
    assert (state["node"], state["pending_approvals"]) == ("packed", None)
    audit = [row for row in Played(shop.runner).audit("D1") if row["rule"] == "ST-09"]
    assert sorted(row["decision"] for row in audit) == ["accepted"] * 3 + ["duplicate"]
    assert Played(shop.runner).dead == {}


@pytest.mark.rule("ST-09")
def test_an_expired_request_is_audited_and_no_longer_shown() -> None:
    shop = bought()
    skip(shop, T0 + MINUTE, **NAMES)
    shop.runner.advance(T0 + MINUTE + 2 * HOUR + 1)
    run(shop.runner)
    assert shop.out("order-states")[-1]["pending_approvals"] is None
    last = Played(shop.runner).audit("D1")[-1]
    assert (last["decision"], last["rule"]) == ("refused", "ST-09")
    assert last["reason"] == "request R-7 expired: 2 more approvals by others than li needed"


@pytest.mark.rule("ST-09", "LOG-09")
def test_a_look_up_of_a_waybill_needs_no_approval_and_is_not_refused() -> None:
    shop = bought().say("wms", "loaded", T0 + HOUR, "wms-hz", **NAMES, waybill_no="W1")
    shop.say("couriers", "picked_up", T0 + HOUR, "zto", waybill_no="W1", courier="zto")
    shop.ops("manual_command", T0 + 2 * HOUR, command="refresh_waybill", waybill_no="W1")
    assert [row["kind"] for row in shop.out("logistics-requests")][-1] == "refresh"
    last = Played(shop.runner).audit("D1")[-1]
    assert (last["event_type"], last["decision"]) == ("manual_command", "accepted")
    assert json.loads(last["before"]) == json.loads(last["after"])
