"""Currencies by the names that systems have for them. What a sender said stays as it was told (DQ-11)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_NAMES: Final[Mapping[str, str]] = dict.fromkeys(
    ("rmb", "rmb¥", "cn¥", "¥", "yuan", "元", "人民币", "人民币元", "156"), "CNY"
)
"""Names that are no code of ISO 4217, and its number, as payment platforms send it."""


@lru_cache(maxsize=1024)
def code_of(told: str) -> str:
    """The code of a currency: `CNY` of rmb, cny, ￥ or 人民币; of what is no name known here its capital letters."""
    name = told.strip().casefold().replace("￥", "¥")
    return _NAMES.get(name, name.upper())


_NONE: Final = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
)  # fmt: skip
_DECIMALS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_NONE, 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def decimals(code: str | None) -> int:
    """Of how many decimals the minor unit is (ISO 4217)."""
    return _DECIMALS.get(code or "", 2)
