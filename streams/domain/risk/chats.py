"""RSK-02 #2, #6, #7 of a conversation: what counts of it, never the conversation itself.

One that names its order goes to it. One that names only a customer goes to the customer's row, and from there to each
order the customer placed within `chat_orders_ms` before it, whichever of chat and order is told first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.domain.order.dedup import event_key
from streams.domain.risk.outcome import Message
from streams.domain.risk.settings import Limits

_KINDS: Final = frozenset({"chat_opened", "chat_message", "ticket_opened"})


def said(text: str, limits: Limits) -> tuple[list[str], bool]:
    """The urgent words of a text, and whether it chases the order."""
    return [word for word in limits.urgent if word in text], any(word in text for word in limits.chasing)


def of_customer(fact: Mapping[str, Any], limits: Limits) -> tuple[str, Message] | None:
    """Key and message for the row of the customer; None where nothing counts. For a fact that names no order."""
    customer, kind = fact.get("customer_id"), fact["event_type"]
    if not customer or kind not in _KINDS:
        return None
    urgent, chasing = said(fact.get("text") or "", limits)
    opened = kind == "chat_opened"
    if not (opened or urgent or chasing):
        return None
    event = event_key(fact["source"], fact["event_id"]).hex()
    what = {"opened": opened, "urgent": urgent, "chasing": chasing}
    return f"customer/{customer}", {"do": "chat", "at": fact["event_time"], "event": event, **what}
