"""The number by which each line of an order is named: stock, ledger and invoices must mean the same line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def numbered(told: Sequence[Any]) -> Sequence[int]:
    """As the shop numbers them, which may begin at 0; lines without a number, or with one number twice, go by their
    place, from 1."""
    if None in told or len(set(told)) < len(told):
        return range(1, len(told) + 1)
    return told
