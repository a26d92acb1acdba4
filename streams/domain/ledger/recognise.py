"""FIN-01, FIN-02, ST-05 e: when the revenue of an order is recognised: a function of its row, so of the facts."""

from __future__ import annotations

from typing import Final, NamedTuple

from streams.domain.ledger.row import RECEIPT, RECEIPTS, REFUND, Row, marks
from streams.domain.ledger.settings import CONFIRMED, PICKED, Settings

_NAMES: Final = {PICKED: "picked", CONFIRMED: "confirmed"}

FOREVER: Final = 2**62

PRICE, MONEY, PICKUP, WORD, MARK, CONFLICT, BACK = (
    "a price",
    "payment in full",
    "the courier's pickup",
    "the customer's confirmation",
    "nothing: cancelled within the window",
    "the courier's signature, or a manual resolution: only the customer's side says that it was delivered",
    "nothing: all of it was refunded before",
)
_MISSING: Final = {PICKED: PICKUP, CONFIRMED: WORD}


class Verdict(NamedTuple):
    """`at`: when revenue is recognised, ms, and certain from then on; None if nothing known leads to it.
    `waits`: what is missing, in words."""

    at: int | None
    waits: str | None = None


def verdict(row: Row, settings: Settings) -> Verdict:
    """Whether and when. A deposit counts for the payment in full, and is never revenue by itself (FIN-02)."""
    rule = settings.rule(row.get("channel"))
    paid = paid_in_full(row, settings.rounding_minor)
    if paid is None:
        return Verdict(None, waits=MONEY if "total" in row else PRICE)
    at = paid
    if rule.window_ms:
        end = paid + rule.window_ms
        # It begins with the payment: who pays after a mark has bought. It is over when it has passed, to the
        # millisecond: a mark at its end comes too late.
        if any(paid <= mark < end for mark in marks(row)):
            return Verdict(None, waits=MARK)
        if rule.wait:
            at = end
    for need in (PICKED, CONFIRMED):
        if need not in rule.needs:
            continue
        when = row.get(_NAMES[need])
        if when is None:
            return Verdict(None, waits=_MISSING[need])
        at = max(at, when)
    if row.get("confirmed", at + 1) <= at:
        solved = min((row[name] for name in ("signed", "resolved") if name in row), default=None)
        if solved is None:
            return Verdict(None, waits=CONFLICT)
        at = max(at, solved)
    if _gone(row, at):
        return Verdict(None, waits=BACK)
    return Verdict(at)


def held_open(row: Row, settings: Settings) -> int | None:
    """FIN-14: since when nothing but the customer's word is missing, the parcel being delivered; None if it is not."""
    if "signed" not in row or "confirmed" in row or CONFIRMED not in settings.rule(row.get("channel")).needs:
        return None
    paid = paid_in_full(row, settings.rounding_minor)
    if paid is None:
        return None
    since = max(paid, row["signed"])
    return None if _gone(row, FOREVER) else since


def paid_in_full(row: Row, rounding: int) -> int | None:
    """When the receipts reached the price, in order of their times; None if they have not, or by deposits alone."""
    total = row.get("total")
    if total is None:
        return None
    if total == 0:
        created: int = row["at"]
        return created
    missing = max(total - rounding, 1)
    moved = row.get("money", {}).values()
    if len(moved) == 1:  # most orders: one payment, and no more money yet
        [(kind, amount, _, only)] = moved
        return int(only) if kind == RECEIPT and amount >= missing else None
    final = min((at for kind, _, _, at in moved if kind == RECEIPT), default=None)
    if final is None:
        return None
    for at, amount in sorted((at, amount) for kind, amount, _, at in moved if kind in RECEIPTS):
        missing -= amount
        if missing <= 0:
            return int(max(final, at))
    return None


def _gone(row: Row, at: int) -> bool:
    """Whether all that was paid by `at` had been paid back by then: nothing was sold."""
    paid = back = 0
    for kind, amount, _, when in row.get("money", {}).values():
        if when <= at:
            if kind in RECEIPTS:
                paid += amount
            elif kind == REFUND:
                back += amount
    return 0 < paid <= back
