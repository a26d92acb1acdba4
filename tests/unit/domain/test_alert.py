"""An alert opens once, counts, closes, and opens again."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.alert import Policies, PolicyError, Row, published, step
from streams.domain.rules import data

POLICIES = data.alert_policies()


def fold(*findings: dict[str, Any]) -> Row | None:
    row: Row | None = None
    for at, finding in enumerate(findings, start=1):
        row = step(row, {"at": at, **finding}, POLICIES)
    return row


OPENED = {"do": "open", "rule": "ID-08", "title": "t", "detail": "d", "first_event": "payments/w/p-1"}
FAILED = {"do": "failed", "rule": "DQ-08", "title": "t", "detail": "d", "source": "orders"}
RECOVERED = {"do": "recovered"}


def test_a_finding_opens_an_alert_for_whom_it_concerns() -> None:
    row = fold(OPENED)
    assert row is not None
    record = published("k", row)
    assert record is not None
    assert record["alert_key"] == "k"
    assert (record["status"], record["count"], record["opened_at"], record["closed_at"]) == ("open", 1, 1, None)
    assert (record["recipient"], record["targets"], record["severity"]) == ("tech lead", ["ticket"], "critical")
    assert record["advice"]
    assert "streak" not in record


RECIPIENTS = {
    **dict.fromkeys(("ID-04", "ID-08", "BRK-01", "BRK-12"), "tech lead"),
    "BRK-02": "operations engineers",
    "BRK-10": "gateway",
    **dict.fromkeys(("BRK-09", "BRK-11", "INV-12", "RSK-11", "ST-14"), "operations"),
    **dict.fromkeys(("INV-08", "INV-10", "INV-15"), "stock owner"),
    "INV-11": "DingTalk group",
    "ST-03": "state-table owner",
    "ST-07": "operations lead",
    "LOG-01": "logistics specialist",
    **dict.fromkeys(("LOG-02", "LOG-03", "LOG-11"), "logistics lead"),
    "LOG-07": "integration owner",
    "LOG-10": "service lead",
    **dict.fromkeys(("RSK-03", "RSK-04"), "responsible person"),
    "RSK-07": "service agent",
    "RSK-09": "product team",
    "RSK-10": "warehouse",
    **dict.fromkeys(("FIN-03", "FIN-04", "FIN-05", "FIN-06", "FIN-07", "TAX-08", "TAX-09"), "finance"),
    "FIN-08": "finance and BI",
    "TAX-05": "tax accountant",
    "TAX-10": "tax accountant and tech lead",
    "TAX-16": "finance and tech lead",
    **dict.fromkeys(("DQ-11", "DQ-15"), "data governance"),
}
"""Whom the rules name."""
TARGETS = {
    "BRK-01": {"ticket"},
    "BRK-02": {"sms"},
    "INV-11": {"dingtalk"},
    "RSK-03": {"dingtalk"},
    "RSK-04": {"dingtalk"},
    "RSK-07": {"voice"},
    "LOG-03": {"wecom"},
    "ST-07": {"wecom"},
    "FIN-04": {"email", "wecom"},
}
"""By which channel, where the rules name one."""


@pytest.mark.rule("OTH-05")
def test_each_alert_goes_to_whom_the_rules_name_by_the_channel_they_name() -> None:
    assert {rule: POLICIES.of(rule).recipient for rule in RECIPIENTS} == RECIPIENTS
    assert {rule: {*POLICIES.of(rule).targets} for rule in TARGETS} == TARGETS


@pytest.mark.rule("RSK-06")
def test_whoever_is_told_is_told_what_to_do() -> None:
    assert RECIPIENTS.keys() <= POLICIES.by_rule.keys()
    assert [rule for rule, policy in POLICIES.by_rule.items() if not policy.advice] == []


def test_repeats_are_counted_into_one_alert() -> None:
    row = fold(OPENED, {**OPENED, "detail": "again"}, {"do": "count", "rule": "ID-08"})
    assert row is not None
    assert (row["count"], row["opened_at"], row["updated_at"], row["detail"]) == (3, 1, 3, "again")


@pytest.mark.rule("OTH-05")
def test_a_repeat_of_long_ago_that_is_told_late_does_not_turn_the_newest_change_back() -> None:
    row = step(step(None, {**OPENED, "at": 9}, POLICIES), {**OPENED, "at": 4}, POLICIES)
    assert row is not None
    assert (row["count"], row["opened_at"], row["updated_at"]) == (2, 9, 9)


def test_an_alert_closes_and_opens_anew() -> None:
    closed = fold(OPENED, OPENED, {"do": "close", "order_guid": "G"})
    assert closed is not None
    assert (closed["status"], closed["closed_at"], closed["order_guid"], closed["count"]) == ("closed", 3, "G", 2)
    assert step(closed, {"do": "close", "at": 9}, POLICIES) is closed
    again = step(closed, {**OPENED, "at": 10}, POLICIES)
    assert again is not None
    assert (again["status"], again["count"], again["opened_at"], again["closed_at"]) == ("open", 1, 10, None)


@pytest.mark.rule("ID-08")
@pytest.mark.parametrize(("at", "closed_at"), [(40, 100), (100, 100), (300, 300)])
def test_no_alert_is_closed_before_it_was_opened(at: int, closed_at: int) -> None:
    opened = step(None, {**OPENED, "at": 100}, POLICIES)
    closed = step(opened, {"do": "close", "at": at}, POLICIES)
    assert closed is not None
    assert (closed["status"], closed["closed_at"], closed["updated_at"]) == ("closed", closed_at, closed_at)


def test_closing_what_never_opened_is_nothing() -> None:
    assert fold({"do": "close"}) is None


@pytest.mark.rule("DQ-08")
def test_the_third_failure_in_a_row_raises_the_alert_and_two_do_not() -> None:
    two = fold(FAILED, FAILED)
    assert two is not None
    assert published("k", two) is None
    three = fold(FAILED, FAILED, FAILED)
    assert three is not None
    assert (three["status"], three["count"], three["recipient"]) == ("open", 3, "tech lead")


@pytest.mark.rule("DQ-08")
def test_a_good_record_ends_the_row_of_failures() -> None:
    row = fold(FAILED, FAILED, RECOVERED, FAILED, FAILED)
    assert row is not None
    assert published("k", row) is None
    assert fold(FAILED, RECOVERED) is None
    assert fold(RECOVERED) is None


@pytest.mark.rule("DQ-08")
def test_an_open_alert_outlives_a_good_record_and_counts_on() -> None:
    row = fold(FAILED, FAILED, FAILED, RECOVERED, FAILED)
    assert row is not None
    assert (row["status"], row["count"]) == ("open", 4)


def test_a_rule_without_a_policy_goes_to_operations() -> None:
    row = fold({"do": "open", "rule": "XX-99", "title": "t"})
    assert row is not None
    assert row["recipient"] == "operations"


def test_an_unknown_finding_is_an_error() -> None:
    with pytest.raises(ValueError, match="no finding"):
        fold({"do": "shout"})


@pytest.mark.parametrize("entry", [{"targets": ["fax"]}, {"severity": "odd"}, {"in_a_row": 0}, {"who": "me"}])
def test_a_policy_that_cannot_be_applied_is_named(entry: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="DQ-08"):
        Policies.parse({"rules": {"DQ-08": entry}})
