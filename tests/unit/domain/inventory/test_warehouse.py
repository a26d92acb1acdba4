"""What warehouses and operations say about the pools, and what is refused with a reason and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain.inventory import change, messages
from streams.domain.inventory.references import routes
from tests.unit.domain.inventory.shop import DAY, MINUTE, SKU, T0, Shop


def shop(units: int = 10) -> Shop:
    made = Shop()
    made.receive(units)
    return made


def pools(it: Shop, warehouse: str = "hz") -> tuple[int, ...]:
    return tuple(it.state["warehouses"][warehouse].values())


@pytest.mark.rule("INV-02")
def test_the_four_pools_are_apart_and_only_sales_is_sold() -> None:
    it = Shop()
    for number, pool in enumerate((None, "reserved", "quality_check", "in_transit"), start=1):
        it.receive(number, at=number, pool=pool)
    assert pools(it) == (1, 2, 3, 4)
    assert it.stock.available == 1
    assert it.reserve("G1", 2, at=9)[0][1] == "refused"
    it.move(3, "quality_check", "sales", at=10)
    assert pools(it) == (4, 2, 0, 4)
    assert it.reserve("G1", 4, at=11, number=2)[0][1] == "held"
    assert it.adds_up()


@pytest.mark.rule("INV-01")
def test_channels_draw_from_one_stock() -> None:
    it = shop(3)
    assert [it.reserve(f"G{n}", 1, channel=c)[0][1] for n, c in enumerate(("douyin", "tmall", "douyin", "tmall"))] == [
        "held", "held", "held", "refused",
    ]  # fmt: skip


@pytest.mark.rule("INV-02")
@pytest.mark.parametrize(
    ("units", "source", "target", "why"),
    [
        (11, "sales", "reserved", "more than the 10 units of sales there"),
        (7, "sales", "reserved", "the units are held for orders"),
        (1, "reserved", "sales", "more than the 0 units of reserved there"),
        (1, "sales", "sales", "no such pools to move between"),
        (1, "sales", "attic", "no such pools to move between"),
        (-1, "sales", "reserved", "a quantity that is not a whole number of units"),
        (1.5, "sales", "reserved", "a quantity that is not a whole number of units"),
    ],
)
def test_no_more_can_be_moved_than_is_there_and_not_promised(units: Any, source: str, target: str, why: str) -> None:
    it = shop(10)
    it.reserve("G1", 4, at=1)
    before = it.state
    assert it.move(units, source, target, at=2).refusal == why
    assert it.state == before
    assert it.adds_up()


@pytest.mark.parametrize("units", [0, -3, 1.5, True, "3", None, 10**15 + 1])
def test_a_delivery_of_no_whole_number_of_units_is_refused(units: Any) -> None:
    it = shop(1)
    assert it.receive(units, at=1).refusal is not None
    assert it.receive(5, at=1, pool="attic").refusal == "no such pool"
    assert it.stock.sales == 1


@pytest.mark.parametrize("units", [0, -3, 1.5, True, "3", None, 10**15 + 1])
def test_a_line_of_no_whole_number_of_units_is_refused(units: Any) -> None:
    it = shop(5)
    answers = it.reserve("G1", [1, units], [2, 2])
    assert answers == [[1, "refused", "bad_quantity"], [2, "held", None]]
    assert it.confirm("G2", units, at=1) == [[1, "refused", "bad_quantity"]]
    assert it.figures == (3, 2, 0)


@pytest.mark.parametrize("do", ["reserve", "confirm"])
def test_a_command_without_lines_or_with_ten_thousand_is_refused(do: str) -> None:
    it = shop(5)
    it.command(do, "G1")
    assert it.refused == [f"{do} without lines"]
    answers = it.command(do, "G1", *([number, 1] for number in range(10_000)))
    assert answers == [[number, "refused", "too_many_lines"] for number in range(10_000)]
    assert it.figures == (5, 0, 0)


@pytest.mark.rule("INV-02")
def test_a_delivery_told_twice_counts_once() -> None:
    it = shop(5)
    it.receive(3, at=1, event_id="same")
    it.receive(3, at=1, event_id="same")
    it.receive(3, at=1, event_id="same", source="wms-bj")
    assert it.stock.sales == 11


@pytest.mark.rule("INV-10", "ID-05")
def test_an_event_id_with_other_content_is_refused_by_name() -> None:
    it = shop(5)
    it.receive(3, at=1, event_id="same", digest=1)
    assert it.receive(3, at=1, event_id="same", digest=1).refusal is None
    assert it.receive(4, at=1, event_id="same", digest=2).refusal == "event id reused with other content"
    assert it.stock.sales == 8


@pytest.mark.rule("INV-10", "ID-05")
def test_an_event_remembered_by_an_older_version_counts_once() -> None:
    it = shop(5)
    it.receive(3, at=1, event_id="same", digest=1)
    it.rows[change.SEEN, f"{SKU}\0wms-hz\0same"] = json.dumps(T0 + 1)
    assert it.receive(3, at=1, event_id="same", digest=1).refusal is None
    assert it.stock.sales == 8


# -- counts -----------------------------------------------------------------------------------------------------------


def alerts(it: Shop) -> list[str]:
    return [alert["do"] for alert in it.out(messages.ALERTS) if alert["rule"] == "INV-10"]


@pytest.mark.rule("INV-10")
def test_a_count_that_differs_is_taken_and_raises_an_alert_until_one_agrees() -> None:
    it = shop(10)
    it.count(8, at=1)
    assert it.stock.sales == 8
    assert alerts(it) == ["open"]
    assert [row["reason"] for row in it.out(messages.LEDGER)] == ["received", "snapshot_correction"]
    it.count(8, at=2)
    it.count(8, at=3)
    assert alerts(it) == ["open", "close"]
    assert it.state["counts"] == [
        {"warehouse": "hz", "pool": "sales", "at": T0 + 3, "counted": 8, "expected": 8},
    ]
    assert it.adds_up()


@pytest.mark.rule("INV-10", "INV-16")
def test_a_count_that_agrees_is_only_counted() -> None:
    it = shop(10)
    it.count(10, at=1)
    assert not alerts(it)
    assert len(it.out(messages.LEDGER)) == 1
    assert it.state["counts"][0]["counted"] == it.state["counts"][0]["expected"] == 10


@pytest.mark.rule("INV-10")
def test_the_first_figure_of_a_pool_loads_it_without_an_alert() -> None:
    it = Shop()
    it.count(7, at=1)
    it.count(2, at=2, pool="reserved")
    it.count(0, at=3, warehouse="bj")
    assert it.stock.sales == 7
    assert not alerts(it)
    it.count(1, at=4, warehouse="bj")
    assert alerts(it) == ["open"]


@pytest.mark.rule("INV-10")
@pytest.mark.parametrize(("at", "taken"), [(4, False), (5, False), (6, True)])
def test_a_count_from_before_the_last_change_is_refused(at: int, taken: bool) -> None:
    it = shop(10)
    it.receive(1, at=5)
    assert (it.count(3, at=at).refusal is None) is taken
    assert it.stock.sales == (3 if taken else 11)


@pytest.mark.rule("INV-10")
def test_no_warehouse_counts_below_zero_so_an_empty_shelf_does_not_pay_what_is_owed() -> None:
    it = shop(1)
    it.confirm("G1", 5, at=1)
    it.count(0, at=2)
    assert it.figures == (-4, 0, 4)
    assert not alerts(it)
    it.count(3, at=3)
    assert it.figures == (3, 0, 0)
    assert alerts(it) == ["open"]


@pytest.mark.rule("INV-16")
def test_a_count_with_a_bad_figure_is_refused() -> None:
    it = shop(1)
    for units in (-1, 0.5, None):
        assert it.count(units, at=1).refusal is not None
    assert it.count(1, at=1, pool="attic").refusal == "no such pool"
    assert it.state["counts"] == []


def late(it: Shop, units: int, at: int, **fields: Any) -> tuple[int, int, list[str]]:
    """Goods that are told late: (sales after them, ledger rows they made, alerts so far)."""
    before = len(it.out(messages.LEDGER))
    it.receive(units, at=at, **fields)
    assert it.adds_up()
    return it.stock.sales, len(it.out(messages.LEDGER)) - before, alerts(it)


@pytest.mark.rule("INV-01", "INV-10")
def test_goods_received_before_a_count_and_told_after_it_were_counted_already() -> None:
    it = shop(10)
    it.count(14, at=9)
    assert late(it, 4, at=5) == (14, 2, ["open", "close"])
    assert [(row["delta"], row["reason"]) for row in it.out(messages.LEDGER)[-2:]] == [
        (4, "received"),
        (-4, "snapshot_correction"),
    ]
    assert it.state["counts"][0]["expected"] == 14
    assert late(it, 3, at=9) == (17, 1, ["open", "close"]), "not before the count"


@pytest.mark.rule("INV-10")
def test_late_goods_that_a_count_misses_are_an_alert_and_the_rest_of_a_difference_stays_one() -> None:
    it = shop(10)
    it.count(10, at=9)
    assert late(it, 4, at=5) == (10, 2, ["open"])
    assert it.out(messages.ALERTS)[-1]["detail"].endswith("counts 10 of cream-50ml in sales, the ledger says 14")

    it = shop(10)
    it.count(20, at=9)
    assert late(it, 4, at=5) == (20, 2, ["open", "open"])
    assert late(it, 6, at=6) == (20, 2, ["open", "open", "close"])


@pytest.mark.rule("INV-10")
def test_what_an_older_count_has_seen_is_no_news_to_the_newest() -> None:
    it = shop(10)
    it.count(14, at=6)
    it.count(14, at=9)
    assert alerts(it) == ["open", "close"]
    assert late(it, 4, at=5) == (14, 2, ["open", "close"])


@pytest.mark.rule("INV-10")
def test_late_goods_before_the_first_figure_of_a_pool_or_one_of_operations_are_in_it() -> None:
    it = Shop()
    it.count(7, at=9)
    assert late(it, 4, at=5) == (7, 2, [])
    assert told(it, "reference_set", {"kind": "stock", "sku": SKU, "warehouse": "hz", "quantity": 20}, at=12) == [None]
    assert late(it, 4, at=11) == (20, 2, [])


@pytest.mark.rule("INV-10")
def test_late_goods_pay_what_was_owed_when_an_empty_shelf_was_counted() -> None:
    it = shop(1)
    it.confirm("G1", 5, at=1)
    it.count(0, at=9)
    assert late(it, 3, at=5)[:2] == (-1, 1)
    assert late(it, 3, at=5)[:2] == (0, 2)


@pytest.mark.rule("INV-02", "INV-10")
def test_goods_moved_before_a_count_and_told_after_it_change_only_the_pools_that_were_not_counted() -> None:
    it = shop(10)
    it.count(4, at=9)
    assert it.move(6, "sales", "reserved", at=5).refusal is None
    assert pools(it) == (4, 6, 0, 0)
    assert alerts(it) == ["open", "close"]
    assert it.move(5, "sales", "reserved", at=5).refusal == "more than the 4 units of sales there"
    it.count(2, at=12, pool="reserved")
    it.move(1, "sales", "reserved", at=10)
    assert pools(it) == (3, 2, 0, 0)
    assert it.adds_up()


# -- what operations set ----------------------------------------------------------------------------------------------


def told(it: Shop, kind: str, value: dict[str, Any], at: int = 0, **envelope: Any) -> list[str | None]:
    """Through intake's check to the SKU; the refusals."""
    fact = {"event_type": kind, "event_id": f"{kind}-{at}", "event_time": T0 + at, "source": "ops", "topic": "ops"}
    found = routes({**fact, **envelope, "value": json.dumps(value)})
    assert not isinstance(found, str), found
    return [it.fold(message).refusal for topic, key, message in found if (topic, key) == ("stock-commands", SKU)]


