"""What a row of identity has told already, so that it does not tell it again, and the numbers of identity's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import calendar, ids


@dataclass(frozen=True, slots=True)
class Delays:
    """ID-08, milliseconds; an event that waited exactly that long is not late yet. `remembered_codes`: how many codes
    a row remembers having told; beyond that it tells again, which does no harm. `remembered_payments`: how many a row
    remembers; an order has one or two. `away_ms`: a timer that fires later than so says that the worker was away, and
    the order may be among what it has not read yet.
    """

    payment_orphan_ms: int = 60_000
    away_ms: int = 5_000
    unresolved_ms: int = calendar.DAY_MS
    remembered_codes: int = 24
    remembered_payments: int = 16


class Told:
    """The codes a row has told already and the payments it has forwarded, oldest first, at most so many."""

    __slots__ = ("_delays", "changed", "codes", "money")

    def __init__(self, codes: Sequence[str], delays: Delays, money: Sequence[list[str]] = ()) -> None:
        self.codes, self._delays, self.money, self.changed = codes, delays, money, False

    def news(self, code: ids.Code) -> bool:
        key = ids.row_key(code)
        if key in self.codes:
            return False
        self.codes = [*self.codes, key][-self._delays.remembered_codes :]
        self.changed = True
        return True

    def repeats(self, payment: list[str]) -> str | None:
        """The event id under which the payment was forwarded before, if that was another one."""
        name, event_id = payment
        for known, first in self.money:
            if first == event_id:
                return None  # the order knows its event ids, and those that are used for something else (ID-05)
            if known == name:
                return first
        self.money = [*self.money, payment][-self._delays.remembered_payments :]
        self.changed = True
        return None

    def kept(self) -> dict[str, Any]:
        """What of it stands in a bound row."""
        found = (("said", self.codes), ("money", self.money))
        return {name: value for name, value in found if value}
