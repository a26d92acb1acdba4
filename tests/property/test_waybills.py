"""What is known of an order's waybills does not depend on the order in which its facts come, nor on repeats."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from streams.domain.logistics.waybill import observe

T0 = 1_769_220_000_000

_KINDS = [
    ("wms", "label_printed"),
    ("wms", "loaded"),
    ("couriers", "waybill_accepted"),
    ("couriers", "picked_up"),
    ("couriers", "scanned"),
    ("couriers", "probe_result"),
    ("couriers", "signed"),
    ("orders", "complaint"),
    ("orders", "cancel_marked"),
]


@some.composite
def facts(draw: some.DrawFn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in range(draw(some.integers(1, 12))):
        topic, kind = draw(some.sampled_from(_KINDS))
        fact = {"topic": topic, "event_type": kind, "event_id": f"e{number}", "source": "zto"}
        at, waybill = draw(some.integers(0, 50)), draw(some.sampled_from(["W1", "W2"]))
        if kind == "complaint" and draw(some.booleans()):
            waybill = ""
        found.append({**fact, "event_time": T0 + at, "waybill_no": waybill})
    return found


@pytest.mark.rule("LOG-01", "LOG-02", "LOG-03", "LOG-06", "LOG-11")
@given(facts(), some.randoms(use_true_random=False))
def test_the_rows_are_a_function_of_the_set_of_facts(told: list[dict[str, Any]], chance: Any) -> None:
    def rows(order: list[dict[str, Any]]) -> Any:
        known = None
        for fact in order:
            known = observe(known, fact)
        return known

    again = [*told, *chance.choices(told, k=3)]
    chance.shuffle(again)
    first = rows(told)
    assert rows(again) == first
    # The naive oracle: the earliest and the latest of what each kind proves.
    complaints = [fact for fact in told if fact["event_type"] == "complaint"]
    for waybill, row in (first or {}).items():
        if not waybill:
            continue
        about = sorted(
            [fact["event_time"], fact["event_id"]] for fact in complaints if fact["waybill_no"] in ("", waybill)
        )
        assert row.get("complaints", []) == about
        times: dict[str, list[int]] = {kind: [] for _, kind in _KINDS}
        for fact in told:
            if fact["waybill_no"] == waybill:
                times[fact["event_type"]].append(fact["event_time"])
        moving = times["picked_up"] + times["scanned"] + times["signed"]
        courier = moving + times["waybill_accepted"] + times["probe_result"]
        wanted = {
            "created": min(times["label_printed"] + times["loaded"], default=None),
            "shipped": min(times["loaded"], default=None),
            "accepted": min(courier, default=None),
            "picked": min(moving, default=None),
            "moved": max(moving, default=None),
            "ended": min(times["signed"], default=None),
            "cancelled": min(
                (fact["event_time"] for fact in told if fact["event_type"] == "cancel_marked"), default=None
            ),
        }
        assert {name: row.get(name) for name in wanted} == wanted


_WORDS = [
    {"node": "out_for_delivery", "state": "shipped", "axis": "delivery:at_pickup_point"},
    {"node": "transit_stalled", "state": "shipped"},
    {"node": "awaiting_pickup", "state": "shipped"},
    {"axis": "return:signed"},
    {"axis": "return:in_transit"},
    {"axis": "waybill:cancelled"},
    {"axis": "delivery:no_news"},
    {"node": "logistics_signed", "state": "logistics_signed"},
]
_CLOSED = {"known": True, "state": None, "node": None, "flags": ["closed"], "event": None, "axis": "trade:closed"}


@some.composite
def words(draw: some.DrawFn) -> list[dict[str, Any]]:
    found = draw(facts())
    for number in range(draw(some.integers(1, 8))):
        word: dict[str, Any] = {"known": True, "state": None, "node": None, "flags": [], "event": None, "axis": None}
        word |= draw(some.sampled_from(_WORDS))
        kind = draw(some.sampled_from(["scanned", "exception", "signed"]))
        fact = {"topic": "couriers", "event_type": kind, "event_id": f"w{number}", "source": "zto"}
        found.append({**fact, "mapped": word, "event_time": T0 + draw(some.integers(0, 50)), "waybill_no": "W1"})
    if draw(some.booleans()):
        said = {"topic": "orders", "event_type": "status_changed", "event_id": "c", "source": "shop"}
        found.append({**said, "event_time": T0 + draw(some.integers(0, 50)), "waybill_no": None, "mapped": _CLOSED})
    return found


@pytest.mark.rule("LOG-01", "LOG-02", "LOG-03", "LOG-06")
@given(words(), some.randoms(use_true_random=False))
def test_what_words_say_of_a_waybill_does_not_depend_on_their_order(told: list[dict[str, Any]], chance: Any) -> None:
    again = [*told, *chance.choices(told, k=3)]
    chance.shuffle(again)
    assert reduce(observe, again, None) == reduce(observe, told, None)
