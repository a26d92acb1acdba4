"""What is counted beyond one order: by customer, by ip and day, by warehouse (RSK-02 #1, #3, #9, #10).

Each row lives on the partition of its key and hears of its orders by message, so a count is exact through every
rebalance. What it finds goes back to the orders, again by message.

    customer/ID      addresses [[at, event, guid]], orders [[at, guid]], cancels [[at, guid]], chats [[at, event,
                     opened, urgent words, chasing]] of those that name no order
    ip/HASH/DAY      refunds [[at, event, guid]]
    warehouse/NAME   prints [[minute, sum of ms, number]]
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain import calendar
from streams.domain.risk.order import ADDRESS_EVIDENCE
from streams.domain.risk.outcome import COUNTS, FORGET, Get, Message, Outcome, Row
from streams.domain.risk.settings import Limits

KEPT: Final = 256
"""Entries of a kind of one customer or ip: what is older matters no more, and one bot must not grow a row for ever."""
_CHAT: Final = ("at", "event", "opened", "urgent", "chasing")
_ADDRESS_MEMORY_MS: Final = 7 * calendar.DAY_MS


def step(get: Get, key: str, message: Message, limits: Limits) -> Outcome:
    """One message at the row of what is counted. One that was counted before changes nothing."""
    out = Outcome()
    row = get(COUNTS, key)
    new = _DO[message["do"]](out, row or {}, message, limits)
    if new is not None:
        out.writes.append((COUNTS, key, new))
        if row is None:
            out.timers.append((FORGET, key, message["at"] + limits.cancel_memory_ms + 1))
    return out


def due(get: Get, key: str, at: int, limits: Limits) -> Outcome:
    """A row is looked at again: what is too old to matter goes, and with the last of it the row."""
    out = Outcome()
    row = get(COUNTS, key)
    if row is None:
        return out
    oldest = at - limits.cancel_memory_ms
    new: dict[str, Any] = {}
    for name, entries in row.items():
        unit = calendar.MINUTE_MS if name == "prints" else 1
        if kept := [entry for entry in entries if entry[0] * unit >= oldest]:
            new[name] = kept
    out.writes.append((COUNTS, key, new or None))
    if new:
        out.timers.append((FORGET, key, at + limits.cancel_memory_ms + 1))
    return out


def _address(out: Outcome, row: Row, message: Message, limits: Limits) -> dict[str, Any] | None:
    entry = [message["at"], message["event"], message["guid"]]
    known = row.get("addresses", [])
    if entry in known:
        return None
    for at, _, guid in known:
        if abs(at - entry[0]) <= limits.address_window_ms:
            for about in dict.fromkeys((guid, entry[2])):
                _signal(out, about, "address_change", max(at, entry[0]), ADDRESS_EVIDENCE)
    return {**row, "addresses": _kept([*known, entry], _ADDRESS_MEMORY_MS)}


def _order(out: Outcome, row: Row, message: Message, limits: Limits) -> dict[str, Any] | None:
    entry = [message["at"], message["guid"]]
    if entry in row.get("orders", ()):
        return None
    for cancel in row.get("cancels", ()):
        _regretted(out, entry, cancel, limits)
    for chat in row.get("chats", ()):
        _chatted(out, entry, chat, limits)
    return {**row, "orders": _kept([*row.get("orders", ()), entry], limits.cancel_memory_ms)}


def _cancel(out: Outcome, row: Row, message: Message, limits: Limits) -> dict[str, Any] | None:
    entry = [message["at"], message["guid"]]
    if entry in row.get("cancels", ()):
        return None
    for order in row.get("orders", ()):
        _regretted(out, order, entry, limits)
    return {**row, "cancels": _kept([*row.get("cancels", ()), entry], limits.cancel_memory_ms)}


def _chat(out: Outcome, row: Row, message: Message, limits: Limits) -> dict[str, Any] | None:
    entry = [message[name] for name in _CHAT]
    if entry in row.get("chats", ()):
        return None
    for order in row.get("orders", ()):
        _chatted(out, order, entry, limits)
    return {**row, "chats": _kept([*row.get("chats", ()), entry], limits.chat_orders_ms)}


def _chatted(out: Outcome, order: list[Any], chat: list[Any], limits: Limits) -> None:
    if 0 <= chat[0] - order[0] <= limits.chat_orders_ms:
        out.count(order[1], {"do": "chatted", **dict(zip(_CHAT, chat, strict=True))})


def _regretted(out: Outcome, order: list[Any], cancel: list[Any], limits: Limits) -> None:
    if order[1] != cancel[1] and 0 <= order[0] - cancel[0] <= limits.cancel_memory_ms:
        hours = limits.cancel_window_ms // calendar.HOUR_MS
        evidence = f"an earlier order was cancelled within {hours} h of its payment"
        _signal(out, order[1], "earlier_cancellation", order[0], evidence)


def _refund(out: Outcome, row: Row, message: Message, limits: Limits) -> dict[str, Any] | None:
    entry = [message["at"], message["event"], message["guid"]]
    known = row.get("refunds", [])
    if entry in known or len(known) >= KEPT:
        return None
    asked = sorted([*known, entry])
    if len(asked) >= limits.ip_refunds:
        reached = asked[limits.ip_refunds - 1][0]
        # Below the limit nobody was told; on it everybody is, beyond it only who is new.
        for at, _, guid in asked if len(asked) == limits.ip_refunds else [entry]:
            evidence = f"{limits.ip_refunds} refund requests from one ip in a day"
            _signal(out, guid, "ip_refunds", max(at, reached), evidence)
    return {**row, "refunds": asked}


def _print(out: Outcome, row: Row, message: Message, limits: Limits) -> dict[str, Any]:
    """RSK-02 #3: judged when it comes, against the prints of the hour before it, kept by the minute."""
    minute, ms = message["at"] // calendar.MINUTE_MS, message["ms"]
    prints: list[list[int]] = row.get("prints", [])
    hour = limits.label_window_ms // calendar.MINUTE_MS
    judged = [entry for entry in prints if minute - hour <= entry[0] <= minute]
    total, number = sum(entry[1] for entry in judged), sum(entry[2] for entry in judged)
    if number >= limits.label_samples and 100 * ms * number >= (100 + limits.label_surge_percent) * total > 0:
        more = 100 * (ms * number - total) // total
        _signal(
            out, message["guid"], "label_surge", message["at"], f"label took {ms} ms, {more} % over the hour's mean"
        )
    rest = {entry[0]: entry for entry in prints}
    _, before, count = rest.get(minute, (minute, 0, 0))
    rest[minute] = [minute, before + ms, count + 1]
    newest = max(rest)
    return {"prints": [rest[when] for when in sorted(rest) if when >= newest - 2 * hour]}


_DO: Final[dict[str, Any]] = {
    "address": _address,
    "order": _order,
    "cancel": _cancel,
    "chat": _chat,
    "refund": _refund,
    "print": _print,
}


def _kept(entries: list[list[Any]], memory_ms: int) -> list[list[Any]]:
    entries = sorted(entries)
    newest = entries[-1][0]
    return [entry for entry in entries if entry[0] >= newest - memory_ms][-KEPT:]


def _signal(out: Outcome, guid: str, kind: str, at: int, evidence: str) -> None:
    out.count(guid, {"do": "signal", "type": kind, "at": at, "evidence": evidence, "guid": guid})
