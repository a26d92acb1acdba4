"""An alert nobody deals with goes up level by level; a person may close it; what it was at first stays."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.alert import (
    CloseRefused,
    Policies,
    PolicyError,
    Row,
    escalate,
    is_live,
    next_level_at,
    published,
    step,
)
from streams.domain.rules import data

HOUR = 3_600_000
POLICIES = data.alert_policies()
OPENED = {
    "do": "open",
    "rule": "ID-08",
    "title": "t",
    "detail": "paid, not created",
    "at": 1000,
    "last_event": "payments/w/p-1",
}
BY_PERSON = {"do": "close", "by": "person", "at": 5000, "last_event": "ops/console/c-1"}


def opened(**more: Any) -> Row:
    row = step(None, {**OPENED, **more}, POLICIES)
    assert row is not None
    return row


@pytest.mark.rule("AS-08", "OTH-05")
def test_a_critical_alert_goes_up_after_two_hours_and_again_after_three() -> None:
    row = opened()
    assert next_level_at(row, POLICIES) == 1000 + 2 * HOUR
    first = escalate(row, POLICIES, 1000 + 2 * HOUR)
    record = published("k", first)
    assert record is not None
    assert (record["status"], record["level"], record["recipient"]) == ("escalated", 1, "supervisor")
    assert (record["targets"], record["escalated_at"], record["opened_at"]) == (["wecom"], 1000 + 2 * HOUR, 1000)
    assert next_level_at(first, POLICIES) == 1000 + 3 * HOUR
    second = escalate(first, POLICIES, 1000 + 3 * HOUR)
    assert (second["level"], second["recipient"]) == (2, "operations lead")
    assert next_level_at(second, POLICIES) is None


def test_a_warning_has_a_day_and_an_alert_of_long_ago_has_its_time_from_when_it_is_raised() -> None:
    assert next_level_at(opened(severity="warning"), POLICIES) == 1000 + 24 * HOUR
    late = step(None, OPENED, POLICIES, now=1000 + 50 * HOUR)
    assert next_level_at(late, POLICIES) == 1000 + 52 * HOUR


def test_a_rule_may_have_a_limit_and_levels_of_its_own() -> None:
    steps = [{"percent": 50, "recipient": "director", "targets": ["voice"]}]
    own = Policies.parse({"rules": {"ID-08": {"limit_ms": 1000, "steps": steps}, "X": {"limit_ms": 0}}})
    row = step(None, OPENED, own)
    assert row is not None
    assert next_level_at(row, own) == 1500
    assert escalate(row, own, 1500)["recipient"] == "director"
    assert next_level_at(step(None, {**OPENED, "rule": "X"}, own), own) is None


def test_a_repeat_counts_on_an_escalated_alert_and_its_closing_ends_it() -> None:
    up = escalate(opened(), POLICIES, 9000)
    again = step(up, {**OPENED, "at": 9500, "detail": "more"}, POLICIES)
    assert again is not None
    assert (again["status"], again["count"], again["level"], again["recipient"]) == ("escalated", 2, 1, "supervisor")
    assert next_level_at(again, POLICIES) == next_level_at(up, POLICIES)
    closed = step(again, {"do": "close", "at": 9600}, POLICIES)
    assert closed is not None
    assert (closed["status"], closed["closed_at"], closed["closed_by"]) == ("closed", 9600, "cause")
    assert not is_live(closed)
    assert next_level_at(closed, POLICIES) is None


@pytest.mark.rule("OTH-13")
def test_what_was_known_at_first_is_never_rewritten() -> None:
    row = step(opened(), {**OPENED, "at": 2000, "detail": "two", "last_event": "payments/w/p-2"}, POLICIES)
    row = step(row, {**BY_PERSON}, POLICIES)
    assert row is not None
    assert (row["opened_at"], row["first_event"], row["first_detail"]) == (1000, "payments/w/p-1", "paid, not created")
    assert (row["detail"], row["last_event"], row["closed_by"]) == ("two", "ops/console/c-1", "person")


@pytest.mark.rule("OTH-12")
def test_a_closing_says_that_nobody_follows_the_cause_any_more() -> None:
    row = step(opened(), {"do": "close", "at": 9600, "by": "forgotten"}, POLICIES)
    assert row is not None
    assert (row["status"], row["closed_at"], row["closed_by"]) == ("closed", 9600, "forgotten")


@pytest.mark.rule("OTH-13")
def test_a_stale_repeat_after_the_closing_opens_anew_with_evidence_of_its_own() -> None:
    closed = step(escalate(opened(), POLICIES, 3000), BY_PERSON, POLICIES)
    again = step(closed, {**OPENED, "at": 900, "detail": "late", "last_event": "payments/w/p-0"}, POLICIES, now=6000)
    assert again is not None
    assert (again["status"], again["count"], again["level"], again["opened_at"]) == ("open", 1, 0, 900)
    assert (again["first_detail"], again["first_event"], again["closed_at"]) == ("late", "payments/w/p-0", None)
    assert "closed_by" not in again
    assert next_level_at(again, POLICIES) == 6000 + 2 * HOUR


def test_a_person_closes_what_is_open_once() -> None:
    closed = step(opened(), BY_PERSON, POLICIES)
    assert closed is not None
    assert (closed["status"], closed["closed_at"]) == ("closed", 5000)
    assert step(closed, BY_PERSON, POLICIES) is closed, "the same command delivered twice"
    with pytest.raises(CloseRefused, match="no alert"):
        step(closed, {**BY_PERSON, "last_event": "ops/console/c-2"}, POLICIES)
    with pytest.raises(CloseRefused, match="no alert"):
        step(None, BY_PERSON, POLICIES)


def test_a_closing_from_before_the_opening_does_not_close_it() -> None:
    with pytest.raises(CloseRefused, match="after this closing"):
        step(opened(at=5001), BY_PERSON, POLICIES)
    assert step(opened(at=5000), BY_PERSON, POLICIES) is not None


@pytest.mark.parametrize(
    "document",
    [
        {"limit_ms": {"odd": 1}},
        {"limit_ms": {"critical": -1}},
        {"steps": [{"percent": 100, "recipient": "", "targets": []}]},
        {"steps": [{"percent": 100, "recipient": "a", "targets": ["fax"]}]},
        {"steps": [{"percent": 0, "recipient": "a", "targets": []}]},
        {"steps": [{"percent": p, "recipient": "a", "targets": []} for p in (100, 100)]},
        {"steps": [{"percent": 100}]},
    ],
)
def test_levels_that_cannot_be_applied_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="escalation"):
        Policies.parse({"escalation": document, "rules": {}})
