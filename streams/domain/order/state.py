"""What is kept of one order, and its compact row.

Reducers never change a state they were given: they change a `copy()`, and put new dicts and lists in place of the
ones they touch. All times but `created_at` are ms after `created_at` (negative before it): short in the row, and the
row is the state as it stands. All amounts are minor units.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, NamedTuple

from streams.domain.order import asides, reserved
from streams.domain.rules.nodes import STATES

Fact = dict[str, Any]
"""One event about the order: its fields by contract name, with `topic`, `digest`, `order_guid` and perhaps `mapped`."""

ROW_VERSION: Final = 1
_NODES, _SEEN, _STOCK, _WAIT, _ASIDE = 11, 27, 28, 32, 34
"""Places of the fields that are no JSON values. Rows that were written before there was stock end before it."""

Claim = list[Any]
"""[raw, rank of the state or -1, at], and a fourth item, a list of flags, if the status holds any while it lasts."""


class Wait(NamedTuple):
    """The SLA of the node the order is at (see sla). Times are ms after the order's creation."""

    node: int
    entered: int
    due: int | None = None
    """When somebody is told next; None for never."""
    wake: int | None = None
    """Where the order's timer stands; not after `due`."""
    raised: int = 0
    """Alerts that are open, as bits."""


_empty: Final = object.__new__
"""Without the fields, which a copy sets all the same: twice as fast as through the constructor."""


class RowError(ValueError):
    """A stored row that this version cannot read."""


@dataclass(slots=True)
class OrderState:
    """One order. All but `version`, `seen`, `stock`, `lane`, `risk`, `wait`, `aside` and `arrivals` is a function of
    the set of events, in whatever order; `lane` waits for the stock's first word as well, `wait` and `aside` keep when
    each was told."""

    created_at: int
    """ms since the epoch: the event time of the order_created."""
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
    """Latest of the accepted events."""
    reached: list[int | None] = field(default_factory=lambda: [None] * len(STATES))
    """Earliest authoritative claim of each atomic state, by rank."""
    nodes: dict[int, int] = field(default_factory=dict)
    """Fine node -> when: the earliest time, for the nodes of a loop the latest."""
    claims: dict[str, Claim] = field(default_factory=dict)
    """Source, or source NUL field where its fields hold the order each by itself -> its latest claim; by name."""
    marks: dict[str, int] = field(default_factory=dict)
    """Flags that stay once told -> earliest time told; also `invoiced`."""

    txns: dict[str, int] = field(default_factory=dict)
    """Code -> its first mention, by event time; this and the next three."""
    internals: dict[str, int] = field(default_factory=dict)
    waybills: dict[str, int] = field(default_factory=dict)
    packages: dict[str, int] = field(default_factory=dict)
    rejected: list[list[Any]] = field(default_factory=list)
    """[kind, code, guid it is bound to, when told, when settled] of pairings that identity refused, the last only once
    somebody saw to it; sorted. Rows of before have the first three."""

    paid_minor: int = 0
    refunded_minor: int = 0
    money: dict[str, list[int | None]] = field(default_factory=dict)
    """Key of a money event -> [amount, refunds negative; line_no; when]: no amount counts twice, however late repeated.
    In rows of before, a payment has no time, and neither has a refund in older ones."""
    unmapped: list[list[Any]] = field(default_factory=list)
    """[at, event key, topic, source, raw field, raw status] of events whose status no map knows; sorted."""

    rank: int = 0
    """Derived, kept to spare the work: the highest rank reached, the node, and the flags as bits."""
    node: int = 0
    flags: int = 0

    version: int = 0
    seen: bytes = b""
    """Fixed-size entries, see dedup."""

    stock: reserved.Stock | None = None
    """What was asked and told about its units; None where nothing is under stock control."""
    tier: int = 0
    """BRK-05, derived: 1 to 3; 0 until the first change after there were tiers."""
    lane: int = 0
    """BRK-06, derived: the lane in which the order stands, see lanes."""
    risk: list[Any] | None = None
    """[score, whether it is locked, since when if it is], by the risk agent, which tells it from the score of an orange
    alert on."""
    wait: Wait | None = None
    """ST-10, ST-15: what is due at its node; None where nothing is."""
    error: list[Any] | None = None
    """[at, text] of the last error that was told of the order."""
    aside: asides.Aside | None = None
    """What only some orders have; what is due in it was told when `wait` was."""
    arrivals: dict[str, list[Any]] = field(default_factory=dict)
    """Waybill -> [picked up, arrives, basis], by the estimates agent: follows from the parcels told of by then."""
    address: list[Any] | None = None
    """[when told, fingerprint] of the shipping address told last (TAX-07)."""

    def copy(self) -> OrderState:
        """A shallow copy: replace its dicts and lists, do not change them."""
        new = _empty(OrderState)
        new.created_at = self.created_at
        new.channel = self.channel
        new.order_no = self.order_no
        new.customer_id = self.customer_id
        new.sales_type = self.sales_type
        new.alias18 = self.alias18
        new.total_minor = self.total_minor
        new.currency = self.currency
        new.lines = self.lines
        new.updated_at = self.updated_at
        new.reached = self.reached
        new.nodes = self.nodes
        new.claims = self.claims
        new.marks = self.marks
        new.txns = self.txns
        new.internals = self.internals
        new.waybills = self.waybills
        new.packages = self.packages
        new.rejected = self.rejected
        new.paid_minor = self.paid_minor
        new.refunded_minor = self.refunded_minor
        new.money = self.money
        new.unmapped = self.unmapped
        new.rank = self.rank
        new.node = self.node
        new.flags = self.flags
        new.version = self.version
        new.seen = self.seen
        new.stock = self.stock
        new.tier = self.tier
        new.lane = self.lane
        new.risk = self.risk
        new.wait = self.wait
        new.error = self.error
        new.aside = self.aside
        new.arrivals = self.arrivals
        new.address = self.address
        return new


