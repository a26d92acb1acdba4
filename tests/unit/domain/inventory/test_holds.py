"""Try, Confirm, Cancel: what is held, until when, and what is answered the second time."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.inventory import messages
from streams.domain.inventory.settings import Settings
from tests.unit.domain.inventory.shop import DAY, HOUR, MINUTE, SECOND, SKU, T0, Shop

HELD, CONFIRMED = [[1, "held", None]], [[1, "confirmed", None]]


def shop(units: int = 10) -> Shop:
    made = Shop()
    made.receive(units)
    return made


@pytest.mark.rule("INV-06", "INV-01")
def test_a_hold_lowers_what_is_available_and_not_what_is_there() -> None:
    it = shop()
    assert it.reserve("G1", 4, at=1) == HELD
    assert it.figures == (6, 4, 0)
    assert it.state["warehouses"]["hz"]["sales"] == 10
    assert it.adds_up()


@pytest.mark.rule("INV-07")
def test_a_payment_deducts_and_ends_the_hold() -> None:
    it = shop()
    it.reserve("G1", 4, at=1)
    assert it.confirm("G1", 4, at=MINUTE) == CONFIRMED
    assert it.figures == (6, 0, 0)
    assert it.state["warehouses"]["hz"]["sales"] == 6
    rows = [(row["pool"], row["delta"], row["reason"]) for row in it.out(messages.LEDGER)][1:]
    assert rows == [("held", 4, "reserved"), ("held", -4, "confirmed"), ("sales", -4, "confirmed")]


@pytest.mark.rule("INV-06", "INV-07")
@pytest.mark.parametrize(
    ("paid_at", "valid"), [(14 * MINUTE + 59 * SECOND, True), (15 * MINUTE - 1, True), (15 * MINUTE, False)]
)
def test_a_hold_is_valid_while_event_time_is_before_its_expiry(paid_at: int, valid: bool) -> None:
    it = shop(1)
    it.reserve("G1", 1, at=0)
    if not valid:
        assert it.timers["hold", f"{SKU}\0G1"] == T0 + 15 * MINUTE
    it.pass_time(paid_at)
    assert it.stock.held == (1 if valid else 0)
    it.confirm("G1", 1, at=paid_at)
    reasons = [row["reason"] for row in it.out(messages.LEDGER) if row["pool"] == "held"]
    assert reasons == ["reserved", "confirmed" if valid else "expired"]
    assert it.figures == (0, 0, 0)


@pytest.mark.rule("INV-06")
def test_an_expiry_frees_the_units_tells_the_order_and_is_on_time_to_the_millisecond() -> None:
    it = shop(3)
    it.reserve("G1", [1, 2], [2, 1], at=7)
    it.pass_time(15 * MINUTE + 6)
    assert it.stock.held == 3
    it.pass_time(15 * MINUTE + 7)
    assert it.figures == (3, 0, 0)
    reply = it.out(messages.REPLIES)[-1]
    assert (reply["do"], reply["event_time"]) == ("expire", T0 + 15 * MINUTE + 7)
    assert reply["lines"] == [[1, "expired", None], [2, "expired", None]]


@pytest.mark.rule("INV-06", "FIN-02")
@pytest.mark.parametrize("deposit_at", [5 * MINUTE, 20 * MINUTE])
def test_units_of_which_a_deposit_was_paid_are_held_until_the_rest_is_or_for_60_days(deposit_at: int) -> None:
    it = shop(1)
    it.reserve("G1", 1, at=0)
    it.pass_time(deposit_at)
    assert it.reserve("G1", 1, at=deposit_at, number=2, keep=True) == HELD
    assert it.reserve("G1", 1, at=deposit_at, number=2, keep=True) == HELD
    it.pass_time(deposit_at + 60 * DAY - 1)
    assert it.figures == (0, 1, 0)
    assert it.adds_up()
    it.pass_time(deposit_at + 60 * DAY)
    assert it.figures == (1, 0, 0)


@pytest.mark.rule("INV-06", "FIN-02")
def test_a_deposit_holds_no_units_that_are_not_there() -> None:
    it = shop(1)
    it.reserve("G1", 1, at=0)
    it.pass_time(15 * MINUTE)
    it.reserve("G2", 1, at=16 * MINUTE)
    [answer] = it.reserve("G1", 1, at=17 * MINUTE, number=2, keep=True)
    assert answer[:3] == [1, "refused", "out_of_stock"]


@pytest.mark.rule("INV-06")
@pytest.mark.parametrize(("asked", "kept"), [(10, 15), (20, 20), (45, 30)])
def test_the_time_of_a_channel_is_kept_between_15_and_30_minutes(asked: int, kept: int) -> None:
    it = Shop(Settings(hold_ms_by_channel={"tmall": asked * MINUTE}))
    it.receive(5)
    it.reserve("G1", 1, channel="tmall")
    it.reserve("G2", 1, channel="douyin")
    assert it.timers["hold", f"{SKU}\0G1"] == T0 + kept * MINUTE
    assert it.timers["hold", f"{SKU}\0G2"] == T0 + 15 * MINUTE


@pytest.mark.rule("INV-07")
def test_whatever_is_said_twice_is_answered_twice_and_done_once() -> None:
    it = shop(2)
    for _ in range(2):
        assert it.reserve("G1", 2, at=1) == HELD
        assert it.figures == (0, 2, 0)
    for _ in range(2):
        assert it.confirm("G1", 2, at=2) == CONFIRMED
        assert it.figures == (0, 0, 0)
    assert it.reserve("G1", 2, at=1) == CONFIRMED
    for _ in range(2):
        assert it.release("G1", 2, at=3, do="return") == [[1, "returned", None]]
        assert it.figures == (2, 0, 0)
    assert it.adds_up()


@pytest.mark.rule("INV-07")
def test_a_hold_that_ended_comes_back_only_in_a_later_round() -> None:
    it = shop(2)
    it.reserve("G1", 2, at=1)
    assert it.release("G1", 2, at=2) == [[1, "released", None]]
    assert it.reserve("G1", 2, at=1) == [[1, "released", None]]
    assert it.stock.held == 0
    assert it.reserve("G1", 2, at=3, number=2) == HELD
    assert it.stock.held == 2


def test_a_release_of_nothing_is_answered_and_does_nothing() -> None:
    it = shop(2)
    assert it.release("G1", 2) == [[1, "released", None]]
    assert it.figures == (2, 0, 0)


@pytest.mark.rule("INV-06")
def test_lines_of_a_bundle_see_each_other() -> None:
    it = shop(3)
    answers = it.reserve("G1", [1, 2], [2, 2], [3, 1])
    assert [answer[1] for answer in answers] == ["held", "refused", "held"]
    assert answers[1][2] == "out_of_stock"
    assert it.figures == (0, 3, 0)


def test_a_sku_nobody_has_told_of_is_not_managed() -> None:
    it = Shop()
    assert it.reserve("G1", 5) == [[1, "unmanaged", None]]
    assert it.confirm("G1", 5) == [[1, "unmanaged", None]]
    assert it.confirm("G1", 5, quiet=True) == []
    assert it.release("G1", 5) == [[1, "released", None]]
    it.command("virtual", "G1", 5, enter=True)
    assert not it.rows
    assert {topic for topic, _, _ in it.sent} == {messages.REPLIES}


@pytest.mark.rule("INV-07")
def test_units_come_from_the_order_s_warehouse_then_from_the_fullest_and_go_back_there() -> None:
    it = Shop()
    for name, units in (("bj", 2), ("gz", 3), ("hz", 3)):
        it.receive(units, warehouse=name)
    it.reserve("G1", 6, warehouse="bj")
    it.confirm("G1", 6, at=1)
    sales = {name: pools["sales"] for name, pools in it.state["warehouses"].items()}
    assert sales == {"bj": 0, "gz": 0, "hz": 2}
    it.release("G1", 6, at=2, do="return")
    assert {name: pools["sales"] for name, pools in it.state["warehouses"].items()} == {"bj": 2, "gz": 3, "hz": 3}


@pytest.mark.rule("INV-08")
def test_a_late_payment_is_served_if_there_is_stock() -> None:
    it = shop(5)
    it.reserve("G1", 2)
    assert it.confirm("G1", 2, at=HOUR) == CONFIRMED
    assert it.figures == (3, 0, 0)
    assert not it.out(messages.ALERTS)


@pytest.mark.rule("INV-08", "CUS-05")
def test_a_late_payment_without_stock_is_oversold_and_somebody_is_told_what_to_offer() -> None:
    it = shop(2)
    it.reserve("G1", 2)
    it.reserve("G2", 2, at=16 * MINUTE)
    [answer] = it.confirm("G1", 2, at=17 * MINUTE)
    assert answer[:3] == [1, "oversold", None]
    assert {option["option"] for option in answer[3]} == {"pre_book", "similar"}
    assert it.figures == (-2, 2, 0)  # the units in the pool are promised to G2
    [alert] = it.out(messages.ALERTS)
    assert (alert["do"], alert["rule"], alert["order_guid"]) == ("open", "INV-08", "G1")
    assert it.confirm("G2", 2, at=18 * MINUTE) == CONFIRMED
    assert it.figures == (-2, 0, 2)
    assert sum(entry[1] for entry in it.stock.window) == 2
    it.receive(2, at=19 * MINUTE)
    assert it.figures == (0, 0, 0)
    assert it.adds_up()


@pytest.mark.rule("INV-08")
def test_a_hold_whose_units_were_lost_since_is_oversold_when_it_is_paid() -> None:
    it = shop(10)
    it.reserve("G1", 4)
    it.reserve("G2", 6)
    it.count(4, at=1)
    assert it.figures == (-6, 10, 0)
    assert it.confirm("G1", 4, at=2) == CONFIRMED
    assert it.confirm("G2", 6, at=3)[0][1] == "oversold"
    assert it.figures == (-6, 0, 6)


@pytest.mark.rule("INV-08")
def test_a_refund_of_oversold_units_pays_the_debt_and_closes_the_alert() -> None:
    it = shop(1)
    it.confirm("G1", 3, at=1)
    assert it.figures == (-2, 0, 2)
    it.release("G1", 3, at=2, do="return")
    assert it.figures == (1, 0, 0)
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open", "close"]


@pytest.mark.rule("INV-08")
def test_goods_that_come_in_close_the_alerts_once_all_that_is_owed_is_covered() -> None:
    """Whoever was to call the customers would offer them a later delivery of goods that are there."""
    it = shop(1)
    it.confirm("G1", 2, at=1)
    it.confirm("G2", 1, at=2)
    it.receive(1, at=3)
    assert it.figures == (-1, 0, 1)
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open", "open"]
    it.receive(1, at=4)
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open", "open", "close", "close"]
    it.receive(1, at=5)
    assert len(it.out(messages.ALERTS)) == 4


@pytest.mark.rule("INV-08")
def test_a_hold_that_ends_covers_what_was_sold_beyond_it() -> None:
    it = shop(1)
    it.reserve("G1", 1)
    it.confirm("G2", 1, at=1)
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open"]
    it.release("G1", 1, at=2)
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open", "close"]


@pytest.mark.rule("INV-08", "INV-07")
def test_returned_units_are_sold_again_by_a_later_payment_and_not_by_the_first_one_told_twice() -> None:
    it = shop(3)
    it.reserve("G1", 3)
    it.confirm("G1", 3, at=1)
    assert it.release("G1", 3, at=2, round=2) == [[1, "returned", None]]
    assert it.confirm("G1", 3, at=3) == [[1, "returned", None]]
    assert it.confirm("G1", 3, at=3, number=2) == [[1, "returned", None]]
    assert it.figures == (3, 0, 0)
    assert it.confirm("G1", 3, at=4, number=3) == CONFIRMED
    assert it.figures == (0, 0, 0)
    assert it.release("G1", 3, at=5, round=4) == [[1, "returned", None]]
    it.confirm("G2", 2, at=6)
    assert it.confirm("G1", 3, at=7, number=5)[0][1] == "oversold"
    assert it.figures == (-2, 0, 2)
    assert it.adds_up()


@pytest.mark.rule("INV-07")
def test_what_was_taken_last_comes_back_first_also_when_a_returned_part_was_sold_again() -> None:
    it = shop(9)
    it.confirm("G1", 40, at=1)
    it.receive(12, at=2, warehouse="bj", pool="reserved")
    it.release("G1", 2, at=3, do="return")
    it.confirm("G1", 2, at=4, number=2)  # nothing is there: owed by bj, the first by name
    assert (it.sums()["hz", "sales"], it.sums()["bj", "sales"]) == (-29, -2)
    it.release("G1", 3, at=5, do="return", round=3)
    assert not it.sums().get(("bj", "sales"))
    assert it.sums()["hz", "sales"] == -28
    assert it.adds_up()


@pytest.mark.rule("INV-07")
def test_units_that_were_nowhere_come_back_before_those_that_were() -> None:
    it = shop(1)
    it.receive(3, warehouse="bj")
    it.reserve("G1", 4, warehouse="bj")
    it.confirm("G2", 2, at=1)  # oversold, from bj
    it.confirm("G1", 4, at=2)  # one of bj, one of hz, two that bj owes
    assert (it.sums().get(("hz", "sales"), 0), it.sums()["bj", "sales"]) == (0, -2)
    it.release("G1", 2, at=3)
    assert not it.sums().get(("hz", "sales"))
    assert not it.sums().get(("bj", "sales"))
    assert it.adds_up()


@pytest.mark.rule("INV-08")
def test_of_a_line_returned_in_part_only_that_part_is_sold_again() -> None:
    it = shop(5)
    it.confirm("G1", 4, at=1)
    it.release("G1", 3, at=2, round=2)
    assert it.figures == (4, 0, 0)
    assert it.confirm("G1", 4, at=3, number=3) == CONFIRMED
    assert it.figures == (1, 0, 0)
    it.release("G1", 4, at=4, round=4)
    assert it.figures == (5, 0, 0)
    assert it.adds_up()


@pytest.mark.rule("INV-08")
def test_an_expired_line_is_remembered_for_a_day_and_a_sold_one_for_thirty() -> None:
    it = shop(5)
    it.reserve("G1", 1)
    it.reserve("G2", 1)
    it.confirm("G2", 1, at=1)
    rows = {key for table, key in it.rows if table == "holds"}
    assert rows == {f"{SKU}\0G1", f"{SKU}\0G2"}
    it.pass_time(DAY + 15 * MINUTE - 1)
    assert len([key for table, key in it.rows if table == "holds"]) == 2
    it.pass_time(DAY + 15 * MINUTE)
    assert [key for table, key in it.rows if table == "holds"] == [f"{SKU}\0G2"]
    it.pass_time(30 * DAY + 1)
    assert not [key for table, key in it.rows if table == "holds"]
    assert not [kind for kind, _ in it.timers if kind == "hold"]


@pytest.mark.rule("INV-17")
def test_how_long_units_were_held_stands_in_the_reply_and_the_ledger() -> None:
    it = shop(9)
    it.reserve("G1", 1)
    it.confirm("G1", 1, at=40 * SECOND)
    it.reserve("G2", 1, at=41 * SECOND)
    it.release("G2", 1, at=44 * SECOND)
    it.reserve("G3", 1, at=45 * SECOND)
    it.pass_time(HOUR)
    held = [row["held_ms"] for row in it.out(messages.LEDGER) if row["pool"] == "held" and row["delta"] < 0]
    assert held == [40 * SECOND, 3 * SECOND, 15 * MINUTE]
    told = [(reply["do"], reply["held_ms"]) for reply in it.out(messages.REPLIES) if reply["do"] != "reserve"]
    assert told == [("confirm", 40 * SECOND), ("release", 3 * SECOND), ("expire", 15 * MINUTE)]


@pytest.mark.rule("INV-14")
def test_units_awaiting_confirmation_are_counted_apart() -> None:
    it = shop(5)
    it.reserve("G1", 2)
    it.confirm("G1", 2, at=1)
    for _ in range(2):
        it.command("virtual", "G1", 2, at=2, enter=True)
        assert (it.stock.virtual, *it.figures) == (2, 3, 0, 0)
    it.pass_time(40 * DAY)
    assert ("holds", f"{SKU}\0G1") in it.rows
    for _ in range(2):
        it.command("virtual", "G1", 2, at=41 * DAY, enter=False)
        assert (it.stock.virtual, *it.figures) == (0, 3, 0, 0)


@pytest.mark.rule("INV-08")
def test_the_alert_of_an_order_stays_while_one_of_its_lines_is_oversold() -> None:
    it = shop(1)
    it.confirm("G1", [1, 3], [2, 2], at=1)
    it.release("G1", [1, 3], at=2, do="return")
    assert {alert["do"] for alert in it.out(messages.ALERTS)} == {"open"}
    it.release("G1", [2, 2], at=3, do="return", round=2)
    assert it.out(messages.ALERTS)[-1]["do"] == "close"
    assert it.figures == (1, 0, 0)


@pytest.mark.rule("INV-07")
def test_units_sold_so_long_ago_that_they_are_forgotten_come_back_all_the_same_and_once() -> None:
    it = shop(5)
    it.receive(9, warehouse="sh")
    it.confirm("G1", 2, at=1)
    it.pass_time(31 * DAY)
    assert not [key for table, key in it.rows if table == "holds"]
    told: dict[str, Any] = {"do": "return", "round": 3, "sold": True, "warehouse": "hz"}
    for _ in range(2):
        assert it.release("G1", 2, at=31 * DAY, **told) == [[1, "returned", None]]
        assert it.figures == (14, 0, 0)
    assert it.release("G2", 2, at=31 * DAY, do="return") == [[1, "released", None]], "nobody says that it was sold"
    assert it.adds_up()
