"""What each event type says about an order when it carries no status of its own (ST-01, ST-02, ST-04, ST-05 a).

One row per (topic, event type) of the contract. `state` is a claim the topic has the authority for; `node` moves the
fine node alone; `shows` is the state the claim stands for in `claims` where it moves none. An event type without a
row, or with the row NOTE, changes nothing but is a fact about the order and audited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from streams.domain.rules.nodes import AUTHORITY, BASE_NODE, NODE_NUMBER, NODE_RANK, NODES, RANK, STATES

RECEIPT, REFUND, FEE = 1, -1, 2
"""A money event: paid to the shop, paid back by it (the sign of its amount), charged to it by others. Fees are no
sum of the order; the ledger has them."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """`rank` and `shown` are -1, `node` is 0 for none. `claims` says whether the event is a claim of its source."""

    rule: str
    rank: int = -1
    node: int = 0
    shown: int = -1
    claims: bool = False
    money: int = 0
    mark: str | None = None
    is_manual: bool = False


def _reaches(state: str, node: str | None = None, money: int = 0, rule: str = "ST-01") -> Meaning:
    number = NODE_NUMBER[node] if node else BASE_NODE[RANK[state]]
    return Meaning(rule, RANK[state], number, RANK[state], claims=True, money=money)


def _at(node: str, shows: str | None = "paid", rule: str = "ST-02") -> Meaning:
    return Meaning(rule, node=NODE_NUMBER[node], shown=RANK[shows] if shows else -1, claims=True)


NOTE: Final = Meaning("ST-06")
REPEATED_PAYMENT: Final = "_payment_repeated"
"""ID-05: `event_type` of a payment that the order has had, beside `repeats`, the event id it came under first, and
`told_as`, its own type."""
CODE_REJECTED: Final = "_code_rejected"
"""ID-04: `event_type` of identity's word that a code of the order is another's."""
GIVEN_UP: Final = "given_up"
"""INV-07: a mark, no flag, of an order whose payment failed or whose buyer asked to cancel: unpaid it holds nothing."""
CANCEL_MARKED: Final = "cancel_marked"
"""The channel says that the whole order is cancelled."""
RECORDED: Final = "receipt_recorded"
"""What finance has received is compared with what was paid (`match`), and adds nothing to it."""

MEANINGS: Final[Mapping[tuple[str, str], Meaning]] = {
    ("orders", "order_created"): Meaning("ST-01", RANK["pending_payment"], NODE_NUMBER["pending_payment"]),
    ("orders", "buyer_confirmed"): _reaches("customer_signed"),
    ("orders", CANCEL_MARKED): Meaning("ST-01", mark="closed", claims=True),
    ("orders", "status_changed"): NOTE,
    ("orders", "cart_added"): NOTE,
    ("orders", "address_changed"): NOTE,
    ("orders", "cancel_requested"): Meaning("ST-06", mark=GIVEN_UP),
    ("orders", "refund_requested"): NOTE,
    ("orders", "invoice_requested"): NOTE,
    ("orders", "complaint"): NOTE,
    ("payments", "payment_succeeded"): _reaches("paid", money=RECEIPT),
    ("payments", "balance_paid"): _reaches("paid", money=RECEIPT),
    # A deposit is not the price (FIN-02): the order stays to be paid.
    ("payments", "deposit_paid"): Meaning("FIN-02", shown=RANK["pending_payment"], claims=True, money=RECEIPT),
    ("payments", "payment_failed"): Meaning("ST-05", shown=RANK["pending_payment"], claims=True, mark=GIVEN_UP),
    ("payments", "refund_settled"): Meaning("FIN-07", money=REFUND),
    ("payments", "fee_charged"): Meaning("FIN-06", money=FEE),
    ("wms", "allocated"): _at("warehouse_allocated"),
    ("wms", "label_print_started"): _at("label_printing"),
    ("wms", "label_printed"): _at("label_printed"),
    ("wms", "label_print_failed"): _at("label_pending"),
    ("wms", "picking_started"): _at("picking"),
    ("wms", "quality_checked"): _at("quality_check"),
    # ST-04: packed is not shipped; loaded is.
    ("wms", "packed"): _at("packed", rule="ST-04"),
    ("wms", "loaded"): _reaches("shipped", "loaded", rule="ST-04"),
    ("wms", "package_scanned"): NOTE,
    ("wms", "stock_received"): NOTE,
    ("wms", "stock_moved"): NOTE,
    ("wms", "stock_snapshot"): NOTE,
    # Accepting a waybill is not having the parcel: the node waits until the order is shipped.
    ("couriers", "waybill_accepted"): _at("awaiting_pickup", shows=None),
    ("couriers", "picked_up"): _reaches("shipped", "picked_up", rule="ST-04"),
    # A parcel on its way has been picked up, whether or not the pickup itself was told.
    ("couriers", "scanned"): _reaches("shipped", "in_transit"),
    ("couriers", "out_for_delivery"): _reaches("shipped", "out_for_delivery"),
    ("couriers", "signed"): _reaches("logistics_signed"),
    # It may be a failed pickup, so it proves no shipment.
    ("couriers", "exception"): _at("transit_stalled", shows=None),
    ("couriers", "probe_result"): NOTE,
    ("service", "confirmation_scanned"): _reaches("customer_signed"),
    ("service", "voice_call_result"): NOTE,
    ("service", "chat_opened"): NOTE,
    ("service", "chat_message"): NOTE,
    ("service", "ticket_opened"): NOTE,
    ("service", "ticket_closed"): NOTE,
    ("finance", "settled"): _reaches("settled"),
    ("finance", RECORDED): NOTE,
    ("finance", "posted"): NOTE,
    ("finance", "bi_total"): NOTE,
    ("finance", "period_closed"): NOTE,
    # What they say depends on the command and on what was said of the same request: see manual.
    ("ops", "manual_command"): Meaning("ST-09", is_manual=True),
    ("ops", "approval"): Meaning("ST-09", is_manual=True),
}

UNLOCK: Final = "unlock_order"
"""RSK-04: a command that the risk agent obeys; what became of it comes back as a fact of its own, which is audited."""
REFRESH: Final = "refresh_waybill"
"""LOG-09: a command that the logistics agent obeys."""

RESOLVE: Final = "resolve_conflict"
RESOLVED: Final = Meaning("ST-05", mark="resolved")
"""ST-05 e: a command by which a person says that the customer has the goods though no courier signed for them."""

RETRY_RED: Final = "retry_red_invoice"
RETRIED: Final = Meaning("TAX-09")
"""A command by which a person has red invoices that the tax service rejected asked for again."""

BY_ONE: Final[Mapping[str, Meaning]] = {RESOLVE: RESOLVED, RETRY_RED: RETRIED}
"""Commands about an order that take no approval: an operator and a reason will do."""


def operator_of(fact: Mapping[str, Any]) -> str:
    """Who commands or approves, "" if nobody says so: blanks around a name make no other person of it."""
    return (fact.get("operator") or "").strip()


def unsigned(fact: Mapping[str, Any]) -> str | None:
    """Why a command that one person may give is refused: nobody signs for it, or says why. None if somebody does."""
    if operator_of(fact) and (fact.get("reason") or "").strip():
        return None
    return f"{fact['command']} needs an operator and a reason"


VOICE_CONFIRMED: Final = _reaches("customer_signed")
"""A CALL whose answer is CONFIRMED (LOG-15)."""
CONFIRMED, DAMAGED = "confirmed", "damaged"
ANSWER: Final = "answer"
"""Field of an ANSWERED event in which intake says what its `result` stands for, where that is another word."""
CALL, SCAN = "voice_call_result", "confirmation_scanned"
ANSWERED: Final = frozenset({CALL, SCAN})

TIMED_OUT: Final = replace(_reaches("customer_signed", rule="LOG-15"), claims=False)
"""A CONFIRM_TIMEOUT: the customer said nothing for so long that the delivery counts as confirmed."""
CONFIRM_TIMEOUT: Final = "_confirm_timeout"
"""By the logistics agent, once per order."""


NO_ANSWER: Final = "no_answer"
"""What ANSWER says of a call that nobody took."""
BEFORE_SHIPPING: Final = "RSK-07/"
"""How the key of the alert begins that asks for a call before an order is shipped."""


def is_before_shipping(fact: Mapping[str, Any]) -> bool:
    """Whether a voice_call_result tells of the call that RSK-07 asks for: the alert's key is its ticket. It is about
    goods and address, and says nothing of a delivery."""
    ticket = fact.get("ticket_code")
    return ticket is not None and ticket.startswith(BEFORE_SHIPPING)


def answer_of(fact: Mapping[str, Any]) -> str | None:
    """What came of a call about a delivery, or of a scan: CONFIRMED, DAMAGED, or another word (LOG-14, LOG-15)."""
    return None if is_before_shipping(fact) else said_of(fact)


def said_of(fact: Mapping[str, Any]) -> str | None:
    """The same of any call."""
    answer: str | None = fact.get(ANSWER) or fact.get("result")
    return answer


def check(meanings: Mapping[tuple[str, str], Meaning]) -> None:
    """No row claims what its topic has no authority for, or a node that belongs to a later state than it claims."""
    for (topic, event_type), meaning in meanings.items():
        if meaning.rank >= 0 and topic not in AUTHORITY[STATES[meaning.rank]]:
            raise ValueError(f"{topic} has no authority for what {event_type} claims")
        if meaning.node and topic not in NODES[meaning.node - 1].told_by:
            raise ValueError(f"{topic} does not tell the node of {event_type}")
        if meaning.rank >= 0 and NODE_RANK[meaning.node] != meaning.rank:
            raise ValueError(f"the node of {event_type} is not one of its state")


check(MEANINGS)
