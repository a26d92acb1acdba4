"""DQ-11 through the agents: a protected field that a step altered is stopped before anybody reads of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import orjson
import pytest

from streams.domain import calendar
from streams.domain.protected.cleaning import Change
from streams.domain.rules import data
from tests.scenarios.play import Played, feed, new_runner, run
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 1, 20, 9)
PAID: dict[str, Any] = {"channel": "tmall", "order_no": "A", "amount_minor": 10_000, "currency": "CNY"}


@pytest.mark.rule("DQ-11")
@pytest.mark.parametrize("parked", [False, True])
def test_an_amount_that_is_altered_on_the_way_never_reaches_the_order(parked: bool) -> None:
    shop = Shop()
    shop.say("payments", "payment_succeeded", T0, "alipay", **PAID)
    sent = [message for _, message in shop.runner.output("identity-facts") if message["do"] == "event"]
    [whole] = [message for message in sent if message["fact"]["event_type"] == "payment_succeeded"]
    assert {*whole["fact"]["seal"]} == {"amount_minor", "currency"}

    other = new_runner()
    shop = Shop()
    shop.runner = other
    altered = {**whole, "fact": {**whole["fact"], "amount_minor": 9_900}}
    message = orjson.dumps(altered)
    if parked:
        other.send_bytes("identity-facts", message, "A")
        run(other)
    shop.order("tmall", "A", T0, total_minor=10_000)
    if not parked:
        other.send_bytes("identity-facts", message, "A")
        run(other)
    played = Played(other)
    assert played.states["A"]["paid_minor"] == 0
    assert played.output("ledger-entries") == []
    [letter] = played.output("dead-letters")
    assert letter["stage"] == "rule"
    assert "amount_minor changed" in letter["error"]
    assert whole["fact"]["event_id"] in letter["error"]
    [alert] = played.alerts("DQ-11")
    assert (alert["title"], alert["recipient"]) == ("protected_field_altered", "data governance")

    other.send_bytes("identity-facts", orjson.dumps(whole), "A")
    run(other)
    assert Played(other).states["A"]["paid_minor"] == 10_000


@pytest.mark.rule("DQ-11")
def test_a_confirmed_change_of_cleaning_is_sealed_as_cleaned_and_stands_in_the_audit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = Change("payments", "currency", "strip", "li", ("wang", "zhao"), ((T0, 1000),))
    rules = replace(data.protected(), changes={"payments": (change,)})
    monkeypatch.setattr(sys.modules["streams.agents.intake"], "_PROTECTED", rules)
    shop = Shop().order("tmall", "A", T0, total_minor=10_000)
    shop.say("payments", "payment_succeeded", T0 + 1, "alipay", **{**PAID, "currency": " CNY "})
    played = Played(feed(shop.runner, ()))
    assert played.states["A"]["paid_minor"] == 10_000
    assert not played.dead
    [row] = [row for row in played.audit("A") if row["topic"] == "payments"]
    assert [entry[:2] for entry in orjson.loads(row["raw"])["cleaned"]] == [["currency", "strip"]]
