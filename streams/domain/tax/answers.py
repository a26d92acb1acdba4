"""What the tax service answers (TAX-08, TAX-09, TAX-10, TAX-16).

An answer comes once or several times, and the first word on a request is the last: `done` in its row. But a red invoice
that was rejected and is issued after all is there: it counts, once, whatever was asked for again meanwhile. Each
attempt that failed is told too, and counted by interface: once by its number, or by its event if it has none.
"""

from __future__ import annotations

from streams.domain.order.dedup import event_key

from . import orders, report
from .desk import FACTS, INVOICES, ORDERS, REQUESTS, Desk, Row
from .integrity import ALTERED_CODE, SERVICE
from .invoice import BLUE, RED_KIND, keep, red_id, red_number
from .states import ISSUED, PARTLY_RED, RED, REJECTED

ISSUED_EVENT, REJECTED_EVENT, FAILED_EVENT = "invoice_issued", "invoice_rejected", "attempt_failed"
"""The events of the topic `tax`."""
INTERFACE = "interface/"
_UNNUMBERED = 64
"""Attempts that their sender does not number: so many of them are remembered, by their events."""


def take(desk: Desk, message: Row) -> None:
    """An event of the topic `tax`, as a message."""
    request_id, kind = message["request_id"], message["event_type"]
    request = desk.row(REQUESTS, request_id)
    if request is None:
        desk.refusal = "an answer to a request that was never made, or has ended"
        return
    if request.get("done") and not _is_there_after_all(request, kind):
        _again(desk, request_id, request, message)
        return
    request, attempt = _numbered(request, message)
    if attempt > request["attempts"]:
        error = None if kind == ISSUED_EVENT else message["error_code"]
        interface = f"{INTERFACE}{request['interface']}"
        count = {"do": "count", "at": desk.at, "interface": request["interface"], "error": error}
        desk.send(FACTS, interface, count)
    request = {**request, "attempts": max(attempt, request["attempts"])}
    if kind != FAILED_EVENT:
        request["done"] = kind
        if kind == ISSUED_EVENT:
            request["code"] = message["invoice_code"]
    desk.put(REQUESTS, request_id, request)
    if kind == FAILED_EVENT:
        return
    invoice_id = request["invoice"]
    if request["kind"] == RED_KIND:
        _red(desk, request_id, invoice_id, message)
    elif kind == ISSUED_EVENT:
        _issued(desk, invoice_id, message)
    else:
        _rejected(desk, invoice_id, message)


def _numbered(request: Row, message: Row) -> tuple[Row, int]:
    """Which attempt this is; one that has no number is the next, unless its event came before."""
    told = message.get("attempt")
    if told is not None:
        return request, max(told, 1)
    event, known = event_key(message["source"], message["event_id"]).hex(), request.get("unnumbered", [])
    if event in known:
        return request, request["attempts"]
    return {**request, "unnumbered": [*known, event][-_UNNUMBERED:]}, request["attempts"] + 1


def _issued(desk: Desk, invoice_id: str, message: Row) -> None:
    invoice = desk.row(INVOICES, invoice_id)
    known, printed = invoice["buyer"].get("tax_number"), message.get("tax_number")
    if printed is not None and printed != known:
        detail = f"{SERVICE} printed another tax number on invoice {invoice_id} than it was asked for"
        about = {"detail": detail, "order_guid": invoice["guids"][0]}
        desk.alert("TAX-10", invoice_id, do="open", title="tax_number_altered", **about)
    said = {"code": message["invoice_code"], "number": message.get("invoice_number"), "pdf_url": message.get("pdf_url")}
    new = {**invoice, **said, "status": ISSUED, "issued_at": desk.at}
    keep(desk, invoice_id, new)
    rates = [(line["rate_per_10000"], line["amount_minor"]) for line in new["lines"]]
    report.list_row(desk, invoice_id, new["buyer"]["name"], new["code"], rates)
    for guid in new["guids"]:
        orders.follow(desk, guid, "TAX-08", None, invoice_id)


