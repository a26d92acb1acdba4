"""What is known of an order for which somebody wants an invoice, and how far its invoice is.

    asked -> refused                              the buyer's data do not do (TAX-01, TAX-03, TAX-10)
          -> accepted -> blocked -> waiting       goods without a good tax code (TAX-05)
                      -> waiting -> grouped       signed by the customer and paid in full (TAX-08); then see groups
    grouped -> requested -> issued -> partly_red -> red
                         -> rejected              by the tax service; may be asked for anew
            -> void                               all of it was refunded before

Row: `to` (the customer's key), `order` (what the orders agent last told, see order.invoicing), `status`, `asked_at`,
`buyer`, `refs` {what it needs to know: what it was told, None while it waits}, `open` [[line_no, sku, units or None,
amount], ...] still to be invoiced, `group`, `invoices` [ids], `done` [refunds seen to], `returned` {refund: what of it
was paid above the price}, `contract`, `found` (see match), `due`, `gen`, `seq`, `heard`, `ends` (see ending), and of
its alerts that are open `late` (TAX-08), `alert` (TAX-03), `altered` (TAX-10), `unusual` (TAX-12).
"""

from __future__ import annotations

from typing import Any

from . import codes, ending, groups, invoice, match, profiles
from .buyer import resolve
from .desk import FACTS, INVOICES, ORDERS, SLA, Desk, Row
from .integrity import ALTERED_CODE, checked
from .integrity import ORDERS as ORDERS_HOP
from .refunds import reds_again, refund
from .split import Line, greedy
from .standing import cap_of, has_gone_back, is_paid, is_ready, lacks, lines, skus, status_of, tell, waits_for
from .states import ACCEPTED, ASKABLE, BLOCKED, ENDED, GROUPED, NONE, REFUSED, REJECTED, WAITING


def take(desk: Desk, message: Row) -> None:
    """What the orders agent tells: {guid, to, order, said?, had?}. `said`: a request {invoice}, a contract {contract},
    {refunded: minor units}, or {reds}: those that were rejected are to be asked for again. `had`: see ending."""
    guid = message["guid"]
    known = desk.row(ORDERS, guid)
    if known is None and ending.has_ended(message):
        ending.after(desk, message)
        return
    row: Row = {**(known or {"to": message["to"], "status": NONE}), "order": message["order"]}
    said = message.get("said") or {}
    contract = said.get("contract")
    if contract is not None and contract["at"] >= (row.get("contract") or contract)["at"]:
        row["contract"] = contract
    if "invoice" in said and row["status"] in ASKABLE:
        _ask(desk, guid, row, said["invoice"] or {})
    elif "invoice" in said:  # what the order was told of it crossed the wish
        tell(desk, guid, row, "TAX-01", f"an invoice was asked for before: it is {row['status']}", refused=True)
    if "reds" in said:
        reds_again(desk, guid, row)
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
    unsent, ready = (ACCEPTED, BLOCKED, WAITING), is_ready(row, desk.settings.rounding_minor)
    if row["status"] in unsent and ready and "open" not in row and row["order"]["total"] is not None:
        row["open"] = lines(row)
    refund(desk, guid, row)
    if row["status"] in (ACCEPTED, BLOCKED) and not lacks(row):
        was_blocked, row["status"] = row["status"] == BLOCKED, WAITING
        if was_blocked:
            tell(desk, guid, row, "TAX-05", "the tax codes of what is to be invoiced are right now")
    if row["status"] == WAITING and ready:
        row["status"] = GROUPED
        if "open" not in row:
            row["open"] = lines(row)
            refund(desk, guid, row)
    if "alert" in row and has_gone_back(row["order"]):
        close_refusal(desk, guid, row)
    if row["status"] == GROUPED and row["open"]:
        if _is_too_much(desk, guid, row):
            _refuse(desk, guid, row, "TAX-06", f"it would take more than {desk.settings.most_invoices} invoices")
        else:
            groups.join(desk, guid, row)
    elif row["status"] in (GROUPED, REJECTED) and not row["open"]:
        _close_rejected(desk, row)
        row["status"] = status_of(desk, guid, row)
        tell(desk, guid, row, "TAX-09", "nothing is left to be invoiced")
    _watch(desk, guid, row)
    match.update(desk, guid, row)
    ending.watch(desk, guid, row)
    desk.put(ORDERS, guid, row)


