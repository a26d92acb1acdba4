"""The input vocabulary of contract.md section 1, and how an input event becomes a fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from . import ids
from .order.meanings import REFRESH

Fact = dict[str, Any]
Route = Literal["order", "perhaps_order", "stock", "cart", "set", "channel", "period", "tax"]
"""order = the event must name one; perhaps_order = to the order if it names one, else to its channel; set = to whom its
value is about; period = to every order; tax = to the invoice that was asked for."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What one event type of one topic needs: `required` fields, and `one_of` fields that may replace a code."""

    topic: str
    event_type: str
    route: Route
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()


_MONEY: Final = ("amount_minor", "currency")
_STOCK: Final = ("sku", "warehouse", "quantity")

_SPECS: Final = (
    Spec("orders", "order_created", "order", ("channel", "order_no", "lines")),
    Spec("orders", "cart_added", "cart", ("lines",)),
    Spec("orders", "address_changed", "order"),
    Spec("orders", "status_changed", "order", ("raw_status",)),
    Spec("orders", "cancel_requested", "order"),
    Spec("orders", "cancel_marked", "order"),
    Spec("orders", "buyer_confirmed", "order"),
    Spec("orders", "refund_requested", "order"),
    Spec("orders", "invoice_requested", "order"),
    Spec("orders", "complaint", "order"),
    Spec("payments", "payment_succeeded", "order", _MONEY),
    Spec("payments", "payment_failed", "order"),
    Spec("payments", "deposit_paid", "order", _MONEY),
    Spec("payments", "balance_paid", "order", _MONEY),
    Spec("payments", "refund_settled", "order", _MONEY),
    Spec("payments", "fee_charged", "order", _MONEY),
    Spec("couriers", "waybill_accepted", "order"),
    Spec("couriers", "picked_up", "order"),
    Spec("couriers", "scanned", "order"),
    Spec("couriers", "out_for_delivery", "order"),
    Spec("couriers", "signed", "order"),
    Spec("couriers", "exception", "order"),
    Spec("couriers", "probe_result", "order"),
    Spec("wms", "allocated", "order"),
    Spec("wms", "label_print_started", "order"),
    Spec("wms", "label_printed", "order"),
    Spec("wms", "label_print_failed", "order"),
    Spec("wms", "picking_started", "order"),
    Spec("wms", "quality_checked", "order"),
    Spec("wms", "packed", "order"),
    Spec("wms", "loaded", "order"),
    Spec("wms", "package_scanned", "order"),
    Spec("wms", "stock_received", "stock", _STOCK),
    Spec("wms", "stock_moved", "stock", (*_STOCK, "pool", "to_pool")),
    Spec("wms", "stock_snapshot", "stock", _STOCK),
    Spec("service", "chat_opened", "perhaps_order", (), ("customer_id",)),
    Spec("service", "chat_message", "perhaps_order", (), ("customer_id",)),
    Spec("service", "voice_call_result", "order"),
    Spec("service", "confirmation_scanned", "order"),
    Spec("service", "ticket_opened", "perhaps_order", (), ("customer_id", "ticket_code")),
    Spec("service", "ticket_closed", "perhaps_order", (), ("customer_id", "ticket_code")),
    Spec("ops", "heartbeat", "channel"),
    Spec("ops", "manual_command", "perhaps_order", ("command",), ("target", "channel")),
    Spec("ops", "approval", "perhaps_order", ("request_id",), ("request_id",)),
    Spec("ops", "quota_set", "set", ("value",)),
    Spec("ops", "activity_set", "set", ("value",)),
    Spec("ops", "reference_set", "set", ("value",)),
    Spec("finance", "receipt_recorded", "order", _MONEY),
    Spec("finance", "posted", "order"),
    Spec("finance", "settled", "order"),
    Spec("finance", "bi_total", "period", ("channel", "amount_minor", "currency", "period")),
    Spec("finance", "period_closed", "period", ("period",)),
    Spec("tax", "invoice_issued", "tax", ("request_id", "reply_to", "invoice_code")),
    Spec("tax", "invoice_rejected", "tax", ("request_id", "reply_to", "error_code")),
    Spec("tax", "attempt_failed", "tax", ("request_id", "reply_to", "error_code")),
)

