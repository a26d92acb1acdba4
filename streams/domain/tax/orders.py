"""What is known of an order for which somebody wants an invoice, and how far its invoice is.

    asked -> refused                              the buyer's data do not do (TAX-01, TAX-03, TAX-10)
          -> accepted -> blocked -> waiting       goods without a good tax code (TAX-05)
                      -> waiting -> grouped       signed by the customer and paid in full (TAX-08); then see groups
    grouped -> requested -> issued -> partly_red -> red
                         -> rejected              by the tax service; may be asked for anew
            -> void                               all of it was refunded before

Row: `to` (the customer's key), `order` (what the orders agent last told, see order.invoicing), `status`, `asked_at`,
`buyer`, `refs` {what it needs to know: what it was told, None while it waits}, `open` [[line_no, sku, units, amount],
...] still to be invoiced, `group`, `invoices` [ids], `done` [refunds seen to], `returned` {refund: what of it was paid
above the price}, `contract`, `found` (see match), `due`, `late`, `alert`, `gen`, `seq`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from streams.domain.ledger.apportion import split

from . import codes, groups, invoice, match, profiles
from .buyer import resolve
from .desk import FACTS, INVOICES, ORDER_FACTS, ORDERS, SLA, Desk, Row
from .integrity import ORDERS as ORDERS_HOP
from .integrity import checked
from .reds import allocate, overpaid
from .states import (
    ACCEPTED,
    ASKABLE,
    BAD,
    BLOCKED,
    ENDED,
    GROUPED,
    ISSUED,
    NONE,
    PARTLY_RED,
    RED,
    REFUSED,
    REJECTED,
    REQUESTED,
    VOID,
    WAITING,
)  # fmt: skip

TOLD: Final = "_invoice"
"""What the order is told of its invoice; each such fact has its row in audit-log."""


def take(desk: Desk, message: Row) -> None:
    """What the orders agent tells: {guid, to, order, said?}. `said`: a request {invoice} or a contract {contract}."""
    guid = message["guid"]
    row: Row = {**(desk.row(ORDERS, guid) or {"to": message["to"], "status": NONE}), "order": message["order"]}
    said = message.get("said") or {}
    contract = said.get("contract")
    if contract is not None and contract["at"] >= (row.get("contract") or contract)["at"]:
        row["contract"] = contract
    if "invoice" in said and row["status"] in ASKABLE:
        _ask(desk, guid, row, said["invoice"] or {})
    for invoice_id in row.get("invoices", ()):
        invoice.list_waybills(desk, invoice_id, row["order"]["waybills"])
    settle(desk, guid, row)


def told(desk: Desk, message: Row) -> None:
    """A SKU or place answers: {guid, ref, value, wrong}."""
    guid, ref = message["guid"], message["ref"]
    known = desk.row(ORDERS, guid)
    if known is None or known["status"] not in (ACCEPTED, BLOCKED) or known.get("refs", {}).get(ref, 0) is not None:
        return
    row = dict(known)
    if message["wrong"] is None:
        row["refs"] = {**row["refs"], ref: message["value"] or {}}
    elif row["status"] != BLOCKED:
        row["status"] = BLOCKED
        tell(desk, guid, row, "TAX-05", message["wrong"])
    settle(desk, guid, row)


def late(desk: Desk, guid: str) -> None:
    """TAX-08: the time for the invoice is over."""
    known = desk.row(ORDERS, guid)
    if known is None or known["status"] in ENDED or known.get("due", desk.at) + 1 > desk.at:
        return
    desk.alert("TAX-08", guid, do="open", title="invoice is late", detail=waits_for(known), order_guid=guid)
    desk.put(ORDERS, guid, {**known, "late": 1})


def settle(desk: Desk, guid: str, row: Row) -> None:
    """Move the order on as far as it goes, and keep it. `row` is the caller's own."""
    if row["status"] in (ACCEPTED, BLOCKED) and None not in row["refs"].values():
        was_blocked, row["status"] = row["status"] == BLOCKED, WAITING
        if was_blocked:
            tell(desk, guid, row, "TAX-05", "its tax codes are right now")
    if row["status"] == WAITING and is_ready(row, desk.settings.rounding_minor):
        if "open" not in row:
            row["open"] = _lines(row)
        row["status"] = GROUPED
    _refund(desk, guid, row)
    if row["status"] == GROUPED and row["open"]:
        if sum(line[3] for line in row["open"]) > cap_of(desk, row) * desk.settings.most_invoices:
            _refuse(desk, guid, row, "TAX-06", f"it would take more than {desk.settings.most_invoices} invoices")
        else:
            groups.join(desk, guid, row)
    elif row["status"] in (GROUPED, REJECTED) and not row["open"]:
        row["status"] = status_of(desk, guid, row)
        tell(desk, guid, row, "TAX-09", "nothing is left to be invoiced")
    _watch(desk, guid, row)
    match.update(desk, guid, row)
    desk.put(ORDERS, guid, row)


