"""One alert per cause: findings with the same key are folded into one row that opens, counts, escalates and closes.

A finding is what an agent says on `alert-facts`, keyed by alert key:

    open        raises the alert, or counts one more if it is open
    count       the same, for a rule that counts rather than raises
    close       the cause is gone; or, with `by` "person", a person says so (`ops` manual_command `alert_close`); or,
                with "forgotten", nobody follows it any more
    failed      one more failure in a row; as many as the rule allows in a row raise the alert (DQ-08)
    recovered   the row of failures ends; an open alert stays until its cause is dealt with

An alert that stays open past its limit goes to the next level (AS-08: level by level), and stays there until closed.
What was known when it opened is kept beside what is known now: `opened_at`, `first_event` and `first_detail` are
written once, at the time of the event, and never again (OTH-13). A finding after the closing opens anew, however old it
is: what closed does not come back as the same alert.

No finding carries personal data: codes, counts, systems and rules only. Who closed an alert by hand, and why, stands in
the `ops` event that `last_event` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

Row = Mapping[str, Any]
Finding = Mapping[str, Any]

OPEN: Final = "open"
ESCALATED: Final = "escalated"
CLOSED: Final = "closed"
LIVE: Final = frozenset({OPEN, ESCALATED})
"""Somebody has to see to it."""
CLOSE_COMMAND: Final = "alert_close"
"""The manual_command of a person; its target is the alert key."""
PERSON: Final = "person"
CAUSE: Final = "cause"
FORGOTTEN: Final = "forgotten"
"""What closed it: a person; its cause is gone; or what it is about was so long ago that nobody follows it any more, and
it was never seen to."""
_SAYINGS: Final = frozenset({"open", "count", "close", "failed", "recovered"})
# Of the newest finding, where it says them.
_LATEST: Final = ("detail", "last_event", "order_guid", "channel", "source")


class PolicyError(ValueError):
    """A row of the alert table that must not be used."""


class CloseRefused(ValueError):
    """A person's closing that closes nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A level above: at so many percent of the limit, to whom, and how they are told."""

    percent: int
    recipient: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is told, how, and what they should do. `in_a_row`: failures that raise the alert. `limit_ms`: how long it may
    stay open, 0 for ever, None as its severity says; `steps`: its own levels, None those of all."""

    recipient: str = "operations"
    targets: tuple[str, ...] = ()
    severity: str = "warning"
    advice: str | None = None
    in_a_row: int = 3
    limit_ms: int | None = None
    steps: tuple[Step, ...] | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """A policy per rule, and one for rules that have none of their own."""

    by_rule: Mapping[str, Policy]
    default: Policy = Policy()
    limits_ms: Mapping[str, int] = field(default_factory=dict)
    """By severity; none: an alert of that severity may stay open."""
    steps: tuple[Step, ...] = ()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Policies:
        """From {"escalation": {"limit_ms": {severity: ms}, "steps": [{percent, recipient, targets}]}, "rules": {rule:
        {recipient, targets, severity, advice, in_a_row, limit_ms, steps}}}. PolicyError names the rule."""
        escalation = document.get("escalation", {})
        limits = dict(escalation.get("limit_ms", {}))
        if limits.keys() - {*SEVERITIES} or not all(_whole(limit) for limit in limits.values()):
            raise PolicyError("escalation of alerts: a limit of an unknown severity, or one that is no number of ms")
        found = {rule: _policy(rule, entry) for rule, entry in document["rules"].items()}
        return cls(found, limits_ms=limits, steps=_steps("all rules", escalation.get("steps", ())))

    def of(self, rule: str | None) -> Policy:
        """The policy in force for a rule."""
        return self.by_rule.get(rule or "", self.default)

    def steps_of(self, rule: str | None) -> tuple[Step, ...]:
        """The levels above a rule's recipient, lowest first."""
        steps = self.of(rule).steps
        return self.steps if steps is None else steps

    def limit_of(self, rule: str | None, severity: str) -> int:
        """How long an alert may stay open, ms; 0: for ever."""
        limit = self.of(rule).limit_ms
        return self.limits_ms.get(severity, 0) if limit is None else limit


TARGETS: Final = ("dingtalk", "wecom", "email", "sms", "voice", "ticket")
SEVERITIES: Final = ("info", "warning", "critical")


def _policy(rule: str, entry: Mapping[str, Any]) -> Policy:
    steps = None if entry.get("steps") is None else _steps(rule, entry["steps"])
    try:
        policy = Policy(**{**entry, "targets": tuple(entry.get("targets", ())), "steps": steps})
    except TypeError as error:
        raise PolicyError(f"alert policy of {rule}: {error}") from None
    wrong = not {*policy.targets} <= {*TARGETS} or policy.severity not in SEVERITIES or policy.in_a_row < 1
    if wrong or not (policy.limit_ms is None or _whole(policy.limit_ms)):
        raise PolicyError(f"alert policy of {rule}: unknown target, severity, count or limit")
    return policy


