"""The weights, seasons, limits and advice of the risk rules (RSK-01 to RSK-11); `rules/risk.json` holds those in force.

Weights are exact: a weight and a season's factor are thousandths, so a weight in force and a score are millionths. 2.5
is reached by 2.5 and by nothing less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain import calendar
from streams.domain.rules.nodes import NODE_NUMBER

UNIT: Final = 1_000_000
"""A score of 1.0."""
MILLI: Final = 1_000

SIGNALS: Final = (
    "address_change",
    "chat_after_payment",
    "label_surge",
    "page_dwell",
    "coupon_depth",
    "urgent_words",
    "repeated_chasing",
    "transit_stall",
    "ip_refunds",
    "earlier_cancellation",
    "night_payment",
    "node_overdue",
)
"""RSK-02, by its numbers 1 to 12."""
PHASES: Final = ("paid", "shipped", "out_for_delivery")
"""RSK-11: how far an order may be when its promised delivery comes near."""
_NO_NUMBERS: Final = frozenset({"urgent", "chasing", "node_sla_ms", "high_value_minor", "promise_ms"})
_COUNTS: Final = frozenset({"chases", "ip_refunds", "label_samples", "popup_factor", "popup_least", "coupons"})
"""Limits that make no sense at 0."""
CLASSES: Final = ("timeliness", "quality")
NORMAL: Final = "normal"
"""The season of a day that no season names."""


class RiskError(ValueError):
    """A risk table that must not be used; the message names the entry and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Signal:
    """`weight` in thousandths; `favoured_in`: the class that a season may favour, None for neither."""

    weight: int
    favoured_in: str | None
    advice: str


@dataclass(frozen=True, slots=True)
class Season:
    """From the first to the last day, both as (month, day), or as (year, month, day) for one year alone."""

    name: str
    first: tuple[int, ...]
    last: tuple[int, ...]

    def holds(self, year: int, month: int, day: int) -> bool:
        date = (year, month, day)[-len(self.first) :]
        return self.first <= date <= self.last


@dataclass(frozen=True, slots=True)
class Limits:
    """The conditions of the signals and the other risk rules. Times in ms, amounts in minor units by currency.

    A window that is just filled counts (two changes exactly 30 minutes apart are two in 30 minutes); a limit that reads
    "more than" does not count when just reached. The night is [from, to) in minutes of the Shanghai day.
    """

    address_window_ms: int = 30 * calendar.MINUTE_MS
    chat_window_ms: int = 10_000
    chat_orders_ms: int = 7 * calendar.DAY_MS
    label_window_ms: int = calendar.HOUR_MS
    label_surge_percent: int = 47
    label_samples: int = 1
    dwell_s: int = 180
    coupons: int = 3
    discount_percent: int = 50
    urgent: tuple[str, ...] = ()
    chasing: tuple[str, ...] = ()
    chases: int = 2
    chase_window_ms: int = calendar.DAY_MS
    stall_ms: int = 4 * calendar.HOUR_MS
    ip_refunds: int = 3
    cancel_window_ms: int = 2 * calendar.HOUR_MS
    cancel_memory_ms: int = 90 * calendar.DAY_MS
    night_from: int = 22 * 60
    night_to: int = 23 * 60 + 30
    node_sla_ms: Mapping[int, int] = field(default_factory=dict)
    unshipped_ms: int = calendar.DAY_MS
    high_value_minor: Mapping[str, int] = field(default_factory=dict)
    likely_late: int = UNIT
    promise_ms: Mapping[str, int] = field(default_factory=dict)
    popup_factor: int = 3
    popup_least: int = 3
    tally_kept_ms: int = 400 * calendar.DAY_MS


@dataclass(frozen=True, slots=True)
class Settings:
    """One version of the risk table. `orange`, `red`: scores in millionths; `favoured`: factor in thousandths.
    `salt`: what hashed values (ip) are salted with: the same for all workers, or the requests of one ip are counted
    apart; OMS_HASH_SALT sets it."""

    version: int
    orange: int
    red: int
    favoured: int
    favours: Mapping[str, str | None]
    seasons: tuple[Season, ...]
    signals: Mapping[str, Signal]
    limits: Limits
    salt: str = "oms"

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Settings:
        """From the shape of `rules/risk.json`. RiskError names what must not be used."""
        try:
            return _parsed(document)
        except RiskError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise RiskError(f"risk table: {type(error).__name__} {error}") from None

    def season(self, at: int) -> str:
        """RSK-05: the season of the Shanghai day of `at` (ms); of several that hold it the first."""
        date = calendar.business_date(at)
        for season in self.seasons:
            if season.holds(date.year, date.month, date.day):
                return season.name
        return NORMAL

    def weight(self, signal: str, season: str) -> int:
        """The weight in force, millionths."""
        entry = self.signals[signal]
        favoured = entry.favoured_in is not None and self.favours.get(season) == entry.favoured_in
        return entry.weight * (self.favoured if favoured else MILLI)


