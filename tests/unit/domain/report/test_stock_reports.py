"""INV-13 and INV-16: what the parts of a day say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.report.assembly import Outcome
from streams.domain.report.settings import FollowUp, ReportError, StockReports, period
from streams.domain.report.stock import records
from streams.domain.rules import data

DUE = calendar.at(2026, 1, 24, 2)
SETTINGS = data.stock_reports()
TOLD = DUE - 3_600_000


def settings(**more: Any) -> StockReports:
    known = {name: getattr(SETTINGS, name) for name in SETTINGS.__slots__}
    return StockReports(**{**known, **more})


def part(**more: Any) -> dict[str, Any]:
    return {"period": "2026-01-24", "skus": 0, "figures": 0, "rows": [], "left_out": 0, "counted": {}, **more}


def made(parts: list[dict[str, Any]], carried: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    outcome = Outcome({}, parts=dict(enumerate(parts)), carried=dict(enumerate(carried or [])))  # type: ignore[arg-type]
    return {record["name"]: record for record in records(outcome, "2026-01-24", DUE + 7, settings(**more))}


def rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(record["rows"])
    return found


@pytest.mark.rule("INV-13")
def test_differences_of_warehouses_and_channels_are_rows_with_somebody_who_sees_to_them() -> None:
    follow = FollowUp("stock owner", {"HZ": "Li"}, {"tmall": "Wang"})
    wms = ["CUP", "wms", "HZ", "sales", 10, 8, TOLD]
    shows = ["BAG", "channel", "tmall", "sales", 3, 5, TOLD]
    other = ["BAG", "wms", "SH", "reserved", 1, 2, TOLD]
    first, second = part(skus=10, figures=20, rows=[wms, other]), part(skus=5, figures=6, rows=[shows])
    record = made([first, second], follow_up=follow)["INV-13"]
    assert record["report_id"] == "INV-13/2026-01-24"
    assert (record["period"], record["generated_at"]) == ("2026-01-24", DUE + 7)
    assert rows(record) == [
        {"sku": "BAG", "side": "channel", "name": "tmall", "pool": "sales", "ours": 3, "theirs": 5, "difference": 2,
         "told_at": TOLD, "follow_up": "Wang"},
        {"sku": "BAG", "side": "wms", "name": "SH", "pool": "reserved", "ours": 1, "theirs": 2, "difference": 1,
         "told_at": TOLD, "follow_up": "stock owner"},
        {"sku": "CUP", "side": "wms", "name": "HZ", "pool": "sales", "ours": 10, "theirs": 8, "difference": -2,
         "told_at": TOLD, "follow_up": "Li"},
    ]  # fmt: skip
    assert record["highlights"] == [
        "3 differences in 26 figures of 15 SKUs",
        "Li: 1 to follow up",
        "Wang: 1 to follow up",
        "stock owner: 1 to follow up",
    ]


@pytest.mark.rule("INV-13")
def test_a_day_without_figures_is_a_report_too() -> None:
    record = made([part(skus=4)])["INV-13"]
    assert rows(record) == []
    assert record["highlights"] == [
        "0 differences in 0 figures of 4 SKUs",
        "no warehouse and no channel has told a figure to compare with",
    ]


@pytest.mark.rule("INV-13")
def test_of_too_many_differences_the_largest_are_listed_and_all_are_counted() -> None:
    many = [[f"S{number}", "wms", "HZ", "sales", 0, number, TOLD] for number in range(1, 8)]
    record = made([part(skus=9, figures=9, rows=many, left_out=4)], rows=3)["INV-13"]
    assert [row["sku"] for row in rows(record)] == ["S5", "S6", "S7"]
    assert record["highlights"][:2] == [
        "11 differences in 9 figures of 9 SKUs",
        "8 differences are not listed: the largest are",
    ]


@pytest.mark.rule("INV-13")
def test_of_a_silent_partition_what_a_channel_shows_stays_open_and_counts_do_not() -> None:
    shows = ["BAG", "channel", "tmall", "sales", 3, 5, TOLD]
    count = ["BAG", "wms", "HZ", "sales", 3, 5, TOLD]
    record = made([part(skus=1, figures=1)], [part(period="2026-01-22", rows=[shows, count])])["INV-13"]
    assert [(row["side"], row["difference"]) for row in rows(record)] == [("channel", 2)]
    assert record["highlights"][-1] == "1 partitions told nothing new: theirs is of 2026-01-22 or later"


@pytest.mark.rule("INV-16")
@pytest.mark.parametrize(
    ("equal", "counted", "shown", "reached"),
    [
        (199, 200, "99.50", True),
        (995, 1000, "99.50", True),
        (99_499, 100_000, "99.49", False),
        (198, 200, "99.00", False),
        (7, 7, "100.00", True),
        (0, 1, "0.00", False),
    ],
)
def test_accuracy_is_the_share_of_skus_whose_count_agreed(equal: int, counted: int, shown: str, reached: bool) -> None:
    record = made([part(counted={"": [counted, equal]})])["INV-16"]
    total = {"warehouse": None, "skus_counted": counted, "skus_equal": equal, "accuracy": shown, "reached": reached}
    assert rows(record) == [total]
    below = f"accuracy {shown} % over all warehouses, below the target of 99.5 %"
    assert record["highlights"] == ([] if reached else [below])


@pytest.mark.rule("INV-16")
def test_counts_of_all_partitions_go_together_and_each_warehouse_has_its_own() -> None:
    first = part(counted={"": [600, 600], "HZ": [500, 500], "SH": [100, 100]})
    second = part(counted={"": [400, 396], "HZ": [300, 300], "SH": [200, 196]})
    record = made([first, second])["INV-16"]
    assert [(row["warehouse"], row["accuracy"], row["reached"]) for row in rows(record)] == [
        (None, "99.60", True),
        ("HZ", "100.00", True),
        ("SH", "98.66", False),
    ]
    assert record["highlights"] == ["accuracy 98.66 % in SH, below the target of 99.5 %"]


@pytest.mark.rule("INV-16")
def test_without_a_count_there_is_no_accuracy() -> None:
    assert [*made([part(skus=5, figures=2)])] == ["INV-13"]


@pytest.mark.rule("INV-13")
def test_the_hour_is_that_of_shanghai_and_always_ahead() -> None:
    assert SETTINGS.next_due(DUE - 1) == DUE
    assert SETTINGS.next_due(DUE) == DUE + calendar.DAY_MS
    assert SETTINGS.next_due(calendar.at(2026, 1, 23, 23, 59)) == DUE
    assert SETTINGS.next_due(calendar.at(2026, 1, 24)) == DUE
    assert period(DUE) == "2026-01-24"


@pytest.mark.parametrize(
    "wrong",
    [
        {"hour": 24},
        {"grace_ms": 0},
        {"grace_ms": calendar.DAY_MS},
        {"rows": 0},
        {"accuracy_per_1000": 1001},
        {"follow_up": {"default": ""}},
        {"follow_up": {}},
        {"colour": "red"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    good = {name: getattr(SETTINGS, name) for name in SETTINGS.__slots__} | {"follow_up": {"default": "stock owner"}}
    assert StockReports.parse(good).follow_up.default == "stock owner"
    with pytest.raises(ReportError):
        StockReports.parse({**good, **wrong})
