"""CUS-05: what a customer can be offered instead of "no stock", best first. An offer stands 24 h, the order's side.

    {"option": "transfer", "warehouse", "units"}              units that a nearby warehouse keeps in reserve
    {"option": "pre_book", "next_batch_at": ms or null}       the next batch, with a coupon
    {"option": "similar", "skus": [...], "discount": text}    similar goods; none named: for service to choose

Everybody gets at least the last two.
"""

from __future__ import annotations

from typing import Any

from .stock import RESERVED, Stock


def options(stock: Stock) -> list[dict[str, Any]]:
    """All feasible options."""
    told = stock.alternatives or {}
    left = stock.total(RESERVED) - stock.frozen
    found: list[dict[str, Any]] = []
    for name in told.get("nearby") or ():
        levels = stock.warehouses.get(name)
        if levels is not None and min(levels[RESERVED], left) > 0:
            found.append({"option": "transfer", "warehouse": name, "units": min(levels[RESERVED], left)})
    found.append({"option": "pre_book", "next_batch_at": told.get("next_batch_at")})
    found.append({"option": "similar", "skus": told.get("alternatives") or [], "discount": told.get("discount")})
    return found


def advice(found: list[dict[str, Any]]) -> str:
    """The options as a line for whoever calls the customer."""
    said = []
    for option in found:
        if option["option"] == "transfer":
            said.append(f"transfer up to {option['units']} from {option['warehouse']}")
        elif option["option"] == "pre_book":
            said.append("pre-book the next batch with a coupon")
        else:
            said.append("offer " + (", ".join(option["skus"]) or "similar goods") + " at a discount")
    return "Within 24 h: " + "; or ".join(said) + "."
