"""LOG-16: lanes, their medians and what is told to whom."""

from __future__ import annotations

from statistics import median_low
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from streams.commands.order_view import arrival_sentence
from streams.domain import calendar
from streams.domain.logistics import arrival as rules
from streams.domain.order.arrival import sentence
from tests.unit.domain.logistics.watched import DAY, HOUR, MINUTE, T0, Watched

SETTINGS = rules.Estimates(enough=3)
LANE = {"courier": "zto", "province": "浙江省", "city": "杭州市"}


def arrived(at: int, took: int, **lane: str) -> dict[str, Any]:
    return {**LANE, **lane, "do": rules.ARRIVED, "at": at, "took": took}


class Lanes:
    """The rows of the agent, over a dict."""

    def __init__(self, *told: dict[str, Any]) -> None:
        self.rows: dict[str, Any] = {}
        for said in told:
            for key in filter(None, rules.scopes(said)):
                row = rules.count(self.rows.get(key), said, SETTINGS)
                if row is not None:
                    self.rows[key] = row

    def ask(self, at: int = T0, **lane: str) -> tuple[int, str, int]:
        said = {**LANE, **lane, "do": rules.ASK, "at": at, "order_guid": "G", "waybill": "W1"}
        topic, key, fact = rules.answer(self.rows.get, said, SETTINGS)
        assert (topic, key, fact["event_type"]) == ("order-facts", "G", rules.ESTIMATED)
        return fact["arrives_at"] - at, fact["basis"], fact["parcels"]


@pytest.mark.rule("LOG-16")
def test_a_lane_with_enough_parcels_answers_with_its_median_and_others_fall_back() -> None:
    lane = [arrived(T0, took * HOUR) for took in (20, 30, 90)]
    near = [arrived(T0, took * HOUR, city="宁波市") for took in (40, 41)]
    far = [arrived(T0, 100 * HOUR, province="广东省", city="深圳市") for _ in range(6)]
    half = 30 * MINUTE
    assert Lanes(*lane, *near, *far).ask() == (30 * HOUR + half, "lane", 3)
    assert Lanes(*lane[:2], *near, *far).ask() == (30 * HOUR + half, "province", 4)
    assert Lanes(*lane[:2], *far).ask() == (100 * HOUR + half, "courier", 8)
    assert Lanes(*lane[:2]).ask() == (3 * DAY, "default", 0)
    assert Lanes(*lane, *far).ask(courier="sf") == (3 * DAY, "default", 0)
    assert Lanes(*lane, *far).ask(province="", city="") == (100 * HOUR + half, "courier", 9)


@pytest.mark.rule("LOG-16")
def test_parcels_count_for_thirty_days_of_shanghai() -> None:
    start = calendar.day_start(T0)
    old = [arrived(start + at, 10 * HOUR) for at in (0, 1, 2)]
    lanes = Lanes(*old)
    last = start + 30 * DAY - 1
    assert lanes.ask(last)[1] == "lane"
    assert lanes.ask(last + 1)[1] == "default"
    key = rules.scopes(LANE)[0]
    assert rules.due_at(lanes.rows[key], SETTINGS) == last + 1
    assert rules.aged(lanes.rows[key], last, SETTINGS) == lanes.rows[key]
    assert rules.aged(lanes.rows[key], last + 1, SETTINGS) is None
    fresh = Lanes(*old, arrived(last + 1, 5 * HOUR))
    assert fresh.rows[key]["sum"] == {"5": 1}
    assert Lanes(arrived(last + 1, 5 * HOUR), *old).rows == fresh.rows


@pytest.mark.rule("LOG-16")
@pytest.mark.parametrize(
    ("took", "counts"), [(0, False), (-1, False), (1, True), (30 * DAY, True), (30 * DAY + 1, False)]
)
def test_what_took_no_time_or_too_long_says_nothing(took: int, counts: bool) -> None:
    assert bool(Lanes(arrived(T0, took)).rows) is counts


parcels = some.lists(some.tuples(some.integers(0, 70), some.integers(1, 200)), max_size=40)


@pytest.mark.rule("LOG-16")
@given(parcels, some.randoms(use_true_random=False))
def test_a_row_is_a_function_of_the_set_of_parcels_and_its_median_that_of_the_last_thirty_days(
    told: list[tuple[int, int]], chance: Any
) -> None:
    said = [arrived(T0 + day * DAY, took * HOUR) for day, took in told]
    key = rules.scopes(LANE)[0]
    row = Lanes(*said).rows.get(key)
    chance.shuffle(said)
    assert Lanes(*said).rows.get(key) == row
    newest = max((day for day, _ in told), default=0)
    counted = [took for day, took in told if day > newest - 30]
    expected = (median_low(counted) * HOUR + 30 * MINUTE, len(counted)) if len(counted) >= 3 else None
    assert rules.median(row, SETTINGS) == expected


