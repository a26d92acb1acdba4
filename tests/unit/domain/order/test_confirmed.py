"""LOG-13, LOG-15: what completes an order that the customer says nothing about."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from streams.domain.order import UnknownOrder
from streams.domain.rules import data
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    Fact,
    created,
    fact,
    fold,
    mapped,
    paid,
    refunded,
    says,
    step,
    told,
)

SETTINGS = data.order_settings()
AUTO = replace(SETTINGS, auto_complete=frozenset({"douyin"}))
SIGNED = T0 + DAY
DELIVERED = [created(lines=[]), paid(), fact("wms", "loaded", T0 + HOUR), fact("couriers", "signed", SIGNED)]


def timeout(when: int = SIGNED + 7 * DAY + 1) -> Fact:
    """What the logistics agent says: no digest, as it is no event from outside."""
    said: dict[str, Any] = {"event_type": "_confirm_timeout", "event_id": f"confirm_timeout/{GUID}"}
    return said | {"event_time": when, "source": "logistics", "topic": "logistics", "order_guid": GUID}


@pytest.mark.rule("LOG-15")
def test_the_timeout_is_the_customer_s_signature_once() -> None:
    state, decisions = fold([*DELIVERED, timeout(), timeout()])
    assert (state.rank, state.node) == (4, 22)
    assert state.reached[4] == timeout()["event_time"] - T0
    assert [decision.audit["decision"] for decision in decisions[-2:]] == ["accepted", "duplicate"]
    assert decisions[-2].audit["rule"] == "LOG-15"
    assert told(decisions).count(("signed", "customer")) == 1
    assert "logistics" not in state.claims


@pytest.mark.rule("LOG-15")
def test_a_confirmation_that_was_given_before_keeps_its_time_whichever_comes_first() -> None:
    confirmed = fact("orders", "buyer_confirmed", SIGNED + DAY)
    found = []
    for pair in permutations([confirmed, timeout()]):
        state, decisions = fold([*DELIVERED, *pair])
        found.append((state.rank, state.reached, told(decisions).count(("signed", "customer"))))
    assert found[0] == found[1]
    assert found[0][1][4] == DAY + DAY


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (DELIVERED[:3], "no courier has delivered it"),
        ([*DELIVERED, fact("orders", "cancel_marked", SIGNED + HOUR)], "the order has ended"),
        ([*DELIVERED, refunded(SIGNED + HOUR, 30000)], "the order has ended"),
    ],
)
def test_what_was_not_delivered_or_has_ended_is_not_confirmed(events: list[Fact], reason: str) -> None:
    state, decisions = fold([*events, timeout()])
    assert state.rank < 4
    assert (decisions[-1].audit["decision"], decisions[-1].audit["reason"]) == ("refused", reason)


@pytest.mark.rule("LOG-15")
def test_a_timeout_of_an_unknown_order_and_one_from_outside_are_not_obeyed() -> None:
    with pytest.raises(UnknownOrder):
        step(None, timeout())
    state, _ = fold([*DELIVERED, timeout() | {"digest": 1}])
    assert state.rank == 3


@pytest.mark.rule("LOG-13")
def test_a_signature_leaves_the_order_to_the_customer_unless_the_flag_of_its_channel_is_on() -> None:
    state, _ = fold(DELIVERED, SETTINGS)
    assert (state.rank, state.node) == (3, 21)
    state, decisions = fold(DELIVERED, AUTO)
    assert (state.rank, state.node, state.flags) == (4, 22, 0)
    assert state.reached[3] == state.reached[4] == DAY
    assert told(decisions)[-2:] == [("signed", "logistics"), ("signed", "customer")]
    other, _ = fold([created(channel="tmall", lines=[]), *DELIVERED[1:]], AUTO)
    assert (other.rank, other.node) == (3, 21)


@pytest.mark.rule("LOG-13")
@pytest.mark.parametrize("word", [mapped("logistics_signed"), mapped("shipped")])
def test_only_a_terminal_status_completes_it(word: dict[str, Any]) -> None:
    events = [*DELIVERED[:3], says("couriers", "word", SIGNED, word, event_type="signed")]
    assert fold(events, AUTO)[0].rank == (4 if word["state"] == "logistics_signed" else 2)


@pytest.mark.rule("LOG-13")
def test_with_the_flag_on_the_order_of_arrival_changes_nothing() -> None:
    events = [
        *DELIVERED[1:],
        fact("couriers", "signed", SIGNED - MINUTE),
        fact("orders", "buyer_confirmed", SIGNED - 1),
    ]
    found = {
        str((s.rank, s.node, s.reached)) for p in permutations(events) for s in [fold([DELIVERED[0], *p], AUTO)[0]]
    }
    assert len(found) == 1


@pytest.mark.rule("LOG-13")
def test_the_flag_is_off_for_every_channel() -> None:
    assert SETTINGS.auto_complete == frozenset()
    assert data.logistics().auto_complete == frozenset()