@pytest.mark.rule("INV-01")
def test_operations_load_stock_without_an_alert_and_twice_is_once() -> None:
    it = Shop()
    for _ in range(2):
        assert told(it, "reference_set", {"kind": "stock", "sku": SKU, "warehouse": "hz", "quantity": 9}) == [None]
    assert told(it, "reference_set", {"kind": "stock", "sku": SKU, "warehouse": "hz", "quantity": 5}, at=1) == [None]
    assert it.stock.sales == 5
    assert not it.out(messages.ALERTS)
    assert it.adds_up()


@pytest.mark.rule("INV-01")
def test_blanks_around_names_that_operations_write_are_no_part_of_them() -> None:
    it = Shop()
    stock = {"kind": "stock", "sku": f"{SKU} ", "warehouse": " hz", "quantity": 9}
    assert told(it, "reference_set", stock) == [None]
    fest = {"activity": "fest ", "skus": [f" {SKU}"], "starts_at": T0, "ends_at": T0 + DAY}
    assert told(it, "activity_set", fest, at=1) == [None]
    nearby = {"kind": "alternative", "sku": SKU, "nearby": ["hz "]}
    assert told(it, "reference_set", nearby, at=2) == [None]
    assert (list(it.stock.warehouses), list(it.stock.activities)) == (["hz"], ["fest"])
    assert it.stock.alternatives is not None
    assert it.stock.alternatives["nearby"] == ["hz"]
    profile = {"kind": "invoice_profile", "customer_id": "c-1 ", "type": "person", "name": "Li Na "}
    sent = routes({"event_type": "reference_set", "event_time": T0, "value": json.dumps(profile)})
    assert not isinstance(sent, str), sent
    [(_, key, message)] = sent
    assert (key, message["name"]) == ("customer/c-1", "Li Na ")


