"""The sums by day that FIN-08 compares with, kept as facts come, are those of all entries, in whatever order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from streams import topology
from streams.agents.ledger import ledger
from streams.engine.local import LocalRunner
from tests.property.ledger_world import FOREVER, Fact, balances, moved, orders, price_of

CODECS = topology.load()
RESULT = ("revenue", "discounts", "refunds", "platform_fees", "commissions", "freight_insurance")
RECEIPTS = ("payment_succeeded", "balance_paid", "deposit_paid")


@pytest.mark.rule("FIN-08")
@settings(max_examples=100, deadline=None)
@given(orders(), some.randoms(use_true_random=False))
def test_the_books_are_what_the_entries_say(told: list[list[Fact]], chance: Any) -> None:
    later = [fact for facts in told for fact in facts[1:]]
    later += chance.choices(later, k=2) if later else []
    chance.shuffle(later)
    runner = LocalRunner([ledger], CODECS, partitions=1)
    for fact in [facts[0] for facts in told] + later:
        runner.send("order-facts", fact, fact["order_guid"])
        runner.run()
    runner.advance(FOREVER)

    entries = [value for _, value in runner.output("ledger-entries") if value is not None]
    wanted: dict[str, list[int]] = {}
    for facts in told:
        guid, created = facts[0]["order_guid"], facts[0]
        receipts = [fact for fact in facts if fact["event_type"] in RECEIPTS]
        worth = sum(line["quantity"] * line["unit_price_minor"] for line in created["lines"])
        if not any(fact["currency"] == "CNY" for fact in receipts) or (created["total_minor"] is None and not worth):
            continue
        account = balances(entry for entry in entries if entry["order_guid"] == guid)
        booked = -sum(account[name] for name in RESULT)
        paid, refunded, fees = moved(facts)
        price = price_of(created)
        back = refunded - min(refunded, max(0, paid - price))  # what was paid above the price goes back first
        off = min(worth, max(created["discounts"][0]["amount_minor"], worth - price))
        sums = wanted.setdefault(created["channel"], [0] * 7)
        unrecognised = price - back - booked - fees
        items = [1, price + off, off, back, unrecognised, fees, booked]
        wanted[created["channel"]] = [one + two for one, two in zip(sums, items, strict=True)]
    books = {key.split("\0")[0]: sums for key, sums in runner.table("ledger", "books").items() if any(sums)}
    assert books == wanted
