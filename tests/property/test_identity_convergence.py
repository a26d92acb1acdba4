"""Any order of arrival, any interleaving, any duplication: the same bindings, each event forwarded as often as sent."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain import calendar, ids
from streams.domain.events import PAID_TYPES, primary_code
from tests.property.identity_world import play
from tests.support.effort import tries

T0 = calendar.at(2026, 1, 24, 10)
ORDERS = ("a", "b", "c")
TYPES = ("status_changed", "signed", *sorted(PAID_TYPES))


def guid_of(order: str) -> str:
    return ids.order_guid("douyin", order, T0)


def codes_of(order: str) -> dict[str, list[str]]:
    # The same texts serve as codes of several kinds, so that rows of different kinds meet in one place.
    return {
        "order_guid": [guid_of(order)],
        "order_no": [order],
        "platform_txn_no": [f"{order}1", f"{order}2"],
        "internal_no": [f"{order}1"],
        "waybill_no": [f"{order}1", f"{order}2", f"{order}3"],
        "package_id": [f"{order}1", order],
    }


@st.composite
def events(draw: st.DrawFn, mixed: bool) -> dict[str, Any]:
    """One event. `mixed`: its codes may belong to different orders."""
    order = draw(st.sampled_from(ORDERS))
    kinds = draw(st.lists(st.sampled_from(ids.KINDS), min_size=1, max_size=4, unique=True))
    fact: dict[str, Any] = {"event_type": draw(st.sampled_from(TYPES)), "source": "s", "topic": "t", "event_time": T0}
    if draw(st.integers(0, 3)) == 0:
        fact["event_type"] = "order_created"
        kinds = ["order_no", *(kind for kind in kinds if kind in ids.PAIRED_KINDS)]
    for kind in kinds:
        owner = draw(st.sampled_from(ORDERS)) if mixed else order
        fact[kind] = draw(st.sampled_from(codes_of(owner)[kind]))
    if "order_no" in fact:
        fact["channel"] = "douyin"
    return fact


def streams(mixed: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Events in order of arrival, some of them several times."""
    return (
        st.lists(events(mixed), min_size=1, max_size=14)
        .map(lambda facts: [{**fact, "event_id": str(number)} for number, fact in enumerate(facts)])
        .flatmap(lambda facts: st.lists(st.sampled_from(facts), max_size=6).map(lambda again: [*facts, *again]))
        .flatmap(st.permutations)
    )


picks = st.lists(st.integers(0, 30), max_size=60)


def expected(facts: list[dict[str, Any]]) -> dict[str, str]:
    """The bindings that must come out, found by repetition until nothing changes: no queue, no parking."""
    bound: dict[str, str] = {}
    for fact in facts:
        if fact["event_type"] == "order_created":
            guid = guid_of(fact["order_no"])
            bound[ids.row_key(("order_no", "douyin", fact["order_no"]))] = guid
            bound[ids.row_key(("order_guid", "", guid))] = guid
    size = -1
    while size != len(bound):
        size = len(bound)
        for fact in facts:
            primary = primary_code(fact)
            assert primary is not None
            paired = [ids.row_key((kind, "", fact[kind])) for kind in ids.PAIRED_KINDS if kind in fact]
            key = ids.row_key(primary)
            known = [bound[other] for other in paired if other in bound]
            if key not in bound and primary[0] in ids.PAIRED_KINDS and known:
                bound[key] = known[0]
            if key in bound:
                bound.update((other, bound[key]) for other in paired if other not in bound)
    return bound


def check_nothing_lost(facts: list[dict[str, Any]], world: Any) -> None:
    assert Counter(world.events()) + world.parked() == Counter(fact["event_id"] for fact in facts)
    first: dict[str, str] = {}
    for fact in world.facts():
        first.setdefault(fact["order_guid"], fact["event_type"])
    assert set(first.values()) <= {"order_created"}
    assert not world.tables["links"] or world.parked()


@pytest.mark.rule("ID-01")
@pytest.mark.rule("ID-08")
@settings(max_examples=tries(400), deadline=None)
@given(facts=streams(mixed=False), choices=picks)
def test_bindings_and_deliveries_do_not_depend_on_the_order_of_arrival(
    facts: list[dict[str, Any]], choices: list[int]
) -> None:
    world = play(facts, choices)
    check_nothing_lost(facts, world)
    bound = expected(facts)
    assert world.bindings() == bound
    assert not world.rejected()
    for fact in facts:
        primary = primary_code(fact)
        assert primary is not None
        assert (fact["event_id"] in world.parked()) == (ids.row_key(primary) not in bound)
    waiting = {key for key, row in world.tables["codes"].items() if row.get("first")}
    assert {key for _, key in world.timers} == waiting


@pytest.mark.rule("ID-04")
@settings(max_examples=tries(400), deadline=None)
@given(facts=streams(mixed=True), choices=picks)
def test_conflicting_codes_lose_nothing_and_change_no_binding(facts: list[dict[str, Any]], choices: list[int]) -> None:
    world = play(facts, choices)
    check_nothing_lost(facts, world)
    assert len(world.rejected()) == len(world.findings())
    assert all(finding["title"] == "identity_conflict" for _, finding in world.findings())
    for rejected in world.rejected():
        assert rejected["bound_to"] != rejected["order_guid"]


@pytest.mark.rule("DQ-13")
@settings(max_examples=100, deadline=None)
@given(facts=streams(mixed=False))
def test_a_replay_of_everything_changes_no_binding_and_makes_no_order(facts: list[dict[str, Any]]) -> None:
    world = play(facts)
    bindings = world.bindings()
    for fact in facts:
        world.send(fact)
    world.run()
    assert world.bindings() == bindings
    check_nothing_lost([*facts, *facts], world)
