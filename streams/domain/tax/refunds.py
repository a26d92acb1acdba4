"""TAX-09: each refund of an order once: off what is open, or by a red invoice; while one is under way it waits.

A red invoice that the tax service rejects stays with its invoice as `rejected`, and what it takes back stays taken: a
later refund has no claim on it. It is asked for again by a person (RETRY_RED of order.invoicing), as often as it takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from . import invoice
from .desk import INVOICES, Desk, Row
from .reds import allocate, overpaid
from .standing import tell
from .states import ACCEPTED, BLOCKED, GROUPED, ISSUED, PARTLY_RED, RED, REJECTED, WAITING

_SEEN_TO: Final = frozenset({GROUPED, ISSUED, PARTLY_RED, RED, REJECTED})
_UNSENT: Final = frozenset({ACCEPTED, BLOCKED, WAITING})
"""Of these too, once it is known what is to be invoiced."""


def refund(desk: Desk, guid: str, row: Row) -> None:
    """TAX-09: each refund once: off what is open, or by a red invoice. While an invoice is under way it waits."""
    refunds = row["order"]["refunds"]
    if row["status"] not in _SEEN_TO and not (row["status"] in _UNSENT and "open" in row):
        return
    if len(refunds) == len(row.get("done", ())):
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
                open_[place][2:] = [None, open_[place][3] - taken]  # nobody says how many units came back
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


def reds_again(desk: Desk, guid: str, row: Row) -> None:
    """Ask for the order's red invoices that were rejected once more; the order hears of each, or that there is none."""
    found = [
        (name, number)
        for name in row.get("invoices", ())
        for number, red in desk.row(INVOICES, name)["reds"].items()
        if red["guid"] == guid and red["status"] == REJECTED
    ]
    for name, number in found:
        request_id = invoice.ask_red_again(desk, name, number)
        tell(desk, guid, row, "TAX-09", f"red invoice asked for again as {request_id}", name)
    if not found:
        tell(desk, guid, row, "TAX-09", "no red invoice of the order was rejected", refused=True)


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
