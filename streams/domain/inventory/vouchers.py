"""INV-05: a cart holds its units for 15 minutes, unless it is turned into an order before.

A voucher counts in `held` like an order's hold, and in the quota it was drawn from; to its customer its units are
available. Adding more of the SKU extends it. Without a customer there is nobody to give the units back to: no voucher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import quotas
from .change import VOUCHER, VOUCHERS, Change
from .settings import Settings
from .stock import Stock


@dataclass(frozen=True, slots=True)
class Voucher:
    """Units held for a cart since and until a time; `event_id` of the event that last added to it. `drawn`: ticket of a
    quota -> units of it; the rest is of what is not set aside."""

    quantity: int
    since: int
    until: int
    event_id: str | None
    drawn: Mapping[str, int] = field(default_factory=dict)

    @property
    def shared(self) -> int:
        """Units that no quota was drawn for."""
        return self.quantity - sum(self.drawn.values())


def voucher_key(sku: str, customer: str) -> str:
    """Row key of a voucher."""
    return f"{sku}\0{customer}"


def to_row(voucher: Voucher) -> list[Any]:
    """The voucher as a list of JSON values."""
    row: list[Any] = [voucher.quantity, voucher.since, voucher.until, voucher.event_id]
    return [*row, voucher.drawn] if voucher.drawn else row


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
        stock = change.touch()
        stock.vouchers += units
        quotas.use(stock, quota, units)
        drawn = dict(voucher.drawn) if voucher else {}
        if quota is not None:
            drawn[quota] = drawn.get(quota, 0) + units
        until = max(change.at + settings.voucher_ms, voucher.until if voucher else 0)
        since = voucher.since if voucher else change.at
        total = units + (voucher.quantity if voucher else 0)
        change.writes.append((VOUCHERS, name, Voucher(total, since, until, change.event_id, drawn)))
        change.timers.append((VOUCHER, name, until))
    return change.finish()


def own(stock: Stock, voucher: Voucher) -> Voucher:
    """The voucher as it is worth now: units of quotas that have ended since are of none."""
    drawn = {ticket: units for ticket, units in voucher.drawn.items() if quotas.is_live(stock, ticket)}
    return replace(voucher, drawn=drawn)


def spend(change: Change, voucher: Voucher, units: int, quota: str | None) -> Voucher:
    """Units of the customer's voucher become units of an order that draws from a quota (or None), and are held in their
    place; what is left of the voucher. They leave the hold they were in, the cart's: what was held for an order sums up
    to nothing in the end."""
    units = min(units, voucher.quantity)
    change.hold(-units, "released")
    stock = change.touch()
    stock.vouchers -= units
    return _give_back(stock, voucher, units, quota)


def expire(change: Change, voucher: Voucher) -> None:
    """The cart's time is up. The caller deletes the row."""
    change.hold(-voucher.quantity, "expired", None, max(0, change.at - voucher.since))
    stock = change.touch()
    stock.vouchers -= voucher.quantity
    _give_back(stock, voucher, voucher.quantity, None)


def _give_back(stock: Stock, voucher: Voucher, units: int, first: str | None) -> Voucher:
    """Units go back to the quotas they were drawn from: those of `first` before what is of none, that before others."""
    drawn, left = dict(voucher.drawn), units
    for ticket in dict.fromkeys((first, None, *drawn)):
        part = min(left, voucher.shared if ticket is None else voucher.drawn.get(ticket, 0))
        left -= part
        if ticket is not None and part:
            quotas.use(stock, ticket, -part)
            drawn[ticket] -= part
    return replace(voucher, quantity=voucher.quantity - units, drawn={name: n for name, n in drawn.items() if n})
