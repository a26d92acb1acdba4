"""ID-05: what comes again; ID-04: codes of other orders."""

from __future__ import annotations

import pytest

from streams.domain.order import OrderSettings, UnknownOrder, dedup, record
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    SETTINGS,
    T0,
    Fact,
    created,
    fact,
    fold,
    paid,
    refunded,
    step,
    told,
    verdicts,
    view,
)

MEMORY = SETTINGS.seen_memory_ms


@pytest.mark.rule("ID-05")
@pytest.mark.parametrize(
    "event",
    [created(), paid(), refunded(T0 + HOUR, 5), fact("wms", "loaded", T0 + HOUR), fact("orders", "complaint", T0)],
)
def test_a_repeated_event_is_suppressed_and_audited(event: Fact) -> None:
    first = [event] if event["event_type"] == "order_created" else [created(), event]

    state, decisions = fold([*first, event, event])

    assert verdicts(decisions)[len(first) :] == ["duplicate", "duplicate"]
    assert decisions[-1].audit["rule"] == "ID-05"
    assert (decisions[-1].events, decisions[-1].changed) == ([], False)
    assert state == fold(first)[0]


@pytest.mark.rule("ID-05")
def test_an_event_id_reused_with_other_content_is_refused() -> None:
    state, decisions = fold([created(), paid(event_id="p-1"), paid(event_id="p-1", amount=1)])

    assert verdicts(decisions) == ["accepted", "accepted", "refused"]
    assert decisions[-1].audit["reason"] == "event id reused with other content"
    assert state.paid_minor == 30000


@pytest.mark.rule("ID-05")
def test_event_ids_are_unique_per_source_only() -> None:
    one = fact("wms", "packed", T0 + HOUR, event_id="1")
    other = fact("wms", "packed", T0 + HOUR, event_id="1", source="wms-bj")

    assert verdicts(fold([created(), one, other])[1]) == ["accepted"] * 3


@pytest.mark.rule("ID-05")
def test_a_second_creation_makes_no_second_order() -> None:
    again = created(T0 + HOUR, total_minor=1, platform_txn_no="TXN", lines=[])

    state, decisions = fold([created(), again, again])

    assert verdicts(decisions) == ["accepted", "duplicate", "duplicate"]
    assert told(decisions) == [("created", None)]
    assert (state.total_minor, len(state.lines), state.created_at) == (30000, 1, T0)
    assert record(GUID, state)["codes"]["platform_txn_no"] == "TXN"


@pytest.mark.rule("ID-05")
@pytest.mark.parametrize(("later", "expected"), [(MEMORY, "duplicate"), (MEMORY + 1000, "accepted")])
def test_the_memory_lasts_seven_days_of_the_orders_own_clock(later: int, expected: str) -> None:
    event = paid(T0 + MINUTE)
    newest = fact("orders", "complaint", T0 + MINUTE + later)

    state, decisions = fold([created(), event, newest, event])

    assert verdicts(decisions)[-1] == expected
    assert state.paid_minor == 30000  # forgotten or not, no amount counts twice


@pytest.mark.rule("ID-05")
def test_the_memory_is_a_setting() -> None:
    short = OrderSettings(seen_memory_ms=HOUR)
    event = paid()

    _, decisions = fold([created(), event, fact("orders", "complaint", T0 + DAY), event], short)

    assert verdicts(decisions)[-1] == "accepted"


@pytest.mark.rule("ID-05")
def test_the_memory_is_bounded() -> None:
    seen = b""
    for number in range(dedup.MAX_SEEN + 10):
        key = dedup.event_key("s", str(number))
        seen = dedup.remember(seen, key, number, T0, MEMORY)

    assert len(seen) == dedup.MAX_SEEN * dedup.ENTRY_SIZE
    assert dedup.check(seen, dedup.event_key("s", "9"), 9) is dedup.NEW
    assert dedup.check(seen, dedup.event_key("s", "10"), 10) is dedup.REPEATED
    assert dedup.check(seen, dedup.event_key("s", "10"), 11) is dedup.REUSED


@pytest.mark.rule("ID-05")
def test_a_key_is_not_found_across_the_border_of_two_entries() -> None:
    one = dedup.remember(b"", b"abcdef", 0x11223344, T0, MEMORY)
    both = dedup.remember(one, b"ghijkl", 0, T0, MEMORY)

    assert dedup.check(both, both[10:16], 0) is dedup.NEW