@pytest.mark.rule("CUS-05")
def test_what_is_out_of_stock_is_refused_with_what_can_be_offered_instead() -> None:
    it = shop(0 + 1)
    it.receive(2, warehouse="shop-7", pool="reserved")
    value = {"kind": "alternative", "sku": SKU, "alternatives": ["gel"], "discount": "-10 %", "nearby": ["shop-7", "x"]}
    assert told(it, "reference_set", {**value, "next_batch_at": T0 + MINUTE}, at=1) == [None]
    [answer] = it.reserve("G1", 3, at=2)
    assert answer[:3] == [1, "refused", "out_of_stock"]
    assert answer[3] == [
        {"option": "transfer", "warehouse": "shop-7", "units": 2},
        {"option": "pre_book", "next_batch_at": T0 + MINUTE},
        {"option": "similar", "skus": ["gel"], "discount": "-10 %"},
    ]
    assert told(it, "reference_set", value, at=0) == ["alternatives older than the ones in force"]


@pytest.mark.rule("INV-13")
def test_what_a_channel_shows_is_kept_for_the_comparison() -> None:
    it = shop(4)
    value = {"kind": "channel_stock", "sku": SKU, "channel": "tmall", "quantity": 3}
    assert told(it, "reference_set", value, at=2) == [None]
    assert told(it, "reference_set", {**value, "quantity": 9}, at=1) == ["a channel's stock older than the one known"]
    assert it.state["channel_stock"] == {"tmall": 3}
    assert it.figures == (4, 0, 0)


