"""TAX-13, FIN-12: order, contract and invoice of one order must all exist and agree.

An order is looked at once its customer has signed for it. What was refunded is off the order, and by red invoices off
the invoice. A contract is needed of buyers of the types `contract_for`; where one was told it must agree in any case.
"""

from __future__ import annotations

from typing import Any

from streams.domain.ledger import periods

from .buyer import clean
from .desk import INVOICES, UNMATCHED, Desk, Row
from .states import ISSUED, PARTLY_RED, RED

ORDER_COLUMNS = ("order_guid", "channel", "order_no", "order_minor", "contract_minor", "invoice_minor", "wrong")


def update(desk: Desk, guid: str, row: Row) -> None:
    """Keep the list of orders that do not agree, by the month of the signature. `row` is the caller's own."""
    signed = row["order"]["signed_at"]
    if signed is None or ("buyer" not in row and "contract" not in row):
        return
    listed = compare(desk, guid, row)
    month = periods.label_of(periods.month_at(signed))
    found = None if listed is None else [month, listed]
    before = row.get("found")
    if found == before:
        return
    if before is not None:
        desk.put(UNMATCHED, f"{before[0]}\0{guid}", None)
        desk.months.add(before[0])
    row.pop("found", None)
    if found is not None:
        desk.put(UNMATCHED, f"{month}\0{guid}", listed)
        row["found"] = found
    desk.months.add(month)


def compare(desk: Desk, guid: str, row: Row) -> list[Any] | None:
    """What the list says of an order (ORDER_COLUMNS); None where all three agree."""
    order, contract, buyer = row["order"], row.get("contract"), row.get("buyer")
    invoices = [desk.row(INVOICES, name) for name in row.get("invoices", ())]
    invoices = [each for each in invoices if each["status"] in (ISSUED, PARTLY_RED, RED)]
    total = order["paid"] if order["total"] is None else order["total"]
    # As the books have it: what was paid above the price goes back first, also what was paid again after a refund.
    refunded = sum(amount for amount, _ in order["refunds"].values())
    refunded -= min(refunded, max(0, order["paid"] - total))
    invoiced: int | None = None
    if invoices:
        own = sum(line["amount_minor"] for each in invoices for line in each["lines"] if line["guid"] == guid)
        reds = [red for each in invoices for red in each["reds"].values()]
        invoiced = own - sum(red["amount"] for red in reds if red["guid"] == guid and red["status"] == ISSUED)
    wrong = list[str]()
    if invoiced is None and total > refunded:
        wrong.append("no invoice")
    elif invoiced is not None and abs(total - refunded - invoiced) > desk.settings.match_minor:
        wrong.append("order and invoice differ")
    if contract is None:
        if buyer is not None and buyer["type"] in desk.settings.contract_for:
            wrong.append("no contract")
    else:
        if abs(contract["amount_minor"] - total) > desk.settings.match_minor:
            wrong.append("order and contract differ")
        if buyer is not None and clean(contract["buyer_name"], desk.settings.reserved) != buyer["name"]:
            wrong.append("buyers differ")
    if not wrong:
        return None
    agreed = None if contract is None else contract["amount_minor"]
    return [guid, order["channel"], order["order_no"], total - refunded, agreed, invoiced, ", ".join(wrong)]
