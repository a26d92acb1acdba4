"""What is known of one order, as a row of JSON values; a function of the set of facts, whatever their order:

    at, channel, currency   of the order_created
    total                   the price, minor units; not there if neither a total nor prices were told
    pieces                  units of all lines, gifts too: the warehouse ships them
    lines                   [number, units, price or None] per line, in minor units
    money                   {key of the event: [kind, amount, at]}
    backs                   {key of a refund: number of the line that it names}
    parcels                 {kind NUL parcel NUL sku: [at, units or None]}, the last word of each
    shipped                 when it first was on its way, by the word of warehouse or courier
    links                   {key of the event, "sales" or name of the parcel: where its voucher can be seen}
    failed                  {key: digest} of payments that failed: under their ids no money counts (ID-05)
    manual                  1 once a person has moved or approved something of it by hand
    found, told             what the three differ by, and what people were told of it (see compare)
    due                     when it will be complete enough to be compared, if it is not yet

A voucher's link is what a sender gives as `raw` in place of the payload, a pointer to it: https://...

Which money counts is for the rules of `order` to say, and the price for the ledger, so that they never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.domain.contract import LIMITS
from streams.domain.ledger.row import CREATED, DEPOSIT, FAILED, RECEIPT, REFUND
from streams.domain.order import claims, money, returned
from streams.domain.order.dedup import event_key
from streams.domain.order.numbers import numbered
from streams.domain.order.state import line_of
from streams.domain.rules.nodes import SHIPPED

from .settings import MatchReports

Fact = dict[str, Any]
Row = Mapping[str, Any]

RECORDED: Final = "recorded"
"""What finance itself has recorded as received."""
MONEY: Final[Mapping[tuple[str, str], str]] = {
    ("payments", "payment_succeeded"): RECEIPT,
    ("payments", "balance_paid"): RECEIPT,
    ("payments", "deposit_paid"): DEPOSIT,
    ("payments", "refund_settled"): REFUND,
    ("finance", "receipt_recorded"): RECORDED,
}
LOADED, PACKED, SCANNED = "loaded", "packed", "package_scanned"
PARCELS: Final = (LOADED, PACKED, SCANNED)
"""Who says how many pieces were shipped, the best word first."""
_MOVES: Final = frozenset({"picked_up", "scanned", "out_for_delivery", "signed"})
_BY_HAND: Final = frozenset({"manual_command", "approval"})
_KINDS: Final = frozenset({CREATED, FAILED, *(kind for _, kind in MONEY), *PARCELS, *_MOVES, *_BY_HAND})
_CARRIERS: Final = ("couriers", "wms")
SALES: Final = "sales"
LINK: Final = 512
"""Characters of a link at most; one that is longer is a payload."""
MOST: Final = LIMITS.amount
"""Units of an order at most, so that they fit in a row whatever was told."""


def concerns(fact: Fact) -> bool:
    """Whether the fact may say something of price, money or parcels; most do not, and need no look at the row."""
    if fact["event_type"] in _KINDS:
        return True
    mapped = fact.get("mapped")
    return mapped is not None and fact["topic"] in _CARRIERS and mapped.get("state") is not None


def observe(row: Row | None, fact: Fact, settings: MatchReports) -> Row | None:
    """The row with what the fact says; the same object if that is nothing new. Facts of an order never created say
    nothing: the orders agent refuses them."""
    kind, topic = fact["event_type"], fact["topic"]
    if row is None:
        return _created(fact, settings) if kind == CREATED else None
    said = MONEY.get((topic, kind))
    if said is not None:
        return _money(row, fact, said)
    if kind == FAILED:
        key, failed = event_key(fact["source"], fact["event_id"]).hex(), row.get("failed", {})
        known = key in failed or key in row.get("money", {})
        return row if known else {**row, "failed": {**failed, key: fact.get("digest") or 0}}
    if topic == "ops" and kind in _BY_HAND:
        return row if "manual" in row else {**row, "manual": 1}
    if topic not in _CARRIERS or (kind in _MOVES and row.get("shipped", fact["event_time"] + 1) <= fact["event_time"]):
        return row
    meaning, refusal = claims.read(fact)
    if refusal is not None:
        return row
    if meaning.rank >= SHIPPED and fact["event_time"] < row.get("shipped", fact["event_time"] + 1):
        row = {**row, "shipped": fact["event_time"]}
    if topic == "wms" and kind in PARCELS and (kind != LOADED or meaning.rank >= SHIPPED):
        row = _parcel(row, fact, kind)
    return row


def _created(fact: Fact, settings: MatchReports) -> Row:
    row: dict[str, Any] = {"at": fact["event_time"], "currency": money.currency_of(fact, settings.money.currency)}
    if fact.get("channel"):
        row["channel"] = fact["channel"]
    total, _, _ = money.price(fact, settings.money.most_minor)
    if total is not None:
        row["total"] = total
    lines = fact.get("lines") or ()
    row["pieces"] = min(MOST, sum(line["quantity"] for line in lines))
    prices = returned.worth([line_of(line) for line in lines], total)
    numbers = numbered([line.get("line_no") for line in lines])
    row["lines"] = [[n, min(MOST, line["quantity"]), prices.get(n)] for n, line in zip(numbers, lines, strict=True)]
    return _linked(row, SALES, fact) if "raw" in fact else row


def _money(row: Row, fact: Fact, kind: str) -> Row:
    known, key = row.get("money", {}), event_key(fact["source"], fact["event_id"]).hex()
    if key in known or key in row.get("failed", ()) or money.refusal(row["currency"], fact) is not None:
        return row
    if kind != RECORDED:
        meaning, refusal = claims.read(fact)
        if refusal is not None or not meaning.money:
            return row
    new = {**row, "money": {**known, key: [kind, fact["amount_minor"], fact["event_time"]]}}
    if kind == REFUND and "line_no" in fact:
        new["backs"] = {**row.get("backs", {}), key: fact["line_no"]}
    return _linked(new, key, fact) if "raw" in fact else new


def _parcel(row: Row, fact: Fact, kind: str) -> Row:
    """A parcel that is told of twice counts once, at its last word; each scan is of another piece."""
    units, event = fact.get("quantity"), event_key(fact["source"], fact["event_id"]).hex()
    if kind == SCANNED and units is None:
        return row
    parcel = None if kind == SCANNED else fact.get("package_id") or fact.get("waybill_no")
    name = "\0".join((kind, parcel or event, fact.get("sku") or ""))
    known, said = row.get("parcels", {}), [fact["event_time"], units]
    if name in known and _later(known[name]) >= _later(said):
        return row
    new = {**row, "parcels": {**known, name: said}}
    return _linked(new, name, fact) if "raw" in fact else new


def _linked(row: Row, name: str, fact: Fact) -> Row:
    raw = fact["raw"]
    if len(raw) > LINK or not raw.startswith(("https://", "http://")) or not raw.isprintable() or " " in raw:
        return row
    return {**row, "links": {**row.get("links", {}), name: raw}}


def last_at(row: Row) -> int:
    """When (ms) something was last heard of the order."""
    times: list[int] = [at for _, _, at in row.get("money", {}).values()]
    times += [at for at, _ in row.get("parcels", {}).values()]
    times += [row[name] for name in ("at", "shipped") if name in row]
    return max(times)


def _later(said: list[Any]) -> tuple[int, int]:
    at, units = said
    return at, -1 if units is None else units
