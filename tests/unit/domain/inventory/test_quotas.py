"""Quotas, activities, the freeze of reserved stock, and cart vouchers."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.inventory import messages
from tests.unit.domain.inventory.shop import HOUR, MINUTE, SKU, T0, Shop


def shop(units: int = 10) -> Shop:
    made = Shop()
    made.receive(units)
    return made


def quota(it: Shop, units: int | None, at: int = 0, **names: str) -> str | None:
    told: dict[str, Any] = {"channel": None, "activity": None, "warehouse": None, **names, "quota": units}
    return it.set("quota_set", at, **told).refusal


def activity(it: Shop, starts: int = 0, ends: int = HOUR, freeze: int = 1_000, at: int = 0) -> str | None:
    told: dict[str, Any] = {"activity": "618", "starts_at": T0 + starts, "ends_at": T0 + ends}
    return it.set("activity_set", at, **told, freeze_per_1000=freeze, flash=True).refusal


def outcome(answers: list[Any]) -> str:
    return str(answers[0][2] or answers[0][1])


# -- quotas -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-03")
def test_a_spent_quota_refuses_though_there_is_stock() -> None:
    it = shop(10)
    quota(it, 3, channel="douyin")
    assert outcome(it.reserve("G1", 3, channel="douyin")) == "held"
    assert outcome(it.reserve("G2", 1, channel="douyin")) == "quota_spent"
    assert outcome(it.reserve("G3", 7, channel="tmall")) == "held"


@pytest.mark.rule("INV-03")
def test_unused_units_of_a_quota_are_set_aside_for_whom_it_names() -> None:
    it = shop(10)
    quota(it, 4, channel="douyin")
    assert it.state["aside"] == 4
    assert outcome(it.reserve("G1", 7, channel="tmall")) == "out_of_stock"
    assert outcome(it.reserve("G2", 6, channel="tmall")) == "held"
    assert outcome(it.reserve("G3", 1)) == "out_of_stock"
    assert outcome(it.reserve("G4", 4, channel="douyin")) == "held"
    assert it.figures == (0, 10, 0)


@pytest.mark.rule("INV-03")
def test_a_reservation_draws_from_the_most_specific_quota_that_names_it() -> None:
    it = shop(20)
    quota(it, 5, channel="douyin")
    quota(it, 2, channel="douyin", activity="618")
    quota(it, 3, warehouse="hz")
    assert outcome(it.reserve("G1", 3, channel="douyin", activity="618", warehouse="hz")) == "quota_spent"
    assert outcome(it.reserve("G2", 2, channel="douyin", activity="618", warehouse="hz")) == "held"
    assert outcome(it.reserve("G3", 5, channel="douyin", warehouse="hz")) == "held"
    assert outcome(it.reserve("G4", 3, channel="jd", warehouse="hz")) == "held"
    assert it.state["aside"] == 0


@pytest.mark.rule("INV-03")
def test_units_that_come_back_are_quota_again() -> None:
    it = shop(10)
    quota(it, 2, channel="douyin")
    for number, end in enumerate(("release", "expire", "return")):
        at = number * HOUR
        assert outcome(it.reserve(f"G{number}", 2, at=at, channel="douyin")) == "held"
        assert outcome(it.reserve(f"H{number}", 2, at=at, channel="douyin")) == "quota_spent"
        if end == "return":
            it.confirm(f"G{number}", 2, at=at + 1)
            assert outcome(it.reserve(f"H{number}", 2, at=at + 2, channel="douyin")) == "quota_spent"
        if end == "expire":
            it.pass_time(at + 15 * MINUTE)
        else:
            it.release(f"G{number}", 2, at=at + 3, do=end)
        assert it.stock.quotas["\0douyin\0"][:2] == [2, 0]


@pytest.mark.rule("INV-03")
def test_if_more_is_set_aside_than_there_is_those_with_a_quota_are_served_as_they_come() -> None:
    it = shop(5)
    quota(it, 5, channel="douyin")
    quota(it, 5, channel="tmall")
    assert outcome(it.reserve("G1", 1)) == "out_of_stock"
    assert outcome(it.reserve("G2", 3, channel="tmall")) == "held"
    assert outcome(it.reserve("G3", 3, channel="douyin")) == "out_of_stock"
    assert outcome(it.reserve("G4", 2, channel="douyin")) == "held"


@pytest.mark.rule("INV-03")
def test_at_the_end_of_the_activity_its_unused_quota_is_shared_stock_again() -> None:
    it = shop(10)
    activity(it, freeze=0)
    quota(it, 6, activity="618")
    quota(it, 1, channel="jd")
    assert outcome(it.reserve("G1", 2, activity="618", at=1)) == "held"
    it.pass_time(HOUR - 1)
    assert it.state["aside"] == 7
    assert outcome(it.reserve("G2", 4, at=HOUR - 1)) == "out_of_stock"
    it.pass_time(HOUR)
    assert it.state["aside"] == 1
    assert outcome(it.reserve("G3", 9, at=HOUR, activity="618")) == "held"


@pytest.mark.rule("INV-03", "DQ-13")
@pytest.mark.parametrize("end", ["activity", "removed"])
def test_a_quota_that_is_told_again_when_it_has_ended_sets_nothing_aside(end: str) -> None:
    it = shop(10)
    told = {"channel": None, "activity": "618", "warehouse": None, "quota": 6}
    activity(it)
    it.fact("quota_set", 1, event_id="q", set=told)
    if end == "activity":
        it.pass_time(HOUR)
    else:
        quota(it, None, at=2, activity="618")
    assert it.fact("quota_set", 1, event_id="q", set=told).refusal is None
    assert it.state["aside"] == 0


@pytest.mark.rule("INV-03")
def test_a_quota_below_what_is_used_is_refused_and_one_that_is_older() -> None:
    it = shop(10)
    quota(it, 5, at=2, channel="douyin")
    it.reserve("G1", 3, at=3, channel="douyin")
    assert quota(it, 2, at=4, channel="douyin") == "a quota of 2 below the 3 units used"
    assert quota(it, 9, at=1, channel="douyin") == "a quota older than the one in force"
    assert it.stock.quotas == {"\0douyin\0": [5, 3, T0 + 2, T0 + 2]}
    assert quota(it, 3, at=5, channel="douyin") is None
    assert outcome(it.reserve("G2", 1, at=6, channel="douyin")) == "quota_spent"
    assert quota(it, None, at=7, channel="douyin") is None
    assert outcome(it.reserve("G2", 1, at=8, channel="douyin")) == "held"


# -- activities -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-04", "INV-02")
@pytest.mark.parametrize(("freeze", "units", "frozen"), [(1_000, 3, 3), (500, 3, 2), (0, 3, 0), (2_000, 2, 4)])
def test_an_order_of_an_activity_freezes_reserved_stock_with_it(freeze: int, units: int, frozen: int) -> None:
    it = shop(10)
    it.receive(4, pool="reserved")
    activity(it, freeze=freeze)
    assert outcome(it.reserve("G1", units, at=1, activity="618")) == "held"
    assert it.state["frozen"] == frozen
    assert it.state["warehouses"]["hz"]["reserved"] == 4
    it.confirm("G1", units, at=2)
    assert it.state["frozen"] == 0


@pytest.mark.rule("INV-04")
def test_without_reserved_stock_an_order_of_an_activity_is_refused() -> None:
    it = shop(10)
    it.receive(2, pool="reserved")
    activity(it)
    assert outcome(it.reserve("G1", 3, at=1, activity="618")) == "reserved_short"
    assert outcome(it.reserve("G2", 2, at=1, activity="618")) == "held"
    assert outcome(it.reserve("G3", 1, at=1, activity="618")) == "reserved_short"
    assert outcome(it.reserve("G4", 1, at=1)) == "held"
    assert it.move(1, "reserved", "sales", at=2).refusal == "the units are frozen for orders of a promotion"
    it.release("G2", 2, at=3)
    assert it.move(2, "reserved", "sales", at=4).refusal is None
    assert it.stock.frozen == 0


@pytest.mark.rule("INV-04")
@pytest.mark.parametrize(("at", "frozen"), [(MINUTE - 1, 0), (MINUTE, 1), (HOUR - 1, 1), (HOUR, 0)])
def test_an_activity_runs_from_its_start_until_before_its_end(at: int, frozen: int) -> None:
    it = shop(10)
    it.receive(4, pool="reserved")
    activity(it, starts=MINUTE, ends=HOUR)
    it.reserve("G1", 1, at=at, activity="618")
    assert it.stock.frozen == frozen


def test_an_activity_older_than_the_one_in_force_is_refused() -> None:
    it = shop()
    assert activity(it, ends=2 * HOUR, at=5) is None
    assert activity(it, ends=HOUR, at=4) == "an activity older than the one in force"
    assert it.stock.activities["618"][1] == T0 + 2 * HOUR


@pytest.mark.rule("INV-09")
def test_of_a_thousand_and_more_requests_at_once_exactly_the_stock_is_held() -> None:
    it = shop(87)
    it.receive(87, pool="reserved")
    activity(it)
    answers = [it.reserve(f"G{number}", 1, at=1, activity="618")[0][1] for number in range(1_100)]
    assert answers == ["held"] * 87 + ["refused"] * 1_013
    assert it.figures == (0, 87, 0)


# -- vouchers ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-05")
def test_a_cart_holds_its_units_for_15_minutes() -> None:
    it = shop(5)
    it.cart("A", 3, at=1)
    assert (it.state["vouchers"], *it.figures) == (3, 2, 3, 0)
    assert outcome(it.reserve("G1", 3, at=2, customer_id="B")) == "out_of_stock"
    it.pass_time(15 * MINUTE)
    assert it.stock.vouchers == 3
    it.pass_time(15 * MINUTE + 1)
    assert (it.state["vouchers"], *it.figures) == (0, 5, 0, 0)
    assert [row["reason"] for row in it.out(messages.LEDGER)[1:]] == ["reserved", "expired"]
    assert not [table for table, _ in it.rows if table == "vouchers"]


@pytest.mark.rule("INV-05", "INV-06")
def test_nobody_is_blocked_by_their_own_voucher_which_becomes_the_hold_of_the_order() -> None:
    it = shop(5)
    it.cart("A", 5, at=1)
    assert outcome(it.reserve("G1", 5, at=2, customer_id="A")) == "held"
    assert (it.stock.vouchers, *it.figures) == (0, 0, 5, 0)
    it.pass_time(15 * MINUTE + 1)
    assert it.stock.held == 5
    it.confirm("G1", 5, at=15 * MINUTE + 1)
    assert it.figures == (0, 0, 0)
    assert it.adds_up()


@pytest.mark.rule("INV-05")
def test_what_the_order_does_not_take_stays_with_the_cart_until_its_time() -> None:
    it = shop(6)
    it.cart("A", 4, at=1)
    assert [a[1] for a in it.reserve("G1", [1, 1], [2, 2], at=2, customer_id="A")] == ["held", "held"]
    assert (it.stock.vouchers, *it.figures) == (1, 2, 4, 0)
    it.pass_time(15 * MINUTE + 1)
    assert (it.stock.vouchers, it.stock.held) == (0, 3)


@pytest.mark.rule("INV-05")
def test_more_in_the_cart_extends_the_voucher_and_too_much_leaves_it() -> None:
    it = shop(5)
    it.cart("A", 2, at=0)
    it.cart("A", 2, at=10 * MINUTE)
    assert it.stock.vouchers == 4
    it.cart("A", 2, at=11 * MINUTE)
    assert it.stock.vouchers == 4
    it.pass_time(25 * MINUTE - 1)
    assert it.stock.vouchers == 4
    it.pass_time(25 * MINUTE)
    assert it.figures == (5, 0, 0)


@pytest.mark.rule("INV-05")
def test_a_cart_told_twice_or_of_nobody_holds_nothing_more() -> None:
    it = shop(5)
    fact: dict[str, Any] = {"lines": [{"sku": SKU, "quantity": 1}], "customer_id": "A", "event_id": "same"}
    it.fact("cart_added", 1, **fact)
    it.fact("cart_added", 1, **fact)
    it.cart(None, 1, at=2)
    assert it.stock.vouchers == 1


@pytest.mark.rule("INV-03", "INV-05")
def test_a_cart_cannot_take_what_is_set_aside_for_others() -> None:
    it = shop(5)
    quota(it, 4, channel="douyin")
    it.cart("A", 2, at=1, channel="tmall")
    assert it.stock.vouchers == 0
    it.cart("A", 1, at=2, channel="tmall")
    it.cart("B", 4, at=3, channel="douyin")
    assert it.stock.vouchers == 5
    assert outcome(it.reserve("G1", 4, at=4, channel="douyin", customer_id="B")) == "held"


@pytest.mark.rule("INV-05", "INV-06")
def test_what_a_cart_held_is_no_orders_in_the_ledger() -> None:
    it = shop(5)
    it.cart("A", 2, at=1)
    it.reserve("G1", 3, at=2, customer_id="A")
    it.confirm("G1", 3, at=3)
    held = [(row["order_guid"], row["delta"]) for row in it.out(messages.LEDGER) if row["pool"] == "held"]
    assert held == [(None, 2), (None, -2), ("G1", 3), ("G1", -3)]


@pytest.mark.rule("INV-03", "INV-05")
def test_a_cart_draws_from_the_quota_of_its_channel() -> None:
    it = shop(10)
    quota(it, 5, channel="douyin")
    it.cart("A", 4, at=1, channel="douyin")
    assert it.state["aside"] == 1
    it.cart("B", 2, at=2, channel="douyin")
    assert it.stock.vouchers == 4, "one is left of the quota"
    assert outcome(it.reserve("G1", 2, at=3, channel="douyin", customer_id="B")) == "quota_spent"
    assert outcome(it.reserve("G2", 5, at=4, channel="tmall")) == "held", "what is not set aside is all there"
    assert outcome(it.reserve("G3", 5, at=5, channel="douyin", customer_id="A")) == "held"
    assert (it.stock.vouchers, it.state["aside"], *it.figures) == (0, 0, 0, 10, 0)
    assert it.stock.quotas["\0douyin\0"][:2] == [5, 5]
    assert it.adds_up()


@pytest.mark.rule("INV-03", "INV-05")
@pytest.mark.parametrize("end", ["time", "another channel"])
def test_what_a_cart_drew_and_its_order_did_not_is_quota_again(end: str) -> None:
    it = shop(9)
    quota(it, 5, channel="douyin")
    it.cart("A", 4, at=1, channel="douyin")
    if end == "time":
        it.pass_time(15 * MINUTE + 1)
    else:
        assert outcome(it.reserve("G1", 5, at=2, channel="tmall", customer_id="A")) == "out_of_stock"
        assert outcome(it.reserve("G2", 4, at=3, channel="tmall", customer_id="A")) == "held"
    assert (it.stock.vouchers, it.state["aside"]) == (0, 5)


@pytest.mark.rule("INV-03", "INV-05")
def test_a_cart_of_an_activity_that_ended_is_as_good_as_any() -> None:
    it = shop(3)
    activity(it, freeze=0)
    quota(it, 3, activity="618")
    it.cart("A", 3, at=HOUR - 1, activity="618")
    assert it.stock.vouchers == 3
    assert outcome(it.reserve("G1", 3, at=HOUR + 1, activity="618", customer_id="A")) == "held"
    assert (it.stock.vouchers, it.state["aside"], *it.figures) == (0, 0, 0, 3, 0)