SPECS: Final[Mapping[str, Mapping[str, Spec]]] = {
    topic: {spec.event_type: spec for spec in _SPECS if spec.topic == topic}
    for topic in dict.fromkeys(spec.topic for spec in _SPECS)
}
INPUT_TOPICS: Final = tuple(SPECS)

# Money that came in: without an order it is "paid but order not created" (ID-08, BRK-01).
PAID_TYPES: Final = frozenset({"payment_succeeded", "deposit_paid", "balance_paid"})


_CODES: Final = (*ids.KINDS, "channel")
"""Blanks around a code are those of the file or form that it was read from: the order is the same."""
_NAMES: Final = (
    *("customer_id", "warehouse", "to_warehouse", "sku", "activity"),
    *("target", "request_id", "ticket_code"),
)
"""So are those around a name. Senders without nulls write blank texts: two orders of nobody in particular are not of
one customer."""
_WORDS: Final = ("currency", "raw_status", "raw_field")
"""Kept as they were said: a currency is protected (DQ-11), a status is another's word. One that is blank is none."""
_TRIMMED: Final = frozenset((*_CODES, *_NAMES))
# Where a system that was given the alias may say it back.
_ALIAS_FIELDS: Final = (ids.INTERNAL_NO, ids.ORDER_NO)


def fact_of(topic: str, value: Mapping[str, Any], digest: int) -> Fact:
    """An accepted input event as a fact: its non-null fields, blank codes and names left out, no blanks around a code
    or a name, an alias turned into the guid it stands for (ID-07).

    `digest`: crc32 of the payload, so that the same event id with other content can be told apart later."""
    fact = {name: field for name, field in value.items() if field is not None}
    for name in _TRIMMED.intersection(fact):
        text = fact[name].strip()
        if not text:
            del fact[name]
        elif text is not fact[name]:
            fact[name] = text
    for name in _WORDS:
        if name in fact and (not fact[name] or fact[name].isspace()):
            del fact[name]
    lines = fact.get("lines")
    if lines and any(line["sku"].strip() != line["sku"] for line in lines):
        fact["lines"] = [{**line, "sku": line["sku"].strip()} for line in lines]
    for kind in _ALIAS_FIELDS:
        text = fact.get(kind)
        if text is not None and text.startswith("DB") and fact["event_type"] != "order_created":
            guid = ids.guid_of_alias(text)
            if guid is not None and fact.setdefault(ids.ORDER_GUID, guid) == guid:
                del fact[kind]
    if topic == "ops" and "order_guid" not in fact:
        target = fact.get("target")
        if target and fact.get("command") == REFRESH and ids.WAYBILL_NO not in fact:
            fact[ids.WAYBILL_NO] = target  # LOG-09: what is to be looked up is a waybill
        if target is not None and primary_code(fact) is None:
            guid = target if ids.is_guid(target) else ids.guid_of_alias(target)
            if guid is not None:
                fact["order_guid"] = guid
    fact["topic"] = topic
    fact["digest"] = digest
    return fact


def primary_code(fact: Mapping[str, Any]) -> ids.Code | None:
    """The strongest code a fact names its order by, or None. An order_created is always its (channel, order_no)."""
    get = fact.get
    if fact["event_type"] != "order_created":
        text = get(ids.ORDER_GUID)
        if text and not text.isspace():
            return ids.ORDER_GUID, "", text
    text = get(ids.ORDER_NO)
    if text and not text.isspace():
        channel = get("channel")
        if channel and not channel.isspace():
            return ids.ORDER_NO, channel, text
    for kind in ids.PAIRED_KINDS:
        text = get(kind)
        if text and not text.isspace():
            return kind, "", text
    return None


def request_code(fact: Mapping[str, Any]) -> ids.Code | None:
    """The request that an approval answers (ST-09), for one that names no order: the command's order is meant."""
    name = fact.get(ids.REQUEST_ID) if fact["event_type"] == "approval" else None
    return (ids.REQUEST_ID, "", name) if name and not name.isspace() else None
