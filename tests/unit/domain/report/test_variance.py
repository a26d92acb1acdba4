"""FIN-08: the numbers and the periods it is told for."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.ledger import periods
from streams.domain.report.settings import ReportError
from streams.domain.report.variance import VarianceReports, rows, span
from streams.domain.rules import data


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize(
    ("label", "first", "last"),
    [
        ("2026-01", (2026, 1, 1), (2026, 1, 31)),
        ("2026-12", (2026, 12, 1), (2026, 12, 31)),
        ("2024-02", (2024, 2, 1), (2024, 2, 29)),
        ("2026-01-23", (2026, 1, 23), (2026, 1, 23)),
    ],
)
def test_a_period_is_a_month_or_a_day(label: str, first: tuple[int, int, int], last: tuple[int, int, int]) -> None:
    assert periods.days_of(label) == (calendar.number_of(*first), calendar.number_of(*last))


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize(
    "label",
    [
        "",
        "2026",
        "2026-1",
        "2026-00",
        "2026-02-29",
        "2026-01-1",
        "2026-01/23",
        "2026-01-٢٣",
        "2026-13-01",
        "9999-12",
        "9999-12-31",
    ],
)
def test_nothing_else_is_one(label: str) -> None:
    assert periods.days_of(label) is None


@pytest.mark.rule("FIN-08")
def test_a_total_is_of_its_channel_and_currency_alone() -> None:
    low, high = span({"channel": "tmall", "currency": "CNY", "period": "2026-01"}, "tmall")
    assert low == f"tmall\0CNY\0{calendar.number_of(2026, 1, 1):06d}"
    assert high == f"tmall\0CNY\0{calendar.number_of(2026, 2, 1):06d}"


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize("told", ["tmall", "Tmall ", "ＴＭＡＬＬ", "T-mall", "t mall"])
def test_a_total_is_of_the_orders_of_its_channel_in_whichever_spelling(told: str) -> None:
    day = calendar.number_of(2026, 1, 5)
    names = ["", "***", "TMALL", "tmal", "tmall", "tmall-shop2", "tmalls", "天猫"]
    found = {
        f"{name}\0{currency}\0{at:06d}": [1] for name in names for currency in ("CNY", "USD") for at in (day, day + 40)
    }

    def books(low: str, high: str) -> list[tuple[str, list[int]]]:
        return [(key, found[key]) for key in sorted(found) if low <= key < high]

    keys = [key for key, _ in rows({"channel": told, "currency": "CNY", "period": "2026-01"}, books)]
    assert keys == [f"TMALL\0CNY\0{day:06d}", f"tmall\0CNY\0{day:06d}"]


@pytest.mark.parametrize("wrong", [{"grace_ms": 0}, {"limit_per_1000": 1001}, {"kept_days": "7"}, {"more": 1}])
def test_a_number_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    good = {"grace_ms": 1, "late_ms": 1, "kept_days": 1, "limit_per_1000": 5}
    assert VarianceReports.parse(good).limit_per_1000 == data.variance_reports().limit_per_1000
    with pytest.raises(ReportError):
        VarianceReports.parse({**good, **wrong})