def _parsed(document: Mapping[str, Any]) -> Settings:
    found = document["signals"]
    if wrong := sorted(set(found) ^ set(SIGNALS)):
        raise RiskError(f"risk signals missing or unknown: {', '.join(wrong)}")
    signals = {name: _signal(name, found[name]) for name in SIGNALS}
    favours = dict(document["favours"])
    for name, favoured in favours.items():
        if favoured is not None and favoured not in CLASSES:
            raise RiskError(f"season {name} favours the unknown class {favoured}")
    seasons = tuple(_season(entry) for entry in document["seasons"])
    for season in seasons:
        if season.name not in favours:
            raise RiskError(f"season {season.name} is not among `favours`")
    orange, red = _thousandths("orange", document["orange"]), _thousandths("red", document["red"])
    if not 0 < orange < red:
        raise RiskError("orange must lie above 0 and below red")
    return Settings(
        version=int(document["version"]),
        orange=orange * MILLI,
        red=red * MILLI,
        favoured=_thousandths("favoured", document["favoured"]),
        favours=favours,
        seasons=seasons,
        signals=signals,
        limits=_limits(document["limits"]),
    )


def _thousandths(name: str, number: Any) -> int:
    """Exactly, or not at all: a weight of 0.1234 has no place in a sum that must be exact."""
    if type(number) not in (int, float) or not 0 <= number <= 1000 or round(number * MILLI) / MILLI != number:
        raise RiskError(f"{name} must be a number from 0 to 1000 of at most three decimals")
    exact: int = round(number * MILLI)
    return exact


def _signal(name: str, entry: Mapping[str, Any]) -> Signal:
    advice = entry.get("advice")
    if type(advice) is not str or not advice.strip():
        raise RiskError(f"signal {name} has no advice")  # RSK-06
    if entry["class"] is not None and entry["class"] not in CLASSES:
        raise RiskError(f"signal {name} is of the unknown class {entry['class']}")
    return Signal(_thousandths(f"weight of {name}", entry["weight"]), entry["class"], advice)


def _season(entry: Mapping[str, Any]) -> Season:
    try:
        first, last = (tuple(int(part) for part in entry[end].split("-")) for end in ("from", "to"))
        for date in (first, last):
            calendar.number_of(*(date if len(date) == 3 else (2024, *date)))
    except (ValueError, TypeError, AttributeError):
        raise RiskError(f"season {entry['season']}: dates are MM-DD or YYYY-MM-DD, in quotes in YAML") from None
    if len(first) != len(last) or len(first) not in (2, 3) or first > last:
        raise RiskError(f"season {entry['season']} must end on or after the day it begins, written alike")
    return Season(str(entry["season"]), first, last)


def _limits(entry: Mapping[str, Any]) -> Limits:
    numbers = dict(entry)
    if unknown := sorted(numbers.keys() - {*Limits.__slots__}):
        raise RiskError(f"limits names the unknown {', '.join(unknown)}")
    for name in ("urgent", "chasing"):
        numbers[name] = tuple(numbers[name])
        if not all(type(word) is str and word for word in numbers[name]):
            raise RiskError(f"{name} must be words")
    for name in ("night_from", "night_to"):
        try:
            hour, minute = (int(part) for part in numbers[name].split(":"))
        except (ValueError, AttributeError):
            raise RiskError(f'{name} must be an hour such as "22:00", in quotes in YAML') from None
        if not (0 <= minute < 60 and 0 <= hour * 60 + minute <= 24 * 60):
            raise RiskError(f"{name} must be an hour from 00:00 to 24:00")
        numbers[name] = hour * 60 + minute
    for name in numbers["node_sla_ms"]:
        if name not in NODE_NUMBER:
            raise RiskError(f"node_sla_ms names the unknown node {name}")
    numbers["node_sla_ms"] = {NODE_NUMBER[name]: ms for name, ms in numbers["node_sla_ms"].items()}
    numbers["high_value_minor"] = dict(numbers["high_value_minor"])
    numbers["likely_late"] = _thousandths("likely_late", numbers["likely_late"]) * MILLI
    numbers["promise_ms"] = dict(numbers.get("promise_ms", {}))
    for name, ms in numbers["promise_ms"].items():
        if name not in PHASES or type(ms) is not int or ms < 0:
            raise RiskError(f"promise_ms: {name} must be one of {', '.join(PHASES)}, with a whole number of ms")
    limits = Limits(**numbers)
    for name in Limits.__slots__:
        value = getattr(limits, name)
        if name not in _NO_NUMBERS and (type(value) is not int or value < (name in _COUNTS)):
            raise RiskError(f"{name} must be a whole number, {'from 1' if name in _COUNTS else 'not negative'}")
    if limits.night_from >= limits.night_to:
        raise RiskError("night_from must be before night_to, on the same day")
    for what in (limits.node_sla_ms, limits.high_value_minor):
        if not all(type(value) is int and value > 0 for value in what.values()):
            raise RiskError("node_sla_ms and high_value_minor hold whole numbers above 0")
    return limits