def follow(desk: Desk, guid: str, rule: str, reason: str | None, told_of: str) -> None:
    """An invoice of the order has changed: what follows for the order, which is told of it."""
    row = dict(desk.row(ORDERS, guid))
    row["status"] = status_of(desk, guid, row)
    tell(desk, guid, row, rule, reason, told_of)
    settle(desk, guid, row)


def status_of(desk: Desk, guid: str, row: Row) -> str:
    """Of an order that was grouped: as its own lines of its invoices stand."""
    found = [desk.row(INVOICES, name) for name in row.get("invoices", ())]
    if any(each["status"] == REQUESTED for each in found):
        return REQUESTED
    if row["open"]:
        return REJECTED
    found = [each for each in found if each["status"] != REJECTED]  # its lines went into another one
    amount = sum(line["amount_minor"] for each in found for line in each["lines"] if line["guid"] == guid)
    reds = [red for each in found for red in each["reds"].values() if red["guid"] == guid]
    red = sum(each["amount"] for each in reds if each["status"] == ISSUED)
    if not amount:
        return VOID
    return ISSUED if not red else RED if red == amount else PARTLY_RED


def tell(
    desk: Desk, guid: str, row: Row, rule: str, reason: str | None, invoice_id: str | None = None, refused: bool = False
) -> None:
    """The order hears, and audits, how far its invoice is. `invoice_id`: which of them this is about; `refused`: what
    was asked for is not done, whatever the status."""
    row["seq"] = row.get("seq", 0) + 1
    fact: Row = {
        "event_type": TOLD,
        "order_guid": guid,
        "event_time": desk.at,
        "event_id": f"{guid}/{row['seq']}",
        "source": "invoices",
        "topic": "invoices",
        "status": row["status"],
        "rule": rule,
        "reason": reason,
        "refused": refused or row["status"] in BAD,
    }
    if invoice_id is not None:
        found = desk.row(INVOICES, invoice_id)
        reds = [red["code"] for red in found["reds"].values() if red["code"]]
        said = [found["status"], found.get("code"), found.get("pdf_url"), reds]
        fact["invoice"] = [invoice_id, *said]
    desk.send(ORDER_FACTS, guid, fact)


def is_ready(row: Row, rounding: int) -> bool:
    """TAX-08: signed by the customer, beyond doubt (ST-05 e), and paid in full."""
    order = row["order"]
    return order["signed_at"] is not None and order["clear"] and _is_paid(order, rounding)


def cap_of(desk: Desk, row: Row) -> int:
    """TAX-06: the most that one invoice of the order's place may be of, minor units."""
    told = row["refs"].get(f"{codes.PLACE}{row['buyer']['place']}") or {}
    return int(told.get("cap_minor") or desk.settings.cap_minor)


def waits_for(row: Row) -> str:
    """What an invoice that is late waits for."""
    if row["status"] in (ACCEPTED, BLOCKED):
        return "it waits for " + ", ".join(sorted(ref for ref, value in row["refs"].items() if value is None))
    if row["status"] == WAITING:
        return "it waits for the courier's signature, or a manual resolution"
    return f"it is {row['status']}"


def _ask(desk: Desk, guid: str, row: Row, asked: Row) -> None:
    customer = desk.row("customers", row["to"])
    data = checked(asked, ORDERS_HOP)
    verdict = resolve(data, customer, row["order"]["channel"], desk.at, desk.settings, desk.wrong_number)
    if row.pop("alert", None) is not None:
        desk.alert("TAX-03", guid, do="close")
    for name in row.get("invoices", ()):
        if desk.row(INVOICES, name)["status"] == REJECTED:
            desk.alert("TAX-16", f"rejected/{name}", do="close")
    note = "; ".join(verdict.notes) or None
    if verdict.buyer is None:
        _refuse(desk, guid, row, verdict.rule, verdict.reason)
        return
    buyer = verdict.buyer
    refs: dict[str, Any] = {f"{codes.SKU}{line[1]}": None for line in row.get("open") or _lines(row)}
    if buyer["place"]:
        refs[f"{codes.PLACE}{buyer['place']}"] = None
    row.update(status=ACCEPTED, buyer=buyer, asked_at=desk.at, refs=refs)
    for ref in refs:
        desk.send(FACTS, ref, {"do": "ask", "at": desk.at, "ref": ref, "to": row["to"], "guid": guid})
    if verdict.unusual:
        title = "heading is none of the customer's past ones"
        desk.alert("TAX-12", guid, do="open", title=title, order_guid=guid)
    profiles.used(desk, row["to"], buyer)
    tell(desk, guid, row, verdict.rule, note)


