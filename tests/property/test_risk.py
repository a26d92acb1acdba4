"""Risk scores against a naive oracle: whatever the order of arrival, the same signals, score and crossings."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain import calendar
from tests.support.effort import tries
from tests.unit.domain.risk.desk import DAY, HOUR, MINUTE, PEAK, SETTINGS, T0, Desk, created, fact, paid

GUIDS = ("DB20260512AAAAAAAAAAAA", "DB20260512BBBBBBBBBBBB", "DB20260512CCCCCCCCCCCC")
Event = tuple[str, int, int]
"""(kind, order, time after the start)."""

KINDS = ("address", "paid", "chat", "urgent", "chase", "refund", "cancel_requested")
TIMES = st.sampled_from([0, 10_000, 10_001, 30 * MINUTE, 30 * MINUTE + 1, 12 * HOUR, DAY, DAY + 1])
EVENTS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([0, 0, 0, 1, 2]), TIMES), min_size=4, max_size=24)


def as_fact(event: Event, start: int) -> dict[str, Any]:
    kind, order, after = event
    at, guid = start + after, GUIDS[order]
    if kind == "address":
        return fact("orders", "address_changed", at, guid)
    if kind == "paid":
        return paid(at, guid)
    if kind == "chat":
        return fact("service", "chat_opened", at, guid)
    if kind in ("urgent", "chase"):
        return fact("service", "chat_message", at, guid, text={"urgent": "急用", "chase": "催单"}[kind])
    if kind == "refund":
        return fact("orders", "refund_requested", at, guid, ip="1.2.3.4")
    return fact("orders", "cancel_requested", at, guid)


def naive(events: list[Event], order: int, start: int) -> set[str]:
    """RSK-02 as it reads, over all events at once. All three orders were created at the start by one customer."""

    def times(kind: str, of: int | None = None) -> list[int]:
        return sorted(after for name, which, after in events if name == kind and of in (None, which))

    fired = set()
    changes = [(which, after) for name, which, after in events if name == "address"]
    for (one, a), (two, b) in combinations(changes, 2):
        if order in (one, two) and abs(a - b) <= 30 * MINUTE:
            fired.add("address_change")
    if any(0 <= chat - pay <= 10_000 for pay in times("paid", order) for chat in times("chat", order)):
        fired.add("chat_after_payment")
    if times("urgent", order):
        fired.add("urgent_words")
    if any(b - a <= DAY for a, b in combinations(times("chase", order), 2)):
        fired.add("repeated_chasing")
    for day in {calendar.day_number(start + after) for after in times("refund")}:
        asked = [w for name, w, t in events if name == "refund" and calendar.day_number(start + t) == day]
        if len(asked) >= 3 and order in asked:
            fired.add("ip_refunds")
    for other in {0, 1, 2} - {order}:
        # The later order must come after the cancellation: only one cancelled at the very start is before it.
        if any(c == 0 and p == 0 for c in times("cancel_requested", other) for p in times("paid", other)):
            fired.add("earlier_cancellation")
    if any(22 * 60 <= (start + t + 8 * HOUR) % DAY // MINUTE < 23 * 60 + 30 for t in times("paid", order)):
        fired.add("night_payment")
    return fired


@pytest.mark.rule("RSK-01")
@pytest.mark.rule("RSK-02")
@pytest.mark.rule("RSK-03")
@settings(max_examples=tries(300), deadline=None)
@given(EVENTS, st.sampled_from([T0, PEAK]), st.data())
def test_signals_and_crossings_do_not_depend_on_the_order_of_arrival(
    events: list[Event], start: int, data: st.DataObject
) -> None:
    facts = [as_fact(event, start) for event in events]
    repeated = data.draw(st.permutations([*facts, *facts[:3]]))
    creations = data.draw(st.permutations([created(start, guid, customer_id="C1") for guid in GUIDS]))
    desk = Desk()
    for said in [*creations, *repeated]:  # without timers: those go by the clock
        desk._do(risk_step(desk, said))
    season = SETTINGS.season(start)
    for order, guid in enumerate(GUIDS):
        fired = naive(events, order, start)
        assert desk.signals(guid) == fired
        score = sum(SETTINGS.weight(signal, season) for signal in fired)
        wanted = [level for level, limit in (("orange", SETTINGS.orange), ("red", SETTINGS.red)) if score >= limit]
        assert desk.levels(guid) == wanted
        assert [said["locked"] for said in desk.told(guid)][-1:] == [score >= SETTINGS.red][: len(wanted)]


def risk_step(desk: Desk, said: dict[str, Any]) -> Any:
    from streams.domain import risk

    return risk.step(desk._get, said["order_guid"], said, desk.settings)
