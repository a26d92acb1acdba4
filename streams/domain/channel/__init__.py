"""Breakers of channels: what a fact about a channel, or a timer of it, leads to. One module per breaker.

    gate         orders pass or wait in order of arrival (BRK-03, and what BRK-01 holds back); bucket: its tokens
    suspension   BRK-01   payments without orders suspend a channel's intake
    silence      BRK-02   an interface says nothing any more
    backlog      BRK-06 and BRK-09   orders waiting in lanes, and what is switched off meanwhile
    requests     BRK-10   a slow or failing service
    health       BRK-12   share of good calls over 24 hours
    failed       FIN-09   orders that should have been created and were not
    pushes       INV-12   stock pushes to channels without a live API
    values       what operations write into `value`; which channel a fact goes to

`now` is processing time: the wall clock of a live worker, event time in a replay.
"""

from __future__ import annotations

from typing import Any, Final

from . import backlog, failed, gate, health, outcome, pushes, requests, silence, suspension, values
from .outcome import GATES, Get, Message, Outcome, Row
from .settings import Settings
from .values import COMMANDS, channel_of, concerns, key_of

__all__ = [
    "COMMANDS",
    "MISSED",
    "Outcome",
    "Settings",
    "channel_of",
    "concerns",
    "due",
    "key_of",
    "passes",
    "step",
    "time_of",
]

MISSED: Final = "paid_without_order"
"""Identity's word of a payment whose order has not come; `waited`: how long it lay unread, ms."""
WATCHED: Final = 64
"""Interfaces of a channel of which events count as signs of life; beyond that only heartbeats do."""
_PEOPLE: Final = frozenset({"ticket_opened", "ticket_closed", "manual_command", "approval", "reference_set"})
"""What people say about a channel is no sign of life of its interface."""


def passes(row: Row | None, channel: str, message: Message, settings: Settings) -> bool:
    """Whether the message is an order that goes on as it came, with nothing to note but that its interface lives (if
    there are `watched` ones): nearly every one."""
    if row is None or not row["plain"] or message.get("do") != "event" or settings.limit(channel):
        return False
    return not failed.is_found(row, message["fact"])


def step(get: Get, channel: str, message: Message, now: int, settings: Settings) -> Outcome:
    """One message at its channel: an order at the gate ("event", as identity takes it), "drain", or a fact."""
    out = Outcome()
    row = get(GATES, channel)
    do = message.get("do")
    if do == "event":
        before = gate.held(row)
        row = gate.admit(out, get, channel, row or gate.NEW, message, now, settings)
        row = failed.found(out, channel, row, message["fact"], now, settings)
        if row["since"] is not None:
            row = suspension.arrived(out, channel, row, message, now, settings)
        _alive(out, get, channel, row, message["fact"], now, settings)
        if gate.held(row) != before:
            backlog.weigh(out, get, channel, backlog.in_lanes(get, channel) + gate.held(row), now, settings)
    elif do == "drain":
        _drain(out, get, channel, row, now, settings)
    else:
        if row is not None and row["watched"] and _from_outside(message) and message["event_type"] not in _PEOPLE:
            _alive(out, get, channel, row, message, now, settings)
        known = _FACTS.get(message["event_type"])
        if known is not None:
            known(out, get, channel, row, message, now, settings)
    return out


def due(get: Get, kind: str, key: str, at: int, now: int, settings: Settings) -> Outcome:
    """A timer of `at` (ms) fires."""
    out = Outcome()
    if kind == outcome.TOKENS:
        _drain(out, get, key, get(GATES, key), now, settings)
    elif kind == outcome.LATE:
        before = get(GATES, key)
        _follow(out, get, key, before, suspension.late_due(out, key, before, now), now, settings)
    elif kind == outcome.SILENCE:
        silence.due(out, get, key, at, now, settings)
    elif kind == outcome.PROBE:
        requests.due(out, get, key, now)
    elif kind == outcome.CALM:
        backlog.calm_due(out, get, key, now, settings)
    elif kind == outcome.DEPTH:
        backlog.depths_due(out, get, key, now)
    elif kind == outcome.HEALTH_DUE:
        channel, _, month = key.partition("\0")
        failed.due(out, channel, get(GATES, channel), month, at, settings.health)
    elif kind == outcome.PUSH:
        pushes.due(out, get, key, at, now, settings)
    else:
        raise ValueError(f"channels knows no timer {kind!r}")
    return out