@pytest.mark.rule("INV-03", "INV-09")
def test_quotas_and_activities_are_set_by_their_values() -> None:
    it = shop(4)
    assert told(it, "quota_set", {"sku": SKU, "channel": "tmall", "quota": 3}) == [None]
    value = {"activity": "618", "skus": [SKU, "other", SKU], "starts_at": T0, "ends_at": T0 + 9, "freeze_ratio": 0.5}
    assert told(it, "activity_set", value) == [None]
    assert it.stock.quotas == {"\0tmall\0": [3, 0, T0, T0]}
    assert it.stock.activities == {"618": [T0, T0 + 9, 500, 0, T0]}


@pytest.mark.rule("INV-03", "INV-13")
def test_what_names_no_channel_is_of_the_one_that_its_event_names() -> None:
    it = shop(9)
    assert told(it, "quota_set", {"sku": SKU, "quota": 3}, channel="tmall") == [None]
    assert told(it, "quota_set", {"sku": SKU, "quota": 2, "activity": "618"}, at=1, channel="tmall") == [None]
    assert [*it.stock.quotas] == ["\0tmall\0", "618\0\0"]
    assert told(it, "reference_set", {"kind": "channel_stock", "sku": SKU, "quantity": 3}, channel="jd") == [None]
    assert it.state["channel_stock"] == {"jd": 3}


