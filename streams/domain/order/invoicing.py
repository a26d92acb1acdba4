"""TAX-01, TAX-08: what the `invoices` agent is told of an order, and what the order learns of its invoice.

Nothing, until somebody wants an invoice for it (`invoice_requested`, or `invoice` on `order_created`) or a contract
about it is told. From then on it hears of each change that matters to it, as a picture of the order as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from streams.domain.order import asides, atomic, audit, branch, codes, dedup, flags, saga
from streams.domain.order.asides import ASKED, Invoice
from streams.domain.order.meanings import RETRY_RED
from streams.domain.order.state import Fact, OrderState
from streams.domain.order.stock import Send, StockRules
from streams.domain.rules.nodes import CUSTOMER_SIGNED, LOGISTICS_SIGNED, PAID

TOPIC: Final = "invoice-facts"
REQUESTED, CONTRACT, COMMAND = "invoice_requested", "reference_set", "manual_command"
RULES: Final[Mapping[str, str]] = {REQUESTED: "TAX-01", CONTRACT: "TAX-13"}
"""Of the events that ask for something."""
KINDS: Final = frozenset({*RULES, COMMAND})
TOLD: Final = "_invoice"
"""{status, rule, reason, refused, invoice?: [id, status, code, pdf_url, red codes]}, by the invoices agent."""

NONE: Final = "none"
_ASKABLE: Final = frozenset({NONE, "refused", "rejected"})
_RED: Final = "red"
_CUSTOMER: Final = "customer/"

Learned = tuple[OrderState, dict[str, Any], list[dict[str, Any]], bool, list[Send]]
"""The state, the audit row (without `raw`), records of order-events, whether order-states differs, what follows."""


def place(address: Mapping[str, Any]) -> str:
    """Tells shipping addresses apart (TAX-07), without being one."""
    get = address.get  # of every new order: written out, since it is a tenth of what its row costs
    text = f"{get('province')}\0{get('city')}\0{get('district')}\0{get('street')}"
    return blake2b(text.encode(), digest_size=8).hexdigest()


def move(state: OrderState, address: Mapping[str, Any], at: int) -> bool:
    """Note where the order goes to, told at `at`; True if that matters to somebody."""
    told = [at, place(address)]
    if state.address is not None and told <= state.address:
        return False
    state.address = told
    return state.aside is not None and state.aside.invoice is not None


def take(state: OrderState, fact: Fact, now: int, rules: StockRules) -> str | None:
    """Note a request, a contract or a command; why it is refused, if it is."""
    aside = state.aside or asides.NONE
    known = aside.invoice
    if fact["event_type"] == COMMAND:
        if fact["command"] != RETRY_RED:
            return None
        if known is None or not known.issued:
            return "the order has no invoice"
        known = known._replace()  # another one: the agent is to be told
    elif fact["event_type"] == CONTRACT:
        if "contract" not in fact:
            return None
        known = Invoice(NONE) if known is None else known._replace()  # another one: the agent is to be told
    elif known is not None and known.status not in _ASKABLE:
        return f"an invoice was asked for before: it is {known.status}"
    else:
        if known is None and state.customer_id is None:
            # TAX-02: whose profile it is. Not later: what is kept of the invoice is kept by customer.
            state.customer_id = fact.get("customer_id")
        due = branch.due_of(state, now, rules.branch_ms)
        known = Invoice(ASKED, None, {} if known is None else known.issued, due)
    state.aside = aside._replace(invoice=known)
    return None


def begin(state: OrderState, fact: Fact, now: int, rules: StockRules, sends: list[Send]) -> None:
    """An order_created that brings the data of an invoice (TAX-01)."""
    take(state, {**fact, "event_type": REQUESTED}, now, rules)
    sends.append(_message(state, fact, {"invoice": fact["invoice"]}))


def follow(old: OrderState, new: OrderState, fact: Fact, sends: list[Send]) -> None:
    """Tell of what matters, of an order with an invoice."""
    before = None if old.aside is None else old.aside.invoice
    assert new.aside is not None
    if new.aside.invoice is not before:
        sends.append(_message(new, fact, _said(fact)))
    elif new.refunded_minor > old.refunded_minor:
        sends.append(_message(new, fact, {"refunded": new.refunded_minor - old.refunded_minor}))
    elif (
        new.reached is not old.reached
        or new.money is not old.money
        or new.waybills is not old.waybills
        or new.marks is not old.marks
        or new.address is not old.address
    ):
        sends.append(_message(new, fact, None))
    branch.watch(fact["order_guid"], new, fact["event_time"], sends)


def learn(state: OrderState, fact: Fact, now: int, rules: StockRules, memory_ms: int) -> Learned:
    """Fold what the invoices agent says."""
    here, key = audit.text(state), dedup.event_key(fact["source"], fact["event_id"])
    if dedup.check(state.seen, key, 0) is not dedup.NEW:
        return state, audit.row(fact, "ID-05", audit.DUPLICATE, here, here, "event seen before"), [], False, []
    new, at, events = state.copy(), fact["event_time"] - state.created_at, list[dict[str, Any]]()
    new.seen = dedup.remember(state.seen, key, 0, fact["event_time"], memory_ms)
    aside = state.aside or asides.NONE
    issued = {} if aside.invoice is None else aside.invoice.issued
    told = fact.get("invoice")
    if told is not None:
        issued = {**issued, told[0]: told[1:]}
        if told[2] is not None:
            if atomic.INVOICED not in state.marks:
                events.append(atomic.record(new, fact, atomic.INVOICED))
            flags.mark(new, atomic.INVOICED, at)
    if fact["status"] == _RED:
        flags.mark(new, "invoice_red", at)
        new.flags = flags.derive(new)
    reason = fact["reason"] if fact["refused"] else None
    new.aside = aside._replace(invoice=Invoice(fact["status"], reason, issued))
    new.version += 1
    sends = saga.report(new, fact, now, rules)
    branch.close(fact["order_guid"], aside.invoice, fact["event_time"], sends)
    decision = audit.REFUSED if fact["refused"] else audit.ACCEPTED
    return new, audit.row(fact, fact["rule"], decision, here, audit.text(new), fact["reason"]), events, True, sends


def view(invoice: Invoice | None) -> dict[str, Any] | None:
    """The `invoice` of order-states."""
    if invoice is None or invoice.status == NONE:
        return None
    found = [
        {"invoice_id": name, "status": status, "code": code, "pdf_url": pdf, "red_codes": reds}
        for name, (status, code, pdf, reds) in invoice.issued.items()
    ]
    return {"status": invoice.status, "reason": invoice.reason, "invoices": found}


def _said(fact: Fact) -> dict[str, Any]:
    if fact["event_type"] == COMMAND:
        return {"reds": True}
    return {"contract": fact["contract"]} if "contract" in fact else {"invoice": fact.get("invoice")}


def _message(state: OrderState, fact: Fact, said: dict[str, Any] | None) -> Send:
    guid: str = fact["order_guid"]
    to = f"{_CUSTOMER}{state.customer_id}" if state.customer_id else guid
    message = {"do": "order", "at": fact["event_time"], "guid": guid, "to": to, "order": _picture(state)}
    assert state.aside is not None
    known = state.aside.invoice
    if known is not None and known.issued:
        message["had"] = [known.status, state.version]  # its rows may have ended there
    return TOPIC, to, message if said is None else {**message, "said": said}


def _picture(state: OrderState) -> dict[str, Any]:
    t0, reached = state.created_at, state.reached
    paid, signed = reached[PAID], reached[CUSTOMER_SIGNED]
    return {
        "channel": state.channel,
        "order_no": state.order_no,
        "currency": state.currency,
        "total": state.total_minor,
        "lines": state.lines,
        "paid": state.paid_minor,
        "paid_at": None if paid is None else paid + t0,
        "signed_at": None if signed is None else signed + t0,
        "clear": reached[LOGISTICS_SIGNED] is not None or "resolved" in state.marks,
        "refunds": {key: [-told[0], told[1]] for key, told in state.money.items() if told[0] and told[0] < 0},
        "waybills": codes.view(state)["waybills"],
        "address": None if state.address is None else state.address[1],
    }
