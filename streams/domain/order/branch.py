"""BRK-07: the invoice branch, which runs beside stock and payment (see deadlines).

Only an order for which somebody asked for an invoice has it. It reports when the invoices agent says that the request
was taken or refused; an order that is in no lane yet enters none before that (see lanes). Silent for more than 30 s
since the order was told of the request (`now`), it is a finding, which its report closes; one that ended is not waited
for.
"""

from __future__ import annotations

from typing import Final

from streams.domain.inventory import messages
from streams.domain.order.asides import Invoice
from streams.domain.order.state import OrderState
from streams.domain.order.stock import Send, has_ended

RULE: Final = "BRK-07"
_KEY: Final = "BRK-07/invoice"


def due_of(state: OrderState, now: int, branch_ms: int) -> int:
    """When a branch that is asked `now` has been silent for too long, ms after the order's creation."""
    return now - state.created_at + branch_ms + 1


def watch(guid: str, state: OrderState, at: int, sends: list[Send]) -> None:
    """After a change of an order with an invoice: nobody waits for the branch of one that ended. Replaces
    `state.aside`."""
    aside = state.aside
    known = None if aside is None else aside.invoice
    if aside is None or known is None or (known.due is None and not known.is_raised) or not has_ended(state):
        return
    close(guid, known, at, sends)
    state.aside = aside._replace(invoice=known._replace(due=None, is_raised=False))


def close(guid: str, before: Invoice | None, at: int, sends: list[Send]) -> None:
    """The branch has reported, or is not waited for any more."""
    if before is not None and before.is_raised:
        said = {"do": "close", "rule": RULE, "at": at, "order_guid": guid}
        sends.append((messages.ALERTS, f"{_KEY}/{guid}", said))


def fire(guid: str, state: OrderState, at: int, branch_ms: int, sends: list[Send]) -> None:
    """The order's timer is due at `at` (ms): tell of the silence. Replaces `state.aside`."""
    aside = state.aside
    known = None if aside is None else aside.invoice
    if aside is None or known is None or known.due is None or known.due > at - state.created_at:
        return
    finding = {
        "do": "open",
        "rule": RULE,
        "title": "invoice branch silent",
        "detail": f"no answer to the request for an invoice for {branch_ms // 1000} s",
        "at": at,
        "order_guid": guid,
        "channel": state.channel,
    }
    sends.append((messages.ALERTS, f"{_KEY}/{guid}", finding))
    state.aside = aside._replace(invoice=known._replace(due=None, is_raised=True))