def _steps(rule: str, entries: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    try:
        steps = tuple(Step(**{**entry, "targets": tuple(entry["targets"])}) for entry in entries)
    except (KeyError, TypeError) as error:
        raise PolicyError(f"escalation of {rule}: {error}") from None
    percents = [step.percent for step in steps]
    rising = all(_whole(percent) and percent > 0 for percent in percents) and percents == sorted({*percents})
    if not rising or any(not step.recipient or not {*step.targets} <= {*TARGETS} for step in steps):
        raise PolicyError(f"escalation of {rule}: percents that do not rise, nobody to tell, or an unknown target")
    return steps


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def step(row: Row | None, finding: Finding, policies: Policies, now: int | None = None) -> Row | None:
    """The row after a finding; None where nothing is worth keeping. The same object if nothing changed.

    `now` (ms; default: the finding's time) is when it is raised: its limit counts from there, so that an alert about
    something long past leaves people the whole of their time. CloseRefused for a person's closing that closes nothing.
    """
    do = finding["do"]
    if do not in _SAYINGS:
        raise ValueError(f"an alert knows no finding {do!r}")
    if do == "recovered":
        return _recovered(row)
    if do == "close":
        return _closed(row, finding)
    policy = policies.of(finding.get("rule"))
    now = finding["at"] if now is None else now
    if do == "failed":
        streak = (row["streak"] if row is not None else 0) + 1
        if streak < policy.in_a_row and not is_live(row):
            return {**(row or _QUIET), "streak": streak}
        return {**_raised(row, finding, policy, 1 if is_live(row) else streak, now), "streak": streak}
    return _raised(row, finding, policy, 1, now)


def is_live(row: Row | None) -> TypeGuard[Row]:
    """Whether the row is an alert that is open or escalated."""
    return row is not None and row["status"] in LIVE


def next_level_at(row: Row | None, policies: Policies) -> int | None:
    """When (ms) the alert goes to the next level, or None if it never does. At exactly that time it does."""
    if not is_live(row):
        return None
    limit, steps = policies.limit_of(row["rule"], row["severity"]), policies.steps_of(row["rule"])
    if not limit or row["level"] >= len(steps):
        return None
    since: int = row.get("limit_from") or row["opened_at"]
    return since + limit * steps[row["level"]].percent // 100


def escalate(row: Row, policies: Policies, at: int) -> Row:
    """The alert one level up: its next recipient and how they are told. Its severity and evidence stay."""
    above = policies.steps_of(row["rule"])[row["level"]]
    raised = {"status": ESCALATED, "level": row["level"] + 1, "recipient": above.recipient}
    return {**row, **raised, "targets": [*above.targets], "escalated_at": at, "updated_at": at}


def _closed(row: Row | None, finding: Finding) -> Row | None:
    by = finding.get("by")
    by_person = by == PERSON
    if not is_live(row):
        if by_person and not (row is not None and row.get("last_event") == finding["last_event"]):
            raise CloseRefused("no alert of that key is open")
        return row
    if by_person and finding["at"] < row["opened_at"]:
        raise CloseRefused("the alert was opened after this closing")
    # What ends a cause may be older than the alert and be told after it: an order that reached us late (ID-08).
    at = max(finding["at"], row["opened_at"])
    said = {**_said(finding), "closed_by": by if by in (PERSON, FORGOTTEN) else CAUSE}
    return {**row, **said, "status": CLOSED, "closed_at": at, "updated_at": at}


def _recovered(row: Row | None) -> Row | None:
    if row is None or not row["streak"]:
        return row
    return {**row, "streak": 0} if row["status"] is not None else None


def _raised(row: Row | None, finding: Finding, policy: Policy, times: int, now: int) -> dict[str, Any]:
    if is_live(row):
        newest = max(row["updated_at"], finding["at"])  # one of long ago may be told late
        return {**row, **_said(finding), "count": row["count"] + times, "updated_at": newest}
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
        "limit_from": max(now, finding["at"]),
        "first_event": finding.get("first_event") or finding.get("last_event"),
        "first_detail": finding.get("detail"),
        **_said(finding),
    }


def _said(finding: Finding) -> dict[str, Any]:
    return {name: finding[name] for name in _LATEST if finding.get(name) is not None}


_QUIET: Final[Row] = {"status": None, "streak": 0, "closed_at": None, "level": 0}
"""A row that has never been an alert: it only counts failures in a row."""
_KEPT: Final = frozenset({"streak", "limit_from"})
"""Of a row, what nobody else needs."""


def published(key: str, row: Row) -> dict[str, Any] | None:
    """The row as a record of `alerts`, or None while it is no alert."""
    if row["status"] is None:
        return None
    return {"alert_key": key, **{name: value for name, value in row.items() if name not in _KEPT}}
