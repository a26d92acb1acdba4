"""Waybills under way: what a fact about an order, or a timer of it, leads to.

    waybill    what is known of each waybill of the order
    watch      LOG-01 not accepted, LOG-02 not picked up, LOG-03 stalled, LOG-06 probed, LOG-11 complained about
    confirm    LOG-14, LOG-15: the customer is asked whether all is well
    arrival    LOG-16: how long lanes take, and when a parcel will arrive
    calls      LOG-07: quotas of the couriers' interfaces; out of it come the requests
    interfaces LOG-07: whitelist and callback of the couriers' back-offices
    settings   every number

Here: LOG-04 and LOG-10 (signatures told late), LOG-09 (looked up at once for customer service). `now` is stream time,
so a late signature is late against what else has come in, and history that is read as a whole is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from streams.domain.ids import WAYBILL_NO
from streams.domain.order import money
from streams.domain.order.meanings import CODE_REJECTED, REFRESH
from streams.domain.status_map import says_closed

from . import arrival, confirm, interfaces, watch, waybill
from .calls import REQUESTS
from .calls import step as called
from .settings import Settings
from .watch import ALERTS, CALLS, Send
from .waybill import Fact, Rows, over_since, whole_at

__all__ = [
    "ALERTS",
    "CALLS",
    "REQUESTS",
    "Outcome",
    "Send",
    "Settings",
    "arrival",
    "called",
    "concerns",
    "confirm",
    "due",
    "interfaces",
    "next_due",
    "over_since",
    "step",
    "whole_at",
]

_TOPICS: Final = frozenset({"wms", "orders"})
_ABOUT_ALL: Final = frozenset({"complaint", "cancel_marked", "refund_settled"})
"""What is said of an order's waybills without naming them."""


@dataclass(slots=True)
class Outcome:
    """`rows` is the object given if there is nothing to store, None if nothing is left to watch. `following`: of `due`
    alone, what `next_due` says of the rows."""

    rows: Rows | None
    sends: list[Send] = field(default_factory=list)
    following: int | None = None


Destination = Callable[[], arrival.Place]
"""Where the order goes to; asked for only where a parcel is picked up or arrives."""


Carrier = Callable[[], str | None]
"""Who is to carry it by the word of the shop; asked for only where a waybill comes up that no courier spoke of."""


def nowhere() -> arrival.Place:
    """Of an order whose destination nobody told."""
    return arrival.NOWHERE


def nobody() -> str | None:
    """Of an order whose carrier nobody told."""
    return None


Price = Callable[[], "tuple[int, str | None] | None"]
"""What the order costs, and in which currency; asked for only where money goes back."""


def unknown() -> None:
    """Of an order whose price nobody told."""


def concerns(fact: Fact) -> bool:
    """Whether the fact may say something of a waybill; nearly all do not, and need no look at the rows."""
    kind = fact["event_type"]
    if kind in _ABOUT_ALL or says_closed(fact) or waybill.leaves(fact):
        return True
    if kind == CODE_REJECTED:
        return bool(fact["code_kind"] == WAYBILL_NO)
    if fact.get("topic") == "couriers":
        return True
    return "waybill_no" in fact and (fact.get("topic") in _TOPICS or kind == "manual_command")


def step(
    rows: Rows | None,
    fact: Fact,
    now: int,
    settings: Settings,
    destination: Destination = nowhere,
    carrier: Carrier = nobody,
    price: Price = unknown,
) -> Outcome:
    """One fact about the order."""
    guid, at = fact["order_guid"], fact["event_time"]
    if fact["event_type"] == "manual_command":
        return _refresh(rows, fact, settings)
    if fact["event_type"] == "refund_settled":
        costs = price()
        if costs is None or (costs[1] and money.refusal(costs[1], fact) is not None):
            return Outcome(rows)
        new = waybill.refunded(rows, fact, costs[0])
    else:
        new = waybill.observe(rows, fact, settings.courier_of)
    out = Outcome(new)
    if new is rows or new is None:
        return out
    before = rows or {}
    for number, row in new.items():
        old = before.get(number)
        if row is old or number == waybill.ORDER:
            continue
        if "ended" in row and "ended" not in (old or {}):
            _late(out, guid, number, row, now - at, now, settings)
        settled, sends = watch.settle(guid, number, old, row, at, settings)
        out.sends += sends
        if old is None and (named := _named(row, carrier, settings)):
            settled = {**settled, "carrier": named}
        if arrival.is_news(settled):
            settled, said = arrival.tell(guid, number, settled, destination())
            out.sends.append(said)
        if settled is not row:
            out.rows = {**(out.rows or {}), number: settled}
    return out


def _named(row: waybill.Row, carrier: Carrier, settings: Settings) -> str | None:
    """LOG-01: whom to push a new waybill to while its courier has not said a word."""
    if row.get("courier", waybill.PROBED) != waybill.PROBED:
        return None
    named = carrier()
    return None if named is None else waybill.kept_name(named, settings.courier_of)


def _late(out: Outcome, guid: str, number: str, row: waybill.Row, lag: int, now: int, settings: Settings) -> None:
    """LOG-04, LOG-10: one alert per courier that counts, not one per parcel; it names the newest."""
    courier = row.get("courier")
    for rule, limit, title in (
        ("LOG-04", settings.signed_ms, "signature told late"),
        ("LOG-10", settings.stale_ms, "customers looked at an old state"),
    ):
        if limit < lag <= settings.history_ms:
            detail = f"{courier} told of a signature {lag // 60_000} min after it: waybill {number}"
            said = {"do": "count", "rule": rule, "title": title, "detail": detail, "at": now, "source": courier}
            out.sends.append((ALERTS, f"{rule}/{courier}", {**said, "order_guid": guid}))


def _refresh(rows: Rows | None, fact: Fact, settings: Settings) -> Outcome:
    number, at = fact["waybill_no"], fact["event_time"]
    row = (rows or {}).get(number) if number else None
    if fact.get("command") != REFRESH or rows is None or row is None:
        return Outcome(rows)
    if at - row.get("refreshed", 0) < settings.refresh_ms:
        return Outcome(rows)
    wish = watch.call(watch.REFRESH, fact["order_guid"], number, waybill.asked_of(row), at, 0)
    return Outcome({**rows, number: {**row, "refreshed": at}}, [wish])


def due(guid: str, rows: Rows, now: int, settings: Settings) -> Outcome:
    """The order's timer fires: all that is due by `now`."""
    out, left = Outcome(None), {}
    for number, row in rows.items():
        kept, sends, at = watch.fire(guid, number, row, now, settings)
        out.sends += sends
        if kept is not None:
            left[number] = kept
            out.following = at if out.following is None else min(at, out.following)
    out.rows = left or None
    return out


def next_due(rows: Rows | None, settings: Settings) -> int | None:
    """When something is to be done about any of the waybills, ms."""
    return min([watch.next_due(row, settings) for row in rows.values()]) if rows else None
