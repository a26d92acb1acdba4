"""What the ledger knows of one order, as a row of JSON values. Fields that are not there are empty:

    at, channel, currency     of the order_created
    total                     the price, minor units; not there if neither a total nor prices were told
    parts                     [line_no, amount before discount, its part of the discounts] per line (FIN-06)
    other                     what the price holds beyond its lines, such as freight
    unexplained               by how much lines less discounts are more than the price
    money                     {key of the event: [kind, amount, line_no, at]}: no amount counts twice
    refused                   {key: digest} of money that was refused, and of payments that failed
    picked, signed, confirmed, resolved, marked     earliest pickup, courier's signature, word of the customer, manual
                              resolution of a conflict, cancel mark
    marks                     cancel marks after the earliest, rising, where there are any
    closed, trouble           1 once its channel calls it closed; once there was a complaint or a courier's exception
    triggers                  keys of the events that told the word of the customer
    done, gen                 when revenue was recognised, if it is; how often that was reversed (see entries)
    shares                    {key of a refund: [how often it was told what it takes back of revenue, when last]}, where
                              that is more than once
    raised, uneven            rules of the alerts that are open; since when money has not added up without one
    due                       when its timer fires, if one is set

All before `done` is a function of the set of facts. Which of them count is for the rules of `order` to say (claims,
money), so that ledger and order never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.domain.ledger.apportion import split
from streams.domain.ledger.settings import CONFIRMED, FEE, PICKED, Settings
from streams.domain.order import claims, money
from streams.domain.order.dedup import event_key
from streams.domain.order.meanings import CONFIRM_TIMEOUT, RECORDED, RESOLVE
from streams.domain.order.numbers import numbered
from streams.domain.rules.nodes import CUSTOMER_SIGNED, LOGISTICS_SIGNED, SHIPPED

Fact = dict[str, Any]
Row = dict[str, Any]

CREATED: Final = "order_created"
RECEIPT, DEPOSIT, REFUND = "receipt", "deposit", "refund"
RECEIPTS: Final = (RECEIPT, DEPOSIT)

FAILED: Final = "payment_failed"
_MONEY: Final[Mapping[str, str]] = {
    "payment_succeeded": RECEIPT,
    "balance_paid": RECEIPT,
    "deposit_paid": DEPOSIT,
    "refund_settled": REFUND,
    "fee_charged": FEE,
}
_KINDS: Final = frozenset(
    {*_MONEY, FAILED, CREATED, "cancel_marked", "buyer_confirmed", "confirmation_scanned", "voice_call_result"}
    | {CONFIRM_TIMEOUT, "picked_up", "scanned", "out_for_delivery", "signed", "manual_command", "exception"}
    | {"complaint", RECORDED}
)
_MOVES: Final = frozenset({"picked_up", "scanned", "out_for_delivery"})
_MAPPED: Final = frozenset({"shipped", "logistics_signed", "customer_signed"})
_TROUBLE: Final = frozenset({("couriers", "exception"), ("orders", "complaint")})
CLOSED: Final = "closed"
_SPEAK: Final = frozenset({"couriers", "orders", "service"})
TRIGGERS: Final = 8
"""Words of the customer that are remembered of one order."""


def concerns(fact: Fact) -> bool:
    """Whether the fact may say something of money or revenue; most do not, and need no look at the row."""
    if fact["event_type"] in _KINDS:
        return True
    mapped = fact.get("mapped")
    if mapped is None or fact["topic"] not in _SPEAK:
        return False
    return mapped.get("state") in _MAPPED or (fact["topic"] == "orders" and CLOSED in (mapped.get("flags") or ()))


def observe(row: Row | None, fact: Fact, settings: Settings) -> tuple[Row | None, str | None]:
    """The row with what the fact says (the same object if that is nothing new), and why its money is refused, if it is
    and nobody was told before. Facts of an order never created say nothing: the orders agent refuses them."""
    kind = fact["event_type"]
    if row is None:
        if kind != CREATED:
            return None, None
        row = _created(fact, settings)
        return _follow(row, fact, settings) if "mapped" in fact else row, None
    if kind == CREATED:
        return row, None
    if kind in _MONEY and fact["topic"] == "payments":
        return _money(row, fact, settings)
    if kind == FAILED:
        return _failed(row, fact), None
    if kind == RECORDED:
        return _recorded(row, fact)
    return _follow(row, fact, settings), None


def _created(fact: Fact, settings: Settings) -> Row:
    row: Row = {"at": fact["event_time"], "currency": money.currency_of(fact, settings.currency)}
    if fact.get("channel"):
        row["channel"] = fact["channel"]
    lines = fact.get("lines") or ()
    total, gross, off = money.price(fact, settings.most_minor)
    worth = sum(gross)
    if total is None:
        return row
    row["total"] = total
    # The price decides: what it is less than the lines is discount, whatever the texts say; what it is more than lines
    # and discounts is freight and the like.
    if worth - off > total:
        if off and worth - off - total > settings.rounding_minor:
            row["unexplained"] = worth - off - total
        off = worth - total
    off = min(off, worth)
    numbers = numbered([line.get("line_no") for line in lines])
    row["parts"] = [list(part) for part in zip(numbers, gross, split(off, gross), strict=True) if part[1]]
    if total > worth - off:
        row["other"] = total - worth + off
    return row


def _money(row: Row, fact: Fact, settings: Settings) -> tuple[Row, str | None]:
    key = event_key(fact["source"], fact["event_id"]).hex()
    digest, refused, known = fact.get("digest") or 0, row.get("refused", {}), row.get("money", {})
    if key in known or refused.get(key, digest) != digest:
        return row, None
    meaning, refusal = claims.read(fact)
    wrong = money.refusal(row["currency"], fact)
    if refusal is not None or wrong is not None or not meaning.money:
        if key in refused:
            return row, None
        return {**row, "refused": {**refused, key: digest}}, wrong
    kind = _MONEY[fact["event_type"]]
    if kind == FEE:
        kind = settings.fee(fact.get("fee_type"), fact.get("raw"))
    new = {**row, "money": {**known, key: [kind, fact["amount_minor"], fact.get("line_no"), fact["event_time"]]}}
    if key in refused:
        new["refused"] = {name: said for name, said in refused.items() if name != key}
    return new, None


def _failed(row: Row, fact: Fact) -> Row:
    """ID-05: money that is told under the id of a failed payment is refused by the orders agent."""
    key, refused = event_key(fact["source"], fact["event_id"]).hex(), row.get("refused", {})
    if key in refused or key in row.get("money", {}):
        return row
    return {**row, "refused": {**refused, key: fact.get("digest") or 0}}


def _recorded(row: Row, fact: Fact) -> tuple[Row, str | None]:
    """What finance has recorded as received is no money of its own, and compared elsewhere (FIN-04); but what is in
    another currency nobody compares."""
    wrong = money.refusal(row["currency"], fact)
    key, refused = event_key(fact["source"], fact["event_id"]).hex(), row.get("refused", {})
    if wrong is None or key in refused:
        return row, None
    return {**row, "refused": {**refused, key: fact.get("digest") or 0}}, wrong


def _follow(row: Row, fact: Fact, settings: Settings) -> Row:
    """Where the order is, as far as revenue depends on it."""
    at, topic, needs = fact["event_time"], fact["topic"], settings.rule(row.get("channel")).needs
    if "trouble" not in row and (topic, fact["event_type"]) in _TROUBLE:
        row = {**row, "trouble": 1}
    if CLOSED not in row and topic == "orders" and "mapped" in fact and CLOSED in (fact["mapped"].get("flags") or ()):
        row = {**row, CLOSED: 1}
    if (
        fact["event_type"] in _MOVES
        and "mapped" not in fact
        and (PICKED not in needs or row.get("picked", at + 1) <= at)
    ):
        return row
    meaning, refusal = claims.read(fact)
    if refusal is not None:
        return row
    if fact["event_type"] == "cancel_marked":
        return _mark(row, at)
    if fact["event_type"] == "manual_command":
        return _first(row, "resolved", at) if fact.get("command") == RESOLVE else row
    # Whatever a courier tells of a parcel on its way, it has been picked up.
    if topic == "couriers" and meaning.rank >= SHIPPED and PICKED in needs:
        row = _first(row, "picked", at)
    if meaning.rank == LOGISTICS_SIGNED:
        row = _first(row, "signed", at)
        return _first(row, "confirmed", at) if row.get("channel") in settings.auto_complete else row
    if meaning.rank == CUSTOMER_SIGNED:
        row = _first(row, "confirmed", at)
        if CONFIRMED in needs and fact["event_type"] != CONFIRM_TIMEOUT:
            key, told = event_key(fact["source"], fact["event_id"]).hex(), row.get("triggers", [])
            if key not in told and len(told) < TRIGGERS:
                row = {**row, "triggers": [*told, key]}
    return row


def _first(row: Row, name: str, at: int) -> Row:
    return row if at >= row.get(name, at + 1) else {**row, name: at}


def _mark(row: Row, at: int) -> Row:
    """All marks are kept: which of them fall into the window hangs on the payment, which may be told later."""
    known = marks(row)
    if at in known:
        return row
    first, *later = sorted([*known, at])
    return {**row, "marked": first, "marks": later} if later else {**row, "marked": first}


def marks(row: Row) -> list[int]:
    """When cancel marks were set, rising."""
    return [row["marked"], *row.get("marks", ())] if "marked" in row else []


def sums(row: Row) -> tuple[int, int, int]:
    """(paid, refunded, fees) in minor units."""
    paid = refunded = fees = 0
    for kind, amount, _, _ in row.get("money", {}).values():
        if kind in RECEIPTS:
            paid += amount
        elif kind == REFUND:
            refunded += amount
        else:
            fees += amount
    return paid, refunded, fees


def taken_back(row: Row) -> dict[str, int]:
    """Key of each refund -> what of it takes back the price, minor units. What was paid above the price is no sale: it
    goes back first, by the earliest refunds."""
    moved = row.get("money", {})
    found = {key: entry[1] for key, entry in moved.items() if entry[0] == REFUND}
    over = sums(row)[0] - row.get("total", 0) if found else 0
    if over > 0:
        for key in sorted(found, key=lambda one: (moved[one][3], one)):
            extra = min(over, found[key])
            found[key] -= extra
            over -= extra
    return found
