"""The ledger balances at every moment and ends in the same entries, in whatever order and however often facts come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from streams.domain.ledger import of_entries, periods, view
from streams.domain.ledger.apportion import split
from tests.property.ledger_world import AT_ONCE, Fact, Ledger, balances, moved, orders, price_of, revenue_at

RESULT = ("revenue", "discounts", "refunds", "platform_fees", "commissions", "freight_insurance")
"""Accounts of what was earned and what it cost."""


def straight(told: list[list[Fact]]) -> list[Fact]:
    return sorted((fact for facts in told for fact in facts), key=lambda fact: fact["event_time"])


def net(ledger: Ledger) -> dict[str, dict[str, int]]:
    """Accounts that are not even, by order."""
    found = {}
    for guid in ledger.rows:
        account = balances(entry for entry in ledger.entries if entry["order_guid"] == guid)
        if uneven := {name: amount for name, amount in account.items() if amount}:
            found[guid] = uneven
    return found


@pytest.mark.rule("FIN-01", "FIN-02", "FIN-03", "FIN-06", "FIN-07", "FIN-08", "FIN-13")
@given(orders())
def test_the_accounts_say_what_the_bag_of_facts_says(told: list[list[Fact]]) -> None:
    ledger = Ledger().take(straight(told))
    for facts in told:
        guid = facts[0]["order_guid"]
        account = balances(entry for entry in ledger.entries if entry["order_guid"] == guid)
        paid, refunded, fees = moved(facts)
        at = revenue_at(facts)
        sold = 0 if at is None else price_of(facts[0])
        back = 0 if at is None else max(0, refunded - max(0, paid - sold))  # what was paid above the price is no loss
        assert account["cash"] == paid - refunded - fees
        assert -account["revenue"] - account["discounts"] == sold
        assert account["refunds"] == back
        assert -account["customer_advances"] == paid - refunded - (sold - back)
        assert ledger.rows[guid].get("done") == at
        row = ledger.rows[guid]
        seen, entries = view(row, AT_ONCE), of_entries(e for e in ledger.entries if e["order_guid"] == guid)
        assert (seen["recognised_at"], seen["recognised_minor"]) == (at, sold - back)
        assert (seen["waits_for"] is None) == (at is not None)
        if (bridge := seen["bridge"]) is not None:
            account = balances(e for e in ledger.entries if e["order_guid"] == guid)
            assert bridge["booked_minor"] == -sum(account[name] for name in RESULT)
            between = [bridge[f"{name}_minor"] for name in ("discounts", "refunds", "unrecognised", "fees")]
            assert bridge["gmv_minor"] - sum(between) == bridge["booked_minor"]
        if entries is not None:
            assert entries == seen | {"waits_for": None, "bridge": None, "recognised_at": entries["recognised_at"]}
            assert sold == 0 or entries["recognised_at"] == at


@pytest.mark.rule("FIN-03")
@given(orders(), some.randoms(use_true_random=False))
def test_any_order_of_arrival_and_repeats_end_in_the_same_entries(told: list[list[Fact]], chance: Any) -> None:
    first = Ledger().take(straight(told))
    assert Ledger().take(straight(told)).entries == first.entries  # a replay: the same ids, the same everything

    later = [fact for facts in told for fact in facts[1:]]
    mixed = [*later, *chance.choices(later, k=3)] if later else []
    chance.shuffle(mixed)
    second = Ledger().take([facts[0] for facts in told] + mixed)
    assert net(second) == net(first)

    def amounts(ledger: Ledger) -> dict[str, Any]:
        return {
            name.split("~")[0]: (e["debit_account"], e["credit_account"], e["amount_minor"], e["line_no"], e["kind"])
            for name, e in ledger.standing().items()
        }

    assert amounts(second) == amounts(first)


@pytest.mark.rule("FIN-11")
@given(orders(), some.integers(2026 * 12 - 1, 2026 * 12 + 3))
def test_a_lock_moves_entries_to_the_next_period_and_changes_no_sum(told: list[list[Fact]], locked: int) -> None:
    open_, closed = (Ledger(locked=last).take(straight(told)) for last in (periods.NONE, locked))
    assert net(closed) == net(open_)
    assert [entry["entry_id"] for entry in closed.entries] == [entry["entry_id"] for entry in open_.entries]
    for free, bound in zip(open_.entries, closed.entries, strict=True):
        if periods.month_at(free["recognized_at"]) <= locked:
            assert (bound["kind"], bound["period"]) == ("adjustment", periods.label_of(locked + 1))
        else:
            assert bound == free


@pytest.mark.rule("FIN-06")
@given(some.integers(0, 10**9), some.lists(some.integers(0, 10**7), min_size=1, max_size=20))
def test_parts_add_up_and_none_is_a_unit_away_from_its_share(amount: int, weights: list[int]) -> None:
    parts = split(amount, weights)
    total = sum(weights)
    assert sum(parts) == (amount if total else 0)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * total - amount * weight) < total or not total
    # Who has the larger remainder never gets less of the rest; of equals the first.
    order = sorted(range(len(weights)), key=lambda n: (-(amount * weights[n] % total) if total else 0, n))
    extra = [parts[n] - (amount * weights[n] // total if total else 0) for n in order]
    assert extra == sorted(extra, reverse=True)
