"""An order's state is a function of the set of its events: order of arrival and repetitions change nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.order import OrderSettings, OrderState, from_row, record, reduce, to_row
from streams.domain.order.asides import Lag
from tests.property import order_oracle as oracle
from tests.support.effort import tries
from tests.unit.domain.order.facts import GUID, MINUTE, SETTINGS, T0, Fact, fold, mapped, verdicts

TYPES = {
    "orders": [
        "address_changed",
        "status_changed",
        "cancel_requested",
        "cancel_marked",
        "buyer_confirmed",
        "refund_requested",
        "complaint",
    ],
    "payments": [
        "payment_succeeded",
        "payment_failed",
        "deposit_paid",
        "balance_paid",
        "refund_settled",
        "fee_charged",
    ],
    "couriers": ["waybill_accepted", "picked_up", "scanned", "out_for_delivery", "signed", "exception", "probe_result"],
    "wms": [
        "allocated",
        "label_print_started",
        "label_printed",
        "label_print_failed",
        "picking_started",
        "quality_checked",
        "packed",
        "loaded",
        "package_scanned",
    ],
    "service": ["confirmation_scanned", "chat_message"],
    "finance": ["settled", "posted"],
}
SOURCES = {
    "orders": ["douyin", "erp"],
    "payments": ["wechatpay", "alipay"],
    "couriers": ["zto", "sf"],
    "wms": ["wms-hz"],
    "service": ["desk"],
    "finance": ["ledger"],
}

times = st.integers(0, 12).map(lambda minutes: T0 + minutes * MINUTE)
codes = st.sampled_from(["A", "B", "C"])
words = st.sampled_from(["w1", "w2", "放门口已签"])


@st.composite
def meanings(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["unknown", "unknown", "node", "state", "flag", "axis"]))
    if kind == "unknown":
        return mapped(known=False)
    if kind == "node":
        node = draw(st.sampled_from(list(oracle.NODES)))
        return mapped(oracle.NODES[node][0], node)
    if kind == "state":
        return mapped(draw(st.sampled_from(oracle.STATES)))
    if kind == "flag":
        return mapped(flags=["closed"])
    return mapped(axis="invoice:issued", event=draw(st.sampled_from([None, "invoiced"])))


@st.composite
def events(draw: st.DrawFn) -> Fact:
    """An event of any type that may reach an order, without an id yet."""
    if draw(st.integers(0, 9)) == 0:
        rejected = {"code_kind": "waybill_no", "code": draw(codes), "bound_to": "DB-OTHER"}
        return {"topic": "wms", "event_type": "_code_rejected", "event_time": draw(times), "source": "x", **rejected}
    topic = draw(st.sampled_from(list(TYPES)))
    event: Fact = {
        "topic": topic,
        "event_type": draw(st.sampled_from(TYPES[topic])),
        "event_time": draw(times),
        "source": draw(st.sampled_from(SOURCES[topic])),
    }
    if topic == "payments":
        event["amount_minor"] = draw(st.integers(0, 3)) * 100
        event["currency"] = draw(st.sampled_from(["CNY", "CNY", "CNY", "USD"]))
    for field in ("waybill_no", "package_id", "platform_txn_no"):
        if draw(st.integers(0, 9)) == 0:
            event[field] = draw(codes)
    if topic in ("orders", "couriers", "wms") and draw(st.booleans()):
        event["raw_status"], event["mapped"] = draw(words), draw(meanings())
    return event


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """The events of one order, its creation first, each with an id and a digest of its own."""
    created = {"topic": "orders", "event_type": "order_created", "event_time": draw(times), "source": "douyin"}
    created |= {"channel": "douyin", "order_no": "1", "currency": "CNY", "total_minor": 300, "lines": []}
    told = [created, *draw(st.lists(events(), max_size=14))]
    return [{**event, "event_id": f"e-{n}", "digest": n, "order_guid": GUID} for n, event in enumerate(told)]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Fact], list[Fact]]:
    """A history, and the same events in another order of arrival with some of them repeated."""
    history = draw(histories())
    repeated = draw(st.lists(st.sampled_from(history), max_size=6))
    return history, [history[0], *draw(st.permutations(history[1:] + repeated))]


def seen_from_outside(state: OrderState) -> dict[str, Any]:
    return {name: value for name, value in record(GUID, state).items() if name != "version"}


def without_memory(state: OrderState) -> OrderState:
    bare = state.copy()
    bare.version, bare.seen, bare.wait = 0, b"", None
    bare.stock = None  # these orders have no lines: only a time by when the warehouse must have them, as lag's below
    if bare.aside is not None and bare.aside.lag is not None:  # when it is due goes by when it was told
        bare.aside = bare.aside._replace(lag=Lag(bare.aside.lag.begun))
    return bare


@pytest.mark.rule("ST-01")
@pytest.mark.rule("ST-02")
@pytest.mark.rule("ST-05")
@settings(max_examples=tries(400), deadline=None)
@given(histories())
def test_the_state_is_what_the_rules_say_of_the_bag_of_events(history: list[Fact]) -> None:
    state, _ = fold(history)
    found = record(GUID, state)
    found |= found["codes"]
    found["invoiced"] = "invoiced" in state.marks
    expected = oracle.record(history)

    assert {name: found[name] for name in expected} == expected
    assert list(found["claims"]) == sorted(found["claims"])


@pytest.mark.rule("ST-05")
@pytest.mark.rule("ID-05")
@settings(max_examples=tries(400), deadline=None)
@given(arrivals())
def test_order_of_arrival_and_repetition_change_nothing(both: tuple[list[Fact], list[Fact]]) -> None:
    history, arrived = both
    straight, _ = fold(history)
    jumbled, _ = fold(arrived)

    assert seen_from_outside(jumbled) == seen_from_outside(straight)
    assert without_memory(jumbled) == without_memory(straight)


@st.composite
def learned(draw: st.DrawFn) -> tuple[list[Fact], list[Fact]]:
    """A history whose unknown words are told again with a meaning, and the same with that meaning from the start."""
    history = draw(histories())
    known = {
        event["event_id"]: {**event, "mapped": draw(meanings().filter(lambda meaning: bool(meaning["known"])))}
        for event in history
        if "mapped" in event and not event["mapped"]["known"]
    }
    arrived = [*draw(st.permutations(history[1:])), *draw(st.permutations([*known.values()]))]
    return [history[0], *arrived], [known.get(event["event_id"], event) for event in history]


@pytest.mark.rule("ST-03", "LOG-05")
@settings(max_examples=tries(400), deadline=None)
@given(learned())
def test_a_word_that_is_learned_late_ends_as_if_it_had_been_known(both: tuple[list[Fact], list[Fact]]) -> None:
    late, always = both
    assert seen_from_outside(fold(late)[0]) == seen_from_outside(fold(always)[0])


@pytest.mark.rule("ID-05")
@settings(max_examples=150, deadline=None)
@given(arrivals())
def test_repetition_is_harmless_even_after_the_memory_has_lapsed(both: tuple[list[Fact], list[Fact]]) -> None:
    history, arrived = both
    forgetful = OrderSettings(seen_memory_ms=0)

    assert without_memory(fold(arrived, forgetful)[0]) == without_memory(fold(history)[0])


@pytest.mark.rule("ST-06")
@pytest.mark.rule("ST-12")
@settings(max_examples=150, deadline=None)
@given(arrivals())
def test_every_arrival_is_audited_once_and_every_atomic_event_told_once(both: tuple[list[Fact], list[Fact]]) -> None:
    history, arrived = both
    _, straight = fold(history)
    state, jumbled = fold(arrived)

    assert len(jumbled) == len(arrived)
    assert [decision.audit["event_id"] for decision in jumbled] == [event["event_id"] for event in arrived]
    assert verdicts(jumbled).count("duplicate") == len(arrived) - len(history)
    assert state.version == sum(decision.changed for decision in jumbled)
    accepted = ("accepted", "filled_in")
    for runs in (straight, jumbled):
        told = sorted((e["event"], e["sign_type"] or "", e["at"]) for d in runs for e in d.events)
        once = [entry[:2] for entry in told if entry[0] != "refunded"]
        assert len(once) == len(set(once))
    assert {d.audit["event_id"] for d in straight if d.audit["decision"] in accepted} == {
        d.audit["event_id"] for d in jumbled if d.audit["decision"] in accepted
    }
    assert sorted((e["event"], e["sign_type"] or "") for d in straight for e in d.events) == sorted(
        (e["event"], e["sign_type"] or "") for d in jumbled for e in d.events
    )


@settings(max_examples=100, deadline=None)
@given(histories())
def test_storing_the_order_after_every_event_changes_nothing(history: list[Fact]) -> None:
    state: OrderState | None = None
    for event in history:
        before = repr(state)
        decision = reduce(state, event, 0, SETTINGS)
        assert repr(state) == before
        state = from_row(json.loads(json.dumps(to_row(decision.state))))
        assert state == decision.state