def _is_too_much(desk: Desk, guid: str, row: Row) -> bool:
    """TAX-06: whether the order by itself would take too many invoices."""
    cap, most = cap_of(desk, row), desk.settings.most_invoices
    if sum(line[3] for line in row["open"]) > cap * most:
        return True
    return len(greedy([Line(guid, *line) for line in row["open"]], cap)) > most


def follow(desk: Desk, guid: str, rule: str, reason: str | None, told_of: str, refused: bool = False) -> None:
    """An invoice of the order has changed: what follows for the order, which is told of it (see standing.tell)."""
    row = dict(desk.row(ORDERS, guid))
    row["status"] = status_of(desk, guid, row)
    tell(desk, guid, row, rule, reason, told_of, refused)
    settle(desk, guid, row)


def _ask(desk: Desk, guid: str, row: Row, asked: Row) -> None:
    customer = desk.row("customers", row["to"])
    data = checked(asked, ORDERS_HOP)
    verdict = resolve(data, customer, row["order"]["channel"], desk.at, desk.settings, desk.wrong_number)
    close_refusal(desk, guid, row)
    _close_rejected(desk, row)
    note = "; ".join(verdict.notes) or None
    if verdict.buyer is None:
        _refuse(desk, guid, row, verdict.rule, verdict.reason)
        return
    buyer = verdict.buyer
    refs: dict[str, Any] = {f"{codes.SKU}{sku}": None for sku in skus(row)}
    if buyer["place"]:
        refs[f"{codes.PLACE}{buyer['place']}"] = None
    row.update(status=ACCEPTED, buyer=buyer, asked_at=desk.at, refs=refs)
    for ref in refs:
        desk.send(FACTS, ref, {"do": "ask", "at": desk.at, "ref": ref, "to": row["to"], "guid": guid})
    if verdict.unusual:
        title = "heading is none of the customer's past ones"
        desk.alert("TAX-12", guid, do="open", title=title, order_guid=guid)
        row["unusual"] = 1
    profiles.used(desk, row["to"], buyer)
    tell(desk, guid, row, verdict.rule, note)


def _close_rejected(desk: Desk, row: Row) -> None:
    """Its invoices that were rejected are no matter any more."""
    for name in row.get("invoices", ()):
        known = desk.row(INVOICES, name)
        if known["status"] == REJECTED:
            desk.alert("TAX-16", f"rejected/{name}", do="close")
            if known["error"].startswith(ALTERED_CODE):
                desk.alert("TAX-10", name, do="close")


def close_refusal(desk: Desk, guid: str, row: Row) -> None:
    """Whatever was wrong with the wish before is no matter any more. `row` is the caller's own."""
    if row.pop("alert", None) is not None:
        desk.alert("TAX-03", guid, do="close")
    if row.pop("altered", None) is not None:
        desk.alert("TAX-10", guid, do="close")


def _refuse(desk: Desk, guid: str, row: Row, rule: str, reason: str | None) -> None:
    row.update(status=REFUSED, alert=1)
    tell(desk, guid, row, rule, reason)
    about = {"order_guid": guid, "channel": row["order"]["channel"], "detail": reason}
    desk.alert("TAX-03", guid, do="open", title="invoice refused", **about)
    if rule == "TAX-10":
        desk.alert("TAX-10", guid, do="open", title="tax_number_altered", **about)
        row["altered"] = 1


def _watch(desk: Desk, guid: str, row: Row) -> None:
    """TAX-08: move what is due; TAX-12 warns of an invoice that is still to come."""
    if row["status"] in ENDED:
        if row.pop("unusual", None) is not None:
            desk.alert("TAX-12", guid, do="close")
        if row.pop("due", None) is not None:
            desk.timers.append((SLA, guid, None))
        if row.pop("late", None) is not None:
            desk.alert("TAX-08", guid, do="close")
        return
    order = row["order"]
    if "due" in row or order["signed_at"] is None or not is_paid(order, desk.settings.rounding_minor):
        return
    row["due"] = max(order["signed_at"], order["paid_at"] or 0, row["asked_at"]) + desk.settings.sla_ms
    desk.timers.append((SLA, guid, row["due"] + 1))
