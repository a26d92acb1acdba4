"""What was paid above the price and goes back is no loss of revenue, whatever comes first (FIN-01, FIN-07)."""

from __future__ import annotations

from itertools import permutations

import pytest

from streams.domain.ledger import view
from streams.domain.rules import data
from tests.scenarios.test_ledger import DAY, HOUR, T0, Desk, balances

STEPS = {
    "paid": lambda desk: desk.paid(T0),
    "again": lambda desk: desk.paid(T0 + HOUR),
    "back": lambda desk: desk.money("refund_settled", T0 + 2 * HOUR, 30_000),
    "sold": lambda desk: desk.signed(T0 + DAY).confirmed(T0 + 2 * DAY),
}


def left(desk: Desk) -> dict[str, int]:
    return {name: amount for name, amount in balances(desk.entries()).items() if amount}


@pytest.mark.rule("FIN-01", "FIN-07", "FIN-08", "FIN-13")
@pytest.mark.parametrize("order", [*permutations(STEPS)], ids="-".join)
def test_a_payment_made_twice_that_went_back_leaves_the_revenue_of_one(order: tuple[str, ...]) -> None:
    desk = Desk()
    for name in order:
        STEPS[name](desk)
    assert left(desk) == {"cash": 30_000, "revenue": -30_000}
    [row] = desk.runner.table("ledger", "orders").values()
    said = view(row, data.ledger())
    assert (said["recognised_minor"], said["advances_minor"], said["refunded_minor"]) == (30_000, 0, 30_000)
    assert said["bridge"]["refunds_minor"] == said["bridge"]["unrecognised_minor"] == 0


@pytest.mark.rule("FIN-02", "FIN-07")
def test_a_deposit_that_went_back_before_the_price_was_paid_takes_back_nothing() -> None:
    desk = Desk().money("deposit_paid", T0, 5_000).money("refund_settled", T0 + HOUR, 5_000).paid(T0 + DAY)
    STEPS["sold"](desk)
    assert left(desk) == {"cash": 30_000, "revenue": -30_000}


@pytest.mark.rule("FIN-01", "FIN-03", "FIN-07")
@pytest.mark.parametrize(("over", "share"), [(4_000, 6_000), (10_000, 0)])
def test_a_payment_told_late_gives_a_refund_its_other_share_by_entries_of_their_own(over: int, share: int) -> None:
    desk = Desk().paid(T0)
    STEPS["sold"](desk)
    desk.money("refund_settled", T0 + 3 * DAY, 10_000)
    assert left(desk)["refunds"] == 10_000
    desk.paid(T0 + HOUR, over)
    assert left(desk).get("refunds", 0) == share
    first, reversal, *anew = desk.entries("adjustment")
    assert (reversal["reversal_of"], reversal["amount_minor"]) == (first["entry_id"], 10_000)
    assert reversal["recognized_at"] == first["recognized_at"], "not before what it takes back"
    assert [(entry["entry_id"], entry["amount_minor"]) for entry in anew] == (
        [(f"{first['entry_id']}~r2", -share)] if share else []
    )
