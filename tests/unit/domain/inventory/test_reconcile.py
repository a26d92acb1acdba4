"""What a partition tells at the hour of the stock reports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.inventory import reconcile
from streams.domain.inventory.stock import Stock
from streams.domain.report.settings import StockReports
from streams.domain.rules import data
from tests.unit.domain.inventory.shop import HOUR, SKU, T0, Shop

SETTINGS = data.stock_reports()
DUE = SETTINGS.next_due(T0 + HOUR)


def look(*stocks: tuple[str, Stock], settings: StockReports = SETTINGS, due: int = DUE) -> dict[str, Any]:
    """All of them in one step; through JSON, as the table keeps it."""
    found: dict[str, Any] = json.loads(json.dumps(reconcile.step(reconcile.begin(due), stocks, settings)))
    return found


def stock(counts: dict[str, list[int]] | None = None, shows: dict[str, list[int]] | None = None) -> Stock:
    return Stock(warehouses={"hz": [1, 0, 0, 0, 1, 0, 0, 0]}, counts=counts or {}, channel_stock=shows or {})


@pytest.mark.rule("INV-13")
def test_a_count_that_differed_is_a_row_and_one_that_agreed_is_a_figure() -> None:
    it = Shop()
    it.receive(10)
    it.receive(3, warehouse="sh")
    it.count(8, at=HOUR)
    it.count(3, at=HOUR, warehouse="sh")
    seen = look((SKU, it.stock))
    assert (seen["skus"], seen["figures"], seen["left_out"]) == (1, 2, 0)
    assert seen["rows"] == [[SKU, "wms", "hz", "sales", 10, 8, T0 + HOUR]]
    assert seen["counted"] == {"": [1, 0], "hz": [1, 0], "sh": [1, 1]}


@pytest.mark.rule("INV-13")
def test_what_a_channel_shows_is_compared_with_what_was_free_when_it_said_so() -> None:
    it = Shop()
    it.receive(10)
    it.reserve("G1", 4, at=1)
    it.fact("reference_set", 2, set={"kind": "channel_stock", "sku": SKU, "channel": "tmall", "quantity": 10})
    it.fact("reference_set", 2, set={"kind": "channel_stock", "sku": SKU, "channel": "jd", "quantity": 6})
    it.reserve("G2", 5, at=3)
    seen = look((SKU, it.stock))
    assert seen["rows"] == [[SKU, "channel", "tmall", "sales", 6, 10, T0 + 2]]
    assert (seen["figures"], seen["counted"]) == (2, {})


@pytest.mark.rule("INV-13", "ID-05")
def test_what_a_channel_shows_told_twice_is_compared_with_what_was_free_the_first_time() -> None:
    it = Shop()
    it.receive(10)
    shows = {"kind": "channel_stock", "sku": SKU, "channel": "jd", "quantity": 10}
    it.fact("reference_set", 2, set=shows)
    it.reserve("G1", 4, at=3)
    assert not it.fact("reference_set", 2, set=shows).changed
    assert look((SKU, it.stock))["rows"] == []
    other = {"kind": "alternative", "sku": SKU, "alternatives": ["gel"]}
    assert it.fact("reference_set", 4, set=other).changed
    assert not it.fact("reference_set", 4, set=other).changed


@pytest.mark.rule("INV-16")
@pytest.mark.parametrize("counted", [0, calendar.HOUR_MS, 30 * calendar.DAY_MS])
@pytest.mark.parametrize(
    ("ago", "belongs"), [(0, False), (1, True), (calendar.DAY_MS, True), (calendar.DAY_MS + 1, False), (-1, False)]
)
def test_a_count_belongs_to_the_day_before_the_hour_in_which_it_was_told(ago: int, belongs: bool, counted: int) -> None:
    seen = look((SKU, stock({"hz\0sales": [DUE - ago - counted, 5, 6, DUE - ago]})))
    assert seen["figures"] == belongs
    assert len(seen["rows"]) == belongs
    assert seen["counted"] == ({"": [1, 0], "hz": [1, 0]} if belongs else {})


@pytest.mark.rule("INV-16")
def test_a_sku_is_equal_only_if_all_its_counts_are() -> None:
    agrees, differs = [DUE - 1, 5, 5], [DUE - 1, 5, 6]  # as rows were before they said when it was told
    seen = look(
        ("A", stock({"hz\0sales": agrees, "hz\0reserved": agrees, "sh\0sales": agrees})),
        ("B", stock({"hz\0sales": agrees, "hz\0reserved": differs, "sh\0sales": agrees})),
        ("C", stock()),
    )
    assert seen["counted"] == {"": [2, 1], "hz": [2, 1], "sh": [2, 2]}
    assert seen["skus"] == 3


@pytest.mark.rule("INV-13")
def test_a_look_in_steps_sees_what_one_look_sees() -> None:
    stocks = [
        (f"S{number:02}", stock({"hz\0sales": [DUE, number % 3, 1]}, {"tmall": [number, 5, 7]})) for number in range(20)
    ]
    walk = reconcile.begin(DUE)
    for start in range(0, 20, 3):
        low, high = reconcile.following(walk)
        rest = [each for each in stocks if low <= each[0] < high]
        assert rest == stocks[start:]
        walk = json.loads(json.dumps(reconcile.step(walk, rest[:3], SETTINGS)))
    assert walk == look(*stocks)


@pytest.mark.rule("INV-13")
def test_of_too_many_differences_the_largest_are_kept_and_the_rest_are_counted() -> None:
    known = {name: getattr(SETTINGS, name) for name in SETTINGS.__slots__}
    few = StockReports(**{**known, "rows_per_part": 2})
    walk = reconcile.begin(DUE)
    for number in (5, 1, 9, 7):
        walk = reconcile.step(walk, [(f"S{number}", stock(shows={"jd": [number, 5, 0]}))], few)
    assert [row[0] for row in walk["rows"]] == ["S7", "S9"]
    assert walk["left_out"] == 2


@pytest.mark.rule("INV-13")
def test_the_part_names_its_day_and_its_partition() -> None:
    told = reconcile.part(look((SKU, stock())), 3, DUE + 4)
    assert told == {
        "series": "stock", "period": "2026-01-25", "place": "inventory/3", "at": DUE + 4, "due": DUE,
        "skus": 1, "figures": 0, "rows": [], "left_out": 0, "counted": {},
    }  # fmt: skip


def test_a_sku_nobody_ever_stocked_is_no_sku_of_ours_but_what_a_channel_shows_of_it_is_wrong() -> None:
    seen = look((SKU, Stock(channel_stock={"jd": [5, DUE, 0]})))
    assert (seen["skus"], seen["figures"]) == (0, 1)
    assert seen["rows"] == [[SKU, "channel", "jd", "sales", 0, 5, DUE]]
