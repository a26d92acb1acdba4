"""ST-09: moving an order by hand takes a command and the approvals of two others.

    ops manual_command   request_id, operator, reason, command: a node to move to follows from it or from its value
    ops approval         request_id, operator: not the one who asked, each counts once, within 2 h of the command

The node changes at the time of the second approval, as if the system that tells the node had said so: a move that comes
too late only fills in, and one to a node of a later state waits for that state, which it does not move (ST-05). It
makes no difference whether a command or its approvals come first. What was told when counts, not when it was read; an
approval given in time counts even where the request was told to have expired.

An approval that says no (see verdicts) ends the request, unless it was approved before: what is approved from then on
comes too late. Who asked may say no as well, and so take it back.

Every command and approval has its row in the audit, and so has a request that expires. Commands that others obey
(BRK-01, LOG-09, RSK-04) are noted, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from streams.domain import calendar, jsontext
from streams.domain.order import audit, verdicts
from streams.domain.order.asides import NONE, Request
from streams.domain.order.meanings import BY_ONE, NOTE, REFRESH, UNLOCK, Meaning, operator_of
from streams.domain.order.node_records import NodeRecords
from streams.domain.order.state import Fact, OrderState
from streams.domain.rules.nodes import NODE_NUMBER, NODES

RULE: Final = "ST-09"
ELSEWHERE: Final = frozenset({UNLOCK, REFRESH, "resume_channel", "reopen_channel", "open_channel"})
"""Commands that another agent obeys, without approval."""

MAX_REQUESTS: Final = 16
MAX_APPROVERS: Final = 8
"""Of one request: an order must not grow without end."""


class ManualError(ValueError):
    """Commands that must not be used; names the command."""


@dataclass(frozen=True, slots=True)
class ManualRules:
    """`approvals`: how many it takes. `expires_ms`: how long after the command they count, to the millisecond.
    `commands`: name -> the node it moves an order to, None where the command's value names it: {"node": "packed"}.
    `words`: of an approval that approves or rejects."""

    approvals: int = 2
    expires_ms: int = 2 * calendar.HOUR_MS
    commands: Mapping[str, str | None] = field(default_factory=dict)
    words: verdicts.Words = field(default_factory=verdicts.Words)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> ManualRules:
        """From {"approvals", "expires_ms", "commands", "words"}. ManualError names what is wrong."""
        if document.keys() != {"approvals", "expires_ms", "commands", "words"}:
            raise ManualError(f"manual commands: fields missing or unknown: {sorted(document)}")
        approvals, expires_ms, commands = document["approvals"], document["expires_ms"], document["commands"]
        for name, value in (("approvals", approvals), ("expires_ms", expires_ms)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ManualError(f"manual commands: {name} is no number from 1")
        if approvals > MAX_APPROVERS:
            raise ManualError(f"manual commands: at most {MAX_APPROVERS} approvals")
        for name, node in commands.items():
            if name in ELSEWHERE or name in BY_ONE:
                raise ManualError(f"manual command {name}: it means something else already")
            if node is not None and node not in NODE_NUMBER:
                raise ManualError(f"manual command {name}: unknown node {node!r}")
        try:
            words = verdicts.Words.parse(document["words"])
        except (ValueError, AttributeError, TypeError) as error:
            raise ManualError(f"manual commands: {error}") from None
        return cls(approvals, expires_ms, dict(commands), words)


class Told(NamedTuple):
    """What became of a command or an approval. `meaning` has the node to move to, reached at `moved_at`."""

    meaning: Meaning
    decision: str
    reason: str | None = None
    moved_at: int = 0
    changed: bool = False


def take(state: OrderState, fact: Fact, at: int, now: int, rules: ManualRules, records: NodeRecords) -> Told:
    """Fold a command or an approval of `at` (ms after the creation). Replaces `state.aside`."""
    if fact.get("command") in ELSEWHERE:
        return Told(NOTE, audit.ACCEPTED)
    name, operator = fact.get("request_id"), operator_of(fact)
    wanted = _node(fact, rules, records) if fact["event_type"] == "manual_command" else 0
    if isinstance(wanted, str):
        return _refused(wanted)
    if not name or name.isspace():
        return _refused("no request_id: nobody could approve it")
    if not operator:
        return _refused("no operator: who asks and who approves must be known")
    aside = state.aside or NONE
    requests = dict(aside.requests or {})
    request = requests.get(name, Request())
    if name not in requests and not _make_room(requests):
        return _refused(f"{MAX_REQUESTS} requests wait already")
    before = request
    operator = _as_known(request, operator)
    if wanted:
        request, told = _asked(request, fact, operator, wanted, at, now - state.created_at, rules)
    elif (verdict := verdicts.verdict(fact, rules.words)) is None:
        return _refused("its value neither approves nor rejects")
    elif verdict:
        request, told = _approved(request, operator, at, rules)
    else:
        request, told = _rejected(request, operator, at, verdicts.why(fact), rules)
    if request is before:
        return told
    moved = _moved_at(request, rules)
    if moved is not None and request.done is None:
        request = request._replace(done=moved, due=None)
        told = Told(Meaning(RULE, node=request.node), audit.ACCEPTED, told.reason, moved)
    requests[name] = request
    state.aside = aside._replace(requests=requests)
    return told._replace(changed=request != (aside.requests or {}).get(name))


def _refused(reason: str) -> Told:
    return Told(Meaning(RULE), audit.REFUSED, reason)


def _node(fact: Fact, rules: ManualRules, records: NodeRecords) -> int | str:
    """The node that a command wants, or why it cannot be had."""
    command = fact.get("command") or ""
    if command not in rules.commands:
        return f"{command!r} is no command about an order"
    if not (fact.get("reason") or "").strip():
        return "no reason given"
    name = rules.commands[command]
    if name is None:
        try:
            value = jsontext.parsed(fact.get("value") or "")
            name = value["node"]
        except (ValueError, TypeError, KeyError):
            return f'{command} needs a value such as {{"node": "packed"}}'
    number = NODE_NUMBER.get(name) if isinstance(name, str) else None
    if number is None:
        return f"{command}: unknown node"
    record = records.of(number)
    if record is not None and not record.manual_move:
        return f"no order is moved to {name} by hand"
    return number


def _make_room(requests: dict[str, Request]) -> bool:
    """Whether one more may be kept; what is done or has expired goes first, then the oldest."""
    if len(requests) < MAX_REQUESTS:
        return True
    over = next((name for name, request in requests.items() if request.is_over), None)
    if over is None:
        return False
    del requests[over]
    return True


def _as_known(request: Request, operator: str) -> str:
    """The person as the request has them already: Bob who signs as bob is not two people."""
    said = operator.casefold()
    return next((who for who in (request.operator, *request.approvals) if (who or "").casefold() == said), operator)


def _asked(
    request: Request, fact: Fact, operator: str, node: int, at: int, passed: int, rules: ManualRules
) -> tuple[Request, Told]:
    if request.node:
        return request, _refused("the request_id is in use by an earlier command")
    limit = at + rules.expires_ms
    valid = {who: when for who, when in request.approvals.items() if who != operator and when <= limit}
    due = limit + 1 if limit >= passed else passed + rules.expires_ms + 1  # read late: so are its approvals
    asked = Request(node, fact["command"], operator, at, fact["source"], fact["event_id"], valid, due)
    reason = f"{NODES[node - 1].name}: {_missing(asked, rules)}"
    if dropped := sorted(request.approvals.keys() - valid.keys()):
        reason += f"; not counted: {', '.join(dropped)}, who asked or came too late"
    if request.rejected is not None and request.rejected[0] <= limit:
        asked = asked._replace(due=None, rejected=request.rejected)
        return asked, _refused(f"{NODES[node - 1].name}: rejected by {request.rejected[1]}")
    return asked, Told(Meaning(RULE), audit.ACCEPTED, reason)


def _approved(request: Request, operator: str, at: int, rules: ManualRules) -> tuple[Request, Told]:
    if request.node and operator == request.operator:
        return request, _refused("who asked cannot approve")
    if request.node and at > request.at + rules.expires_ms:
        return request, _refused("the request had expired")
    if request.rejected is not None and at >= request.rejected[0]:
        return request, _refused(f"{request.rejected[1]} has rejected it")
    known = request.approvals.get(operator)
    if known is None and len(request.approvals) >= MAX_APPROVERS:
        return request, _refused(f"{MAX_APPROVERS} have approved it already")
    approvals = request.approvals if known is not None and known <= at else {**request.approvals, operator: at}
    new = request._replace(approvals=dict(sorted(approvals.items())))
    if known is not None:
        return new, Told(Meaning(RULE), audit.DUPLICATE, "has approved it before")
    if request.done is not None:
        return new, Told(Meaning(RULE), audit.DUPLICATE, "approved already")
    reason = f"{NODES[new.node - 1].name}: {_missing(new, rules)}" if new.node else "waits for its command"
    return new, Told(Meaning(RULE), audit.ACCEPTED, reason)


def _rejected(request: Request, operator: str, at: int, why: str | None, rules: ManualRules) -> tuple[Request, Told]:
    """The first no is the one that counts. It is refused like what it ends, for it moves nothing."""
    if request.done is not None:
        return request, _refused("rejected too late: it was approved already")
    if request.node and at > request.at + rules.expires_ms:
        return request, _refused("the request had expired")
    last = request.rejected
    if last is not None and [at, operator] >= last:
        return request, _refused(f"{last[1]} has rejected it")
    what = NODES[request.node - 1].name if request.node else "a command to come"
    said = f"{what}: rejected by {operator}{f': {why}' if why else ''}"
    return request._replace(rejected=[at, operator], due=None), _refused(said)


def _missing(request: Request, rules: ManualRules) -> str:
    missing = rules.approvals - len(request.approvals)
    if missing <= 0:
        return f"approved by {' and '.join(sorted(request.approvals, key=lambda who: (request.approvals[who], who)))}"
    return f"{missing} more approval{'s' if missing > 1 else ''} by others than {request.operator} needed"


def _moved_at(request: Request, rules: ManualRules) -> int | None:
    """When the last approval that it takes was given, but not before the command."""
    if not request.node or len(request.approvals) < rules.approvals:
        return None
    last = sorted(request.approvals.values())[rules.approvals - 1]
    return None if request.rejected is not None and request.rejected[0] <= last else max(request.at, last)


def fire(guid: str, state: OrderState, at: int, rules: ManualRules) -> list[dict[str, Any]]:
    """The order's timer is due at `at` (ms): audit rows (without `raw`) of what expired. Replaces `state.aside`."""
    aside = state.aside
    if aside is None or not aside.requests:
        return []
    requests, rows, here = dict(aside.requests), [], audit.text(state)
    for name, request in aside.requests.items():
        if request.due is not None and request.due <= at - state.created_at:
            requests[name] = request._replace(due=None, has_expired=True)
            told = {
                "order_guid": guid,
                "operator": request.operator,
                "event_time": state.created_at + request.at + rules.expires_ms,
                "source": request.source,
                "event_id": request.event_id,
                "event_type": "manual_command",
                "topic": "ops",
            }
            reason = f"request {name} expired: {_missing(request, rules)}"
            rows.append(audit.row(told, RULE, audit.REFUSED, here, here, reason))
    if rows:
        state.aside = aside._replace(requests=requests)
    return rows


def waiting(state: OrderState, rules: ManualRules) -> list[dict[str, Any]] | None:
    """The requests that wait for approvals, for order-states; None if none does."""
    if state.aside is None or not state.aside.requests:
        return None
    return [
        {
            "request_id": name,
            "command": request.command,
            "node": NODES[request.node - 1].name,
            "requested_by": request.operator,
            "requested_at": state.created_at + request.at,
            "approved_by": sorted(request.approvals),
            "missing": rules.approvals - len(request.approvals),
            "expires_at": state.created_at + request.at + rules.expires_ms,
        }
        for name, request in state.aside.requests.items()
        if request.node and not request.is_over
    ] or None
