"""What is said on `stock-commands` (key: sku) and, as replies, on `order-facts` (key: order_guid).

A command concerns one order and one SKU and carries all lines of the order with that SKU. They are folded in order and
each sees the ones before, so a bundle cannot take the same unit twice. Everything is idempotent by (order_guid,
line_no): a command said twice is answered twice and changes nothing the second time.

    reserve   Try: hold the units until they are paid (INV-06), for longer once a deposit is. What cannot be held is
              refused, with a reason
    confirm   Confirm: the units are sold (INV-07). Stands alone: without a valid hold it tries again (INV-08)
    release   Cancel: the hold ends; after a confirm the same as `return`
    return    sold units come back to the sales pool (a refund before shipping)
    place     the goods are sent from this warehouse: units sold from the books of others are booked there; no reply
    virtual   the units enter or leave the virtual warehouse of orders awaiting confirmation (INV-14); no reply

Facts of warehouses, carts and operations travel on the same topic and have an `event_type` instead of `do`. Quantities
are units, times UTC milliseconds.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NotRequired, TypedDict

COMMANDS: Final = "stock-commands"
REPLIES: Final = "order-facts"
STATES: Final = "inventory-states"
LEDGER: Final = "stock-ledger"
BREAKS: Final = "oversell-breaks"
ALERTS: Final = "alert-facts"

RESERVE: Final = "reserve"
CONFIRM: Final = "confirm"
RELEASE: Final = "release"
RETURN: Final = "return"
PLACE: Final = "place"
VIRTUAL: Final = "virtual"
EXPIRE: Final = "expire"
"""Never a command: the `do` of the reply that tells an expiry."""

# Outcomes of a line.
HELD: Final = "held"
REFUSED: Final = "refused"
CONFIRMED: Final = "confirmed"
OVERSOLD: Final = "oversold"
RELEASED: Final = "released"
EXPIRED: Final = "expired"
RETURNED: Final = "returned"
UNMANAGED: Final = "unmanaged"
"""The SKU has no stock record: nothing is held, deducted or written for it."""

# Reasons of a refused line.
OUT_OF_STOCK: Final = "out_of_stock"
QUOTA_SPENT: Final = "quota_spent"
RESERVED_SHORT: Final = "reserved_short"
BAD_QUANTITY: Final = "bad_quantity"
TOO_MANY_LINES: Final = "too_many_lines"
TOO_MANY_UNITS: Final = "too_many_units"

STOCK_FACT: Final = "_stock"
"""`event_type` of a reply."""

Lines = list[list[int]]
"""[line_no, quantity] per line."""


class Reserve(TypedDict):
    """`at`: event time of the order. `round`: which attempt of the order this is; a released or expired line is held
    again only in a later round. `keep`: a deposit is paid, so the units are held until the rest is."""

    do: Literal["reserve"]
    sku: str
    order_guid: str
    lines: Lines
    at: int
    round: int
    channel: NotRequired[str | None]
    activity: NotRequired[str | None]
    warehouse: NotRequired[str | None]
    customer_id: NotRequired[str | None]
    keep: NotRequired[bool]


class Confirm(TypedDict):
    """`at`: event time of the payment. `lines` as in the reserve. `warehouse`: who has the order by now. `quiet`: the
    order knows the SKU as under no stock control, and need not hear that it still is."""

    do: Literal["confirm"]
    sku: str
    order_guid: str
    lines: Lines
    at: int
    round: int
    warehouse: NotRequired[str | None]
    quiet: NotRequired[bool]


class Release(TypedDict):
    """Also `return`. `why`: cancelled, refused, expired, refunded or closed; not used here. `sold`: the order was told
    that these lines are deducted, so one that is forgotten by now was."""

    do: Literal["release", "return"]
    sku: str
    order_guid: str
    lines: Lines
    at: int
    round: NotRequired[int]
    why: NotRequired[str]
    sold: NotRequired[bool]
    warehouse: NotRequired[str | None]


class Place(TypedDict):
    do: Literal["place"]
    sku: str
    order_guid: str
    lines: Lines
    at: int
    warehouse: str


class Virtual(TypedDict):
    do: Literal["virtual"]
    sku: str
    order_guid: str
    lines: Lines
    at: int
    enter: bool


class Reply(TypedDict):
    """One per command except `place` and `virtual`, and one per expiry.

    `lines`: [line_no, outcome, reason or null] and, where units are missing (refused as out_of_stock, or oversold), a
    fourth item: the options to offer (CUS-05, see `options`). `held_ms`: how long the units that this reply freed or
    sold were held, the longest of its lines; null if none was (INV-17).
    """

    event_type: Literal["_stock"]
    event_id: str
    event_time: int
    source: Literal["inventory"]
    topic: Literal["stock"]
    order_guid: str
    sku: str
    do: str
    round: int
    lines: list[list[Any]]
    held_ms: int | None


def reply(sku: str, order_guid: str, do: str, number: int, at: int, lines: list[list[Any]]) -> dict[str, Any]:
    """A reply; its event_id is a function of the command, so a repeated command is answered by the same event."""
    return {
        "event_type": STOCK_FACT,
        "event_id": f"{sku}/{do}/{number}/{at}",
        "event_time": at,
        "source": "inventory",
        "topic": "stock",
        "order_guid": order_guid,
        "sku": sku,
        "do": do,
        "round": number,
        "lines": lines,
        "held_ms": None,
    }
