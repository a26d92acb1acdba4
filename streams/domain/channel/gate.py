"""The gate of a channel: orders on their way to identity pass, or are held back in order of arrival.

Two rules hold them back, one queue serves both, so that no order overtakes another of its channel:

- BRK-01: the channel is suspended. Everything is held until it is opened again.
- BRK-03: the channel has a limit and its tokens are used up. Held orders are let go in batches as tokens come back.

Row of a channel:

    orders    it has sent an order before: only then is a payment's source taken for a channel
    open      a payment waits for its order, and no order of the channel has come since
    runs      when the newest runs of such payments began, ms: an order between two payments ends a run
    streak    payments without an order in a row; missed: those, as topic/source/event_id; lost: the codes they named;
              run: the one they were told in
    refused   codes of the newest orders that came and were refused by the contract
    found     while suspended: the order of one of them has come after all
    since     suspended since, ms, or None; ticket: of the suspension
    clear     when the gate last held nothing back, ms
    head      number of the oldest held order; tail: of the next one to be held
    limited   told on channel-breaks that orders wait for tokens
    qps       a limit set by operations: None is the configured one, 0 none at all
    watched   interfaces that have sent a heartbeat (BRK-02)
    failed, gone, health   see failed; not there before the first
    plain     nothing of this but `watched` is to be looked at: the next order passes
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain import identity

from . import bucket
from .outcome import BUCKETS, FACTS, GATES, HELD, ORDERS, TOKENS, Get, Message, Outcome, Row
from .settings import Settings

RULE: Final = "BRK-03"
DRAIN: Final[Message] = {"do": "drain"}
"""To the channel itself, where more is to be let go than one turn should: the next turn goes on."""


def saved(out: Outcome, channel: str, row: Row) -> Row:
    """Writes the row with `plain` as it follows from the rest."""
    plain = (
        row["orders"]
        and not row["streak"]
        and not row.get("open")
        and row["since"] is None
        and row["head"] == row["tail"]
        and not row["qps"]
    )
    row = {**row, "plain": plain}
    out.writes.append((GATES, channel, row))
    return row


def held(row: Row | None) -> int:
    """How many orders the gate holds back."""
    return 0 if row is None else row["tail"] - row["head"]


def limit_of(row: Row, channel: str, settings: Settings) -> int:
    """Orders a second, or 0 without a limit."""
    own: int | None = row["qps"]
    return settings.limit(channel) if own is None else own


def admit(out: Outcome, get: Get, channel: str, row: Row, message: Message, now: int, settings: Settings) -> Row:
    """An order comes: it passes or is held. That it came at all ends a row of misses."""
    new = row
    if row["streak"] and row["since"] is None:
        new = {**new, **NO_MISSES}
    if not row["orders"]:
        new = {**new, "orders": True}
    if row.get("open"):
        new = {**new, "open": False}
    limit = limit_of(row, channel, settings)
    waiting = held(row)
    if row["since"] is None and not waiting:
        if not limit:
            out.passed = True
            return saved(out, channel, new) if new is not row else row
        tokens = bucket.settled(get(BUCKETS, channel), now)
        if tokens["used"] < limit:
            out.passed = True
            out.writes.append((BUCKETS, channel, bucket.take(tokens, 1, now)))
            return saved(out, channel, new) if new is not row else row
        out.timers.append((TOKENS, channel, bucket.back_at(tokens, 1, limit)))
    number: int = row["tail"]
    out.writes.append((HELD, _numbered(channel, number), message))
    if row["since"] is not None:  # for as long as it takes; a wait for tokens is short, and no time for more messages
        out.sends += identity.held_messages(message)  # payments of it wait for an order that is not missing (ID-08)
    new = {**new, "tail": number + 1}
    if limit and row["since"] is None:
        if not row["limited"]:
            new = {**new, "limited": True}
            _overflowed(out, channel, limit, waiting + 1, now)
        out.tell(channel, RULE, "queued", now, order_no=message["code"][2], position=waiting + 1, depth=waiting + 1)
    return saved(out, channel, new)


def drain(out: Outcome, get: Get, channel: str, row: Row, now: int, settings: Settings) -> Row:
    """Lets go what may go now, oldest first, and sees to it that the rest follows."""
    waiting = held(row)
    if not waiting or row["since"] is not None:
        return row
    limit = limit_of(row, channel, settings)
    count, new = min(waiting, settings.drain), dict(row)
    tokens: Row = bucket.FULL
    if limit:
        tokens = bucket.settled(get(BUCKETS, channel), now)
        count = max(0, min(count, limit - tokens["used"]))
        if count:
            tokens = bucket.take(tokens, count, now)
            out.writes.append((BUCKETS, channel, tokens))
    for number in range(row["head"], row["head"] + count):
        key = _numbered(channel, number)
        message = get(HELD, key)
        out.sends.append((ORDERS, message["code"][2], message))
        out.writes.append((HELD, key, None))
    new["head"] += count
    left = waiting - count
    if not left:
        new["clear"] = now
    elif limit and tokens["used"] >= limit:
        wanted = min(left, max(1, limit // settings.batches))
        out.timers.append((TOKENS, channel, bucket.back_at(tokens, wanted, limit)))
        if not row["limited"]:
            new["limited"] = True
            _overflowed(out, channel, limit, left, now)
    else:
        out.sends.append((FACTS, channel, DRAIN))
    if row["limited"]:
        if count:
            out.tell(channel, RULE, "released", now, depth=left, reason=f"{count} let go")
        if not left or not limit:
            new["limited"] = False
            out.tell(channel, RULE, "close", now, depth=left, reason="no order waits for a token")
    return saved(out, channel, new)


def set_limit(out: Outcome, channel: str, row: Row, qps: int | None) -> Row:
    """Operations set the limit of the channel; 0 takes it away. What is held follows at once, as the limit allows."""
    if qps == row["qps"]:
        return row
    if held(row):
        out.sends.append((FACTS, channel, DRAIN))
    return saved(out, channel, {**row, "qps": qps})


def _overflowed(out: Outcome, channel: str, limit: int, depth: int, now: int) -> None:
    reason = f"more than {limit} orders within a second; they wait in order and follow as tokens come back"
    out.tell(channel, RULE, "open", now, reason=reason, depth=depth)


def _numbered(channel: str, number: int) -> str:
    return f"{channel}\0{number:012x}"


NO_MISSES: Final[dict[str, Any]] = {"streak": 0, "missed": [], "lost": [], "run": 0, "found": False}

NEW: Final[dict[str, Any]] = {
    "orders": False,
    "open": False,
    "runs": [],
    **NO_MISSES,
    "refused": [],
    "since": None,
    "ticket": None,
    "clear": 0,
    "head": 0,
    "tail": 0,
    "limited": False,
    "qps": None,
    "watched": [],
    "plain": False,
}
"""A channel nothing has been said about."""
