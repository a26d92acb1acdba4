"""BRK-01: three payments in a row without an order suspend the intake of that channel.

    open --3rd miss in a row--> suspended --ticket closed, command, or the row broken in hindsight--> open

A miss is what identity says 60 s after a payment whose order is unknown; an order of the channel ends the row. So does
one that came between two payments, though both turn out to be misses only later. While the channel is suspended its
orders are held at the gate, in order of arrival; opened again, they all follow.

A row is broken in hindsight when the order of one of its payments comes after all: it was late, not lost, and there
were never three in a row. Five minutes after that the channel opens by itself, so that events in another order of
arrival end in the same states. Not every miss counts:

- Its payment must have been told while the gate held nothing back: the order of an earlier payment may be one that is,
  or was, held here, and must not suspend the channel that sent it properly.
- It must have been told within an hour of being paid: what is told later is history (a replay in no order, something
  sent again), and says nothing about the channel's intake now.
- A live worker must hear of it at once: where the channel's facts lie unread, its orders do, too, and are not missing.
- Its order must not be one that came and was refused for what it says (a default of ours: 256 codes are remembered).
"""

from __future__ import annotations

from typing import Any, Final

from .. import ids
from . import gate, values
from .outcome import LATE, Message, Outcome, Row
from .settings import Settings

RULE: Final = "BRK-01"
_RUNS: Final = 64
"""Runs of payments that are known of a channel; more of them within a minute are taken for one."""
_CODES: Final = (ids.ORDER_NO, ids.PLATFORM_TXN_NO, ids.INTERNAL_NO)


def waits(out: Outcome, channel: str, row: Row, fact: Message, settings: Settings) -> None:
    """A payment has come whose order is not known yet: the first one since the channel's last order begins a run."""
    if row.get("open") or not (fact.get("channel") or row["orders"]):
        return
    at: int = fact["event_time"]
    runs = [*row.get("runs", ()), at][-_RUNS:]
    while len(runs) > 1 and runs[1] < at - settings.payment_orphan_ms - 1:
        del runs[0]  # all its payments have been judged
    gate.saved(out, channel, {**row, "open": True, "runs": runs})


def miss(out: Outcome, channel: str, row: Row, fact: Message, settings: Settings) -> None:
    """A payment's order has not come in time."""
    # A payment that names no channel is told under who speaks, mostly a payment platform: no orders come from there.
    if not fact.get("channel") and not row["orders"]:
        return
    at: int = fact["event_time"]
    told_at = at - settings.payment_orphan_ms - 1
    if row["since"] is not None or gate.held(row) or told_at <= row["clear"] > 0:
        return
    if told_at - fact["paid_at"] > settings.history_ms or fact["code"][2] in row["refused"]:
        return
    run = max((begun for begun in row.get("runs", ()) if begun <= told_at), default=0)
    if run != row.get("run", 0):
        row = {**row, **gate.NO_MISSES, "run": run}
    missed = [*row["missed"], fact.get("first_event") or fact["event_id"]]
    new = {**row, "streak": row["streak"] + 1, "missed": missed, "lost": [*row["lost"], fact["code"]]}
    if new["streak"] >= settings.misses:
        code = values.ticket(channel, at)
        reason = f"{new['streak']} payments in a row without an order: {', '.join(missed)}"
        new = {**new, "since": at, "ticket": code}
        out.tell(channel, RULE, "open", at, reason=reason, ticket=code)
        detail = f"{reason}. Its orders are held in order of arrival until ticket {code} is closed"
        more: dict[str, Any] = {"source": fact.get("source"), "first_event": missed[0], "last_event": missed[-1]}
        out.alarm(_alert(channel), RULE, channel, at, "channel intake suspended", detail, **more)
    gate.saved(out, channel, new)


def arrived(out: Outcome, channel: str, row: Row, message: Message, now: int, settings: Settings) -> Row:
    """An order is held by the suspension: is it one of those that were missed?"""
    if row["found"] or not any(_names(message["fact"], channel, *code) for code in row["lost"]):
        return row
    out.timers.append((LATE, channel, now + settings.late_order_ms))
    return gate.saved(out, channel, {**row, "found": True})


def refused(out: Outcome, channel: str, row: Row, order: Message, now: int, settings: Settings) -> Row:
    """An order came that the contract refused. It is in dead-letters and needs mending, but the intake has not lost it:
    it ends a row of misses as any order does, and its payments are no misses."""
    codes = [order[kind] for kind in _CODES if order.get(kind)]
    row = {**row, "open": False, "refused": [*row["refused"], *codes][-settings.refused_codes :]}
    if row["since"] is None:
        return gate.saved(out, channel, {**row, **gate.NO_MISSES})
    return arrived(out, channel, gate.saved(out, channel, row), {"fact": order}, now, settings)


def late_due(out: Outcome, channel: str, row: Row | None, now: int) -> Row | None:
    """The row was broken in hindsight long enough ago."""
    if row is None or row["since"] is None or not row["found"]:
        return row
    return _opened(out, channel, row, now, "the order of one of its payments came late")


def _names(order: Message, channel: str, kind: str, scope: str, value: str) -> bool:
    """Whether an order is found by a code that a payment named."""
    if kind == ids.ORDER_NO:
        return bool(order[ids.ORDER_NO] == value and channel == scope)
    if kind == ids.ORDER_GUID:
        return ids.names(value, channel, order[ids.ORDER_NO])
    return bool(order.get(kind) == value)


def close_ticket(out: Outcome, channel: str, row: Row | None, fact: Message, now: int) -> Row | None:
    """Service closes a ticket; if it is that of the suspension, the channel opens. Other tickets are not ours."""
    if row is None or row["since"] is None or values.channel_of(fact.get("ticket_code")) != channel:
        return row
    code = fact["ticket_code"]
    if code != row["ticket"] and (code != _alert(channel) or fact["event_time"] < row["since"]):
        out.refused = f"channel {channel} is suspended by another ticket than the one that was closed"
        return row
    return _opened(out, channel, row, now, "its ticket was closed")


def command(out: Outcome, channel: str, row: Row | None, now: int) -> Row | None:
    """Operations open the channel."""
    if row is None or row["since"] is None:
        out.refused = f"channel {channel} is not suspended"
        return row
    return _opened(out, channel, row, now, "opened by command")


def _opened(out: Outcome, channel: str, row: Row, now: int, why: str) -> Row:
    """The caller lets go what was held."""
    waiting = gate.held(row)
    out.tell(channel, RULE, "close", now, reason=f"{why}; {waiting} held orders follow", ticket=row["ticket"])
    out.calm(_alert(channel), now)
    if row["found"]:
        out.timers.append((LATE, channel, None))
    new = {**row, **gate.NO_MISSES, "since": None, "ticket": None}
    return gate.saved(out, channel, new if waiting else {**new, "clear": now})


def _alert(channel: str) -> str:
    return f"{RULE}/{channel}"
