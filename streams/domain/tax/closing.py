"""A group goes out: the lines of its orders become one invoice, or several below the cap (TAX-06), and are asked for.

The id of an invoice is that of its first order and a number; one that is asked for again, after the tax service
rejected it, ends in ~2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import codes, invoice, orders, standing
from .desk import GROUPS, ORDERS, Desk, Row
from .split import Line, greedy, tax_within
from .states import GROUPED, REQUESTED


def close(desk: Desk, name: str) -> None:
    """The group goes out: its invoices are asked for."""
    group = desk.row(GROUPS, name)
    if group is None:
        return
    desk.put(GROUPS, name, None)
    members = [(guid, dict(desk.row(ORDERS, guid) or {})) for guid in group["guids"]]
    members = [(guid, row) for guid, row in members if row and row["status"] == GROUPED and row.get("group") == name]
    if not members:
        return
    members.sort(key=_by_signature)
    lines = [
        Line(guid, number, sku, units, amount) for guid, row in members for number, sku, units, amount in row["open"]
    ]
    first, lead = members[0]
    again = lead.get("gen", 0)
    parts = greedy(lines, standing.cap_of(desk, lead))
    ids = [f"{first}/{n}" + (f"~{again + 1}" if again else "") for n in range(1, len(parts) + 1)]
    refs = {ref: value for _, row in members for ref, value in row["refs"].items()}
    orders_ = dict(members)
    holds: dict[str, list[str]] = {}
    for invoice_id, part in zip(ids, parts, strict=True):
        guids = list(dict.fromkeys(line.guid for line in part))
        for guid in guids:
            holds.setdefault(guid, []).append(invoice_id)
        _request(desk, invoice_id, part, [other for other in ids if other != invoice_id], refs, orders_)
    for guid, row in members:
        del row["group"]
        row.update(status=REQUESTED, open=[], invoices=[*row.get("invoices", ()), *holds[guid]])
        row["gen"] = max(row.get("gen", 0), again + 1)  # an id that was used once is not used again
        for invoice_id in holds[guid]:
            note = "TAX-06" if len(parts) > 1 else "TAX-07" if len(members) > 1 else "TAX-08"
            standing.tell(desk, guid, row, note, None, invoice_id)
        orders.settle(desk, guid, row)


def _by_signature(member: tuple[str, Row]) -> tuple[int, int, str]:
    """First come, first served; of orders signed in one moment the largest, as a guid says nothing of an order."""
    guid, row = member
    return row["order"]["signed_at"], -sum(line[3] for line in row["open"]), guid


def _request(
    desk: Desk, invoice_id: str, part: Sequence[Line], related: list[str], refs: Row, rows: Mapping[str, Row]
) -> None:
    lines = [_line(line, refs[f"{codes.SKU}{line.sku}"]) for line in part]
    guids = list(dict.fromkeys(line.guid for line in part))
    lead = rows[guids[0]]
    waybills = list(dict.fromkeys(name for guid in guids for name in rows[guid]["order"]["waybills"]))
    new: Row = {
        "status": REQUESTED,
        "buyer": lead["buyer"],
        "lines": lines,
        "amount": sum(line["amount_minor"] for line in lines),
        "tax": sum(line["tax_minor"] for line in lines),
        "red": 0,
        "reds": {},
        "guids": guids,
        "related": related,
        "waybills": waybills,
        "to": lead["to"],
        "interface": desk.settings.interface_of(lead["buyer"]["place"]),
        "currency": lead["order"]["currency"],
        "channel": lead["order"]["channel"],
        "requested_at": desk.at,
    }
    invoice.ask(desk, invoice_id, invoice.BLUE, invoice_id, new, lines)
    invoice.keep(desk, invoice_id, new)


def _line(line: Line, known: Row) -> dict[str, Any]:
    return {
        "guid": line.guid,
        "line_no": line.line_no,
        "sku": line.sku,
        "name": known.get("name") or line.sku,
        "tax_code": known["tax_code"],
        "exempt": known["exempt"],
        "rate_per_10000": known["rate"],
        "quantity": line.quantity,
        "amount_minor": line.amount,
        "tax_minor": tax_within(line.amount, known["rate"]),
        "left": line.amount,
    }
