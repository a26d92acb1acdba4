"""BRK-01: three payments in a row without an order suspend a channel; its orders are held, not dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.domain import calendar, ids
from streams.domain.channel import key_of, values
from streams.domain.channel.outcome import GATES, HEALTH_DUE
from tests.support.channel_world import SETTINGS, World, missed, ops, order

T0 = calendar.at(2026, 1, 24, 10)
MINUTE = calendar.MINUTE_MS
pytestmark = pytest.mark.rule("BRK-01")


def after(story: str) -> World:
    """The world after misses (`m`) and good creations (`o`), a second apart."""
    world = World()
    for number, what in enumerate(story):
        at = T0 + 1000 * number
        world.say(at, missed("douyin", number, at) if what == "m" else order("douyin", f"A{number}", at), "douyin")
    return world


@pytest.mark.parametrize(
    ("story", "suspended"),
    [("mmm", True), ("mm", False), ("mmom", False), ("mmomm", False), ("mmommm", True), ("ommm", True)],
)
def test_the_third_miss_in_a_row_suspends_the_channel(story: str, suspended: bool) -> None:
    world = after(story)
    assert world.actions("BRK-01") == (["open"] if suspended else [])
    assert world.alerts("BRK-01") == (["open"] if suspended else [])
    held = world.say(T0 + MINUTE, order("douyin", "LAST", T0 + MINUTE)).held()
    assert held == (["LAST"] if suspended else [])


@pytest.mark.parametrize(("waited", "suspended"), [(SETTINGS.away_ms, True), (SETTINGS.away_ms + 1, False)])
def test_where_facts_of_the_channel_lie_unread_its_orders_do_too_and_nothing_is_judged(
    waited: int, suspended: bool
) -> None:
    world = World()
    for number in range(3):
        world.say(T0 + number, missed("douyin", number, T0 + number, waited=waited), "douyin")
    assert world.actions("BRK-01") == (["open"] if suspended else [])


def waiting(number: int, at: int, channel: str | None = "douyin") -> dict[str, Any]:
    """What identity says as soon as a payment has to wait for its order."""
    return {"event_type": "payment_waits", "event_time": at, "source": "wechatpay", "channel": channel}


@pytest.mark.parametrize("step", [1, 1_000, 10_000, 25_000, 45_000, 100_000])
@pytest.mark.parametrize(
    ("story", "suspended"),
    [("mmm", True), ("mmom", False), ("mmomm", False), ("mmommm", True), ("ommm", True), ("momommom", False)],
)
def test_an_order_between_payments_parts_them_however_late_they_turn_out_to_be_misses(
    story: str, suspended: bool, step: int
) -> None:
    """`step`: ms between two events. Each payment is a miss 60 s later."""
    world, told = World(), []
    for number, what in enumerate(story):
        at = T0 + step * number
        if what == "o":
            told.append((at, order("douyin", f"A{number}", at)))
        else:
            told += [(at, waiting(number, at)), (at + 60_001, missed("douyin", number, at + 60_001))]
    for at, message in sorted(told, key=lambda one: one[0]):
        world.say(at, message, "douyin")
    assert world.actions("BRK-01") == (["open"] if suspended else [])


def test_a_channel_without_waiting_payments_lets_orders_pass_as_they_come() -> None:
    world = World().say(T0, order("douyin", "A", T0)).say(T0, waiting(1, T0)).say(T0, waiting(2, T0))
    assert (world.tables[GATES]["douyin"]["plain"], world.tables[GATES]["douyin"]["runs"]) == (False, [T0])
    world.say(T0 + 1, order("douyin", "B", T0 + 1))
    assert world.tables[GATES]["douyin"]["plain"]
    writes = world.writes
    assert world.say(T0 + 2, order("douyin", "C", T0 + 2)).writes == writes


def test_what_is_kept_of_waiting_payments_is_bounded_and_nothing_is_kept_of_a_payment_platform() -> None:
    world = World()
    for number in range(1_000):
        at = T0 + number
        world.say(at, waiting(number, at), "douyin").say(at, order("douyin", f"A{number}", at))
    assert len(world.tables[GATES]["douyin"]["runs"]) <= 64
    for number in range(5):
        at = T0 + number * 2 * MINUTE + 1_000
        world.say(at, waiting(number, at), "douyin").say(at, order("douyin", f"B{number}", at))
    assert len(world.tables[GATES]["douyin"]["runs"]) <= 2
    world.say(T0 + calendar.HOUR_MS, waiting(1, T0 + calendar.HOUR_MS, None), "wechatpay")
    assert "wechatpay" not in world.tables[GATES]


def test_the_break_names_the_payments_and_a_ticket_that_follows_from_them() -> None:
    world = after("mmm")
    [told] = world.told
    assert told["ticket"] == f"BRK-01/douyin/{T0 + 2000}"
    assert (told["channel"], told["at"]) == ("douyin", T0 + 2000)
    assert all(f"payments/wechatpay/p-{number}" in told["reason"] for number in range(3))
    assert after("mmm").told == world.told


def test_another_channel_goes_on() -> None:
    world = after("mmm").say(T0 + 5000, order("douyin", "A", T0)).say(T0 + 5000, order("pdd", "B", T0))
    assert (world.numbers("pdd"), world.numbers("douyin"), world.held()) == (["B"], [], ["A"])


def test_the_ticket_opens_the_channel_and_what_was_held_follows_in_order() -> None:
    world = after("mmm")
    for number in range(5):
        world.say(T0 + MINUTE + number, order("douyin", f"A{number}", T0))
    assert world.numbers("douyin") == []
    closed = ops("ticket_closed", T0 + 2 * MINUTE, source="desk", ticket_code=f"BRK-01/douyin/{T0 + 2000}")
    world.say(T0 + 2 * MINUTE, closed)
    assert world.numbers("douyin") == [f"A{number}" for number in range(5)]
    assert world.breaks("BRK-01") == [("open", T0 + 2000), ("close", T0 + 2 * MINUTE)]
    assert world.alerts("BRK-01") == ["open", "close"]
    assert not world.held()
    assert world.say(T0 + 3 * MINUTE, order("douyin", "NEW", T0)).numbers("douyin")[-1] == "NEW"


@pytest.mark.parametrize("command", sorted(values.COMMANDS))
def test_operations_open_the_channel_by_command(command: str) -> None:
    world = after("mmm").say(T0 + MINUTE, order("douyin", "A", T0))
    world.say(T0 + 2 * MINUTE, ops("manual_command", T0, source="console", command=command, target="douyin"))
    assert world.numbers("douyin") == ["A"]
    assert world.actions("BRK-01") == ["open", "close"]


def test_a_command_for_a_channel_that_is_open_is_refused() -> None:
    world = after("mm").say(T0 + MINUTE, ops("manual_command", T0, command="resume_channel", target="douyin"))
    assert world.refused == ["channel douyin is not suspended"]
    assert after("").say(T0, ops("manual_command", T0, command="unlock", target="x")).refused == []


def test_another_ticket_of_the_channel_does_not_open_it() -> None:
    old = ops("ticket_closed", T0, source="desk", ticket_code="BRK-01/douyin/1")
    world = after("mmm").say(T0 + MINUTE, order("douyin", "A", T0)).say(T0 + MINUTE, old)
    assert (world.held(), len(world.refused)) == (["A"], 1)
    ours_not = ops("ticket_closed", T0, ticket_code="T-1")
    assert world.say(T0 + MINUTE, ours_not).held() == ["A"]
    assert after("mm").say(T0 + MINUTE, old).refused == []


@pytest.mark.parametrize(("at", "is_open"), [(1999, False), (2000, True)])
def test_the_key_of_the_alert_stands_for_the_ticket_of_the_suspension_that_is(at: int, is_open: bool) -> None:
    closed = ops("ticket_closed", T0 + at, source="desk", ticket_code="BRK-01/douyin")
    world = after("mmm").say(T0 + MINUTE, order("douyin", "A", T0)).say(T0 + 2 * MINUTE, closed)
    assert (world.held(), len(world.refused)) == (([], 0) if is_open else (["A"], 1))


def test_more_is_let_go_than_one_turn_should_hold_and_still_in_order() -> None:
    world = World(replace(SETTINGS, drain=3))
    for number in range(3):
        world.say(T0, missed("douyin", number, T0), "douyin")
    for number in range(10):
        world.say(T0 + 1, order("douyin", f"A{number}", T0))
    world.say(T0 + 2, ops("manual_command", T0, command="resume_channel", channel="douyin"))
    assert world.numbers("douyin") == [f"A{number}" for number in range(10)]


def test_misses_of_payments_told_while_orders_were_held_do_not_count() -> None:
    """Their orders may be the ones held here."""
    world = after("mmm").say(T0 + MINUTE, order("douyin", "A", T0))
    opened = T0 + 2 * MINUTE
    world.say(opened, ops("manual_command", T0, command="resume_channel", channel="douyin"))
    waited = SETTINGS.payment_orphan_ms + 1
    for number in range(3, 9):
        world.say(opened + waited, missed("douyin", number, opened + waited), "douyin")
    assert world.actions("BRK-01") == ["open", "close"]
    for number in range(9, 12):
        world.say(opened + waited + 1, missed("douyin", number, opened + waited + 1), "douyin")
    assert world.actions("BRK-01") == ["open", "close", "open"]


@pytest.mark.parametrize(("late_by", "suspended"), [(calendar.HOUR_MS, True), (calendar.HOUR_MS + 1, False)])
def test_payments_told_long_after_they_were_made_are_history(late_by: int, suspended: bool) -> None:
    world = World()
    for number in range(3):
        paid = T0 - SETTINGS.payment_orphan_ms - 1 - late_by
        world.say(T0, missed("douyin", number, T0, paid_at=paid), "douyin")
    assert world.actions("BRK-01") == (["open"] if suspended else [])


@pytest.mark.parametrize(
    "code",
    [["order_no", "douyin", "LOST"], ["platform_txn_no", "", "T-LOST"], ["order_guid", "", "guid"]],
    ids=lambda code: str(code[0]),
)
def test_a_row_that_a_late_order_breaks_in_hindsight_opens_by_itself_five_minutes_later(code: list[str]) -> None:
    if code[0] == "order_guid":
        code = ["order_guid", "", ids.order_guid("douyin", "LOST", T0)]
    world = World()
    for number in range(3):
        more = {"code": code} if number == 1 else {}
        world.say(T0, missed("douyin", number, T0, **more), "douyin")
    world.say(T0 + 1000, order("douyin", "OTHER", T0))
    world.until(T0 + calendar.DAY_MS)
    assert world.held() == ["OTHER"], "nothing opens it but people, while the orders are missing"
    came = T0 + calendar.DAY_MS
    world.say(came, order("douyin", "LOST", T0, platform_txn_no="T-LOST"))
    assert world.until(came + 5 * MINUTE - 1).held() == ["OTHER", "LOST"]
    assert world.until(came + 5 * MINUTE).numbers("douyin") == ["OTHER", "LOST"]
    assert world.breaks("BRK-01")[-1] == ("close", came + 5 * MINUTE)


def test_opened_by_hand_before_that_it_is_not_opened_a_second_time() -> None:
    world = World()
    for number in range(3):
        world.say(T0, missed("douyin", number, T0, code=["order_no", "douyin", f"L{number}"]), "douyin")
    world.say(T0 + 1000, order("douyin", "L1", T0))
    world.say(T0 + 2000, ops("manual_command", T0, command="resume_channel", channel="douyin"))
    assert world.until(T0 + calendar.DAY_MS).actions("BRK-01") == ["open", "close"]
    assert {kind for kind, _ in world.timers} <= {HEALTH_DUE}


def test_a_payment_platform_is_no_channel_unless_orders_come_from_it() -> None:
    world = World()
    for number in range(5):
        world.say(T0, missed(None, number, T0), "wechatpay")
    assert not world.told
    assert not world.writes
    world.say(T0, order("shop", "A", T0))
    for number in range(3):
        world.say(T0, missed(None, number, T0), "shop")
    assert world.actions("BRK-01") == ["open"]


def test_an_open_channel_writes_nothing_for_an_order() -> None:
    world = World().say(T0, order("douyin", "A0", T0))
    before = world.writes
    for number in range(1, 50):
        world.say(T0 + number, order("douyin", f"A{number}", T0))
    assert world.writes == before
    assert world.tables[GATES]["douyin"]["plain"]
    assert len(world.out) == 50


def test_facts_find_the_channel_they_are_about() -> None:
    assert key_of(ops("ticket_closed", T0, source="desk", ticket_code="BRK-01/a/b/17")) == "a/b"
    assert key_of(ops("ticket_closed", T0, source="desk", ticket_code="BRK-01/a/x")) == "a/x"
    assert key_of(ops("ticket_closed", T0, source="desk", ticket_code="BRK-02/a/17")) == "desk"
    assert key_of(ops("ticket_closed", T0, source="desk", channel="c", ticket_code="T-1")) == "c"
    assert key_of(ops("manual_command", T0, source="console", command="resume_channel", target="a")) == "a"
    assert key_of(ops("manual_command", T0, source="console", command="unlock", target="a")) == "console"
    assert key_of(ops("reference_set", T0, {"kind": "channel", "channel": "a"}, source="console")) == "a"
    assert key_of(ops("reference_set", T0, {"kind": "stock", "channel": "a"}, source="console")) == "console"
    assert key_of(ops("heartbeat", T0, source="zto")) == "zto"
    for bad in ("", "x" * 257, "a\0b", "\ud800", 7, None):
        assert key_of(ops("reference_set", T0, {"kind": "channel", "channel": bad}, source="console")) == "console"
    assert values.channel_of(values.ticket("天猫", T0)) == "天猫"


@pytest.mark.rule("ID-08")
def test_identity_hears_of_each_order_that_a_suspension_holds_and_of_none_that_waits_for_a_token() -> None:
    world = after("mmm").say(T0 + MINUTE, order("douyin", "LAST", T0 + MINUTE, platform_txn_no="T", waybill_no="W"))
    assert sorted(world.said_held) == ["LAST", "T", "W"]
    limited = World(replace(SETTINGS, qps={"mini": 1}))
    for number in range(3):
        limited.say(T0, order("mini", f"A{number}", T0))
    assert (limited.held(), limited.said_held) == (["A1", "A2"], [])
