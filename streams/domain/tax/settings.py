"""The numbers and words of the invoices; the values in force stand in rules/tax.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from streams.domain import calendar

PERSON, ENTERPRISE = "person", "enterprise"
NORMAL, SPECIAL = "normal", "special"
FIELDS: Final = ("name", "tax_number", "licence_no", "bank", "bank_account", "address", "phone")
"""What an invoice says of its buyer."""
_AT_LEAST_1: Final = (
    "cap_minor", "most_invoices", "sla_ms", "calls_per_second", "headings", "stale_months", "same_error", "day", "page",
    "kept_days", "listed", "memory_days",
)  # fmt: skip
_REPORTED_DAYS: Final = 36
"""From the first of a month to its report, at most."""
WHOLE: Final = 10_000
"""A rate of 13 % is 1,300 of these."""


class TaxError(ValueError):
    """Numbers of the invoices that must not be used; names the entry."""


@dataclass(frozen=True, slots=True)
class TaxClass:
    """A class of the official code library: whether its goods are tax-free, and at which rates they may be sold."""

    exempt: bool
    rates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in ms, amounts in minor units, rates in ten-thousandths.

    TAX-01, TAX-03: `required` fields of a special invoice and of each type of buyer; `person_name` heads the
    invoice of a person who names nobody. TAX-04: `reserved` characters are taken out of names. TAX-10:
    `number_lengths` that a tax number may have. TAX-05: `classes` by the beginning of the code, `rates_per_10000`
    there are at all. TAX-06: `places` by channel (where its seller is registered), `interfaces` by place;
    `cap_minor` where a place has told none; an order that would take more than `most_invoices` is refused. TAX-07:
    a group of `trigger_minor` waits `trigger_wait_ms` for more orders, a smaller one `wait_ms`, and none longer
    than `margin_ms` before `sla_ms` (TAX-08) are over. TAX-11: `calls_per_second` of an interface. TAX-12:
    `headings` remembered of a customer. TAX-13: buyers who need a contract, `match_minor` of tolerance. TAX-14:
    `stale_months`. TAX-16: more than `failures_percent` of a day, told at its end and, from `judged_from` attempts
    on, at once; `same_error` times within `same_error_ms`. TAX-13 to TAX-15: reports on `day` at `hour` (Shanghai)
    of the month that follows, complete or after `grace_ms`, again `late_ms` after a change, for `kept_days`;
    `listed` rows of a list in each partition, `page` rows of a page. The rows of an order end `memory_days` after the
    last word on it (see ending), and the lists of a month are not told again from then on. `rounding_minor`: by how
    much a payment in full may fall short.
    """

    required: Mapping[str, tuple[str, ...]]
    person_name: str
    reserved: frozenset[str]
    number_lengths: frozenset[int]
    classes: Mapping[str, TaxClass]
    rates_per_10000: frozenset[int]
    places: Mapping[str, str]
    interfaces: Mapping[str, str]
    interface: str
    cap_minor: int
    most_invoices: int
    trigger_minor: int
    trigger_wait_ms: int
    wait_ms: int
    margin_ms: int
    sla_ms: int
    calls_per_second: int
    headings: int
    contract_for: frozenset[str]
    match_minor: int
    stale_months: int
    failures_percent: int
    judged_from: int
    same_error: int
    same_error_ms: int
    day: int
    hour: int
    grace_ms: int
    late_ms: int
    kept_days: int
    listed: int
    page: int
    memory_days: int
    rounding_minor: int

    @classmethod
    def parse(cls, document: Mapping[str, Any], rounding_minor: int) -> Settings:
        """From the file. TaxError names what cannot be."""
        given = {name: value for name, value in document.items() if name != "version"}
        try:
            for name in ("reserved", "number_lengths", "rates_per_10000", "contract_for"):
                given[name] = frozenset(given[name])
            given["required"] = {name: tuple(needed) for name, needed in given["required"].items()}
            given["classes"] = {
                prefix: TaxClass(entry["exempt"], tuple(entry["rates"])) for prefix, entry in given["classes"].items()
            }
            found = cls(**given, rounding_minor=rounding_minor)
        except (KeyError, TypeError) as error:
            raise TaxError(f"invoices: {error}") from None
        found._check()
        return found

    def _check(self) -> None:
        wrong = {*self.required} != {SPECIAL, ENTERPRISE, PERSON} or not all(
            {*needed} <= {*FIELDS} for needed in self.required.values()
        )
        if wrong:
            raise TaxError(f"invoices: required names other buyers than special, enterprise, person, or no {FIELDS}")
        numbers = {field.name: getattr(self, field.name) for field in fields(self) if field.type == "int"}
        low = next((name for name, number in numbers.items() if type(number) is not int or number < 0), None)
        if low is not None:
            raise TaxError(f"invoices: {low} is no number, or below 0")
        zero = next((name for name in _AT_LEAST_1 if numbers[name] < 1), None)
        if zero is not None:
            raise TaxError(f"invoices: {zero} is below 1")
        if self.hour > 23 or self.day > 5:
            raise TaxError("invoices: the list of a month is due by the 5th (TAX-15), at an hour from 0 to 23")
        if self.margin_ms >= self.sla_ms or self.grace_ms >= calendar.DAY_MS:
            raise TaxError("invoices: margin_ms is not below sla_ms, or grace_ms not below a day")
        if self.memory_days < self.kept_days + _REPORTED_DAYS:
            raise TaxError("invoices: memory_days ends before the report of a month that is kept for kept_days")

    @property
    def memory_ms(self) -> int:
        return self.memory_days * calendar.DAY_MS

    def place_of(self, channel: str | None) -> str:
        """Where the seller of a channel is registered; "" where nothing was said of it."""
        return self.places.get(channel or "", "")

    def interface_of(self, place: str) -> str:
        """The tax interface that invoices of a place go through."""
        return self.interfaces.get(place, self.interface)