def time_of(message: Message) -> int:
    """Event time of what came in from outside; 0 for what our own agents say, who have told the time already."""
    if message.get("do") == "event":
        return int(message["fact"]["event_time"])
    return int(message["event_time"]) if _from_outside(message) else 0


def _from_outside(fact: Message) -> bool:
    return "topic" in fact


def _drain(out: Outcome, get: Get, channel: str, row: Row | None, now: int, settings: Settings) -> None:
    if row is None:
        return
    after = gate.drain(out, get, channel, row, now, settings)
    if gate.held(after) != gate.held(row):
        backlog.weigh(out, get, channel, backlog.in_lanes(get, channel) + gate.held(after), now, settings)


def _alive(out: Outcome, get: Get, channel: str, row: Row, fact: Message, now: int, settings: Settings) -> None:
    """Whatever an interface says is a sign of life (BRK-02); it goes by the name of who speaks, or of the channel."""
    watched = row["watched"]
    if watched:
        for name in dict.fromkeys((fact.get("source") or channel, channel)):
            if name in watched:
                silence.heard(out, get, channel, name, now, settings)


def _heartbeat(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    said, at = values.report(fact), fact["event_time"]
    row = row or gate.NEW
    if said.interface not in row["watched"] and len(row["watched"]) < WATCHED:
        gate.saved(out, channel, {**row, "watched": [*row["watched"], said.interface]})
    if said.interface not in (channel, fact["source"]) or said.interface not in row["watched"]:
        silence.heard(out, get, channel, said.interface, now, s)  # else it has been heard as whoever speaks
    event = f"{fact['source']}/{fact['event_id']}"
    if not health.is_known(get, channel, said, at, event):
        requests.reported(out, get, channel, said, at, now, s)
        health.reported(out, get, channel, said, at, event, now, s)
    if said.stock_push:
        pushes.pushed(out, get, channel, at, now, s)


def _miss(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    row = failed.missed(out, channel, row or gate.NEW, fact, now, s)
    if fact.get("waited", 0) <= s.away_ms:
        suspension.miss(out, channel, row, fact, s)


def _waits(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    suspension.waits(out, channel, row or gate.NEW, fact, s)


def _refused(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    row = suspension.refused(out, channel, row or gate.NEW, fact, now, s)
    failed.refused(out, channel, row, fact, now, s)


def _ticket(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    _follow(out, get, channel, row, suspension.close_ticket(out, channel, row, fact, now), now, s)


def _command(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    if fact["command"] in COMMANDS:
        _follow(out, get, channel, row, suspension.command(out, channel, row, now), now, s)


def _follow(
    out: Outcome, get: Get, channel: str, before: Row | None, row: Row | None, now: int, settings: Settings
) -> None:
    if row is not before:
        _drain(out, get, channel, row, now, settings)


def _lane(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    waiting = backlog.moved(out, get, channel, fact, now, s)
    backlog.weigh(out, get, channel, waiting + gate.held(row), now, s)


def _reference(out: Outcome, get: Get, channel: str, row: Row | None, fact: Message, now: int, s: Settings) -> None:
    value = values.parsed(fact)
    if value.get("kind") != "channel":
        return
    out.refused = values.wrong_with(value)
    if out.refused is not None:
        return
    if "qps" in value:
        gate.set_limit(out, channel, row or gate.NEW, value["qps"])
    if value.get("api") is not None:
        pushes.watch(out, get, channel, value["api"], now, s)


_FACTS: Final[dict[str, Any]] = {
    "payment_waits": _waits,
    MISSED: _miss,
    "_order_refused": _refused,
    "_lane": _lane,
    "heartbeat": _heartbeat,
    "ticket_closed": _ticket,
    "manual_command": _command,
    "reference_set": _reference,
}