def _refuse(desk: Desk, guid: str, row: Row, rule: str, reason: str | None) -> None:
    row.update(status=REFUSED, alert=1)
    tell(desk, guid, row, rule, reason)
    about = {"order_guid": guid, "channel": row["order"]["channel"], "detail": reason}
    desk.alert("TAX-03", guid, do="open", title="invoice refused", **about)
    if rule == "TAX-10":
        desk.alert("TAX-10", guid, do="open", title="tax_number_altered", **about)


def _is_paid(order: Row, rounding: int) -> bool:
    total = order["total"]
    if total == 0 or order["paid_at"] is None:
        return bool(total == 0)
    return total is None or bool(order["paid"] >= total - rounding)


def _lines(row: Row) -> list[list[Any]]:
    """[line_no, sku, units, amount] of what the customer pays for: the price over the lines in proportion to what they
    are worth, so that discounts, freight and the like lie on them to the last fen (FIN-06)."""
    order = row["order"]
    goods = [line for line in order["lines"] if not line[4]] or order["lines"]
    weights = [line[2] * (line[3] or 0) for line in goods]
    if not any(weights):
        weights = [line[2] for line in goods]
    total = order["paid"] if order["total"] is None else order["total"]
    if total == 0 and order["total"] is None:
        total = sum(weights)  # nothing is known yet but what it is made of
    numbers = [line[0] or n for n, line in enumerate(goods, 1)]
    parts = zip(numbers, goods, split(total, weights), strict=True)
    return [[number, line[1], line[2], amount] for number, line, amount in parts if amount]


def _refund(desk: Desk, guid: str, row: Row) -> None:
    """TAX-09: each refund once: off what is open, or by a red invoice. While an invoice is under way it waits."""
    refunds = row["order"]["refunds"]
    if len(refunds) == len(row.get("done", ())) or row["status"] not in (GROUPED, ISSUED, PARTLY_RED, RED, REJECTED):
        return
    for key, (amount, line_no) in refunds.items():
        if key in row.get("done", ()):
            continue
        row["done"] = [*row.get("done", ()), key]
        extra = min(amount, overpaid(row["order"]["paid"], row["order"]["total"], row.get("returned", {})))
        if extra:
            row["returned"] = {**row.get("returned", {}), key: extra}
        slots = list(_slots(desk, guid, row))
        takes, over = allocate(amount - extra, line_no, [(number, left) for _, _, number, left in slots])
        reds: dict[str, dict[int, int]] = {}
        open_ = [list(line) for line in row.get("open") or ()]
        for (name, place, _, _), taken in zip(slots, takes, strict=True):
            if not taken:
                continue
            if name is None:
                open_[place][3] -= taken
            else:
                reds.setdefault(name, {})[place] = taken
        row["open"] = [line for line in open_ if line[3]]
        for name, taken_of in reds.items():
            invoice.ask_red(desk, name, taken_of, guid, key)
        if over:
            detail = f"refunded {over} minor units more than was invoiced"
            about = {"title": "refund above the invoice", "detail": detail, "order_guid": guid}
            desk.alert("TAX-09", f"over/{guid}", do="open", **about)
            tell(desk, guid, row, "TAX-09", detail, refused=True)


def _slots(desk: Desk, guid: str, row: Row) -> Iterable[tuple[str | None, int, int, int]]:
    """(invoice or None for what is open, place in it, line_no, what is left of it)."""
    for place, line in enumerate(row.get("open") or ()):
        yield None, place, line[0], line[3]
    for name in row.get("invoices", ()):
        found = desk.row(INVOICES, name)
        if found["status"] in (ISSUED, PARTLY_RED):
            for place, line in enumerate(found["lines"]):
                if line["guid"] == guid:
                    yield name, place, line["line_no"], line["left"]


def _watch(desk: Desk, guid: str, row: Row) -> None:
    """TAX-08: move what is due."""
    if row["status"] in ENDED:
        if row.pop("due", None) is not None:
            desk.timers.append((SLA, guid, None))
        if row.pop("late", None) is not None:
            desk.alert("TAX-08", guid, do="close")
        return
    order = row["order"]
    if "due" in row or order["signed_at"] is None or not _is_paid(order, desk.settings.rounding_minor):
        return
    row["due"] = max(order["signed_at"], order["paid_at"] or 0, row["asked_at"]) + desk.settings.sla_ms
    desk.timers.append((SLA, guid, row["due"] + 1))
