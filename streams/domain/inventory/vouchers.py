"""INV-05: a cart holds its units for 15 minutes, unless it is turned into an order before.

A voucher counts in `held` like an order's hold; to its customer its units are available. Adding more of the SKU extends
it. Without a customer there is nobody to give the units back to: no voucher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import quotas
from .change import VOUCHER, VOUCHERS, Change
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Voucher:
    """Units held for a cart since and until a time; `event_id` of the event that last added to it."""

    quantity: int
    since: int
    until: int
    event_id: str | None


def voucher_key(sku: str, customer: str) -> str:
    """Row key of a voucher."""
    return f"{sku}\0{customer}"


def to_row(voucher: Voucher) -> list[Any]:
    """The voucher as a list of JSON values."""
    return [voucher.quantity, voucher.since, voucher.until, voucher.event_id]


def from_row(row: list[Any]) -> Voucher:
    """The inverse of `to_row`."""
    return Voucher(*row)


def add(change: Change, voucher: Voucher | None, fact: Mapping[str, Any], settings: Settings) -> Change:
    """`cart_added`: hold the units of the cart, if they are free. `fact["lines"]`: the lines with this SKU."""
    customer = fact.get("customer_id")
    units = sum(line["quantity"] for line in fact["lines"])
    if customer is None or not change.stock.warehouses:
        return change
    if not settings.is_quantity(units):
        return change.refuse("a cart with a quantity that is not a whole number of units")
    if change.stock.paused:
        return change
    stock = change.stock
    activity = quotas.running(stock, fact.get("activity"), change.at)
    quota = quotas.of(stock, fact.get("channel"), activity, fact.get("warehouse"))
    free = stock.available - stock.aside
    if quota is not None:
        free = min(stock.available, quotas.unused(stock, quota))
    name = voucher_key(change.sku, customer)
    if units <= free:
        change.hold(units, "reserved")
        change.touch().vouchers += units
        until = max(change.at + settings.voucher_ms, voucher.until if voucher else 0)
        since = voucher.since if voucher else change.at
        total = units + (voucher.quantity if voucher else 0)
        change.writes.append((VOUCHERS, name, Voucher(total, since, until, change.event_id)))
        change.timers.append((VOUCHER, name, until))
    return change.finish()


def spend(change: Change, units: int, mine: int) -> int:
    """Units of the customer's voucher become units of the order, which are held in their place; what is left. They
    leave the hold they were in, the cart's: what was held for an order sums up to nothing in the end."""
    change.hold(-units, "released")
    change.touch().vouchers -= units
    return mine - units


def expire(change: Change, voucher: Voucher) -> None:
    """The cart's time is up. The caller deletes the row."""
    change.hold(-voucher.quantity, "expired", None, max(0, change.at - voucher.since))
    change.touch().vouchers -= voucher.quantity
