"""The record of `inventory-states`."""

from __future__ import annotations

from typing import Any

from .stock import POOLS, Stock


def record(sku: str, stock: Stock) -> dict[str, Any]:
    """All fields of the schema."""
    return {
        "sku": sku,
        "warehouses": {
            name: dict(zip(POOLS, levels, strict=False)) for name, levels in sorted(stock.warehouses.items())
        },
        "held": stock.held,
        "available": stock.available,
        "oversold": stock.oversold,
        "paused": stock.paused,
        "virtual": stock.virtual,
        "version": stock.version,
        "updated_at": stock.updated_at,
        "frozen": stock.frozen,
        "vouchers": stock.vouchers,
        "aside": stock.aside,
        "owed": stock.owed,
        "counts": [_count(name, entry) for name, entry in sorted(stock.counts.items())],
        "channel_stock": {channel: entry[0] for channel, entry in sorted(stock.channel_stock.items())},
    }


def _count(name: str, entry: list[int]) -> dict[str, Any]:
    warehouse, _, pool = name.partition("\0")
    return {"warehouse": warehouse, "pool": pool, "at": entry[0], "counted": entry[1], "expected": entry[2]}