@pytest.mark.rule("INV-03", "CUS-05")
@pytest.mark.parametrize("end", ["2026-01-26T00:00:00+08:00", "2026-01-25T16:00:00Z", 1_769_356_800_000])
def test_times_may_be_written_as_in_every_input_line(end: Any) -> None:
    it = shop(9)
    start = "2026-01-24T00:00:00.0009+08:00"
    assert told(it, "activity_set", {"activity": "618", "sku": SKU, "starts_at": start, "ends_at": end}) == [None]
    assert it.stock.activities["618"][:2] == [1_769_184_000_000, 1_769_356_800_000]
    assert told(it, "reference_set", {"kind": "alternative", "sku": SKU, "next_batch_at": end}) == [None]
    assert it.stock.alternatives is not None
    assert it.stock.alternatives["next_batch_at"] == 1_769_356_800_000


GOOD = {"kind": "stock", "sku": "s", "warehouse": "w", "quantity": 1}
ACTIVITY = {"activity": "a", "sku": "s", "starts_at": T0, "ends_at": T0 + 9}


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("reference_set", "{", "value is not JSON"),
        ("reference_set", "[" * 100_000, "value is nested too deep"),
        ("reference_set", "[]", "value is not a JSON object"),
        ("reference_set", {**GOOD, "kind": "price"}, "value has no kind that is known"),
        ("reference_set", {**GOOD, "kind": []}, "value has no kind that is known"),
        ("reference_set", {**GOOD, "sku": None}, "value has no sku"),
        ("reference_set", {**GOOD, "sku": " "}, "value has a sku that is not a text"),
        ("reference_set", {**GOOD, "sku": "a\0b"}, "value has a sku that holds a NUL character"),
        ("reference_set", {**GOOD, "sku": "\ud800"}, "value is not valid Unicode"),
        ("reference_set", {**GOOD, "sku": "x" * 257}, "value has a sku that is longer than 256 characters"),
        ("reference_set", {**GOOD, "quantity": -1}, "value has a quantity that is out of range"),
        ("reference_set", {**GOOD, "quantity": 1.5}, "value has a quantity that is not a whole number"),
        ("reference_set", {**GOOD, "quantity": True}, "value has a quantity that is not a whole number"),
        ("reference_set", {**GOOD, "pool": "attic"}, "value has a pool that is not one of"),
        ("reference_set", {"kind": "alternative", "sku": "s", "alternatives": ["a"] * 11}, "is not a list of at most"),
        ("reference_set", {"kind": "alternative", "sku": "s", "nearby": [7]}, "has an entry that is not a text"),
        ("reference_set", {"kind": "warehouse", "warehouse": "w", "lat": "north"}, "lat that is not in degrees"),
        ("quota_set", {"sku": "s", "quota": 3}, "value names neither channel nor activity nor warehouse"),
        ("quota_set", {"sku": "s", "channel": "c"}, "value has no quota"),
        ("quota_set", {"sku": "s", "channel": "c", "quota": -1}, "value has a quota that is out of range"),
        ("quota_set", {"channel": "c", "quota": 1}, "value has no sku"),
        ("activity_set", {**ACTIVITY, "sku": None}, "value has no sku"),
        ("activity_set", {**ACTIVITY, "skus": []}, "value has no sku"),
        ("activity_set", {**ACTIVITY, "skus": "s"}, "value has a skus that is not a list"),
        ("activity_set", {**ACTIVITY, "ends_at": T0}, "value ends before it starts"),
        ("activity_set", {**ACTIVITY, "starts_at": T0 - 9, "ends_at": T0 - 5}, "ends_at that is over already"),
        ("activity_set", {**ACTIVITY, "ends_at": "2026-01-26T00:00:00"}, "ends_at that is not a time"),
        ("activity_set", {**ACTIVITY, "ends_at": "tomorrow"}, "ends_at that is not a time"),
        ("activity_set", {**ACTIVITY, "ends_at": "9999-12-31T00:00:00Z"}, "ends_at that is not a time"),
        ("activity_set", {**ACTIVITY, "freeze_ratio": float("nan")}, "freeze_ratio that is not a number"),
        ("activity_set", {**ACTIVITY, "freeze_ratio": -1}, "freeze_ratio that is not a number"),
        ("activity_set", {**ACTIVITY, "flash": 1}, "flash that is not true or false"),
    ],
)
def test_what_cannot_be_set_is_refused_with_a_reason(kind: str, value: Any, why: str) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    found = routes({"event_type": kind, "event_time": T0, "source": "ops", "value": text})
    assert isinstance(found, str)
    assert why in found


