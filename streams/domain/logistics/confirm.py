"""Asking the customer: the confirmation link and the voice calls of an order that was delivered (LOG-14, LOG-15).

One row per order:

    signed      first signature of the courier, of `waybill_no`
    confirmed   first word of the customer or their channel
    asked       what was sent: link, call 1, call 2

The link goes out at the signature, a call after more than 24 hours without a word, another after more than 72. What
came back as damaged, or as anything but a confirmation, is for people: no further call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from streams.domain.order.meanings import CONFIRMED
from streams.domain.rules.nodes import RANK

from .settings import Settings
from .watch import ALERTS, Send
from .waybill import Fact, rank_of

Row = dict[str, Any]

REQUESTS: Final = "customer-requests"
LINK, FIRST, SECOND, FORGET = "link", "call 1", "call 2", "forget"
DAMAGED: Final = "damaged"
"""`result` of a voice_call_result: the parcel was not intact."""

_WORDS: Final = frozenset({"buyer_confirmed", "confirmation_scanned"})
_SIGNED, _CONFIRMED = RANK["logistics_signed"], RANK["customer_signed"]


def concerns(fact: Fact) -> bool:
    """Whether the fact is a signature, or a word of the customer."""
    kind = fact["event_type"]
    if kind in _WORDS or kind in ("signed", "voice_call_result", "cancel_marked"):
        return True
    return rank_of(fact) >= _SIGNED


def observe(row: Row | None, fact: Fact) -> tuple[Row | None, list[Send]]:
    """The row after the fact (the same object if it says nothing new), and what is told at once."""
    kind, topic, at = fact["event_type"], fact.get("topic"), fact["event_time"]
    rank = rank_of(fact)
    new, sends = dict(row or {}), list[Send]()
    if topic == "couriers" and (kind == "signed" or rank >= _SIGNED):
        if at < new.get("signed", at + 1):
            new["signed"] = at
            new.setdefault("waybill_no", fact.get("waybill_no"))
    elif kind in _WORDS or kind == "cancel_marked" or (topic == "orders" and rank >= _CONFIRMED):
        new["confirmed"] = min(at, new.get("confirmed", at))
    elif kind == "voice_call_result":
        result = fact.get("result")
        if result == DAMAGED and "damaged" not in new:
            new["damaged"] = at
            sends.append(_damage(fact["order_guid"], at))
        elif result == CONFIRMED:
            new["confirmed"] = min(at, new.get("confirmed", at))
    return (row if new == (row or {}) else new), sends


def _damage(guid: str, at: int) -> Send:
    detail = "the customer says on the telephone that the parcel was damaged: ask for photos, offer to send again"
    said = {"do": "open", "rule": "LOG-15", "title": "delivered damaged", "detail": detail, "at": at}
    return ALERTS, f"LOG-15/damaged/{guid}", {**said, "order_guid": guid}


def due(row: Row, settings: Settings) -> Iterator[tuple[int, str]]:
    """(when, what) may come next, in no order."""
    signed = row.get("signed")
    last = max(row.get("signed", 0), row.get("confirmed", 0), row.get("damaged", 0))
    yield last + settings.kept_ms, FORGET
    if signed is None or "confirmed" in row or "damaged" in row:
        return
    asked = row.get("asked", ())
    for what, after in ((LINK, 0), (FIRST, settings.call_ms + 1), (SECOND, settings.call_again_ms + 1)):
        if what not in asked:
            yield signed + after, what


def next_due(row: Row | None, settings: Settings) -> int | None:
    """The earliest of it, ms."""
    return None if row is None else min(at for at, _ in due(row, settings))


def fire(guid: str, row: Row, at: int, now: int, settings: Settings) -> tuple[Row | None, list[Send]]:
    """The row (None: forgotten) and the requests after all that was due by `at`.

    A delivery told so late (`now`) that its link would be void is history, and nobody is asked about it; of two calls
    due at once one is made.
    """
    ready = sorted(item for item in due(row, settings) if item[0] <= at)
    what = [name for _, name in ready]
    if FORGET in what:
        return None, []
    if not what:
        return row, []
    row = {**row, "asked": sorted({*row.get("asked", ()), *what})}
    if now - row["signed"] > settings.link_ms:
        return row, []
    calls = [name for name in what if name != LINK][-1:]
    wanted = ([LINK] if LINK in what and not calls else []) + calls
    return row, [_request(guid, row, name, at, settings) for name in wanted]


def _request(guid: str, row: Row, what: str, at: int, settings: Settings) -> Send:
    kind, attempt = ("confirm_link", 1) if what == LINK else ("voice_call", 1 if what == FIRST else 2)
    request = {
        "request_id": f"{kind}/{guid}/{attempt}",
        "kind": kind,
        "order_guid": guid,
        "waybill_no": row.get("waybill_no"),
        "attempt": attempt,
        "at": at,
        "expires_at": at + settings.link_ms if what == LINK else None,
    }
    return REQUESTS, guid, request
