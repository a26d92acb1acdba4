"""BRK-03: the 1201st order of a second waits, in order, and follows in a batch as tokens come back."""

from __future__ import annotations

import pytest

from streams.domain import calendar
from streams.domain.channel import bucket
from streams.domain.channel.outcome import BUCKETS
from tests.support.channel_world import SETTINGS, World, missed, ops, order

T0 = calendar.at(2026, 1, 24, 10)
SHOP = "wechat_mini"
pytestmark = pytest.mark.rule("BRK-03")


def orders(world: World, count: int, at: int, spread: int = 0, first: int = 0, channel: str = SHOP) -> World:
    """So many orders, spread evenly over `spread` ms."""
    for number in range(count):
        when = at + spread * number // count
        world.say(when, order(channel, f"{first + number:05d}", when))
    return world


@pytest.mark.parametrize("spread", [0, 500, 999])
def test_the_1200th_order_of_a_second_passes_and_the_1201st_waits(spread: int) -> None:
    world = orders(World(), 1200, T0, spread)
    assert (len(world.out), world.held()) == (1200, [])
    world.say(T0 + 999, order(SHOP, "LAST", T0 + 999))
    assert (len(world.out), world.held()) == (1200, ["LAST"])
    assert world.until(T0 + 1000).numbers(SHOP)[-1] == "LAST"


def test_a_token_comes_back_a_second_after_it_was_taken() -> None:
    world = orders(World(), 1200, T0)
    assert world.say(T0 + 1000, order(SHOP, "NEXT", T0)).held() == []


def test_what_waits_follows_in_order_and_before_what_comes_later() -> None:
    world = orders(World(), 3000, T0)
    assert world.held() == [f"{number:05d}" for number in range(1200, 3000)]
    world.say(T0 + 1500, order(SHOP, "LATER", T0))
    world.until(T0 + 10_000)
    assert world.numbers(SHOP) == [*(f"{number:05d}" for number in range(3000)), "LATER"]


def test_the_place_in_the_queue_is_published() -> None:
    world = orders(World(), 1203, T0)
    queued = [(row["order_no"], row["position"]) for row in world.told if row["action"] == "queued"]
    assert queued == [("01200", 1), ("01201", 2), ("01202", 3)]
    assert world.actions("BRK-03") == ["open", "queued", "queued", "queued"]
    world.until(T0 + 1000)
    assert world.breaks("BRK-03")[4:] == [("released", T0 + 1000), ("close", T0 + 1000)]
    assert world.told[-1]["depth"] == 0


def test_a_full_second_is_let_go_in_batches_of_a_tenth() -> None:
    world = orders(World(), 2400, T0, 1000)
    released = [row["at"] for row in world.until(T0 + 5000).told if row["action"] == "released"]
    assert 1 < len(released) <= 12
    assert len(world.numbers(SHOP)) == 2400


def test_other_channels_have_no_limit() -> None:
    world = orders(World(), 5000, T0, channel="douyin")
    assert (len(world.out), world.held(), world.told) == (5000, [], [])


def test_operations_set_change_and_lift_a_limit() -> None:
    limit = {"kind": "channel", "channel": "douyin", "qps": 2}
    world = World().say(T0, ops("reference_set", T0, limit, source="console"))
    orders(world, 5, T0, channel="douyin")
    assert world.held() == ["00002", "00003", "00004"]
    world.say(T0 + 1, ops("reference_set", T0, {**limit, "qps": 3}, source="console"))
    assert world.held() == ["00003", "00004"]
    world.say(T0 + 2, ops("reference_set", T0, {**limit, "qps": 0}, source="console"))
    assert world.held() == []
    assert world.numbers("douyin") == [f"{number:05d}" for number in range(5)]
    assert world.actions("BRK-03")[-1] == "close"
    free = {"kind": "channel", "channel": SHOP, "qps": 0}
    assert orders(World().say(T0, ops("reference_set", T0, free)), 1300, T0).held() == []


@pytest.mark.parametrize("qps", [-1, 1.5, "7", True, 10**10])
def test_a_limit_that_is_none_is_refused(qps: object) -> None:
    world = World().say(T0, ops("reference_set", T0, {"kind": "channel", "channel": "douyin", "qps": qps}))
    assert world.refused == ["qps is not a whole number of orders a second"]
    assert not world.writes


@pytest.mark.rule("BRK-01")
def test_a_suspended_channel_keeps_its_queue_and_is_limited_when_it_opens_again() -> None:
    world = World()
    for number in range(3):
        world.say(T0, missed(SHOP, number, T0), SHOP)
    orders(world, 3000, T0 + 1000)
    assert world.until(T0 + 60_000).numbers(SHOP) == []
    opened = T0 + 120_000
    world.say(opened, ops("manual_command", T0, command="resume_channel", channel=SHOP))
    assert len(world.until(opened).out) == 1200
    assert world.until(opened + 10_000).numbers(SHOP) == [f"{number:05d}" for number in range(3000)]


def test_a_bucket_that_is_asked_for_more_than_it_holds_says_so() -> None:
    with pytest.raises(ValueError, match="more tokens"):
        bucket.back_at(bucket.FULL, 3, 2)


def test_a_clock_set_back_gives_no_token_too_early() -> None:
    row = bucket.take(bucket.take(bucket.FULL, 1, T0), 1, T0 - 5000)
    assert bucket.settled(row, T0 + 999)["used"] == 2
    assert bucket.settled(row, T0 + 1000)["used"] == 0


def test_a_bucket_remembers_no_more_than_a_second() -> None:
    world = orders(World(), 3000, T0, 30_000)
    assert len(world.tables[BUCKETS][SHOP]["taken"]) <= 101


@pytest.mark.parametrize("name", [SHOP, "微信小程序", "WeChat Mini Program", "wechat-mini-shop2"])
def test_the_default_limit_is_that_of_the_mini_program(name: str) -> None:
    assert SETTINGS.limit(name) == 1200
    assert orders(World(), 1201, T0, channel=name).held() == ["01200"]