@pytest.mark.rule("LOG-16")
def test_a_waybill_asks_at_its_pickup_and_tells_once_how_long_it_took() -> None:
    it = Watched().say("wms", "loaded", 0).courier("waybill_accepted", MINUTE)
    assert not told(it)
    it.courier("picked_up", HOUR).courier("scanned", 2 * HOUR).courier("out_for_delivery", 3 * HOUR)
    assert told(it) == [("ask", HOUR, None)]
    it.courier("signed", 30 * HOUR).courier("signed", 30 * HOUR).courier("scanned", 29 * HOUR, told=31 * HOUR)
    assert told(it) == [("ask", HOUR, None), ("arrived", 30 * HOUR, 29 * HOUR)]


@pytest.mark.rule("LOG-16")
def test_an_earlier_pickup_told_late_asks_again_and_a_signature_alone_tells_nothing_until_its_pickup_comes() -> None:
    it = Watched().courier("scanned", 2 * HOUR).courier("picked_up", HOUR, told=3 * HOUR)
    assert told(it) == [("ask", 2 * HOUR, None), ("ask", HOUR, None)]
    it = Watched().courier("signed", 30 * HOUR)
    assert not told(it)
    it.courier("picked_up", HOUR, told=31 * HOUR)
    assert told(it) == [("arrived", 30 * HOUR, 29 * HOUR)]


def told(it: Watched) -> list[tuple[str, int, int | None]]:
    found = [value for topic, _, value in it.sent if topic == rules.FACTS]
    return [(value["do"], value["at"] - T0, value.get("took")) for value in found]


@pytest.mark.rule("LOG-16")
@pytest.mark.parametrize(
    ("address", "place"),
    [
        ({"province": "浙江省", "city": "杭州市", "street": "文三路", "receiver": "王五"}, ("浙江省", "杭州市")),
        ({"province": " 浙江\0省 ", "city": None}, ("浙江 省", "")),
        ({"province": "x" * 33, "city": 5}, ("", "")),
        (None, ("", "")),
    ],
)
def test_no_more_of_an_address_than_province_and_city_is_taken(address: Any, place: tuple[str, str]) -> None:
    assert rules.place_of(address) == place


@pytest.mark.rule("LOG-16")
@pytest.mark.parametrize(
    ("left", "text"),
    [
        (2 * DAY, "arrives in about 2 days"),
        (DAY + 12 * HOUR, "arrives in about 2 days"),
        (DAY + 12 * HOUR - 1, "arrives in about 1 day"),
        (DAY - 1, "arrives in about 24 hours"),
        (90 * MINUTE - 1, "arrives in about 1 hour"),
        (1, "arrives in about 1 hour"),
        (0, "should arrive any time now"),
        (-DAY, "should arrive any time now"),
    ],
)
def test_the_customer_reads_days_and_hours_rounded_to_the_nearest(left: int, text: str) -> None:
    assert sentence(T0 + left, T0) == text


@pytest.mark.rule("LOG-16")
def test_the_order_is_shown_with_the_countdown() -> None:
    state = {"estimated_arrival_at": T0, "estimate_basis": "lane"}
    said = arrival_sentence(state, T0 - 47 * HOUR - 12 * MINUTE)
    assert said.endswith("arrives in about 2 days (47 h 12 min left), by its lane")
    assert "left" not in arrival_sentence(state, T0)
    assert "too few" in arrival_sentence({**state, "estimate_basis": "default"}, T0)
    assert arrival_sentence({}, T0) == ""


@pytest.mark.rule("LOG-16")
def test_the_latest_address_is_where_it_goes_whatever_came_first() -> None:
    home = {"event_time": 1, "address": {"province": "浙江省", "city": "杭州市"}}
    moved = {"event_time": 2, "address": {"province": "广东省", "city": "深圳市"}}
    silent = {"event_time": 3, "address": {"street": "文三路"}}
    for facts in ([home, moved, silent], [silent, moved, home], [moved, home, moved]):
        row: Any = None
        for fact in facts:
            row = rules.destination(row, fact)
        assert row == [2, "广东省", "深圳市"]
