"""What is kept of one order, and its compact row.

Reducers never change a state they were given: they change a `copy()`, and put new dicts and lists in place of the
ones they touch. All times are ms since the epoch, all amounts minor units.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.rules.nodes import STATES

Fact = dict[str, Any]
"""One event about the order: its fields by contract name, with `topic`, `digest`, `order_guid` and perhaps `mapped`."""

ROW_VERSION: Final = 1

Claim = list[Any]
"""[raw, rank of the state or -1, at], and a fourth item, a list of flags, if the status holds any while it lasts."""


class RowError(ValueError):
    """A stored row that this version cannot read."""


@dataclass(slots=True)
class OrderState:
    """One order. Every field but the last two lines is a function of the set of events, whatever their order."""

    created_at: int
    channel: str | None = None
    order_no: str | None = None
    customer_id: str | None = None
    sales_type: str | None = None
    alias18: str | None = None
    total_minor: int | None = None
    currency: str = "CNY"
    lines: list[list[Any]] = field(default_factory=list)
    """[line_no, sku, quantity, unit_price_minor, is_gift] per line."""

    updated_at: int = 0
    """Latest event time of the accepted events."""
    reached: list[int | None] = field(default_factory=lambda: [None] * len(STATES))
    """Earliest authoritative claim of each atomic state, by rank."""
    nodes: dict[int, int] = field(default_factory=dict)
    """Fine node -> event time: the earliest, for the nodes of a loop the latest."""
    claims: dict[str, Claim] = field(default_factory=dict)
    """Source -> its latest claim; sources in order of name."""
    marks: dict[str, int] = field(default_factory=dict)
    """Flags that stay once told -> earliest time told; also `invoiced`."""

    txns: dict[str, int] = field(default_factory=dict)
    """Code -> event time of its first mention; this and the next three."""
    internals: dict[str, int] = field(default_factory=dict)
    waybills: dict[str, int] = field(default_factory=dict)
    packages: dict[str, int] = field(default_factory=dict)
    rejected: list[list[str]] = field(default_factory=list)
    """[kind, code, guid it is bound to] of pairings that identity refused; sorted."""

    paid_minor: int = 0
    refunded_minor: int = 0
    money: dict[str, list[int | None]] = field(default_factory=dict)
    """Key of a money event -> [amount, refunds negative; line_no]: no amount counts twice, however late repeated."""
    unmapped: list[list[Any]] = field(default_factory=list)
    """[at, event key, topic, source, raw field, raw status] of events whose status no map knows; sorted."""

    rank: int = 0
    """Derived, kept to spare the work: the highest rank reached, the node, and the flags as bits."""
    node: int = 0
    flags: int = 0

    version: int = 0
    seen: bytes = b""
    """Fixed-size entries, see dedup."""

    def copy(self) -> OrderState:
        """A shallow copy: replace its dicts and lists, do not change them."""
        return OrderState(
            self.created_at,
            self.channel,
            self.order_no,
            self.customer_id,
            self.sales_type,
            self.alias18,
            self.total_minor,
            self.currency,
            self.lines,
            self.updated_at,
            self.reached,
            self.nodes,
            self.claims,
            self.marks,
            self.txns,
            self.internals,
            self.waybills,
            self.packages,
            self.rejected,
            self.paid_minor,
            self.refunded_minor,
            self.money,
            self.unmapped,
            self.rank,
            self.node,
            self.flags,
            self.version,
            self.seen,
        )


def to_row(state: OrderState) -> list[Any]:
    """The state as a list of JSON values. Times inside are relative to `created_at`; new fields go to the end."""
    t0 = state.created_at
    return [
        ROW_VERSION,
        t0,
        state.channel,
        state.order_no,
        state.customer_id,
        state.sales_type,
        state.alias18,
        state.total_minor,
        state.currency,
        state.lines,
        state.updated_at - t0,
        [None if at is None else at - t0 for at in state.reached],
        [number for node, at in state.nodes.items() for number in (node, at - t0)],
        [[source, claim[0], claim[1], claim[2] - t0, *claim[3:]] for source, claim in state.claims.items()],
        _times_out(state.marks, t0),
        _times_out(state.txns, t0),
        _times_out(state.internals, t0),
        _times_out(state.waybills, t0),
        _times_out(state.packages, t0),
        state.rejected,
        state.paid_minor,
        state.refunded_minor,
        state.money,
        state.unmapped,
        state.rank,
        state.node,
        state.flags,
        state.version,
        b2a_base64(state.seen, newline=False).decode("ascii"),
    ]


def from_row(row: list[Any]) -> OrderState:
    """The inverse of `to_row`. Raises RowError for a row of another version."""
    if not row or row[0] != ROW_VERSION:
        raise RowError(f"order row of version {row[0] if row else None}, this program reads {ROW_VERSION}")
    t0: int = row[1]
    nodes = row[12]
    fields = [
        t0,
        *row[2:10],
        row[10] + t0,
        [None if at is None else at + t0 for at in row[11]],
        {nodes[i]: nodes[i + 1] + t0 for i in range(0, len(nodes), 2)},
        {source: [raw, rank, at + t0, *rest] for source, raw, rank, at, *rest in row[13]},
        _times_in(row[14], t0),
        _times_in(row[15], t0),
        _times_in(row[16], t0),
        _times_in(row[17], t0),
        _times_in(row[18], t0),
        *row[19:28],
        a2b_base64(row[28]),
    ]
    return OrderState(*fields)


def _times_out(times: dict[str, int], t0: int) -> dict[str, int]:
    return {key: at - t0 for key, at in times.items()} if times else times


def _times_in(times: dict[str, int], t0: int) -> dict[str, int]:
    return {key: at + t0 for key, at in times.items()} if times else times
