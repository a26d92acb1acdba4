"""FIN-07 beside INV-07: what was cancelled before it left is not sent while its money goes back in parts."""

from __future__ import annotations

from itertools import permutations

import pytest

from streams.domain.rules import data
from tests.unit.domain.order.facts import (
    DAY,
    HOUR,
    T0,
    Fact,
    Run,
    answered,
    created,
    fact,
    mapped,
    paid,
    refunded,
    says,
    view,
)

SETTINGS = data.order_settings()
HELD = answered("reserve", 1, T0, [1, "held"])
CONFIRMED = answered("confirm", 2, T0, [1, "confirmed"])
BACK = answered("return", 3, T0 + HOUR, [1, "returned"])
CANCELLED = fact("orders", "cancel_marked", T0 + HOUR)
CLOSED = says("orders", "订单关闭", T0 + HOUR, mapped(flags=["closed"], axis="trade:closed"))
PART = refunded(T0 + 2 * HOUR, 10000)
REST = refunded(T0 + 3 * HOUR, 20000)
AGAIN = paid(T0 + 4 * HOUR, platform_txn_no="another")
PICKED = fact("couriers", "picked_up", T0 + DAY, waybill_no="W1")


def sold(*events: Fact) -> Run:
    """An order that was paid and deducted, and what came after."""
    run = Run(SETTINGS)
    run.tell(created(), HELD, paid(), CONFIRMED, *events)
    return run


def entered(run: Run) -> list[str]:
    """The lanes that the order entered."""
    return [value["lane"] for topic, _, value in run.sent if topic == "channel-facts" and value["enter"]]


@pytest.mark.rule("FIN-07", "INV-07", "BRK-06")
@pytest.mark.parametrize("ends", [CANCELLED, CLOSED], ids=["mark", "word"])
def test_a_cancelled_order_goes_to_no_warehouse_between_two_refunds(ends: Fact) -> None:
    run = sold(ends, BACK)
    assert run.tell(PART) == []
    seen = run.view()
    assert (seen["state"], seen["flags"], seen["node"]) == ("paid", ["frozen", "partially_refunded"], "risk_review")
    assert (seen["lane"], seen["tier"], seen["tiers"]["base"]) == ("review_l3", "L3", "ON_HOLD")
    assert run.tell(REST) == []
    assert (run.view()["flags"], run.view()["lane"]) == (["closed", "refunded"], None)
    assert entered(run) == ["wms", "review_l3"]
    assert run.outcomes() == ["returned"]


@pytest.mark.rule("FIN-07", "BRK-06")
def test_its_review_that_nobody_sees_to_is_told_to_the_reviewer() -> None:
    run = sold(CANCELLED, BACK, PART)
    run.wait_until(T0 + DAY)
    [found] = [value for _, key, value in run.sent if key.startswith("ST-15/") and value["do"] == "open"]
    assert (found["title"], found["recipient"]) == ("order over its SLA at risk_review", "risk reviewer")


@pytest.mark.rule("FIN-07", "INV-07")
def test_a_cancel_mark_that_comes_between_the_refunds_gives_the_units_back() -> None:
    run = sold(PART)
    [command] = run.tell(fact("orders", "cancel_marked", T0 + 2 * HOUR))
    assert (command["do"], command["why"]) == ("return", "cancelled")


@pytest.mark.rule("FIN-07")
@pytest.mark.parametrize("when", [2 * HOUR, 3 * HOUR])
def test_a_word_that_comes_with_a_refund_is_about_that_part_and_the_rest_is_sent(when: int) -> None:
    word = says("orders", "订单关闭", T0 + when, mapped(flags=["closed"], axis="trade:closed"))
    for arrived in permutations((paid(), PART, word)):
        seen = view(created(lines=[]), *arrived)
        assert (seen["state"], seen["flags"], seen["lane"]) == ("paid", ["partially_refunded"], "wms")


@pytest.mark.rule("FIN-07", "INV-07")
def test_it_makes_no_difference_what_is_told_first() -> None:
    for arrived in permutations((paid(), CANCELLED, PART)):
        seen = view(created(lines=[]), *arrived)
        assert (seen["flags"], seen["lane"]) == (["frozen", "partially_refunded"], "review_l3")


@pytest.mark.rule("FIN-07", "INV-07")
@pytest.mark.parametrize("events", [[PART, AGAIN], [PART, REST, AGAIN], [PART, AGAIN, REST], [AGAIN, PART]])
def test_who_pays_again_after_that_has_ordered_again(events: list[Fact]) -> None:
    run = sold(CANCELLED, BACK)
    sent = run.tell(*events)
    assert [command["do"] for command in sent] == ["reserve", "confirm"]
    assert (run.view()["flags"], run.view()["lane"]) == (["partially_refunded"], "wms")


@pytest.mark.rule("FIN-07", "FIN-13")
def test_a_payment_that_came_after_the_cancellation_and_goes_back_in_parts_is_no_new_one() -> None:
    run = Run(SETTINGS)
    run.tell(created(), HELD, CANCELLED, answered("release", 2, T0 + HOUR, [1, "released"]), paid(T0 + HOUR + 1))
    assert run.tell(PART) == []
    assert (run.view()["flags"], run.view()["lane"]) == (["frozen", "partially_refunded"], "review_l3")
    assert run.alerts()["FIN-13/closed"] == "open"


@pytest.mark.rule("FIN-07", "ST-09")
@pytest.mark.parametrize(("node", "is_free"), [("warehouse_allocated", True), ("order_review", False)])
def test_two_people_hand_it_to_the_warehouse_all_the_same(node: str, is_free: bool) -> None:
    move = {"command": "move_node", "value": f'{{"node": "{node}"}}', "reason": "kept", "request_id": "R1"}
    run = sold(CANCELLED, BACK, PART)
    run.tell(fact("ops", "manual_command", T0 + 3 * HOUR, operator="li", **move))
    assert run.tell(fact("ops", "approval", T0 + 3 * HOUR, operator="wang", request_id="R1")) == []
    sent = run.tell(fact("ops", "approval", T0 + 3 * HOUR + 1, operator="zhao", request_id="R1"))
    assert [command["do"] for command in sent] == (["reserve", "confirm"] if is_free else [])
    assert ("frozen" in run.view()["flags"]) is not is_free
    again = run.tell(fact("orders", "cancel_marked", T0 + 3 * HOUR + 2))
    assert [command["do"] for command in again] == (["release"] if is_free else [])
    assert "frozen" in run.view()["flags"]


@pytest.mark.rule("FIN-07", "WMS-02")
def test_its_goods_that_leave_all_the_same_are_told_and_stay_sold() -> None:
    run = sold(CANCELLED, BACK, PART)
    sent = run.tell(PICKED)
    assert [command["do"] for command in sent] == ["reserve", "confirm"]
    assert run.view()["flags"] == ["partially_refunded"]
    [found] = [value for _, key, value in run.sent if key.startswith("WMS-02/") and value["do"] == "open"]
    assert found["title"] == "closed order shipped"


@pytest.mark.rule("FIN-07")
def test_goods_that_left_before_the_cancellation_are_held_back_no_more() -> None:
    left = fact("wms", "loaded", T0 + 30 * 60_000)
    for arrived in permutations((paid(), left, CANCELLED, PART)):
        assert view(created(lines=[]), *arrived)["flags"] == ["partially_refunded"]
