"""Cases 15, 19 and 26: orders, their saga and the stock together; nothing is sold twice and nothing held for ever."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest

from tests.scenarios.cases import stock as told
from tests.scenarios.play import Played, feed, new_runner, records
from tests.scenarios.test_cases import case


@cache
def played(number: int) -> Played:
    """Every event of the case, and time enough after it for every hold to end."""
    runner = feed(new_runner(), records(case(number)))
    runner.advance(runner.time + 3_600_000)
    return Played(runner)


def outcomes(run: Played) -> Counter[str]:
    """Orders by what became of their first line."""
    return Counter(state["stock"][0]["outcome"] if state["stock"] else "none" for state in run.states.values())


def level(run: Played, sku: str) -> dict[str, Any]:
    last = dict(run.runner.output("inventory-states"))
    found = last[sku]
    assert found is not None
    return {name: found[name] for name in ("held", "available", "oversold", "virtual", "paused")}


def pools(run: Played, sku: str) -> Counter[str]:
    """What the ledger adds up to, by pool."""
    sums: Counter[str] = Counter()
    for row in run.output("stock-ledger"):
        if row["sku"] == sku:
            sums[row["pool"]] += row["delta"]
    return sums


def of_orders(run: Played) -> dict[str, Counter[str]]:
    """What the ledger adds up to by order, and by pool."""
    sums: dict[str, Counter[str]] = {}
    for row in run.output("stock-ledger"):
        if row["order_guid"] is not None:
            sums.setdefault(row["order_guid"], Counter())[row["pool"]] += row["delta"]
    return sums


def check_nothing_hangs(run: Played) -> None:
    """No hold is left, and each order's rows add up to what it bought or to nothing."""
    sums = of_orders(run)
    for state in run.states.values():
        lines = state["stock"] or ()
        sold = sum(line["quantity"] for line in lines if line["outcome"] in ("confirmed", "oversold"))
        assert sums.get(state["order_guid"], Counter())["held"] == 0
        assert sums.get(state["order_guid"], Counter())["sales"] == -sold


@pytest.mark.rule("INV-01")
@pytest.mark.rule("INV-06")
def test_case_15_two_channels_sell_one_stock_and_no_unit_twice() -> None:
    run = played(15)
    refused = told.CREAM_LOST
    assert outcomes(run) == {"confirmed": told.CREAM_STOCK, "refused": refused, "expired": told.CREAM_LEFT}
    assert level(run, told.CREAM) == {"held": 0, "available": 0, "oversold": 0, "virtual": 0, "paused": False}
    sold = Counter(s["channel"] for s in run.states.values() if s["stock"][0]["outcome"] == "confirmed")
    assert set(sold) == {"douyin", "tmall"}
    assert pools(run, told.CREAM) == {"sales": 0, "held": 0}
    check_nothing_hangs(run)


@pytest.mark.rule("INV-07")
@pytest.mark.rule("ST-06")
def test_case_15_who_gets_nothing_is_told_why_and_every_event_is_audited_once() -> None:
    run = played(15)
    events = [row["event_id"] for row in run.output("audit-log") if row["event_type"] != "_stock"]
    assert len(events) == len(set(events)) == len(records(case(15))) - 1
    answers = Counter(
        (row["rule"], row["decision"]) for row in run.output("audit-log") if row["event_type"] == "_stock"
    )
    assert answers == {("INV-07", "refused"): told.CREAM_LOST, ("INV-06", "accepted"): told.CREAM_LEFT}
    assert {s["stock"][0]["reason"] for s in run.states.values()} == {None, "out_of_stock"}


@pytest.mark.rule("INV-14")
def test_case_19_delivered_and_unconfirmed_units_count_apart_and_a_returned_one_is_sold_again() -> None:
    run = played(19)
    assert level(run, told.TEA) == {"held": 0, "available": 0, "oversold": 0, "virtual": 3, "paused": False}
    most = max(value["virtual"] for value in run.output("inventory-states"))
    assert most == told.TEA_STOCK
    *_, early, again = (run.states[number] for number in sorted(run.states))
    assert (early["stock"][0]["outcome"], early["stock"][0]["reason"]) == ("refused", "out_of_stock")
    assert again["stock"][0]["outcome"] == "confirmed"
    assert all(value["available"] + value["held"] <= told.TEA_STOCK for value in run.output("inventory-states"))


@pytest.mark.rule("INV-04")
@pytest.mark.rule("INV-09")
def test_case_26_as_many_are_held_as_there_are_and_only_what_is_for_sale_is_sold() -> None:
    run = Played(feed(new_runner(), records(case(26))[: 5 + told.BAG_STOCK + told.BAG_OVERSOLD]))
    assert outcomes(run) == {"held": told.BAG_STOCK, "refused": told.BAG_OVERSOLD}
    assert level(run, told.BAG) == {"held": 87, "available": 0, "oversold": 0, "virtual": 0, "paused": False}
    assert pools(run, told.BAG) == {"sales": 87, "reserved": 87, "in_transit": 40, "held": 87}


@pytest.mark.rule("INV-08")
@pytest.mark.rule("INV-11")
@pytest.mark.rule("CUS-05")
def test_case_26_who_paid_all_the_same_is_offered_something_and_the_breaker_trips_at_the_31st_unit() -> None:
    run = played(26)
    oversold = told.BAG_PAID_ANYWAY
    counts = {"confirmed": told.BAG_STOCK + 1, "oversold": oversold, "refused": told.BAG_OVERSOLD - oversold + 1}
    assert outcomes(run) == counts
    breaks = run.output("oversell-breaks")
    assert [(entry["action"], entry["units"]) for entry in breaks] == [("pause", 31), ("release", None)]
    assert len(breaks[0]["guids"]) == 31
    reasons = [row["reason"] for row in run.output("audit-log") if row["rule"] == "INV-08"]
    assert len(reasons) == oversold
    assert all("pre-book the next batch" in reason and "LUCKY-BAG-MINI" in reason for reason in reasons)
    assert len(run.alerts("INV-08")) == oversold
    assert all("LUCKY-BAG-MINI" in alert["advice"] for alert in run.alerts("INV-08"))
    assert level(run, told.BAG)["paused"] is False
    check_nothing_hangs(run)


@pytest.mark.rule("INV-11")
def test_case_26_the_first_release_is_refused_and_the_order_after_it_too() -> None:
    run = played(26)
    assert run.dead["rule"] == 1
    too_soon = sorted(run.states)[-2]
    assert run.states[too_soon]["stock"][0]["outcome"] == "refused"


@pytest.mark.rule("INV-15")
def test_no_paid_order_of_the_cases_waits_for_its_deduction() -> None:
    for number in (15, 19, 26):
        assert played(number).alerts("INV-15") == []
