"""FIN-11: accounting periods, the months of Asia/Shanghai, and their lock.

A month is a number here, years times 12. Closing a month locks it and all before it, so what is locked is one number,
the last of them, and the set of closings in whatever order gives the same. What comes for a locked month is booked in
the first that is open, as an adjustment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from streams.domain import calendar
from streams.domain.order import audit

CLOSED: Final = "_period_closed"
"""Event type of the fact that tells every partition of a closing."""

STATED: Final = "_bi_total"
"""The same of what a BI system says a channel has sold in a period (FIN-08)."""

KEYS: Final = tuple(f"period/{number}" for number in range(1024))
"""Its keys: so many that every partition of a topic of up to 64 has one of them, wherever a key falls. Told by one key
per partition; the first is always among them, and what is to be done once is done where that one falls."""

NONE: Final = -1
"""No month is locked."""

_FORM: Final = re.compile(r"(?!0000|9999)(\d{4})-(0[1-9]|1[0-2])")
"""A month that begins, and ends, within what a calendar has."""
_DAY: Final = re.compile(r".{7}-[0-9]{2}")


def month_of(label: str) -> int | None:
    """`2026-01` as a number; None if it is not written so."""
    found = _FORM.fullmatch(label) if label.isascii() else None
    return None if found is None else int(found[1]) * 12 + int(found[2]) - 1


@lru_cache(maxsize=1024)
def label_of(month: int) -> str:
    """`yyyy-mm`."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def month_at(ms: int) -> int:
    """The Shanghai month that holds `ms`."""
    return _month(calendar.day_number(ms))


@lru_cache(maxsize=4096)
def _month(day: int) -> int:
    date = calendar.business_date(day * calendar.DAY_MS - calendar.SHANGHAI_OFFSET_MS)
    return date.year * 12 + date.month - 1


def begins_at(month: int) -> int:
    """Its first millisecond."""
    return calendar.at(month // 12, month % 12 + 1, 1)


def scheduled(locks: Iterable[tuple[int, int]], now: int) -> int:
    """The last month that the configured dates have locked by `now` (ms)."""
    return max((month for since, month in locks if since <= now), default=NONE)


def days_of(label: str) -> tuple[int, int] | None:
    """The first and last day (see calendar) of a month or a day, `2026-01` or `2026-01-23`; None if it is neither."""
    month = month_of(label)
    if month is not None:
        return calendar.day_number(begins_at(month)), calendar.day_number(begins_at(month + 1)) - 1
    if _DAY.fullmatch(label) is None or month_of(label[:7]) is None:
        return None
    try:
        day = calendar.number_of(int(label[:4]), int(label[5:7]), int(label[8:]))
    except ValueError:
        return None
    return day, day


def wrong_statement(fact: Mapping[str, Any]) -> str | None:
    """Why a `bi_total` cannot be compared: its period is not written so, or has not begun."""
    days = days_of(fact["period"])
    if days is None:
        return "period is not written as YYYY-MM or YYYY-MM-DD"
    if days[0] > calendar.day_number(fact["event_time"]):
        return "the period of the total has not begun"
    return None


def refusal(label: str, at: int) -> str | None:
    """Why a closing told at `at` (ms) is none: a month that is not written so, or has not begun."""
    month = month_of(label)
    if month is None:
        return "period is not written as YYYY-MM"
    if begins_at(month) > at:
        return "the period that is to be closed has not begun"
    return None


def closing(fact: Mapping[str, Any], known: Mapping[str, list[str]]) -> tuple[dict[str, Any], list[str] | None]:
    """The audit row of a closing, and what is to be remembered of it under its label if it closed anything. `known`:
    what is remembered of those before, [source, event_id] by label."""
    label, event = fact["period"], [fact["source"], fact["event_id"]]
    month = month_of(label)
    last = max((number for name in known if (number := month_of(name)) is not None), default=None)
    decision, reason = audit.ACCEPTED, None
    if label in known:
        same = known[label] == event
        decision = audit.DUPLICATE if same else audit.REFUSED
        reason = "event seen before" if same else f"{label} is closed already"
    elif last is not None and month is not None and month < last:
        decision, reason = audit.REFUSED, f"{label} is closed already, with {label_of(last)}"
    before = None if last is None else f"closed up to {label_of(last)}"
    after = f"closed up to {label}" if decision == audit.ACCEPTED else before
    told = {**fact, "event_type": "period_closed", "order_guid": None}
    return audit.row(told, "FIN-11", decision, before, after, reason), event if decision == audit.ACCEPTED else None
