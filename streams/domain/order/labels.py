"""ST-11: a label that did not print is printed again by itself, then by a person.

    failures 1 to 3   the warehouse is asked to print once more, 30 s after each
    failure 4         an alert to the warehouse, and no further retry

How often and how far apart is the `retry` of the node label_pending (`rules/node_records.json`); none: nothing is
tried again, and nobody told. Failures are counted since the label was last printed, whatever order they come in; a
retry that waits is dropped when the label prints or the order goes on, and an alert closes then. While an order is
locked or frozen no label is asked for, and nobody is told to print it (RSK-04).

A failure that is told when its retry is due already - the worker was away, and the label most likely printed behind
it in the same backlog - has its retry the same time after now; one told days late has none.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.inventory import messages
from streams.domain.order import codes
from streams.domain.order.asides import NONE, Label
from streams.domain.order.flags import CLOSED, HELD, REFUNDED
from streams.domain.order.node_records import NodeRecord, NodeRecords
from streams.domain.order.pushes import warehouse_of
from streams.domain.order.state import OrderState
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import NODE_NUMBER, NODE_STEP
from streams.domain.status_map import masked

TOPIC: Final = "warehouse-requests"
FAILED: Final = "label_print_failed"
KIND: Final = "print_label"
RULE: Final = "ST-11"

MAX_FAILED: Final = 16
"""Failures kept of one label, the newest: a printer that fails for ever must not grow the order."""

_PENDING: Final = NODE_NUMBER["label_pending"]
_PRINTED: Final = NODE_NUMBER["label_printed"]
_OVER: Final = CLOSED | REFUNDED


def fail(state: OrderState, at: int, records: NodeRecords) -> bool:
    """Note that the label failed at `at` (ms after the creation). True if that is news."""
    record = records.of(_PENDING)
    if record is None or record.retry is None:
        return False
    aside = state.aside or NONE
    label = aside.label or Label([])
    failed = sorted({*label.failed, at})[-MAX_FAILED:]
    if failed == label.failed:
        return False
    state.aside = aside._replace(label=label._replace(failed=failed))
    return True


def watch(guid: str, state: OrderState, at: int, now: int, records: NodeRecords, sends: list[Send]) -> None:
    """After a failure, or any change of an order whose label failed, at event time `at`. Replaces `state.aside`."""
    aside, record = state.aside, records.of(_PENDING)
    label = None if aside is None else aside.label
    if aside is None or label is None:
        return
    printed = state.nodes.get(_PRINTED)
    failed = [when for when in label.failed if printed is None or when > printed]
    gone = NODE_STEP[state.node] > NODE_STEP[_PENDING] or state.flags & _OVER
    retry = None if record is None or gone else record.retry
    held = bool(state.flags & HELD)
    if label.is_raised and (retry is None or len(failed) <= retry.times or held):
        said = {"do": "close", "rule": RULE, "at": at, "order_guid": guid}
        sends.append((messages.ALERTS, f"{RULE}/{guid}", said))
    if not failed or record is None or retry is None:
        state.aside = aside._replace(label=None)
        return
    if len(failed) < len(label.failed):  # printed in between: what follows is a new label
        label = Label(failed)
    due, raised = None, label.is_raised and not held
    if len(failed) > retry.times and not held:
        if not raised:
            sends.append((messages.ALERTS, f"{RULE}/{guid}", _finding(guid, state, record, failed)))
            raised = True
    elif len(failed) > label.asked and not held:
        due, passed = failed[label.asked] + retry.every_ms, now - state.created_at
        if due < passed:
            late = passed - due
            due = None if late > records.history_ms else (label.due or passed + retry.every_ms)
    new = Label(failed, label.asked, due, raised)
    if new != aside.label:
        state.aside = aside._replace(label=new)


def fire(guid: str, state: OrderState, at: int, records: NodeRecords, sends: list[Send]) -> None:
    """The order's timer is due at `at` (ms): ask for the retry that is due. Replaces `state.aside`."""
    aside, record = state.aside, records.of(_PENDING)
    label = None if aside is None else aside.label
    if aside is None or label is None or label.due is None or label.due > at - state.created_at:
        return
    if record is None or record.retry is None:
        state.aside = aside._replace(label=label._replace(due=None))
        return
    failed, attempt = label.failed[label.asked] + state.created_at, label.asked + 1
    shown = codes.view(state)
    request = {
        "request_id": f"{KIND}/{guid}/{failed}/{attempt}",
        "kind": KIND,
        "order_guid": guid,
        "attempt": attempt,
        "warehouse": warehouse_of(state),
        "at": failed + record.retry.every_ms,
        "channel": state.channel,
        "order_no": state.order_no,
        "alias18": shown["alias18"],
        "internal_no": shown["internal_no"],
        "waybills": shown["waybills"],
        "package_ids": shown["package_ids"],
    }
    sends.append((TOPIC, guid, request))
    due = None
    if len(label.failed) > attempt:  # it failed again before its retry was asked for
        due = max(label.failed[attempt], at - state.created_at) + record.retry.every_ms
    state.aside = aside._replace(label=label._replace(asked=attempt, due=due))


def _finding(guid: str, state: OrderState, record: NodeRecord, failed: list[int]) -> dict[str, Any]:
    detail = f"failed {len(failed)} times"
    if state.error is not None and state.error[0] >= failed[0]:
        detail += f"; last error: {masked(state.error[1])}"
    return {
        "do": "open",
        "rule": RULE,
        "title": "label not printed: by hand now",
        "detail": f"{detail}; all of it: oms order {guid}",
        "advice": record.manual,
        "recipient": record.owner,
        "targets": [*record.targets],
        "at": state.created_at + failed[-1],
        "order_guid": guid,
        "channel": state.channel,
    }
