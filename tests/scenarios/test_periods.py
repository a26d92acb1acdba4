"""Months and what is booked in them: over their end, and where one was never closed (FIN-01, FIN-11)."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.rules import data
from tests.scenarios.test_ledger import DAY, FEBRUARY, HOUR, MINUTE, T0, Desk

MARCH = calendar.at(2026, 3, 1)


def by_period(entries: list[dict[str, Any]]) -> dict[str, int]:
    sums = Counter[str]()
    for entry in entries:
        sums[entry["period"]] += entry["amount_minor"]
    return dict(sums)


@pytest.mark.rule("FIN-01", "FIN-11")
def test_a_reversal_is_booked_no_earlier_than_what_it_takes_back() -> None:
    """The mark is of January and told in February, where the revenue and its refund are: January has neither."""
    paid = FEBRUARY - 72 * HOUR + MINUTE
    desk = Desk("douyin").paid(paid).picked(paid + HOUR).money("refund_settled", FEBRUARY + DAY, 10_000)
    assert by_period(desk.entries("revenue")) == {"2026-02": 30_000}
    desk.about("orders", "cancel_marked", FEBRUARY - HOUR, "douyin")
    assert by_period(desk.entries("revenue")) == {"2026-02": 0}
    back, again = desk.entries("adjustment")
    assert (again["reversal_of"], again["recognized_at"]) == (back["entry_id"], FEBRUARY + DAY)


@pytest.mark.rule("FIN-07", "FIN-11")
def test_a_refund_of_all_that_is_told_late_takes_back_revenue_where_it_was() -> None:
    desk = Desk().paid(T0).signed(FEBRUARY - DAY).confirmed(FEBRUARY)
    desk.money("refund_settled", FEBRUARY - HOUR, 30_000)
    assert by_period(desk.entries("revenue")) == {"2026-02": 0}


@pytest.mark.rule("FIN-11")
def test_a_closing_archives_the_months_before_it_that_were_never_closed() -> None:
    desk = Desk().paid(T0).money("refund_settled", FEBRUARY, 10_000).close("2026-02", MARCH)
    desk.money("refund_settled", T0 + DAY, 500).close("2026-03", calendar.at(2026, 4, 1))
    desk.until(calendar.at(2026, 4, 2))
    found = {row["period"]: json.loads(row["rows"]) for row in desk.out("reports") if row["name"] == "FIN-11"}
    cash = {
        period: [(row["debit_minor"], row["credit_minor"]) for row in rows if row["account"] == "cash"]
        for period, rows in found.items()
    }
    assert cash == {"2026-01": [(30_000, 0)], "2026-02": [(0, 10_000)], "2026-03": [(0, 500)]}


@pytest.mark.rule("FIN-11")
def test_a_month_that_a_configured_date_locks_is_archived_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FEBRUARY - DAY
    locks = ((lock, 2026 * 12), (MARCH - DAY, 2026 * 12 + 1))
    settings = dataclasses.replace(data.ledger(), locks=locks)
    monkeypatch.setattr(sys.modules["streams.agents.ledger"], "_SETTINGS", settings)

    def archived(desk: Desk) -> dict[str, int]:
        reports = {row["period"]: json.loads(row["rows"]) for row in desk.out("reports") if row["name"] == "FIN-11"}
        return {month: rows[0]["debit_minor"] if rows else 0 for month, rows in reports.items()}

    desk = Desk("wechat_mini").paid(T0, 10_000).paid(lock - 1, 9_000).until(lock - 1)
    assert archived(desk) == {}
    desk.paid(lock, 5_000).paid(lock - 2, 1_000).until(lock + HOUR)
    assert archived(desk) == {"2026-01": 19_000}
    assert by_period(desk.entries("receipt", "adjustment")) == {"2026-01": 19_000, "2026-02": 6_000}
    desk.close("2026-01", FEBRUARY + 2 * DAY).until(FEBRUARY + 3 * DAY)
    assert archived(desk) == {"2026-01": 19_000}, "the closing is told of what was locked"
    desk.paid(FEBRUARY + 4 * DAY, 5_000).until(MARCH)
    assert archived(desk) == {"2026-01": 19_000, "2026-02": 11_000}