def test_what_has_no_sku_goes_to_its_channel() -> None:
    fact = {"event_type": "reference_set", "event_time": T0, "source": "ops", "event_id": "1", "topic": "ops"}
    for value, keys in (
        ({"kind": "channel", "channel": "jd", "qps": 9}, [("channel-facts", "jd")]),
        ({"kind": "warehouse", "warehouse": "hz", "lat": 30.2, "lon": 120}, [("channel-facts", "ops")]),
        (
            {"kind": "channel_stock", "channel": "jd", "sku": "s", "quantity": 1},
            [("stock-commands", "s"), ("channel-facts", "jd")],
        ),
    ):
        found = routes({**fact, "value": json.dumps(value)})
        assert not isinstance(found, str)
        assert [(topic, key) for topic, key, _ in found] == keys


@pytest.mark.rule("INV-02", "INV-10")
def test_a_transfer_leaves_one_warehouse_and_arrives_in_another() -> None:
    it = shop(10)
    it.reserve("G1", 4, at=1)
    it.move(7, "sales", "in_transit", at=2)
    assert it.refused == ["the units are held for orders"]
    it.move(6, "sales", "in_transit", at=3)
    assert (pools(it), it.figures) == ((4, 0, 0, 6), (0, 4, 0))
    arrives = {"warehouse": "hz", "pool": "in_transit", "to_warehouse": "sh", "to_pool": "sales"}
    it.fact("stock_moved", 4, **arrives, quantity=7)
    assert it.refused[1:] == ["more than the 6 units of in_transit there"]
    it.fact("stock_moved", 5, **arrives, quantity=6)
    assert (pools(it), pools(it, "sh"), it.figures) == ((4, 0, 0, 0), (6, 0, 0, 0), (6, 4, 0))
    for warehouse, units in (("hz", 4), ("sh", 6)):
        it.count(units, at=6, warehouse=warehouse)
        it.count(0, at=6, warehouse=warehouse, pool="in_transit")
    assert it.out(messages.ALERTS) == []
    assert it.adds_up()


