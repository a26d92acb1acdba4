"""`logistics`: watches the waybills of every order (`streams.domain.logistics`)."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from streams.agents.beside import FOR_THE_ORDER
from streams.agents.outcome import send
from streams.domain import logistics as rules
from streams.domain.logistics import confirm
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context
from streams.engine.agent import TableSpec

FACTS: Final = "order-facts"

logistics = Agent(
    "logistics",
    sources=(FACTS,),
    writes=(rules.CALLS, confirm.REQUESTS, rules.arrival.FACTS, rules.ALERTS, confirm.ORDERS),
    skips=FOR_THE_ORDER,
    aside=True,
    clock=Clock.EVENTS,
)
WAYBILLS = logistics.table("waybills")
CONFIRMATIONS = logistics.table("confirmations")
DESTINATIONS = logistics.table("destinations", kept=0.2)
"""[told at, province, city, carrier?, price?, currency?] by order: read when a waybill comes up, is picked up and
arrives, and when money goes back."""

TIMER: Final = "waybills"
_ADDRESSED: Final = frozenset({"order_created", "address_changed"})
ASK: Final = "ask"
"""Timer of the questions to the customer."""
_SETTINGS = data.logistics()
_ONE_PARCEL: Final[tuple[int | None, int | None]] = (None, None)
"""Of an order of one parcel that nobody closed nothing more is known."""


@logistics.fold
def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
    guid = fact["order_guid"]
    if fact["event_type"] in _ADDRESSED:
        known = ctx[DESTINATIONS].get(guid)
        place = rules.arrival.destination(known, fact)
        if place is not None and place is not known:
            ctx[DESTINATIONS][guid] = place
    asks, about = confirm.concerns(fact, _SETTINGS), _ONE_PARCEL
    outcome = None
    if rules.concerns(fact):
        before = ctx[WAYBILLS].get(guid)
        outcome = rules.step(
            before,
            fact,
            ctx.now,
            _SETTINGS,
            partial(_destination, ctx, guid),
            partial(_carrier, ctx, guid),
            partial(_price, ctx, guid),
        )
        if outcome.rows is not before:
            _store(ctx, WAYBILLS, guid, outcome.rows)
            _time(ctx, TIMER, guid, rules.next_due(before, _SETTINGS), rules.next_due(outcome.rows, _SETTINGS))
        send(ctx, outcome.sends)
        if outcome.rows is not None and (asks or outcome.rows is not before):
            whole = rules.whole_at(outcome.rows, _SETTINGS.probe_for_ms)
            about = whole, rules.over_since(outcome.rows, partial(_price, ctx, guid))
    if asks or about != _ONE_PARCEL:
        row = ctx[CONFIRMATIONS].get(guid)
        new, sends = confirm.observe(row, fact, _SETTINGS) if asks else (row, [])
        if new is not None and outcome is not None and outcome.rows is not None:
            new, more = confirm.know(guid, new, *about)
            sends += more
        if new is not row and new is not None:
            # What is due already goes out now: whether the next fact about the order shares this turn must not matter.
            new, more = confirm.fire(guid, new, fact["event_time"], ctx.now, _SETTINGS)
            sends += more
            _store(ctx, CONFIRMATIONS, guid, new)
            _time(ctx, ASK, guid, confirm.next_due(row, _SETTINGS), confirm.next_due(new, _SETTINGS))
        send(ctx, sends)


@logistics.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    if kind == TIMER:
        rows = ctx[WAYBILLS].get(key)
        if rows is not None:
            outcome = rules.due(key, rows, due, _SETTINGS)
            if outcome.rows != rows:
                _store(ctx, WAYBILLS, key, outcome.rows)
            if outcome.rows is None and key in ctx[DESTINATIONS]:
                del ctx[DESTINATIONS][key]
            _time(ctx, TIMER, key, None, outcome.following)
            send(ctx, outcome.sends)
        return
    row = ctx[CONFIRMATIONS].get(key)
    if row is not None:
        left, sends = confirm.fire(key, row, due, ctx.now, _SETTINGS)
        if left != row:
            _store(ctx, CONFIRMATIONS, key, left)
        _time(ctx, ASK, key, None, confirm.next_due(left, _SETTINGS))
        send(ctx, sends)


@logistics.time_of
def time_of(fact: dict[str, Any]) -> int:
    at: int = fact["event_time"]
    return at


def _destination(ctx: Context, guid: str) -> rules.arrival.Place:
    row = ctx[DESTINATIONS].get(guid)
    return rules.arrival.NOWHERE if row is None else (row[1], row[2])


def _carrier(ctx: Context, guid: str) -> str | None:
    return rules.arrival.carrier_of(ctx[DESTINATIONS].get(guid))


def _price(ctx: Context, guid: str) -> tuple[int, str | None] | None:
    return rules.arrival.price_of(ctx[DESTINATIONS].get(guid))


def _store(ctx: Context, table: TableSpec, guid: str, row: Any) -> None:
    if row is None:
        del ctx[table][guid]
    else:
        ctx[table][guid] = row


def _time(ctx: Context, kind: str, guid: str, before: int | None, after: int | None) -> None:
    """See to it that the timer of the order fires by `after`, ms, if it did by `before`; None: never.

    What is put off leaves the timer where it is: each scan of a parcel puts something off, and a timer that finds
    nothing due costs less than one that is moved with each of them.
    """
    if after is None:
        if before is not None:
            ctx.timers.cancel(kind, guid)
    elif before is None or after < before:
        ctx.timers.set(kind, guid, after)
