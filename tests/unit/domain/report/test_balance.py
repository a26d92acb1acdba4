"""FIN-11: the trial balance of a closed month."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain.ledger import periods
from streams.domain.report import balance
from streams.domain.report.assembly import Outcome
from streams.domain.report.balance import BalanceReports
from streams.domain.report.settings import ReportError

pytestmark = pytest.mark.rule("FIN-11")
SETTINGS = BalanceReports(1, 1)


def entry(amount: int, debit: str = "cash", credit: str = "customer_advances", currency: str = "CNY") -> dict[str, Any]:
    about = {"period": "2026-01", "currency": currency, "amount_minor": amount}
    return {**about, "debit_account": debit, "credit_account": credit}


def test_money_out_counts_by_its_absolute_value_on_both_sides() -> None:
    assert balance.added([entry(300), entry(-100, "customer_advances", "cash"), entry(5, currency="USD")]) == {
        "2026-01\0CNY\0cash": [2, 300, 100],
        "2026-01\0CNY\0customer_advances": [2, 100, 300],
        "2026-01\0USD\0cash": [1, 5, 0],
        "2026-01\0USD\0customer_advances": [1, 0, 5],
    }
    assert balance.added([]) == {}


def test_the_parts_of_all_partitions_are_one_balance_and_one_that_is_uneven_is_said() -> None:
    rows = sorted(balance.added([entry(300)]).items())
    parts: Any = {f"ledger/{n}": balance.parts("2026-01", n, rows[n:], 5)[0] for n in range(2)}
    [record] = balance.records(Outcome({}, parts=parts), "2026-01", 9, SETTINGS)
    assert record["report_id"] == "FIN-11/2026-01"
    assert [(row["account"], row["balance_minor"]) for row in json.loads(record["rows"])] == [
        ("cash", 300),
        ("customer_advances", -600),
    ]
    assert "do NOT balance, credits are 600" in record["highlights"][0]


def test_months_that_were_never_closed_are_told_with_the_one_that_is() -> None:
    rows = sorted(balance.added([{**entry(5), "period": period} for period in ("2025-11", "2026-01")]).items())
    told = balance.parts("2026-02", 0, rows, 9)
    assert [(part["period"], part["sums"]) for part in told] == [
        ("2025-11", [["CNY", "cash", 1, 5, 0], ["CNY", "customer_advances", 1, 0, 5]]),
        ("2026-01", [["CNY", "cash", 1, 5, 0], ["CNY", "customer_advances", 1, 0, 5]]),
        ("2026-02", []),
    ]
    assert balance.span(periods.NONE, 2026 * 12) == ("0000-01", "2026-02")


@pytest.mark.parametrize("wrong", [{"grace_ms": 0}, {"kept_days": True}, {"more": 1}])
def test_a_number_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ReportError, match="trial balance"):
        BalanceReports.parse({"grace_ms": 1, "kept_days": 1, **wrong})
