"""Where the invoice of an order stands: what it is about, what it waits for, and how the order is told of it."""

from __future__ import annotations

from typing import Any, Final

from streams.domain.ledger.apportion import split
from streams.domain.order.numbers import numbered

from . import codes
from .desk import INVOICES, ORDER_FACTS, Desk, Row
from .states import ACCEPTED, BAD, BLOCKED, ISSUED, PARTLY_RED, RED, REJECTED, REQUESTED, VOID, WAITING

TOLD: Final = "_invoice"
"""What the order is told of its invoice; each such fact has its row in audit-log."""


def is_ready(row: Row, rounding: int) -> bool:
    """TAX-08: signed by the customer, beyond doubt (ST-05 e), and paid in full. Doubt is no matter any more where all
    went back: then nothing is left to be invoiced (TAX-09)."""
    order = row["order"]
    if order["signed_at"] is None or not is_paid(order, rounding):
        return False
    return bool(order["clear"] or has_gone_back(order))


def has_gone_back(order: Row) -> bool:
    """All that was paid for it."""
    back = sum(amount for amount, _ in order["refunds"].values())
    return bool(0 < max(order["paid"], order["total"] or 0) <= back)


def lacks(row: Row) -> list[str]:
    """What it waits to be told of: the goods that are still to be invoiced, and the place."""
    gone: set[str] = set()
    if "open" in row:
        gone = {f"{codes.SKU}{sku}" for sku in skus(row)} - {f"{codes.SKU}{line[1]}" for line in row["open"]}
    return sorted(ref for ref, value in row["refs"].items() if value is None and ref not in gone)


def is_paid(order: Row, rounding: int) -> bool:
    total = order["total"]
    if total == 0 or order["paid_at"] is None:
        return bool(total == 0)
    return total is None or bool(order["paid"] >= total - rounding)


def lines(row: Row) -> list[list[Any]]:
    """[line_no, sku, units, amount] of what the customer pays for: the price over the lines in proportion to what they
    are worth, so that discounts, freight and the like lie on them to the last fen (FIN-06)."""
    order = row["order"]
    goods = _goods(order)
    total = order["paid"] if order["total"] is None else order["total"]
    parts = zip(goods, split(total, [weight for *_, weight in goods]), strict=True)
    return [[number, sku, units, amount] for (number, sku, units, _), amount in parts if amount]


def skus(row: Row) -> list[str]:
    """Whatever may be on the invoice, however much of it turns out to be paid."""
    return list(dict.fromkeys(sku for _, sku, _, _ in _goods(row["order"])))


def _goods(order: Row) -> list[tuple[int, str, int, int]]:
    """(line_no, sku, units, what it is worth) of lines that are worth anything; without prices, by units."""
    told = order["lines"]
    lines = [(number, *line[1:]) for number, line in zip(numbered([line[0] for line in told]), told, strict=True)]
    found = [line for line in lines if not line[4]] or lines
    priced = any(line[3] for line in found)
    goods = [(line[0], line[1], line[2], line[2] * (line[3] or 0) if priced else line[2]) for line in found]
    return [each for each in goods if each[3]]


def cap_of(desk: Desk, row: Row) -> int:
    """TAX-06: the most that one invoice of the order's place may be of, minor units."""
    told = row["refs"].get(f"{codes.PLACE}{row['buyer']['place']}") or {}
    return int(told.get("cap_minor") or desk.settings.cap_minor)


def waits_for(row: Row) -> str:
    """What an invoice that is late waits for."""
    if row["status"] in (ACCEPTED, BLOCKED):
        return "it waits for " + ", ".join(lacks(row))
    if row["status"] == WAITING:
        return "it waits for the courier's signature, or a manual resolution"
    return f"it is {row['status']}"


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
