"""Silence, lanes, backlog, slow services, health and stock pushes: BRK-02, 06, 09, 10, 12 and INV-12."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.channel import requests
from tests.support.channel_world import SETTINGS, World, missed, ops, order

T0 = calendar.at(2026, 1, 24, 10)
MINUTE = calendar.MINUTE_MS


def beat(at: int, value: Any = None, **more: Any) -> dict[str, Any]:
    return ops("heartbeat", at, value, channel="douyin", **more)


# -- BRK-02 -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("BRK-02")
@pytest.mark.parametrize(("waited", "alarm"), [(180_000, False), (180_001, True)])
def test_three_minutes_of_silence_are_none_and_a_millisecond_more_is(waited: int, alarm: bool) -> None:
    world = World().say(T0, beat(T0)).until(T0 + waited)
    assert world.breaks("BRK-02") == ([("open", T0 + 180_001)] if alarm else [])
    assert world.alerts("BRK-02") == (["open"] if alarm else [])


@pytest.mark.rule("BRK-02")
def test_an_event_is_as_good_as_a_heartbeat() -> None:
    world = World().say(T0, beat(T0)).say(T0 + 170_000, order("douyin", "A", T0))
    assert world.until(T0 + 350_000).told == []
    assert world.until(T0 + 350_001).breaks("BRK-02") == [("open", T0 + 350_001)]


@pytest.mark.rule("BRK-02")
def test_what_our_own_agents_say_about_a_channel_is_no_sign_of_its_life() -> None:
    world = World().say(T0, beat(T0)).say(T0 + 100_000, missed("douyin", 1, T0), "douyin")
    world.say(T0 + 100_000, lane(True), "douyin").until(T0 + 180_001)
    assert world.breaks("BRK-02") == [("open", T0 + 180_001)]


@pytest.mark.rule("BRK-02")
def test_what_people_say_about_a_channel_is_no_sign_of_its_life() -> None:
    world = World().say(T0, beat(T0))
    world.say(T0 + 100_000, ops("reference_set", T0, {"kind": "channel", "channel": "douyin", "api": True}))
    world.say(T0 + 110_000, ops("manual_command", T0, command="resume_channel", channel="douyin"))
    closed = {"topic": "service", "event_type": "ticket_closed", "event_time": T0, "source": "cs", "channel": "douyin"}
    world.say(T0 + 120_000, {**closed, "event_id": "t-1", "ticket_code": "BRK-01/douyin"}, "douyin").until(T0 + 180_001)
    assert world.breaks("BRK-02") == [("open", T0 + 180_001)]
    world.say(T0 + 200_000, {**closed, "event_id": "t-2", "ticket_code": "BRK-02/douyin/douyin"}, "douyin")
    assert world.actions("BRK-02") == ["open"]


@pytest.mark.rule("BRK-02")
def test_a_quiet_channel_that_sends_heartbeats_or_never_sent_one_does_not_alarm() -> None:
    world = World().say(T0, order("douyin", "A", T0))
    assert world.until(T0 + calendar.DAY_MS).told == []
    for minute in range(60):
        world.say(T0 + calendar.DAY_MS + minute * MINUTE, beat(T0))
    assert world.told == []


@pytest.mark.rule("BRK-02")
def test_silence_is_told_once_and_ends_with_the_next_word() -> None:
    world = World().say(T0, beat(T0)).until(T0 + calendar.HOUR_MS)
    assert world.actions("BRK-02") == ["open"]
    world.say(T0 + calendar.HOUR_MS, beat(T0))
    assert world.breaks("BRK-02")[1:] == [("close", T0 + calendar.HOUR_MS)]
    assert world.alerts("BRK-02") == ["open", "close"]
    world.until(T0 + 2 * calendar.HOUR_MS)
    assert world.breaks("BRK-02")[2:] == [("open", T0 + calendar.HOUR_MS + 180_001)]


@pytest.mark.rule("BRK-02")
def test_interfaces_of_one_channel_are_watched_each_by_itself() -> None:
    world = World().say(T0, beat(T0, {"interface": "orders"})).say(T0, beat(T0, {"interface": "stock"}))
    world.say(T0 + 100_000, beat(T0, {"interface": "stock"})).until(T0 + 200_000)
    assert [(row["interface"], row["at"]) for row in world.told] == [("orders", T0 + 180_001)]


@pytest.mark.rule("BRK-02")
def test_a_worker_that_was_away_reads_what_waits_before_it_alarms() -> None:
    world = World().say(T0, beat(T0))
    world.now = T0 + calendar.HOUR_MS  # the clock of a worker that starts again; the timer is long overdue
    world.until(T0 + calendar.HOUR_MS)
    assert world.told == []
    back = World().say(T0, beat(T0))
    back.now = T0 + calendar.HOUR_MS
    back.until(back.now).say(back.now + 1000, beat(T0)).until(back.now + SETTINGS.away_ms)
    assert back.told == []
    assert world.until(world.now + SETTINGS.away_ms).actions("BRK-02") == ["open"]


@pytest.mark.rule("BRK-02")
@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, '"x"', '{"calls": "many", "interface": 7}'])
def test_a_heartbeat_with_an_unreadable_value_is_one_all_the_same(text: str) -> None:
    world = World().say(T0, {**beat(T0), "value": text}).until(T0 + 180_001)
    assert [row["interface"] for row in world.told] == ["douyin"]
    assert not world.refused


# -- BRK-06 and BRK-09 ------------------------------------------------------------------------------------------------


def lane(enter: bool, name: str = "L2") -> dict[str, Any]:
    return {"event_type": "_lane", "channel": "douyin", "lane": name, "enter": enter, "event_time": T0}


def queue(world: World, count: int, at: int, enter: bool = True) -> World:
    for _ in range(count):
        world.say(at, lane(enter), "douyin")
    return world


@pytest.mark.rule("BRK-06")
def test_the_depth_of_each_lane_is_told_when_it_has_changed() -> None:
    world = World().say(T0, lane(True, "L2"), "douyin").say(T0, lane(True, "L2"), "douyin")
    world.say(T0 + 1, lane(True, "L3"), "douyin")
    assert world.until(T0 + SETTINGS.depth_every_ms - 1).told == []
    world.until(T0 + SETTINGS.depth_every_ms)
    assert [(row["lane"], row["depth"]) for row in world.told] == [("L2", 2), ("L3", 1)]
    world.say(T0 + 20_000, lane(False, "L2"), "douyin").until(T0 + 40_000)
    assert [(row["lane"], row["depth"]) for row in world.told[2:]] == [("L2", 1)]
    assert not world.timers


@pytest.mark.rule("BRK-06")
def test_lanes_of_other_channels_are_counted_apart() -> None:
    world = World().say(T0, lane(True), "douyin").say(T0, lane(True), "pdd").until(T0 + 20_000)
    assert {(row["channel"], row["depth"]) for row in world.told} == {("douyin", 1), ("pdd", 1)}


@pytest.mark.rule("BRK-09")
@pytest.mark.parametrize(("count", "off"), [(500, False), (501, True)])
def test_501_unprocessed_orders_switch_the_feature_off_and_500_do_not(count: int, off: bool) -> None:
    world = queue(World(), count, T0)
    assert world.actions("BRK-09") == (["open"] if off else [])
    assert world.alerts("BRK-09") == (["open"] if off else [])
    if off:
        [told] = [row for row in world.told if row["rule"] == "BRK-09"]
        assert (told["feature"], told["depth"]) == ("coupon_gift", 501)


@pytest.mark.rule("BRK-09")
def test_below_400_for_five_minutes_switches_it_on_again() -> None:
    world = queue(queue(World(), 501, T0), 101, T0 + MINUTE, enter=False)
    assert world.until(T0 + calendar.HOUR_MS).actions("BRK-09") == ["open"], "400 is not below 400"
    low = T0 + calendar.HOUR_MS
    queue(world, 1, low, enter=False)
    queue(world, 1, low + MINUTE)
    assert world.until(low + 10 * MINUTE).actions("BRK-09") == ["open"], "it rose again within the five minutes"
    low += 10 * MINUTE
    queue(world, 1, low, enter=False)
    assert world.until(low + 5 * MINUTE - 1).actions("BRK-09") == ["open"]
    assert world.until(low + 5 * MINUTE).breaks("BRK-09")[1:] == [("close", low + 5 * MINUTE)]
    assert world.alerts("BRK-09") == ["open", "close"]


@pytest.mark.rule("BRK-09")
def test_what_the_gate_holds_back_is_unprocessed_too() -> None:
    world = World()
    for number in range(1200 + 501):
        world.say(T0, order("wechat_mini", f"{number:05d}", T0))
    assert world.actions("BRK-09") == ["open"]
    assert world.until(T0 + calendar.HOUR_MS).breaks("BRK-09")[1] == ("close", T0 + 1000 + 5 * MINUTE)


# -- BRK-10 -----------------------------------------------------------------------------------------------------------


def calls(count: int, errors: int = 0, p95: int | None = None) -> dict[str, Any]:
    return {"interface": "stock", "calls": count, "errors": errors, "p95_ms": p95}


@pytest.mark.rule("BRK-10")
@pytest.mark.parametrize(
    ("value", "opens"),
    [
        (calls(100, p95=1000), False),
        (calls(100, p95=1001), True),
        (calls(100, errors=20), False),
        (calls(100, errors=21), True),
        (calls(0, p95=9000), False),
        ({"interface": "stock", "p95_ms": 8400}, True),
        ({"interface": "stock", "calls": 5, "errors": 1}, False),
    ],
)
def test_a_slow_or_failing_service_opens_its_breaker(value: dict[str, Any], opens: bool) -> None:
    world = World().say(T0, beat(T0, value))
    assert world.actions("BRK-10") == (["open"] if opens else [])


@pytest.mark.rule("BRK-10")
def test_the_p95_is_that_of_ten_seconds() -> None:
    def slow(share: int, apart: int = 1000) -> World:
        world = World().say(T0, beat(T0, calls(100 - share, p95=50)))
        return world.say(T0 + apart, beat(T0 + apart, calls(share, p95=5000)))

    assert slow(5).actions("BRK-10") == []
    assert slow(6).actions("BRK-10") == ["open"]
    assert slow(5, apart=9_999).actions("BRK-10") == []
    assert slow(5, apart=10_000).actions("BRK-10") == ["open"], "the good calls are older than ten seconds"


@pytest.mark.rule("BRK-10")
def test_it_half_opens_after_30_seconds_and_closes_after_good_probes() -> None:
    world = World().say(T0, beat(T0, calls(10, errors=10)))
    world.say(T0 + 10_000, beat(T0 + 10_000, calls(10, errors=10)))
    assert world.until(T0 + 29_999).actions("BRK-10") == ["open"]
    assert world.until(T0 + 30_000).breaks("BRK-10")[1:] == [("half_open", T0 + 30_000)]
    for number in range(SETTINGS.probes):
        assert world.actions("BRK-10") == ["open", "half_open"]
        world.say(T0 + 31_000 + number, beat(T0 + 31_000 + number, calls(1, p95=40)))
    assert world.actions("BRK-10") == ["open", "half_open", "close"]
    assert world.alerts("BRK-10") == ["open", "close"]


@pytest.mark.rule("BRK-10")
def test_a_bad_probe_opens_it_again() -> None:
    world = World().say(T0, beat(T0, calls(10, errors=10))).until(T0 + 30_000)
    world.say(T0 + 30_500, beat(T0 + 30_500, calls(1))).say(T0 + 31_000, beat(T0 + 31_000, calls(1, p95=1001)))
    assert world.until(T0 + 61_000).breaks("BRK-10")[2:] == [("open", T0 + 31_000), ("half_open", T0 + 61_000)]


@pytest.mark.rule("BRK-10")
def test_p95_is_the_nearest_rank_over_all_calls() -> None:
    assert requests.p95([[0, 1, 0, value] for value in range(1, 21)]) == 19
    assert requests.p95([[0, 1, 0, value] for value in range(1, 22)]) == 20
    assert requests.p95([[0, 95, 0, 10], [0, 5, 0, 99]]) == 10
    assert requests.p95([[0, 9, 0, None]]) is None


# -- BRK-12 -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("BRK-12")
@pytest.mark.parametrize(("errors", "warned"), [(5, False), (6, True)])
def test_exactly_99_5_percent_is_well_and_less_is_not(errors: int, warned: bool) -> None:
    world = World().say(T0, beat(T0, calls(400))).say(T0 + MINUTE, beat(T0 + MINUTE, calls(600, errors=errors)))
    assert world.actions("BRK-12") == (["open"] if warned else [])
    assert world.alerts("BRK-12") == (["open"] if warned else [])


@pytest.mark.rule("BRK-12")
def test_errors_older_than_a_day_count_no_more() -> None:
    world = World().say(T0, beat(T0, calls(1000, errors=6)))
    almost = T0 + calendar.DAY_MS - SETTINGS.health_step_ms
    assert world.say(almost, beat(almost, calls(10))).actions("BRK-12") == ["open"]
    later = T0 + calendar.DAY_MS
    assert world.say(later, beat(later, calls(10))).actions("BRK-12") == ["open", "close"]
    assert world.say(later, beat(T0, calls(1000, errors=1000))).actions("BRK-12") == ["open", "close"], "told too late"


@pytest.mark.rule("BRK-12")
def test_reports_that_come_out_of_order_add_up_the_same() -> None:
    times = [T0 + number * 7 * MINUTE for number in range(40)]
    one, other = World(), World()
    for at in times:
        one.say(T0, beat(at, calls(100, errors=at % 3)))
    for at in reversed(times):
        other.say(T0, beat(at, calls(100, errors=at % 3)))
    assert one.tables["health"] == other.tables["health"]


@pytest.mark.rule("BRK-10", "BRK-12", "ID-05")
def test_a_report_that_is_told_twice_counts_once() -> None:
    bad, good = beat(T0, calls(100, errors=50)), beat(T0 + 31_000, calls(9_901))
    world = World().say(T0, bad).say(T0 + 1, bad).until(T0 + 30_000)
    for later in range(SETTINGS.probes):
        world.say(T0 + 31_000 + later, good)
    assert world.actions("BRK-10") == ["open", "half_open"], "one good report is one"
    assert world.actions("BRK-12") == ["open", "close"], "50 of 10,001 calls failed"


# -- INV-12 -----------------------------------------------------------------------------------------------------------

NO_API = {"kind": "channel", "channel": "douyin", "api": False}


def push(at: int) -> dict[str, Any]:
    return beat(at, {"stock_push": True, "interface": "stock-push"})


@pytest.mark.rule("INV-12")
@pytest.mark.parametrize(("waited", "late"), [(300_000, False), (300_001, True)])
def test_a_stock_push_of_five_minutes_is_in_time_and_an_older_one_is_late(waited: int, late: bool) -> None:
    world = World().say(T0 - MINUTE, ops("reference_set", T0, NO_API)).say(T0, push(T0)).until(T0 + waited)
    assert world.breaks("INV-12") == ([("open", T0 + 300_001)] if late else [])
    assert world.alerts("INV-12") == (["open"] if late else [])


@pytest.mark.rule("INV-12")
def test_the_next_push_ends_it() -> None:
    world = World().say(T0, ops("reference_set", T0, NO_API)).until(T0 + calendar.HOUR_MS)
    assert world.actions("INV-12") == ["open"], "no push at all since the watch began"
    world.say(T0 + calendar.HOUR_MS, push(T0 + calendar.HOUR_MS))
    assert world.actions("INV-12") == ["open", "close"]
    assert world.until(T0 + 2 * calendar.HOUR_MS).breaks("INV-12")[2:] == [("open", T0 + calendar.HOUR_MS + 300_001)]


@pytest.mark.rule("INV-12")
def test_a_late_word_of_an_old_push_does_not_make_it_new() -> None:
    world = World().say(T0, ops("reference_set", T0, NO_API)).say(T0 + MINUTE, push(T0 + MINUTE))
    world.say(T0 + 2 * MINUTE, push(T0 - 10 * MINUTE)).say(T0 + 3 * MINUTE, push(T0 + calendar.DAY_MS))
    assert world.until(T0 + 8 * MINUTE).actions("INV-12") == []
    assert world.until(T0 + 8 * MINUTE + 1).actions("INV-12") == ["open"], "a time ahead counts as now"
    world.say(T0 + calendar.HOUR_MS, push(T0 + MINUTE))
    assert world.actions("INV-12") == ["open"], "still older than five minutes"


@pytest.mark.rule("INV-12")
def test_channels_with_a_live_api_are_not_watched() -> None:
    world = World().say(T0, push(T0)).until(T0 + calendar.HOUR_MS)
    assert world.actions("INV-12") == []
    world = World().say(T0, ops("reference_set", T0, NO_API)).until(T0 + calendar.HOUR_MS)
    world.say(T0 + calendar.HOUR_MS, ops("reference_set", T0, {**NO_API, "api": True}))
    assert world.until(T0 + 2 * calendar.HOUR_MS).actions("INV-12") == ["open", "close"]
    refused = World().say(T0, ops("reference_set", T0, {**NO_API, "api": "no"})).refused
    assert refused == ["api is not true or false"]
