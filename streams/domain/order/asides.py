"""What only some orders have, kept in one place so that the others pay nothing for it. Its compact row.

All these tuples are never changed, only replaced. Times are ms after the order's creation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from streams.domain.order.state import OrderState


class Label(NamedTuple):
    """ST-11: the label that does not print."""

    failed: list[int]
    """When it failed since it was last printed; sorted."""
    asked: int = 0
    """Retries that were asked for."""
    due: int | None = None
    """When the next one is."""
    is_raised: bool = False


class Lag(NamedTuple):
    """ST-14: the order has left since `begun`, and its channel shows it as waiting."""

    begun: int
    due: int | None = None
    is_raised: bool = False


class Request(NamedTuple):
    """ST-09: a move to `node` that somebody asked for (0: approved before it was asked for)."""

    node: int = 0
    command: str = ""
    operator: str = ""
    at: int = 0
    source: str = ""
    event_id: str = ""
    approvals: Mapping[str, int] = {}
    """Approver -> when."""
    due: int | None = None
    """When it is told that it expired."""
    done: int | None = None
    """When the node changed."""
    has_expired: bool = False
    rejected: list[Any] | None = None
    """[when, by whom] it was rejected first."""

    @property
    def is_over(self) -> bool:
        """Whether it waits for nobody any more."""
        return self.done is not None or self.has_expired or self.rejected is not None


ASKED: Final = "asked"
"""Status of an invoice that was asked for, and of which the invoices agent has said nothing yet."""


class Invoice(NamedTuple):
    """TAX-08: how far its invoice is, by the word of the invoices agent; `reason` where nothing becomes of it."""

    status: str
    reason: str | None = None
    issued: Mapping[str, list[Any]] = {}
    """Invoice id -> [status, code, pdf_url, red codes]."""
    due: int | None = None
    """BRK-07: when the invoice branch has been silent for too long."""
    is_raised: bool = False


class Aside(NamedTuple):
    """`warehouse`: [when told, name], the newest. `shown`: [when told, rank] of the last state its channel showed (rank
    -1: of none), and behind it {field: the same} of what it said in fields of their own."""

    warehouse: list[Any] | None = None
    shown: list[Any] | None = None
    label: Label | None = None
    lag: Lag | None = None
    requests: Mapping[str, Request] | None = None
    """By request_id, in the order in which they were heard of."""
    invoice: Invoice | None = None


NONE: Final = Aside()


def is_same_due(new: Aside | None, old: Aside | None) -> bool:
    """Whether the same things are due."""
    return new is old or (NONE if new is None else new)[2:] == (NONE if old is None else old)[2:]


def is_invoice_silent(aside: Aside | None) -> bool:
    """BRK-07: whether an invoice was asked for, and nobody has said yet whether the request was taken."""
    return aside is not None and aside.invoice is not None and aside.invoice.status == ASKED


def next_due(aside: Aside) -> int | None:
    """The earliest of what is due."""
    return min(_dues(aside), default=None)


def _dues(aside: Aside) -> Iterator[int]:
    if aside.label is not None and aside.label.due is not None:
        yield aside.label.due
    if aside.lag is not None and aside.lag.due is not None:
        yield aside.lag.due
    for request in (aside.requests or {}).values():
        if request.due is not None:
            yield request.due
    if aside.invoice is not None and aside.invoice.due is not None:
        yield aside.invoice.due


def stay(state: OrderState, name: str, at: int) -> bool:
    """Note which warehouse has the order, told at `at`. True if it is another one."""
    aside = state.aside or NONE
    before = aside.warehouse
    if before is not None and [at, name] <= before:
        return False
    state.aside = Aside([at, name], *aside[1:])
    return before is None or before[1] != name


def to_row(aside: Aside) -> list[Any]:
    """JSON values in the order of the fields, empty ones at the end left out."""
    row: list[Any] = [
        aside.warehouse,
        aside.shown,
        None if aside.label is None else [*aside.label],
        None if aside.lag is None else [*aside.lag],
        None if aside.requests is None else {name: [*request] for name, request in aside.requests.items()},
        None if aside.invoice is None else [*aside.invoice],
    ]
    while row and row[-1] is None:
        row.pop()
    return row


def from_row(row: list[Any]) -> Aside:
    """The inverse of `to_row`."""
    warehouse, shown, label, lag, requests, invoice = [*row, *[None] * 6][:6]
    return Aside(
        warehouse,
        shown,
        None if label is None else Label(*label),
        None if lag is None else Lag(*lag),
        None if requests is None else {name: Request(*request) for name, request in requests.items()},
        None if invoice is None else Invoice(*invoice),
    )
