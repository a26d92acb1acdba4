"""FIN-09: which orders of a channel should have been created and were not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.channel.outcome import GATES
from tests.support.channel_world import SETTINGS, World, missed, order

T0 = calendar.at(2026, 1, 24, 10)
DUE = calendar.at(2026, 2, 4, 6)
DAY = calendar.DAY_MS
pytestmark = pytest.mark.rule("FIN-09")


def told(world: World, until: int = DUE) -> int:
    world.until(until)
    part = world.parts[-1]
    assert (part["period"], part["place"], part["due"]) == ("2026-01", "channels/douyin", DUE)
    count: int = part["counts"]["douyin"]["failed"]
    return count


def refused(order_no: str, **codes: str) -> dict[str, Any]:
    return {"event_type": "_order_refused", "channel": "douyin", "order_no": order_no, **codes}


def test_a_payment_whose_order_never_came_counts_once() -> None:
    world = World().say(T0, order("douyin", "A", T0))
    for _ in range(2):
        world.say(T0, missed("douyin", 1, T0), "douyin")
    assert told(world) == 1


def test_one_that_names_no_channel_counts_for_nobody() -> None:
    world = World().say(T0, missed(None, 1, T0), "wechatpay").until(DUE)
    assert world.parts == []


def test_a_refused_order_and_its_payment_are_one_whichever_is_told_first() -> None:
    one = World().say(T0, refused("A", platform_txn_no="T1"), "douyin").say(T0, missed("douyin", 1, T0), "douyin")
    two = World().say(T0, missed("douyin", 1, T0), "douyin").say(T0, refused("A", platform_txn_no="T1"), "douyin")
    assert (told(one), told(two)) == (1, 1)


@pytest.mark.parametrize("names", [{"platform_txn_no": "T1"}, {"internal_no": "T1"}])
def test_an_order_that_comes_after_all_has_not_failed_also_after_the_report(names: dict[str, str]) -> None:
    world = World().say(T0, order("douyin", "A", T0)).say(T0, missed("douyin", 1, T0), "douyin")
    assert told(world) == 1
    world.say(DUE + DAY, order("douyin", "B", T0, **names))
    assert told(world, DUE + 2 * DAY) == 0
    assert len(world.parts) == 2


def test_a_refused_order_counts_in_the_month_it_was_created_in() -> None:
    """Told first of all, or in a backlog, the clock of the channel stands in another month."""
    january = {**refused("A"), "created_at": T0}
    assert told(World().say(0, january, "douyin")) == 1
    assert told(World().say(calendar.at(2026, 2, 3), january, "douyin")) == 1


def test_what_can_be_remembered_no_more_stays_counted() -> None:
    world = World(replace(SETTINGS, refused_codes=4))
    for number in range(10):
        world.say(T0, missed("douyin", number, T0), "douyin")
    assert len(world.tables[GATES]["douyin"]["failed"]) == 4
    assert told(world) == 10


def test_a_month_that_is_over_for_good_is_forgotten() -> None:
    world = World().say(T0, missed("douyin", 1, T0), "douyin")
    assert told(world) == 1
    february = DUE + 5 * DAY
    world.say(february, missed("douyin", 2, february), "douyin").until(calendar.at(2026, 3, 5))
    row = world.tables[GATES]["douyin"]
    assert (row["health"], row["failed"], row["gone"]) == ({"2026-02": True}, {"T2": "2026-02"}, {})
    before = dict(row)
    world.say(calendar.at(2026, 3, 5), missed("douyin", 3, calendar.at(2026, 3, 5), paid_at=T0), "douyin")
    assert world.tables[GATES]["douyin"]["failed"] == before["failed"], "a report that is over stays as it is"
    assert len(world.parts) == 2
