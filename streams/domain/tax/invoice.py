"""One invoice: what is kept and published of it, and what the tax service is asked for (TAX-08, TAX-09, TAX-17).

Row: `status`, `buyer`, `lines` [{guid, line_no, sku, name, tax_code, exempt, rate_per_10000, quantity, amount_minor,
tax_minor, left: what no red has taken back}], `amount`, `tax`, `red`, `reds` {number: {amount, status, code, guid,
refund, takes [[place of a line, amount, tax]], tries, at: when issued}}, `guids`, `related` (others of the same group),
`waybills`, `to`, `interface`, `currency`, `channel`, `requested_at`; once issued `code`, `number`, `pdf_url`,
`issued_at`; `error` if it was rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from .desk import ASKS, INVOICES, RECORDS, REQUESTS, Desk, Row
from .integrity import SEAL
from .settings import FIELDS
from .split import tax_within
from .states import REQUESTED

BLUE: Final = "issue"
RED_KIND: Final = "red"
"""What the tax service is asked for."""


def list_waybills(desk: Desk, invoice_id: str, waybills: Sequence[str]) -> None:
    """TAX-17: the invoice lists the parcels of its orders, later ones too."""
    invoice = desk.row(INVOICES, invoice_id)
    new = [name for name in waybills if name not in invoice["waybills"]]
    if new:
        keep(desk, invoice_id, {**invoice, "waybills": [*invoice["waybills"], *new]})


def keep(desk: Desk, invoice_id: str, invoice: Row) -> None:
    """Store the invoice and publish it."""
    desk.put(INVOICES, invoice_id, invoice)
    desk.send(RECORDS, invoice_id, record(invoice_id, invoice, desk.at))


def record(invoice_id: str, invoice: Row, at: int) -> Row:
    """The record of the topic `invoices`."""
    reds = [
        {"red_id": red_id(invoice_id, n), "amount_minor": red["amount"], "status": red["status"], "code": red["code"]}
        for n, red in invoice["reds"].items()
    ]
    buyer = invoice["buyer"]
    return {
        "invoice_id": invoice_id,
        "status": invoice["status"],
        "kind": buyer["kind"],
        "buyer_type": buyer["type"],
        "buyer_name": buyer["name"],
        "tax_number": buyer.get("tax_number"),
        "tax_number_hash": buyer.get(SEAL),
        "amount_minor": invoice["amount"],
        "tax_minor": invoice["tax"],
        "red_minor": invoice["red"],
        "currency": invoice["currency"],
        "lines": [{name: line[name] for name in line if name != "left"} for line in invoice["lines"]],
        "reds": reds,
        "order_guids": invoice["guids"],
        "waybills": invoice["waybills"],
        "related": invoice["related"],
        "invoice_code": invoice.get("code"),
        "invoice_number": invoice.get("number"),
        "pdf_url": invoice.get("pdf_url"),
        "error": invoice.get("error"),
        "requested_at": invoice["requested_at"],
        "issued_at": invoice.get("issued_at"),
        "updated_at": at,
    }


def ask(desk: Desk, request_id: str, kind: str, invoice_id: str, invoice: Row, lines: Iterable[Row]) -> None:
    """Have the tax service asked for the invoice, or for a red one of `lines` of it; red amounts are below 0."""
    sign = -1 if kind == RED_KIND else 1
    said = [{name: line[name] for name in line if name not in ("left", "guid")} for line in lines]
    for line in said:
        line["amount_minor"] *= sign
        line["tax_minor"] *= sign
    buyer = invoice["buyer"]
    request = {
        "request_id": request_id,
        "kind": kind,
        "invoice_id": invoice_id,
        "interface": invoice["interface"],
        "reply_to": invoice["to"],
        "invoice_kind": buyer["kind"],
        "buyer_type": buyer["type"],
        **{(name if name == "tax_number" else f"buyer_{name}"): buyer.get(name) for name in FIELDS},
        "tax_number_hash": buyer.get(SEAL),
        "place": buyer["place"],
        "lines": said,
        "amount_minor": sum(line["amount_minor"] for line in said),
        "tax_minor": sum(line["tax_minor"] for line in said),
        "currency": invoice["currency"],
        "original_code": invoice.get("code"),
        "original_number": invoice.get("number"),
        "order_guids": invoice["guids"],
        "waybills": invoice["waybills"],
        "related": invoice["related"],
        "at": desk.at,
    }
    kept = {"invoice": invoice_id, "kind": kind, "attempts": 0, "interface": invoice["interface"]}
    desk.put(REQUESTS, request_id, kept)
    desk.send(ASKS, request_id, request)


def red_id(invoice_id: str, number: str, tries: int = 1) -> str:
    """Of a red invoice, and of the request for it; one that is asked for again, after it was rejected, ends in ~2."""
    return f"{invoice_id}/red/{number}" + (f"~{tries}" if tries > 1 else "")


def red_number(request_id: str) -> str:
    """Which red of its invoice a request is for."""
    return request_id.rpartition("/")[2].partition("~")[0]


def ask_red(desk: Desk, invoice_id: str, takes: Mapping[int, int], guid: str, refund: str) -> None:
    """TAX-09: a red invoice of these amounts of lines, by their place. What is asked for is off `left` at once, so that
    all reds of an invoice never come to more than its amount."""
    invoice = desk.row(INVOICES, invoice_id)
    number, lines = str(len(invoice["reds"]) + 1), [dict(line) for line in invoice["lines"]]
    taken = []
    for place, amount in takes.items():
        # The tax left in a line is that of what is left of it: so the taxes of all its reds add up to its own.
        line = lines[place]
        before = tax_within(line["left"], line["rate_per_10000"])
        line["left"] -= amount
        taken.append([place, amount, before - tax_within(line["left"], line["rate_per_10000"])])
    entry: Row = {"amount": sum(takes.values()), "code": None, "guid": guid, "refund": refund, "tries": 0}
    entry["takes"] = taken
    _ask_red(desk, invoice_id, {**invoice, "lines": lines}, number, entry)


def ask_red_again(desk: Desk, invoice_id: str, number: str) -> str:
    """Have a red invoice that was rejected asked for once more, under another id. It is the same red: what it takes
    back is off `left` already. The id of the request."""
    invoice = desk.row(INVOICES, invoice_id)
    return _ask_red(desk, invoice_id, invoice, number, invoice["reds"][number])


def _ask_red(desk: Desk, invoice_id: str, invoice: Row, number: str, entry: Row) -> str:
    entry = {**entry, "status": REQUESTED, "tries": entry["tries"] + 1}
    new = {**invoice, "reds": {**invoice["reds"], number: entry}}
    request_id = red_id(invoice_id, number, entry["tries"])
    lines = [_red_line(new["lines"][place], amount, tax) for place, amount, tax in entry["takes"]]
    ask(desk, request_id, RED_KIND, invoice_id, new, lines)
    keep(desk, invoice_id, new)
    return request_id


def _red_line(line: Row, amount: int, tax: int) -> Row:
    whole = amount == line["amount_minor"]
    return {**line, "amount_minor": amount, "tax_minor": tax, "quantity": line["quantity"] if whole else None}
