"""Bad input about money: each has one outcome, with one row of audit, and books that say what moved."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streams.domain import calendar
from tests.scenarios.play import Played
from tests.scenarios.test_ledger import FEBRUARY, HOUR, T0, Desk, balances

DAY = calendar.DAY_MS
COUPON = [{"text": "券", "amount_minor": 1_000}]

Outcome = tuple[str, str | None, str | None]
"""(decision, rule, reason) of the one row of audit about the bad event."""


def refunded_too_much(desk: Desk) -> str:
    desk.paid().money("refund_settled", T0 + HOUR, 30_001)
    return "refund_settled"


def in_another_currency(desk: Desk) -> str:
    desk.money("payment_succeeded", T0, 30_000, currency="USD")
    return "payment_succeeded"


def recorded_in_another_currency(desk: Desk) -> str:
    desk.paid().about("finance", "receipt_recorded", T0, "kingdee", amount_minor=30_000, currency="USD")
    return "receipt_recorded"


def paid_too_little(desk: Desk) -> str:
    desk.paid(T0, 29_000)
    return "payment_succeeded"


def closed_twice(desk: Desk) -> str:
    desk.paid().close("2026-01", FEBRUARY)
    desk.close("2026-01", FEBRUARY + 1)
    return "period_closed"


def for_a_closed_period(desk: Desk) -> str:
    desk.paid().close("2026-01", FEBRUARY).money("refund_settled", FEBRUARY - 1, 5_000)
    return "refund_settled"


CASES: dict[str, tuple[Callable[[Desk], str], Outcome, dict[str, int], list[str]]] = {
    "a refund above what was paid": (
        refunded_too_much,
        ("accepted", "FIN-07", "more is refunded than was paid so far"),
        {"cash": -1, "customer_advances": 1},
        ["refunded more than was paid"],
    ),
    "a payment in another currency": (
        in_another_currency,
        ("refused", "FIN-07", "amount in USD for an order in CNY"),
        {},
        ["money in another currency"],
    ),
    "a receipt recorded in another currency": (
        recorded_in_another_currency,
        ("refused", "FIN-07", "amount in USD for an order in CNY"),
        {"cash": 30_000, "customer_advances": -30_000},
        ["money in another currency"],
    ),
    "a payment that is not the price": (
        paid_too_little,
        ("accepted", "ST-01", None),
        {"cash": 29_000, "customer_advances": -29_000},
        ["payment and price differ"],
    ),
    "a period closed twice": (
        closed_twice,
        ("refused", "FIN-11", "2026-01 is closed already"),
        {"cash": 30_000, "customer_advances": -30_000},
        [],
    ),
    "an event for a closed period": (
        for_a_closed_period,
        ("accepted", "FIN-07", None),
        {"cash": 25_000, "customer_advances": -25_000},
        [],
    ),
}


@pytest.mark.rule("FIN-06", "FIN-07", "FIN-11", "ST-06")
@pytest.mark.parametrize("name", CASES)
def test_each_bad_input_has_one_audited_outcome(name: str) -> None:
    tell, wanted, books, alerts = CASES[name]
    desk = Desk()
    kind = tell(desk)
    desk.until(FEBRUARY + DAY)
    rows = [row for row in desk.out("audit-log") if row["event_type"] == kind]
    last = rows[-1]
    assert (last["decision"], last["rule"], last["reason"]) == wanted
    assert [row["event_id"] for row in rows].count(last["event_id"]) == 1
    assert {name: amount for name, amount in balances(desk.entries()).items() if amount} == books
    titles = [alert["title"] for alert in Played(desk.runner).alerts() if alert["rule"] in ("FIN-06", "FIN-07")]
    assert titles == alerts
    assert not Played(desk.runner).dead


@pytest.mark.rule("FIN-11")
def test_what_comes_for_a_closed_period_is_booked_in_the_next_and_says_so() -> None:
    desk = Desk()
    for_a_closed_period(desk)
    [late] = [entry for entry in desk.entries() if entry["rule"] == "FIN-11"]
    assert (late["kind"], late["period"], late["recognized_at"]) == ("adjustment", "2026-02", FEBRUARY - 1)


@pytest.mark.rule("FIN-06")
def test_lines_and_discounts_that_do_not_make_the_price_are_told_at_once_and_the_price_counts() -> None:
    desk = Desk(discounts=COUPON, total_minor=20_000)
    [alert] = Played(desk.runner).alerts("FIN-06")
    assert alert["title"] == "discounts and price differ"
    [row] = [row for row in desk.out("audit-log") if row["event_type"] == "order_created"]
    assert row["decision"] == "accepted"