@pytest.mark.rule("ID-05")
def test_an_event_before_its_order_is_an_error_of_the_caller() -> None:
    with pytest.raises(UnknownOrder, match="never created"):
        step(None, paid())
    with pytest.raises(UnknownOrder, match="never created"):
        step(None, fact("ops", "_code_rejected", code_kind="waybill_no", code="W", bound_to="G"))


def rejected(code: str = "W1", when: int = T0 + HOUR) -> Fact:
    return fact("ops", "_code_rejected", when, code_kind="waybill_no", code=code, bound_to="DB-OTHER", event_id="w-1")


@pytest.mark.rule("ID-04")
def test_a_code_of_another_order_marks_a_conflict_and_is_not_shown_as_ours() -> None:
    loaded = fact("wms", "loaded", T0 + HOUR, waybill_no="W1", package_id="W1")
    signed = fact("couriers", "signed", T0 + DAY, waybill_no="W2")

    for order in ([loaded, rejected(), signed], [rejected(), signed, loaded]):
        seen = view(created(), paid(), *order)
        assert (seen["codes"]["waybills"], seen["codes"]["package_ids"]) == (["W2"], ["W1"])
        assert (seen["state"], seen["flags"]) == ("logistics_signed", ["conflict"])


@pytest.mark.rule("ID-04")
def test_a_rejected_code_is_audited_once_with_the_order_it_belongs_to() -> None:
    state, decisions = fold([created(), rejected(), rejected(), rejected("W2")])

    assert verdicts(decisions)[1:] == ["refused", "duplicate", "refused"]
    assert decisions[1].audit["rule"] == "ID-04"
    assert decisions[1].audit["reason"] == "waybill_no W1 is bound to DB-OTHER: the first binding holds"
    assert state.rejected == [["waybill_no", "W1", "DB-OTHER", HOUR], ["waybill_no", "W2", "DB-OTHER", HOUR]]


def closed(code: str, hours: int) -> Fact:
    key = f"ID-04/waybill_no/{code}/{created()['order_guid']}"
    return fact("ops", "manual_command", T0 + hours * HOUR, command="alert_close", target=key, operator="li")


@pytest.mark.rule("ID-04")
def test_the_conflict_of_a_code_ends_when_somebody_closes_its_alert_and_begins_anew_when_it_is_told_again() -> None:
    again = {**rejected(when=T0 + 4 * HOUR), "event_id": "w-2"}
    late = {**rejected(when=T0 + 2 * HOUR), "event_id": "w-3"}
    story = [created(), rejected(), rejected("W2"), closed("W1", 3)]

    assert flags(*story) == ["conflict"]
    assert flags(*story, closed("W2", 2)) == flags(*story, closed("W2", 2), late) == []
    assert flags(*story, closed("W2", 2), again) == ["conflict"]
    assert flags(*story, closed("W2", 2), again, closed("W1", 5)) == []
    _, decisions = fold([*story, closed("W3", 4)])
    assert [(one.audit["rule"], one.audit["decision"], one.audit["reason"]) for one in decisions[-2:]] == [
        ("ID-04", "accepted", "its alert was closed"),
        ("ID-04", "refused", "no code of that alert was refused"),
    ]


@pytest.mark.rule("ID-04")
def test_a_code_told_twice_counts_from_when_it_was_told_last_in_whatever_order_it_comes() -> None:
    first, last = rejected(), {**rejected(when=T0 + 4 * HOUR), "event_id": "w-2"}
    for one, other in ((first, last), (last, first)):
        assert fold([created(), one, other])[0].rejected == [["waybill_no", "W1", "DB-OTHER", 4 * HOUR]]
        assert flags(created(), one, other, closed("W1", 3)) == ["conflict"]
        assert flags(created(), one, other, closed("W1", 5)) == []


def flags(*facts: Fact) -> list[str]:
    found: list[str] = view(*facts)["flags"]
    return found


@pytest.mark.rule("ID-01")
def test_codes_are_listed_in_order_of_first_mention_by_event_time() -> None:
    late = fact("couriers", "picked_up", T0 + 2 * HOUR, waybill_no="A")
    early = fact("wms", "loaded", T0 + HOUR, waybill_no="B")

    assert view(created(), late, early)["codes"]["waybills"] == ["B", "A"]
    assert view(created(), early, late)["codes"]["waybills"] == ["B", "A"]