def line_of(line: dict[str, Any]) -> list[Any]:
    """A line of an order_created, as `lines` has it."""
    gift = int(bool(line.get("is_gift")))
    return [line.get("line_no"), line.get("sku"), line.get("quantity"), line.get("unit_price_minor"), gift]


def to_row(state: OrderState) -> list[Any]:
    """The state as a list of JSON values, in the order of the fields; new fields go to the end."""
    row: list[Any] = [
        ROW_VERSION,
        state.created_at,
        state.channel,
        state.order_no,
        state.customer_id,
        state.sales_type,
        state.alias18,
        state.total_minor,
        state.currency,
        state.lines,
        state.updated_at,
        state.reached,
        [*chain.from_iterable(state.nodes.items())],
        state.claims,
        state.marks,
        state.txns,
        state.internals,
        state.waybills,
        state.packages,
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
        None if state.stock is None else reserved.to_row(state.stock),
        state.tier,
        state.lane,
        state.risk,
    ]
    tail = [
        None if state.wait is None else [*state.wait],
        state.error,
        None if state.aside is None else asides.to_row(state.aside),
        state.arrivals,
        state.address,
    ]
    while tail and not tail[-1]:
        tail.pop()
    if len(tail) == 1:
        tail.append(None)  # older programs read both or none
    return row + tail


def from_row(row: list[Any]) -> OrderState:
    """The inverse of `to_row`, which keeps the lists and dicts of `row`. Raises RowError for another version."""
    if not row or row[0] != ROW_VERSION:
        raise RowError(f"order row of version {row[0] if row else None}, this program reads {ROW_VERSION}")
    fields = row[1:]
    fields[_NODES] = dict(zip(row[_NODES + 1][::2], row[_NODES + 1][1::2], strict=True))
    fields[_SEEN] = a2b_base64(fields[_SEEN])
    if len(fields) > _STOCK and fields[_STOCK] is not None:
        fields[_STOCK] = reserved.from_row(fields[_STOCK])
    if len(fields) > _WAIT and fields[_WAIT] is not None:
        fields[_WAIT] = Wait(*fields[_WAIT])
    if len(fields) > _ASIDE and fields[_ASIDE] is not None:
        fields[_ASIDE] = asides.from_row(fields[_ASIDE])
    return OrderState(*fields)
