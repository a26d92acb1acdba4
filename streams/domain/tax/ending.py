"""The rows of an order end, once nothing is under way: `memory_days` after the last word on it, by stream time.

That is when its invoices and red ones are issued, or all of it was refunded; when nobody wants an invoice; when a wish
was refused, or the order never came so far that it could be issued (it is refused then, and told). It is not while
somebody owes something: a wish that is due, a request without its answer, an invoice or a red one that was rejected.
With the last order on an invoice go the invoice, its requests and its rows of the deduction list; the records of the
topic `invoices` stay. What comes after that has an outcome, too:

    refund          refused and audited (TAX-09), and finance is told: its red invoice is to be made by hand
    contract        refused and audited (TAX-13): there is no invoice to compare it with
    retry_red_invoice    refused and audited; no red one was left rejected
    a wish          where the order had no invoice it begins anew, else the order itself refuses it
    an answer       of the tax service is a dead letter, as to a request that was never made
    parcels, marks  nothing: they would change nothing of an invoice that was issued
"""

from __future__ import annotations

from streams.domain.ledger import periods

from .desk import END, INVOICES, ISSUED, ORDERS, REQUESTS, UNMATCHED, Desk, Row
from .invoice import red_id
from .standing import tell
from .states import ACCEPTED, BLOCKED, ENDED, REFUSED, WAITING
from .states import ISSUED as IS_ISSUED

_NEVER_DUE = frozenset({ACCEPTED, BLOCKED, WAITING})


def watch(desk: Desk, guid: str, row: Row) -> None:
    """Note a word on the order. Its timer is not moved each time; it looks again when it fires. `row` is the caller's
    own."""
    row["heard"] = max(desk.now, row.get("heard", 0))
    if "ends" not in row:
        _wait(desk, guid, row)


def end(desk: Desk, guid: str) -> None:
    """The timer of the order is due: its rows end, unless something was heard meanwhile or is under way."""
    known = desk.row(ORDERS, guid)
    if known is None:
        return
    row: Row = {**known}
    if row["heard"] + desk.settings.memory_ms > desk.at:
        _wait(desk, guid, row)
        desk.put(ORDERS, guid, row)
        return
    if not _is_over(desk, guid, row):
        del row["ends"]  # the word that ends it sets the timer anew
        desk.put(ORDERS, guid, row)
        return
    if row["status"] in _NEVER_DUE:
        row["status"] = REFUSED
        days = desk.settings.memory_days
        tell(desk, guid, row, "TAX-08", f"not to be issued for {days} days: it has to be asked for again")
    if row.get("alert"):
        desk.alert("TAX-03", guid, do="close")
    if row.get("altered"):
        desk.alert("TAX-10", guid, do="close")
    if row.get("found"):
        desk.put(UNMATCHED, f"{row['found'][0]}\0{guid}", None)
    desk.put(ORDERS, guid, None)
    for invoice_id in row.get("invoices", ()):
        _end_invoice(desk, invoice_id)


def has_ended(message: Row) -> bool:
    """Whether a message about an order without a row is about one whose rows have ended: only a wish or a contract
    begins one."""
    said = message.get("said") or {}
    return "invoice" not in said and ("contract" not in said or message.get("had") is not None)


def after(desk: Desk, message: Row) -> None:
    """A word on an order whose rows have ended. `had`: [status of its invoices, the order's version], if it had any."""
    guid, said, had = message["guid"], message.get("said") or {}, message.get("had")
    if had is None:
        return
    rule = "TAX-09"
    if "refunded" in said:
        reason = f"refunded {said['refunded']} minor units after its invoices were forgotten: no red one is made"
        title = "refund after the invoice was forgotten"
        desk.alert(rule, f"ended/{guid}", do="open", title=title, detail=reason, order_guid=guid)
    elif "contract" in said:
        rule, reason = "TAX-13", "its invoices were forgotten: the contract is compared with nothing"
    elif "reds" in said:
        reason = "its invoices were forgotten: none was left rejected"
    else:
        return
    tell(desk, guid, {"status": had[0], "seq": had[1]}, rule, reason, refused=True)


def _wait(desk: Desk, guid: str, row: Row) -> None:
    row["ends"] = row["heard"] + desk.settings.memory_ms
    desk.timers.append((END, guid, row["ends"]))


def _is_over(desk: Desk, guid: str, row: Row) -> bool:
    invoices = row.get("invoices", ())
    if row["status"] == REFUSED or row["status"] in _NEVER_DUE:
        return not invoices and "due" not in row  # else some of it was issued, and the rest is wanted
    if row["status"] not in ENDED:
        return False
    reds = [red for name in invoices for red in desk.row(INVOICES, name)["reds"].values()]
    return all(red["status"] == IS_ISSUED for red in reds if red["guid"] == guid)


def _end_invoice(desk: Desk, invoice_id: str) -> None:
    """Unless another order on it has not ended."""
    found = desk.row(INVOICES, invoice_id)
    if any(invoice_id in (desk.row(ORDERS, guid) or {}).get("invoices", ()) for guid in found["guids"]):
        return
    desk.put(INVOICES, invoice_id, None)
    desk.put(REQUESTS, invoice_id, None)
    listed = [(invoice_id, found.get("issued_at"))]
    for number, red in found["reds"].items():
        listed.append((red_id(invoice_id, number), red.get("at")))
        for tries in range(1, red["tries"] + 1):
            desk.put(REQUESTS, red_id(invoice_id, number, tries), None)
    for name, at in listed:
        if at is not None:
            desk.put(ISSUED, f"{periods.label_of(periods.month_at(at))}\0{name}", None)
