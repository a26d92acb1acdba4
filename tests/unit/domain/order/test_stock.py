"""The order's side of the saga: which command follows what, and what becomes of the answers."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from streams.domain.order import OrderSettings, StockRules, UnknownOrder, answer, from_row, to_row
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    SETTINGS,
    T0,
    Fact,
    Run,
    answered,
    created,
    fact,
    line,
    mapped,
    paid,
    refunded,
    says,
)

HELD = answered("reserve", 1, T0, [1, "held"])
CONFIRMED = answered("confirm", 2, T0 + MINUTE, [1, "confirmed"], held_ms=MINUTE)


def two_skus() -> Fact:
    return created(lines=[line(1, "BAG"), line(2, "CUP")])


def asked(commands: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(command["do"], command["sku"], command["round"]) for command in commands]


def lines_of(commands: list[dict[str, Any]]) -> list[list[list[int]]]:
    return [command["lines"] for command in commands]


# -- Try --------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-06")
def test_a_new_order_reserves_every_sku_with_all_its_lines_at_once() -> None:
    lines = [line(1, "BAG", 2), line(2, "CUP"), line(3, "BAG", 1)]
    commands = Run().tell(created(lines=lines, customer_id="c-1", activity="flash", warehouse="hz"))

    assert commands == [
        {
            "do": "reserve",
            "sku": "BAG",
            "order_guid": GUID,
            "lines": [[1, 2], [3, 1]],
            "channel": "douyin",
            "activity": "flash",
            "warehouse": "hz",
            "customer_id": "c-1",
            "at": T0,
            "round": 1,
        },
        {**commands[1], "do": "reserve", "sku": "CUP", "lines": [[2, 1]], "round": 1},
    ]


def test_lines_without_sku_or_quantity_are_left_out_and_lines_without_a_number_go_by_their_place() -> None:
    lines = [line(1, "BAG"), {"sku": "CUP", "quantity": 3}, {"line_no": 3, "sku": "PEN"}, {"line_no": 4, "quantity": 1}]
    assert [(c["sku"], c["lines"]) for c in Run().tell(created(lines=lines))] == [("BAG", [[1, 1]]), ("CUP", [[2, 3]])]
    assert Run().tell(created(lines=[])) == []
    doubled = Run().tell(created(lines=[line(1, "BAG"), line(1, "BAG")]))
    assert lines_of(doubled) == [[[1, 1], [2, 1]]]


@pytest.mark.rule("INV-06")
def test_an_order_of_too_many_lines_is_not_reserved_and_says_so() -> None:
    run = Run(OrderSettings(stock=StockRules(max_lines=3)))
    assert run.tell(created(lines=[line(n, f"S{n}") for n in range(4)])) == []
    assert run.audits[0]["decision"] == "accepted"
    assert "too_many_lines" in run.audits[0]["reason"]
    assert run.tell(paid()) == []


def test_an_order_told_again_is_not_reserved_again() -> None:
    run = Run()
    run.tell(created(event_id="o-1"))
    assert run.tell(created(event_id="o-1"), created(event_id="o-2")) == []


# -- Confirm ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-07")
def test_a_payment_confirms_at_its_own_time_whether_the_hold_was_answered_or_not() -> None:
    waits, knows = Run(), Run()
    waits.tell(created())
    knows.tell(created(), HELD)

    for run in (waits, knows):
        (command,) = run.tell(paid())
        expected = {
            "do": "confirm",
            "sku": "BAG",
            "lines": [[1, 2]],
            "at": T0 + MINUTE,
            "round": 2,
            "channel": "douyin",
        }
        assert command == {**expected, "order_guid": GUID}
        assert run.tell(paid(T0 + MINUTE + 1, event_type="balance_paid")) == []
    waits.tell(HELD, CONFIRMED)
    knows.tell(CONFIRMED)
    assert waits.outcomes() == knows.outcomes() == ["confirmed"]


@pytest.mark.rule("INV-07")
def test_a_deposit_confirms_nothing_and_goods_that_left_unpaid_are_confirmed() -> None:
    run = Run()
    run.tell(created(), HELD)
    assert [command["do"] for command in run.tell(paid(event_type="deposit_paid", amount=1000))] == ["reserve"]
    (command,) = run.tell(fact("wms", "loaded", T0 + HOUR))
    assert (command["do"], command["at"]) == ("confirm", T0 + HOUR)


DEPOSIT = paid(event_type="deposit_paid", amount=1000)
EXPIRED = answered("expire", 1, T0 + 15 * MINUTE, [1, "expired"])
FAILED = fact("payments", "payment_failed", T0 + MINUTE)


@pytest.mark.rule("INV-06", "FIN-02")
@pytest.mark.parametrize(
    "before",
    [[], [HELD], [HELD, EXPIRED], [FAILED, HELD], [answered("reserve", 1, T0, [1, "refused", "out_of_stock"])]],
)
def test_a_deposit_keeps_the_units_whatever_came_before_it(before: list[Fact]) -> None:
    run = Run()
    run.tell(created(), *before)
    sent = run.tell(DEPOSIT)
    assert [(command["do"], command["keep"], command["at"]) for command in sent] == [("reserve", True, T0 + MINUTE)]
    assert run.tell(fact("payments", "payment_failed", T0 + HOUR)) == []  # of the balance: it may be tried again
    kept = answered("reserve", sent[0]["round"], T0 + MINUTE, [1, "held"])
    assert run.tell(EXPIRED, kept, paid(T0 + HOUR, event_type="deposit_paid", amount=2000)) == []
    assert [command["do"] for command in run.tell(paid(T0 + DAY, event_type="balance_paid"))] == ["confirm"]


@pytest.mark.rule("INV-07", "FIN-02")
@pytest.mark.parametrize(
    "ends",
    [
        [fact("orders", "cancel_marked", T0 + HOUR)],
        [refunded(T0 + HOUR, 1000)],
        [refunded(T0 + HOUR, 400), fact("orders", "cancel_marked", T0 + HOUR)],
    ],
)
def test_a_deposit_that_goes_back_or_an_order_that_is_closed_keeps_nothing(ends: list[Fact]) -> None:
    run = Run()
    run.tell(created(), HELD, DEPOSIT, answered("reserve", 2, T0 + MINUTE, [1, "held"]))
    assert [command["do"] for command in run.tell(*ends)] == ["release"]


# -- Cancel -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-07")
def test_a_refused_line_releases_the_other_skus_of_an_unpaid_order_and_the_other_lines_of_its_own() -> None:
    run = Run()
    run.tell(created(lines=[line(1, "BAG"), line(2, "BAG"), line(3, "CUP"), line(4, "PEN")]))
    run.tell(answered("reserve", 1, T0, [3, "held"], sku="CUP"))
    commands = run.tell(answered("reserve", 1, T0, [1, "held"], [2, "refused", "out_of_stock"]))

    # PEN has not answered yet: it is released all the same, and its answer then finds it released.
    assert asked(commands) == [("release", "BAG", 2), ("release", "CUP", 2), ("release", "PEN", 2)]
    assert lines_of(commands) == [[[1, 1]], [[3, 1]], [[4, 1]]]
    assert {command["why"] for command in commands} == {"refused"}
    late = [
        answered("reserve", 1, T0, [4, "held"], sku="PEN"),
        answered("release", 2, T0, [1, "released"]),
        answered("release", 2, T0, [3, "released"], sku="CUP"),
        answered("release", 2, T0, [4, "released"], sku="PEN"),
    ]
    assert run.tell(*late) == []
    assert run.outcomes() == ["released", "refused", "released", "released"]
    assert [entry["reason"] for entry in run.view()["stock"]] == [None, "out_of_stock", None, None]


@pytest.mark.rule("INV-06")
def test_an_expired_hold_releases_the_others() -> None:
    run = Run()
    run.tell(two_skus(), HELD, answered("reserve", 1, T0, [2, "held"], sku="CUP"))
    (command,) = run.tell(answered("expire", 1, T0 + 15 * MINUTE, [1, "expired"], held_ms=15 * MINUTE))
    assert (command["do"], command["sku"], command["why"]) == ("release", "CUP", "expired")
    assert run.tell(answered("release", 2, T0 + 15 * MINUTE, [2, "released"], sku="CUP")) == []


@pytest.mark.rule("INV-07")
@pytest.mark.parametrize("why", ["cancelled", "closed"])
def test_a_closed_order_gives_back_what_it_held_however_late_the_answer(why: str) -> None:
    closing = (
        fact("orders", "cancel_marked", T0 + MINUTE)
        if why == "cancelled"
        else says("orders", "订单关闭", T0 + MINUTE, mapped(flags=["closed"]))
    )
    for early in (True, False):
        run = Run()
        run.tell(created(), *([HELD] if early else []))
        (command,) = run.tell(closing)
        assert (command["do"], command["why"], command["at"]) == ("release", why, T0 + MINUTE)
        assert run.tell(*([] if early else [HELD]), answered("release", 2, T0 + MINUTE, [1, "released"])) == []
        assert run.outcomes() == ["released"]


@pytest.mark.rule("INV-07")
def test_a_full_refund_before_shipping_returns_what_was_deducted_and_one_after_it_returns_nothing() -> None:
    before, after = Run(), Run()
    before.tell(created(), HELD, paid(), CONFIRMED)
    (command,) = before.tell(refunded(T0 + HOUR, 30000))
    assert (command["do"], command["lines"]) == ("return", [[1, 2]])
    before.tell(answered("return", 3, T0 + HOUR, [1, "returned"]))
    assert before.outcomes() == ["returned"]

    after.tell(created(), HELD, paid(), CONFIRMED, fact("wms", "loaded", T0 + HOUR))
    assert after.tell(refunded(T0 + DAY, 30000), fact("orders", "cancel_marked", T0 + DAY)) == []


@pytest.mark.rule("INV-07")
def test_a_cancel_while_the_confirm_is_under_way_releases_after_it() -> None:
    run = Run()
    run.tell(created(), HELD, paid())
    (command,) = run.tell(fact("orders", "cancel_marked", T0 + MINUTE + 1))
    assert asked([command]) == [("release", "BAG", 3)]
    assert run.tell(CONFIRMED, answered("release", 3, T0 + MINUTE + 1, [1, "returned"])) == []


@pytest.mark.rule("INV-07")
@pytest.mark.rule("FIN-07")
def test_a_refunded_line_goes_back_and_the_rest_of_the_order_stays_sold() -> None:
    run = Run()
    run.tell(two_skus(), HELD, answered("reserve", 1, T0, [2, "held"], sku="CUP"), paid(), CONFIRMED)
    run.tell(answered("confirm", 2, T0 + MINUTE, [2, "confirmed"], sku="CUP"))

    assert run.tell(refunded(T0 + HOUR, 500, line_no=2)) == [], "a part of a line's price is no return"
    (command,) = run.tell(refunded(T0 + 2 * HOUR, 14500, line_no=2))
    assert (command["do"], command["sku"], command["lines"]) == ("return", "CUP", [[2, 1]])
    run.tell(answered("return", 3, T0 + 2 * HOUR, [2, "returned"], sku="CUP"))
    assert run.tell(fact("wms", "loaded", T0 + 3 * HOUR), refunded(T0 + DAY, 15000, line_no=1)) == []
    assert run.outcomes() == ["confirmed", "returned"]


def sent_of(run: Run, sku: str) -> str:
    """What the SKU was asked for last."""
    assert run.state is not None
    assert run.state.stock is not None
    return next(group.sent for group in run.state.stock.groups if group.sku == sku)


@pytest.mark.rule("INV-07")
@pytest.mark.parametrize(("refund", "after"), [(50, "x"), (60, "c"), (70, "c")])
@pytest.mark.parametrize("first", ["refund", "shipping"])
def test_a_refunded_line_goes_back_if_that_was_before_the_goods_left_whatever_is_told_first(
    refund: int, after: str, first: str
) -> None:
    run = Run()
    run.tell(two_skus(), paid())
    events = [refunded(T0 + refund * MINUTE, 15000, line_no=2), fact("wms", "loaded", T0 + HOUR)]
    run.tell(*(events if first == "refund" else events[::-1]))
    assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("c", after)


@pytest.mark.rule("INV-07")
def test_an_earlier_word_of_the_shipping_takes_a_refunded_line_back_out_of_stock() -> None:
    run = Run()
    run.tell(two_skus(), HELD, answered("reserve", 1, T0, [2, "held"], sku="CUP"), paid(), CONFIRMED)
    run.tell(answered("confirm", 2, T0 + MINUTE, [2, "confirmed"], sku="CUP"))
    run.tell(fact("couriers", "picked_up", T0 + 2 * HOUR))
    assert asked(run.tell(refunded(T0 + HOUR, 15000, line_no=2))) == [("return", "CUP", 3)]
    run.tell(answered("return", 3, T0 + HOUR, [2, "returned"], sku="CUP"))
    commands = run.tell(fact("wms", "loaded", T0 + HOUR - 1))
    assert asked(commands) == [("reserve", "CUP", 4), ("confirm", "CUP", 5)]


@pytest.mark.rule("INV-07")
def test_goods_of_which_every_line_was_refunded_and_that_left_all_the_same_are_sold() -> None:
    run = Run()
    run.tell(two_skus(), paid())
    run.tell(refunded(T0 + HOUR, 15000, line_no=1), refunded(T0 + HOUR, 15000, line_no=2))
    assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("x", "x")
    run.tell(fact("wms", "loaded", T0 + 2 * HOUR))
    assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("c", "c")


@pytest.mark.rule("INV-07", "FIN-07")
def test_a_later_part_of_the_price_may_show_that_a_line_was_refunded_in_part_only() -> None:
    story = [paid(T0 + MINUTE, 7000), refunded(T0 + HOUR, 4000, line_no=2), paid(T0 + 2 * HOUR, 7000)]
    for order in permutations(story):
        run = Run()
        run.tell(created(lines=[line(1, "BAG", price=7500), line(2, "CUP", price=7500)], total_minor=14000))
        run.tell(*order)
        assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("c", "c"), "its share is 70.00"


@pytest.mark.rule("INV-07", "FIN-07")
def test_a_part_of_the_price_of_a_line_without_a_number_is_no_return() -> None:
    run = Run()
    run.tell(created(lines=[line(None, "BAG"), line(None, "CUP")]), paid(amount=30000))
    run.tell(refunded(T0 + HOUR, 500, line_no=2))
    assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("c", "c")
    run.tell(refunded(T0 + 2 * HOUR, 14500, line_no=2))
    assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("c", "x")


@pytest.mark.rule("INV-07", "FIN-07")
@pytest.mark.parametrize("gift", [[], [{**line(2, "PEN", price=5000), "is_gift": True}]])
def test_a_line_that_was_sold_alone_without_a_price_is_worth_the_total(gift: list[Any]) -> None:
    run = Run()
    run.tell(created(lines=[line(1, "BAG", price=None), *gift], total_minor=10000), paid(amount=10000))
    run.tell(refunded(T0 + HOUR, 9999, line_no=1))
    assert sent_of(run, "BAG") == "c"
    run.tell(refunded(T0 + 2 * HOUR, 1, line_no=1))
    assert sent_of(run, "BAG") == "x"


@pytest.mark.rule("INV-07", "FIN-07")
def test_no_part_of_an_order_returns_one_of_several_lines_without_prices() -> None:
    run = Run()
    lines = [line(1, "BAG", price=None), line(2, "CUP", price=None)]
    run.tell(created(lines=lines, total_minor=10000), paid(amount=10000))
    run.tell(refunded(T0 + HOUR, 5000, line_no=1))
    assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("c", "c")
    run.tell(refunded(T0 + 2 * HOUR, 5000, line_no=2))
    assert (sent_of(run, "BAG"), sent_of(run, "CUP")) == ("x", "x"), "all of it went back"


@pytest.mark.rule("INV-07", "FIN-07")
def test_what_a_gift_would_cost_makes_no_part_of_a_price_the_whole() -> None:
    run = Run()
    gift = {**line(2, "PEN", price=5000), "is_gift": True}
    run.tell(created(lines=[line(1, "BAG", price=10000), gift], total_minor=10000), paid(amount=10000))
    run.tell(refunded(T0 + HOUR, 6700, line_no=1))
    assert sent_of(run, "BAG") == "c"


@pytest.mark.rule("INV-07")
def test_a_refund_of_before_its_time_was_kept_leaves_shipped_lines_as_they_are() -> None:
    run = Run()
    run.tell(two_skus(), paid(), refunded(T0 + HOUR, 15000, line_no=2))
    assert run.state is not None
    run.state.money = {key: entry[:2] for key, entry in run.state.money.items()}
    assert run.tell(fact("wms", "loaded", T0 + HOUR - 1)) == []


@pytest.mark.rule("INV-08")
def test_the_stock_hears_of_the_warehouse_with_every_command_and_of_what_was_sold_with_a_return() -> None:
    run = Run()
    run.tell(created(warehouse="hz"), HELD)
    (confirm,) = run.tell(paid())
    assert confirm["warehouse"] == "hz"
    run.tell(CONFIRMED, fact("wms", "allocated", T0 + HOUR, warehouse="sh"))
    (back,) = run.tell(refunded(T0 + 2 * HOUR, 30000))
    assert (back["do"], back["sold"], back["warehouse"]) == ("return", True, "sh")


@pytest.mark.rule("INV-07")
def test_a_line_counts_as_refunded_by_its_share_of_a_discounted_price() -> None:
    run = Run()
    lines = [line(1, "BAG", price=10000), line(2, "CUP", price=10000), line(3, "PEN", price=10000)]
    run.tell(created(lines=lines, total_minor=25000), paid(amount=25000))
    assert run.tell(refunded(T0 + MINUTE + 1, 8332, line_no=1)) == []
    assert asked(run.tell(refunded(T0 + MINUTE + 2, 1, line_no=1))) == [("release", "BAG", 3)]


def test_a_platforms_closed_told_before_its_partial_refund_takes_the_stock_again() -> None:
    """FIN-07: the order lives on, so its units are asked for again, by a hold of its own where they had gone back."""
    run = Run()
    closed = says("orders", "订单关闭", T0 + 2 * HOUR, mapped(flags=["closed"], axis="trade:closed"))
    run.tell(created(), HELD, paid(), CONFIRMED, closed)
    run.tell(answered("return", 3, T0 + 2 * HOUR, [1, "returned"]))
    commands = run.tell(refunded(T0 + 2 * HOUR, 100))
    assert asked(commands) == [("reserve", "BAG", 4), ("confirm", "BAG", 5)]
    assert [command["at"] for command in commands] == [T0 + 2 * HOUR, T0 + 2 * HOUR]


@pytest.mark.rule("INV-07", "INV-11")
def test_an_order_that_is_paid_again_after_its_refund_is_sold_at_the_time_of_that_payment() -> None:
    run = Run()
    run.tell(created(), HELD, paid(), CONFIRMED, refunded(T0 + HOUR, 30000))
    run.tell(answered("return", 3, T0 + HOUR, [1, "returned"]))
    commands = run.tell(paid(T0 + 2 * HOUR, platform_txn_no="another"))
    assert [(command["do"], command["at"]) for command in commands] == [
        ("reserve", T0 + 2 * HOUR),
        ("confirm", T0 + 2 * HOUR),
    ]


# -- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-07")
def test_an_answer_told_twice_or_after_a_later_one_changes_nothing() -> None:
    run = Run()
    run.tell(created(), HELD, paid(), CONFIRMED)
    before, records = run.state, run.records
    assert run.tell(HELD, CONFIRMED, answered("expire", 1, T0 + MINUTE, [1, "expired"])) == []
    assert run.state is before
    assert run.records == records


def test_answers_of_several_skus_may_come_in_any_order() -> None:
    ends = set()
    for arrived in permutations(("BAG", "CUP", "PEN")):
        run = Run()
        run.tell(created(lines=[line(1, "BAG"), line(2, "CUP"), line(3, "PEN")]), paid())
        for number, do, outcome in ((1, "reserve", "held"), (2, "confirm", "confirmed")):
            for sku in arrived:
                run.tell(answered(do, number, T0, [("BAG", "CUP", "PEN").index(sku) + 1, outcome], sku=sku))
        ends.add(repr(run.state and run.state.stock and run.state.stock.groups))
    assert len(ends) == 1


@pytest.mark.rule("INV-07")
@pytest.mark.parametrize(("topic", "what"), [("payments", "payment_failed"), ("orders", "cancel_requested")])
def test_a_failed_payment_and_a_cancel_that_is_asked_for_release_an_unpaid_order(topic: str, what: str) -> None:
    run = Run()
    run.tell(created(), HELD)
    [command] = run.tell(fact(topic, what, T0 + MINUTE))
    assert (command["do"], command["round"], command["lines"], command["why"]) == ("release", 2, [[1, 2]], "cancelled")
    assert run.tell(fact(topic, what, T0 + 2 * MINUTE)) == [], "once is enough"
    run.tell(answered("release", 2, T0 + MINUTE, [1, "released"]))
    [command] = run.tell(paid(T0 + 3 * MINUTE))
    assert (command["do"], command["round"]) == ("confirm", 3), "paid after all"


@pytest.mark.rule("INV-07")
@pytest.mark.parametrize(("topic", "what"), [("payments", "payment_failed"), ("orders", "cancel_requested")])
def test_neither_releases_an_order_that_is_paid_whichever_is_heard_of_first(topic: str, what: str) -> None:
    run = Run()
    run.tell(created(), HELD, paid(T0 + MINUTE), CONFIRMED)
    assert run.tell(fact(topic, what, T0 + 2 * MINUTE)) == []
    assert run.tell(fact(topic, what, T0)) == []
    assert run.view()["flags"] == []


def test_skus_under_no_stock_control_leave_no_trace() -> None:
    run = Run()
    run.tell(created())
    assert run.records == 1
    assert run.tell(answered("reserve", 1, T0, [1, "unmanaged"])) == []
    assert run.state is not None
    assert run.state.stock is None
    assert run.records == 1
    assert run.view()["stock"] is None
    assert asked(run.tell(paid())) == [("confirm", "BAG", 2)], "it may have come under control since"
    assert run.view()["stock"] is None
    assert run.tell(fact("wms", "loaded", T0 + MINUTE), fact("couriers", "signed", T0 + DAY)) == []
    assert run.tell(refunded(T0 + 2 * DAY, 30000), fact("orders", "cancel_marked", T0 + 2 * DAY)) == []
    assert run.alerts() == {}


def test_an_order_that_was_paid_before_its_first_answer_is_done_with_it() -> None:
    run = Run()
    run.tell(created(), paid(), answered("reserve", 1, T0, [1, "unmanaged"]))
    assert run.state is not None
    assert run.state.stock is not None
    assert run.state.stock.groups == [], "only its next stage is waited for (BRK-11)"
    before = run.state
    run.tell(answered("confirm", 2, T0 + MINUTE, [1, "unmanaged"]))
    assert run.state is before


def test_a_sku_that_came_under_control_between_hold_and_payment_is_followed_from_then_on() -> None:
    run = Run()
    run.tell(two_skus(), paid(), answered("reserve", 1, T0, [1, "unmanaged"]))
    run.tell(answered("reserve", 1, T0, [2, "unmanaged"], sku="CUP"))
    assert run.tell(CONFIRMED, answered("confirm", 2, T0 + MINUTE, [2, "unmanaged"], sku="CUP")) == []
    assert run.outcomes() == ["confirmed", "unmanaged"]
    assert run.view()["lane"] == "wms"
    (command,) = run.tell(fact("orders", "cancel_marked", T0 + 2 * MINUTE))
    assert asked([command]) == [("return", "BAG", 3)]


def test_two_skus_that_came_under_control_between_hold_and_payment_are_both_followed() -> None:
    run = Run()
    run.tell(two_skus(), paid(), answered("reserve", 1, T0, [1, "unmanaged"]))
    run.tell(answered("reserve", 1, T0, [2, "unmanaged"], sku="CUP"))
    run.tell(CONFIRMED, answered("confirm", 2, T0 + MINUTE, [2, "confirmed"], sku="CUP"))
    commands = run.tell(fact("orders", "cancel_marked", T0 + 2 * MINUTE))
    assert asked(commands) == [("return", "BAG", 3), ("return", "CUP", 3)]
    run.tell(answered("return", 3, T0 + 2 * MINUTE, [2, "returned"], sku="CUP"))
    assert run.outcomes() == ["confirmed", "returned"]


def test_a_hold_that_an_ended_order_hears_of_is_given_back() -> None:
    run = Run()
    run.tell(created(), answered("reserve", 1, T0, [1, "unmanaged"]), fact("orders", "cancel_marked", T0 + MINUTE))
    assert asked(run.tell(answered("reserve", 2, T0, [1, "held"]))) == [("release", "BAG", 3)]


@pytest.mark.rule("INV-07")
def test_a_sku_among_managed_ones_that_came_under_control_before_the_payment_is_deducted_too() -> None:
    run = Run()
    run.tell(two_skus(), answered("reserve", 1, T0, [2, "unmanaged"], sku="CUP"), HELD)
    assert run.outcomes() == ["held", "unmanaged"]
    assert asked(run.tell(paid())) == [("confirm", "BAG", 2), ("confirm", "CUP", 2)]
    assert run.tell(CONFIRMED, answered("confirm", 2, T0 + MINUTE, [2, "unmanaged"], sku="CUP")) == []
    assert run.outcomes() == ["confirmed", "unmanaged"]
    assert run.alerts() == {}


@pytest.mark.rule("INV-07", "INV-15")
@pytest.mark.parametrize("outcome", ["confirmed", "oversold"])
def test_an_order_whose_sku_came_under_control_before_the_payment_is_followed_from_its_deduction_on(
    outcome: str,
) -> None:
    run = Run()
    run.tell(two_skus(), answered("reserve", 1, T0, [1, "unmanaged"]))
    run.tell(answered("reserve", 1, T0, [2, "unmanaged"], sku="CUP"))
    commands = run.tell(paid())
    assert asked(commands) == [("confirm", "BAG", 2), ("confirm", "CUP", 2)]
    assert [command["quiet"] for command in commands] == [True, True]
    run.tell(answered("confirm", 2, T0 + MINUTE, [1, outcome]))
    assert run.outcomes() == [outcome, "unmanaged"]
    assert asked(run.tell(fact("orders", "cancel_marked", T0 + 2 * MINUTE))) == [("return", "BAG", 3)]


@pytest.mark.rule("INV-07")
def test_an_unmanaged_order_that_ended_before_its_payment_deducts_nothing() -> None:
    run = Run()
    run.tell(created(), answered("reserve", 1, T0, [1, "unmanaged"]), fact("orders", "cancel_marked", T0 + MINUTE))
    assert run.tell(paid(T0 + 2 * MINUTE)) == []


def test_an_answer_about_a_sku_the_order_does_not_have_or_for_an_order_nobody_knows() -> None:
    run = Run()
    run.tell(created())
    before = run.state
    assert run.tell(answered("reserve", 1, T0, [1, "held"], sku="OTHER")) == []
    assert run.state is before
    with pytest.raises(UnknownOrder, match="never created"):
        answer(None, HELD, T0, SETTINGS)


@pytest.mark.rule("INV-08")
@pytest.mark.rule("CUS-05")
def test_oversold_units_are_in_the_audit_with_what_can_be_offered_instead() -> None:
    run = Run()
    run.tell(created(), HELD, answered("expire", 1, T0 + 15 * MINUTE, [1, "expired"], held_ms=15 * MINUTE))
    options = [
        {"option": "transfer", "warehouse": "sh", "units": 2},
        {"option": "pre_book", "next_batch_at": None},
        {"option": "similar", "skus": ["BAG2"], "discount": "5%"},
    ]
    assert asked(run.tell(paid(T0 + HOUR))) == [("confirm", "BAG", 2)]
    audits = len(run.audits)
    run.tell(answered("confirm", 2, T0 + HOUR, [1, "oversold", None, options]))

    (row,) = run.audits[audits:]
    assert (row["rule"], row["decision"], row["event_type"], row["source"]) == (
        "INV-08",
        "accepted",
        "_stock",
        "inventory",
    )
    assert row["reason"] == (
        "BAG line 1 oversold. Within 24 h: transfer up to 2 from sh; or pre-book the next batch with a coupon; "
        "or offer BAG2 at a discount."
    )
    assert run.outcomes() == ["oversold"]
    assert run.alerts().get("INV-15") is None, "oversold is deducted"


@pytest.mark.rule("ST-06")
def test_only_what_could_not_be_had_is_audited() -> None:
    run = Run()
    run.tell(created(), HELD, paid(), CONFIRMED, refunded(T0 + HOUR, 30000))
    run.tell(answered("return", 3, T0 + HOUR, [1, "returned"]))
    assert [row["event_type"] for row in run.audits] == ["order_created", "payment_succeeded", "refund_settled"]

    run = Run()
    run.tell(created(), answered("reserve", 1, T0, [1, "refused", "quota_spent"]))
    assert [(row["rule"], row["decision"], row["reason"]) for row in run.audits[1:]] == [
        ("INV-07", "refused", "BAG line 1 refused: quota_spent")
    ]
    run = Run()
    run.tell(created(), HELD, answered("expire", 1, T0 + 15 * MINUTE, [1, "expired"]))
    assert [(row["rule"], row["decision"]) for row in run.audits[1:]] == [("INV-06", "accepted")]


# -- what is shown, and what is stored --------------------------------------------------------------------------------


@pytest.mark.rule("INV-17")
def test_the_order_tells_how_long_units_were_held_for_it() -> None:
    run = Run()
    run.tell(two_skus(), HELD, answered("reserve", 1, T0, [2, "held"], sku="CUP"), paid(), CONFIRMED)
    assert run.view()["held_ms"] == MINUTE
    run.tell(answered("confirm", 2, T0 + MINUTE, [2, "confirmed"], sku="CUP", held_ms=MINUTE - 5))
    assert run.view()["held_ms"] == MINUTE


@pytest.mark.rule("INV-10")
def test_the_stock_is_told_which_warehouse_sends_what_was_deducted() -> None:
    run = Run()
    run.tell(created(), HELD, paid())
    (command,) = run.tell(fact("wms", "allocated", T0 + MINUTE + 1, warehouse="gz"))  # answered or not
    assert command == {
        "do": "place", "sku": "BAG", "order_guid": GUID, "lines": [[1, 2]], "at": T0 + MINUTE + 1, "warehouse": "gz",
    }  # fmt: skip
    run.tell(CONFIRMED)
    assert run.tell(fact("wms", "label_printed", T0 + HOUR + 1, warehouse="gz")) == []
    (command,) = run.tell(fact("wms", "loaded", T0 + 2 * HOUR, warehouse="hz"))
    assert (command["do"], command["warehouse"]) == ("place", "hz")
    assert run.tell(fact("wms", "package_scanned", T0 + 3 * HOUR, warehouse="returns")) == []


@pytest.mark.rule("INV-10")
def test_a_warehouse_that_has_one_of_the_skus_is_told_for_that_one() -> None:
    run = Run()
    run.tell(two_skus(), HELD, answered("reserve", 1, T0, [2, "held"], sku="CUP"), paid(), CONFIRMED)
    run.tell(answered("confirm", 2, T0 + MINUTE, [2, "confirmed"], sku="CUP"))
    for when, sku, warehouse in ((2, "CUP", "gz"), (3, "BAG", "gz"), (4, "BAG", "hz")):
        said = fact("wms", "allocated", T0 + when * MINUTE, warehouse=warehouse, sku=sku)
        assert [(one["sku"], one["warehouse"]) for one in run.tell(said)] == [(sku, warehouse)]


@pytest.mark.rule("INV-10")
def test_what_is_not_deducted_or_comes_back_is_placed_nowhere() -> None:
    run = Run()
    run.tell(created(), HELD)
    assert run.tell(fact("wms", "allocated", T0 + 1, warehouse="gz")) == []
    (confirm,) = run.tell(paid())
    assert (confirm["do"], confirm["warehouse"]) == ("confirm", "gz")
    run.tell(CONFIRMED, refunded(T0 + HOUR, 30000))
    assert run.tell(fact("wms", "picking_started", T0 + 2 * HOUR, warehouse="hz")) == []


@pytest.mark.rule("INV-14")
@pytest.mark.parametrize("leaving", ["customer", "refund", "closed"])
def test_delivered_units_stand_in_the_virtual_warehouse_until_the_customer_signs_or_sends_them_back(
    leaving: str,
) -> None:
    run = Run()
    run.tell(created(), HELD, paid(), CONFIRMED, fact("wms", "loaded", T0 + HOUR))
    (enter,) = run.tell(fact("couriers", "signed", T0 + DAY))
    virtual = {"do": "virtual", "sku": "BAG", "order_guid": GUID, "lines": [[1, 2]]}
    assert enter == {**virtual, "at": T0 + DAY, "enter": True}
    assert run.tell(fact("couriers", "signed", T0 + DAY + 1)) == []
    end = {
        "customer": fact("orders", "buyer_confirmed", T0 + 2 * DAY),
        "refund": refunded(T0 + 2 * DAY, 30000),
        "closed": fact("orders", "cancel_marked", T0 + 2 * DAY),
    }[leaving]
    assert run.tell(end) == [{**virtual, "at": T0 + 2 * DAY, "enter": False}]


@pytest.mark.rule("INV-14")
@pytest.mark.parametrize(
    ("topic", "axis", "more", "leaves"),
    [
        ("couriers", "return:signed", {}, True),
        ("wms", "return:in_warehouse", {}, True),
        ("couriers", "return:in_transit", {}, False),  # on its way back it is in nobody's shelf
        ("couriers", "return:destroyed", {}, False),
        ("couriers", "return:signed", {"waybill_no": "W2"}, False),  # one of two parcels
        ("orders", "return:done", {}, False),  # a platform's word about a case, not about goods
    ],
)
def test_delivered_units_leave_the_virtual_warehouse_when_the_parcel_is_back(
    topic: str, axis: str, more: dict[str, Any], leaves: bool
) -> None:
    run = Run()
    run.tell(created(), HELD, paid(), CONFIRMED, fact("wms", "loaded", T0 + HOUR, waybill_no="W1"))
    run.tell(fact("couriers", "signed", T0 + DAY, waybill_no="W1"))
    kind = "status_changed" if topic == "orders" else "exception" if topic == "couriers" else "package_scanned"
    mapped: dict[str, Any] = {"known": True, "state": None, "node": None, "flags": [], "event": None, "axis": axis}
    said = fact(topic, kind, T0 + 2 * DAY, raw_status="back", mapped=mapped, **more)
    assert [command["enter"] for command in run.tell(said)] == [False] * leaves
    assert run.tell({**said, "event_id": "again"}) == []


@pytest.mark.rule("INV-14")
def test_a_parcel_that_came_back_never_enters_the_virtual_warehouse_whatever_is_heard_of_first() -> None:
    run = Run()
    mapped: dict[str, Any] = {"known": True, "state": None, "node": None, "flags": [], "event": None}
    mapped["axis"] = "return:signed"
    run.tell(created(), HELD, paid(), CONFIRMED, fact("wms", "loaded", T0 + HOUR))
    run.tell(fact("couriers", "exception", T0 + 2 * DAY, raw_status="back", mapped=mapped))
    assert run.tell(fact("couriers", "signed", T0 + DAY)) == []


@pytest.mark.rule("INV-14")
def test_units_whose_deduction_is_told_late_enter_the_virtual_warehouse_then() -> None:
    run = Run()
    run.tell(created(), HELD, paid(), fact("couriers", "signed", T0 + HOUR))
    (enter,) = run.tell(CONFIRMED)
    assert (enter["do"], enter["enter"]) == ("virtual", True)
    (leave,) = run.tell(refunded(T0 + 3 * HOUR, 30000, line_no=1))
    assert (leave["do"], leave["enter"]) == ("virtual", False)


@pytest.mark.parametrize("events", range(7))
def test_what_is_stored_comes_back_as_it_was(events: int) -> None:
    story = [
        two_skus(),
        HELD,
        answered("reserve", 1, T0, [2, "refused", "out_of_stock"], sku="CUP"),
        paid(),
        CONFIRMED,
        fact("couriers", "signed", T0 + DAY),
        refunded(T0 + 2 * DAY, 1),
    ]
    run = Run()
    run.tell(*story[: events + 1])
    assert run.state is not None
    assert from_row(json.loads(json.dumps(to_row(run.state)))) == run.state


def test_a_row_from_before_there_was_stock_still_loads_and_holds_nothing() -> None:
    run = Run()
    run.tell(created())
    assert run.state is not None
    old = from_row(to_row(run.state)[:29])
    assert (old.stock, old.tier, old.lane) == (None, 0, 0)
    run.state = old
    assert asked(run.tell(paid())) == [("confirm", "BAG", 2)]
    assert (run.view()["tier"], run.view()["lane"]) == ("L1", "wms")