@pytest.mark.rule("INV-02", "WMS-19")
def test_goods_on_their_way_arrive_by_the_word_of_either_warehouse() -> None:
    it = shop(10)
    it.receive(5, at=1, warehouse="nb")
    it.move(4, "sales", "in_transit", at=2)
    it.fact("stock_moved", 3, warehouse="nb", pool="sales", to_pool="in_transit", quantity=3)
    arrives = {"warehouse": "sh", "pool": "in_transit", "to_pool": "sales"}
    it.fact("stock_moved", 4, **arrives, quantity=8)
    assert it.refused == ["more than the 0 units of in_transit there"]
    it.fact("stock_moved", 5, **arrives, quantity=5)  # from the fullest first
    assert (pools(it), pools(it, "nb"), pools(it, "sh")) == ((6, 0, 0, 0), (2, 0, 0, 2), (5, 0, 0, 0))
    it.fact("stock_moved", 6, **{**arrives, "warehouse": "nb"}, quantity=2)  # its own came back
    assert (pools(it, "nb"), it.stock.available) == ((4, 0, 0, 0), 15)
    it.fact("stock_moved", 7, **arrives, quantity=1)
    assert it.refused[1:] == ["more than the 0 units of in_transit there"]
    assert it.adds_up()


@pytest.mark.rule("INV-02", "WMS-19")
def test_a_transfer_may_name_both_warehouses_each_time() -> None:
    it = shop(10)
    both: dict[str, Any] = {"warehouse": "hz", "to_warehouse": "sh", "quantity": 4}
    it.fact("stock_moved", 1, **both, pool="sales", to_pool="in_transit")
    assert (pools(it), pools(it, "sh")) == ((6, 0, 0, 0), (0, 0, 0, 4))
    it.fact("stock_moved", 2, **{**both, "to_warehouse": "nb"}, pool="in_transit", to_pool="sales")
    assert it.refused == ["more than the 0 units of in_transit there"]
    it.fact("stock_moved", 2, **both, pool="in_transit", to_pool="in_transit")
    assert len(it.refused) == 2
    it.fact("stock_moved", 3, **both, pool="in_transit", to_pool="sales")
    assert (pools(it), pools(it, "sh")) == ((6, 0, 0, 0), (4, 0, 0, 0))
    assert it.adds_up()


@pytest.mark.rule("INV-10", "WMS-19")
def test_goods_that_were_counted_on_their_way_do_not_arrive_twice() -> None:
    it = shop(10)
    it.move(4, "sales", "in_transit", at=2)
    it.count(0, at=9, pool="in_transit")  # had arrived by then, which is told later
    it.fact("stock_moved", 5, warehouse="sh", pool="in_transit", to_pool="sales", quantity=4)
    assert (pools(it), pools(it, "sh")) == ((6, 0, 0, 0), (4, 0, 0, 0))
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open", "close"]
    it.fact("stock_moved", 6, warehouse="sh", pool="in_transit", to_pool="sales", quantity=1)
    assert it.refused == ["more than the 0 units of in_transit there"]
    assert it.adds_up()


@pytest.mark.rule("INV-02")
def test_goods_may_go_to_another_warehouse_at_once_though_they_are_promised() -> None:
    it = shop(3)
    it.reserve("G1", 3, at=1)
    same: dict[str, Any] = {"warehouse": "hz", "pool": "sales", "to_pool": "sales", "quantity": 3}
    it.fact("stock_moved", 2, **same, to_warehouse="hz")
    assert it.refused == ["no such pools to move between"]
    it.fact("stock_moved", 3, **same, to_warehouse="sh")
    assert (pools(it, "sh"), it.figures) == ((3, 0, 0, 0), (0, 3, 0))
    it.confirm("G1", 3, at=4)
    assert it.figures == (0, 0, 0)
    assert it.adds_up()