def _rejected(desk: Desk, invoice_id: str, message: Row) -> None:
    invoice = desk.row(INVOICES, invoice_id)
    error = f"{message['error_code']}: {message.get('error') or 'no reason given'}"[:300]
    keep(desk, invoice_id, {**invoice, "status": REJECTED, "error": error})
    # The service's own words may name the buyer: they stay with the invoice and the audit.
    detail = f"invoice {invoice_id} was rejected, {message['error_code']}"
    about = {"detail": detail, "order_guid": invoice["guids"][0]}
    desk.alert("TAX-16", f"rejected/{invoice_id}", do="open", title="invoice rejected", **about)
    if message["error_code"] == ALTERED_CODE:
        desk.alert("TAX-10", invoice_id, do="open", title="tax_number_altered", **about)
    for guid in invoice["guids"]:
        row = dict(desk.row(ORDERS, guid))
        back = [
            [line["line_no"], line["sku"], line["quantity"], line["left"]]
            for line in invoice["lines"]
            if line["guid"] == guid
        ]
        row["open"] = [*(row.get("open") or ()), *back]
        desk.put(ORDERS, guid, row)
        orders.follow(desk, guid, "TAX-16", error, invoice_id)


def _is_there_after_all(request: Row, kind: str) -> bool:
    return bool(request["kind"] == RED_KIND and request["done"] == REJECTED_EVENT and kind == ISSUED_EVENT)


def _red(desk: Desk, request_id: str, invoice_id: str, message: Row) -> None:
    invoice, number = desk.row(INVOICES, invoice_id), red_number(request_id)
    entry, name = invoice["reds"][number], red_id(invoice_id, number)
    is_issued = message["event_type"] == ISSUED_EVENT
    if entry["status"] == ISSUED:  # by another request for it
        if is_issued and message["invoice_code"] != entry["code"]:
            _twice(desk, name, "red invoice", entry["code"], message["invoice_code"])
        return
    if not is_issued:
        keep(desk, invoice_id, {**invoice, "reds": {**invoice["reds"], number: {**entry, "status": REJECTED}}})
        detail = f"red invoice {request_id} was rejected, {message['error_code']}"
        about = {"title": "red invoice rejected", "detail": detail, "order_guid": entry["guid"]}
        desk.alert("TAX-09", name, do="open", **about)
        orders.follow(desk, entry["guid"], "TAX-09", detail, invoice_id, refused=True)
        return
    if entry["tries"] > 1 or entry["status"] == REJECTED:
        desk.alert("TAX-09", name, do="close")
    entry = {**entry, "status": ISSUED, "code": message["invoice_code"], "at": desk.at}
    red = invoice["red"] + entry["amount"]
    status = RED if red == invoice["amount"] else PARTLY_RED
    new = {**invoice, "red": red, "status": status, "reds": {**invoice["reds"], number: entry}}
    keep(desk, invoice_id, new)
    rates = [(new["lines"][place]["rate_per_10000"], -amount) for place, amount, _ in entry["takes"]]
    report.list_row(desk, name, new["buyer"]["name"], entry["code"], rates)
    orders.follow(desk, entry["guid"], "TAX-09", f"red invoice {entry['code']}", invoice_id)


def _again(desk: Desk, request_id: str, request: Row, message: Row) -> None:
    """Told once more: nothing, unless it is another invoice."""
    code = message.get("invoice_code")
    if message["event_type"] == ISSUED_EVENT and code != request.get("code"):
        what = "red invoice" if request["kind"] != BLUE else "invoice"
        _twice(desk, request_id, what, request.get("code") or request["done"], code)


def _twice(desk: Desk, name: str, what: str, before: str, code: str | None) -> None:
    detail = f"{name} was answered twice: {before}, then {code}"
    desk.alert("TAX-08", f"twice/{name}", do="open", title=f"{what} issued twice", detail=detail)
