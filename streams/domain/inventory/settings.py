"""The numbers of the inventory rules; the values in force stand in rules/limits.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.domain import calendar

MINUTE_MS = calendar.MINUTE_MS


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in ms, quantities in units."""

    hold_ms: int = 15 * MINUTE_MS
    hold_ms_by_channel: Mapping[str, int] = field(default_factory=dict)
    """How long an unpaid order holds its units (INV-06), kept within the next two."""
    hold_min_ms: int = 15 * MINUTE_MS
    hold_max_ms: int = 30 * MINUTE_MS
    deposit_hold_ms: int = 60 * calendar.DAY_MS
    """How long one whose deposit was paid holds them: until its balance is due."""
    voucher_ms: int = 15 * MINUTE_MS
    """How long a cart holds them (INV-05)."""
    ended_kept_ms: int = calendar.DAY_MS
    confirmed_kept_ms: int = 30 * calendar.DAY_MS
    """How long a line is remembered after its hold ended (INV-08), or after it was sold."""
    seen_ms: int = 7 * calendar.DAY_MS
    forget_every_ms: int = calendar.DAY_MS
    """How long a repeated event of warehouses, carts and operations is recognised; how often they are cleared."""
    break_units: int = 30
    break_window_ms: int = 5 * MINUTE_MS
    """More than so many units oversold in a window pause the SKU (INV-11)."""
    break_late_ms: int = 30 * MINUTE_MS
    """How long oversold units are kept for payments of before that come later."""
    lines: int = 500
    """Of one order with one SKU."""
    units: int = 10**15
    """In one figure."""

    def hold_for(self, channel: str | None) -> int:
        """How long an order of this channel holds its units."""
        asked = self.hold_ms_by_channel.get(channel or "", self.hold_ms)
        return min(max(asked, self.hold_min_ms), self.hold_max_ms)

    def is_quantity(self, value: object) -> bool:
        """Whether this is a number of units that can be reserved or received."""
        return type(value) is int and 1 <= value <= self.units
