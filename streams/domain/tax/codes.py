"""What is set of SKUs and places, and who asked for it (TAX-05, TAX-06).

Orders of all customers need the tax code of a SKU, so the SKU has one row, in the partition of its name; an order asks
it and is told. An ask that cannot be answered well stays with the row until it can: an order whose goods have no code,
or one that contradicts itself, is blocked, and goes on by itself once the code is set right.

    sku/SKU       {"tax_code", "exempt", "rate", "name"}         place/PLACE   {"cap_minor"}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .settings import Settings

SKU, PLACE = "sku/", "place/"
CODE_LENGTH: Final = 19
"""Digits of a code of the official library of goods and services (商品和服务税收分类编码)."""


def mismatch(ref: str, value: Mapping[str, Any] | None, settings: Settings) -> str | None:
    """TAX-05: why the goods cannot be invoiced under what is set; None if they can. A place needs nothing set."""
    if not ref.startswith(SKU):
        return None
    name = ref.removeprefix(SKU)
    if value is None:
        return f"SKU {name} has no tax code"
    code, exempt, rate = value["tax_code"], value["exempt"], value["rate"]
    if exempt != (rate == 0):
        return f"SKU {name} is {'tax-free' if exempt else 'taxable'} at a rate of {percent(rate)}"
    if rate not in settings.rates_per_10000:
        return f"SKU {name} has a rate of {percent(rate)}, which there is not"
    known = max((prefix for prefix in settings.classes if code.startswith(prefix)), key=len, default=None)
    if known is not None:
        found = settings.classes[known]
        if found.exempt != exempt:
            return f"SKU {name} is {'tax-free' if exempt else 'taxable'}, its tax code {code} is not"
        if rate not in found.rates:
            return f"SKU {name} has a rate of {percent(rate)}, its tax code {code} has others"
    return None


def percent(rate: int) -> str:
    """13 % of 1,300 ten-thousandths."""
    whole, part = divmod(rate, 100)
    return f"{whole}.{part:02d} %" if part else f"{whole} %"


def wrong_code(code: Any) -> str | None:
    """Why a text is no tax code."""
    if type(code) is not str or not code.isascii() or not code.isdigit() or len(code) != CODE_LENGTH:
        return f"is not {CODE_LENGTH} digits"
    return None
