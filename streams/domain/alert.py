"""One alert per cause: findings with the same key are folded into one row that opens, counts and closes.

A finding is what an agent says on `alert-facts`, keyed by alert key:

    open        raises the alert, or counts one more if it is open
    count       the same, for a rule that counts rather than raises
    close       the cause is gone
    failed      one more failure in a row; as many as the rule allows in a row raise the alert (DQ-08)
    recovered   the row of failures ends; an open alert stays until its cause is dealt with

No finding carries personal data: codes, counts, systems and rules only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Row = Mapping[str, Any]
Finding = Mapping[str, Any]

OPEN: Final = "open"
CLOSED: Final = "closed"
_SAYINGS: Final = frozenset({"open", "count", "close", "failed", "recovered"})
# Of the newest finding, where it says them.
_LATEST: Final = ("detail", "last_event", "order_guid", "channel", "source")


class PolicyError(ValueError):
    """A row of the alert table that must not be used."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is told, how, and what they should do. `in_a_row`: failures that raise the alert."""

    recipient: str = "operations"
    targets: tuple[str, ...] = ()
    severity: str = "warning"
    advice: str | None = None
    in_a_row: int = 3


@dataclass(frozen=True, slots=True)
class Policies:
    """A policy per rule, and one for rules that have none of their own."""

    by_rule: Mapping[str, Policy]
    default: Policy = Policy()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Policies:
        """From {"rules": {rule: {recipient, targets, severity, advice, in_a_row}}}. PolicyError names the rule."""
        found = {}
        for rule, entry in document["rules"].items():
            try:
                found[rule] = Policy(**{**entry, "targets": tuple(entry.get("targets", ()))})
            except TypeError as error:
                raise PolicyError(f"alert policy of {rule}: {error}") from None
            unknown = [target for target in found[rule].targets if target not in TARGETS]
            if unknown or found[rule].severity not in SEVERITIES or found[rule].in_a_row < 1:
                raise PolicyError(f"alert policy of {rule}: unknown target, severity or count")
        return cls(found)

    def of(self, rule: str | None) -> Policy:
        """The policy in force for a rule."""
        return self.by_rule.get(rule or "", self.default)


TARGETS: Final = ("dingtalk", "wecom", "email", "sms", "voice", "ticket")
SEVERITIES: Final = ("info", "warning", "critical")


def step(row: Row | None, finding: Finding, policies: Policies) -> Row | None:
    """The row after a finding; None where nothing is worth keeping. The same object if nothing changed."""
    do = finding["do"]
    if do not in _SAYINGS:
        raise ValueError(f"an alert knows no finding {do!r}")
    if do == "recovered":
        return _recovered(row)
    if do == "close":
        if row is None or row["status"] != OPEN:
            return row
        return {**row, **_said(finding), "status": CLOSED, "closed_at": finding["at"], "updated_at": finding["at"]}
    policy = policies.of(finding.get("rule"))
    if do == "failed":
        streak = (row["streak"] if row is not None else 0) + 1
        if streak < policy.in_a_row and (row is None or row["status"] != OPEN):
            return {**(row or _QUIET), "streak": streak}
        counted = streak if row is None or row["status"] != OPEN else 1
        return {**_raised(row, finding, policy, counted), "streak": streak}
    return _raised(row, finding, policy, 1)


def _recovered(row: Row | None) -> Row | None:
    if row is None or not row["streak"]:
        return row
    return {**row, "streak": 0} if row["status"] is not None else None


def _raised(row: Row | None, finding: Finding, policy: Policy, times: int) -> dict[str, Any]:
    if row is not None and row["status"] == OPEN:
        return {**row, **_said(finding), "count": row["count"] + times, "updated_at": finding["at"]}
    return {
        **_QUIET,
        "rule": finding.get("rule"),
        "severity": finding.get("severity") or policy.severity,
        "status": OPEN,
        "title": finding.get("title"),
        "advice": finding.get("advice") or policy.advice,
        "recipient": finding.get("recipient") or policy.recipient,
        "targets": list(policy.targets if finding.get("targets") is None else finding["targets"]),
        "count": times,
        "opened_at": finding["at"],
        "updated_at": finding["at"],
        "first_event": finding.get("first_event") or finding.get("last_event"),
        **_said(finding),
    }


def _said(finding: Finding) -> dict[str, Any]:
    return {name: finding[name] for name in _LATEST if finding.get(name) is not None}


_QUIET: Final[Row] = {"status": None, "streak": 0, "closed_at": None, "level": 0}
"""A row that has never been an alert: it only counts failures in a row."""


def published(key: str, row: Row) -> dict[str, Any] | None:
    """The row as a record of `alerts`, or None while it is no alert."""
    if row["status"] is None:
        return None
    return {"alert_key": key, **{name: field for name, field in row.items() if name != "streak"}}
