"""Who an invoice is for: request and stored profile made one, checked before sending (TAX-01 to TAX-04, TAX-12).

The profile counts first; what it lacks comes from the request. A request that names another buyer than the profile
stands by itself. Only a special invoice (专票) with incomplete data is a matter of TAX-01; an enterprise that cannot be
matched at the tax service is refused by TAX-03.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from streams.domain import calendar

from .integrity import ALTERED, NUMBER, SEAL
from .settings import ENTERPRISE, FIELDS, NORMAL, PERSON, SPECIAL, Settings

TYPES: Final[Mapping[str, str]] = {"person": PERSON, "个人": PERSON, "enterprise": ENTERPRISE, "企业": ENTERPRISE}
KINDS: Final[Mapping[str, str]] = {"normal": NORMAL, "普票": NORMAL, "special": SPECIAL, "专票": SPECIAL}
USCC_LENGTH: Final = 18

WrongNumber = Callable[[str], "str | None"]
"""What is wrong with a tax number, None if nothing is: the edge knows how its check digit is made."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`buyer` to invoice, or the `rule` and the `reason` of a refusal; `notes` for the audit; whether the heading is
    `unusual` for the customer."""

    buyer: dict[str, Any] | None = None
    rule: str = "TAX-03"
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    unusual: bool = False


def resolve(
    asked: Row, customer: Row | None, channel: str | None, now: int, settings: Settings, wrong: WrongNumber
) -> Verdict:
    """`asked`: the data of the request; `customer`: the row with profile and past headings (see profiles)."""
    if ALTERED in asked:
        return Verdict(rule="TAX-10", reason=f"tax_number_altered: the number is not what {asked[ALTERED]} was given")
    kind = KINDS.get(asked.get("kind") or NORMAL)
    type_ = TYPES.get(asked["type"]) if asked.get("type") else _guess(asked, customer, kind)
    if kind is None or type_ is None:
        return Verdict(reason="the invoice is neither normal nor special, or the buyer neither person nor enterprise")
    if kind == SPECIAL and type_ == PERSON:
        return Verdict(rule="TAX-01", reason="a person cannot have a special invoice")
    profile = (customer or {}).get("profile")
    notes, stale = list[str](), False
    if profile is not None and (profile.get("type") != type_ or not _fits(asked, profile)):
        profile = None
    if profile is not None and is_stale(customer or {}, now, settings):
        profile, stale = None, True
    data = {name: value for name in FIELDS if (value := (profile or {}).get(name) or asked.get(name))}
    if profile is not None:
        notes.append(f"profile version {profile['version']}")
    if type_ == PERSON:
        data.setdefault("name", settings.person_name)
    before = data.get("name", "")
    data["name"] = clean(before, settings.reserved)
    if data["name"] != before:
        notes.append(f"TAX-04: name {before!r} became {data['name']!r}")
    number = data.get(NUMBER)
    if number is not None and len(number) == USCC_LENGTH and type_ == ENTERPRISE:
        data.setdefault("licence_no", number)  # since 2015 the unified code is the number of the licence, too
    rule = "TAX-01" if kind == SPECIAL else "TAX-03"
    missing = [name for name in settings.required[SPECIAL if kind == SPECIAL else type_] if not data.get(name)]
    if missing:
        old = f"; the profile was not used for {settings.stale_months} months (TAX-14)" if stale else ""
        said = "special invoice" if kind == SPECIAL else f"invoice of a buyer of type {type_}"
        return Verdict(rule=rule, reason=f"{said} without {', '.join(missing)}{old}", notes=notes)
    if number is not None and (fault := wrong_number(number, settings, wrong)):
        return Verdict(reason=f"the tax number {fault}", notes=notes)
    buyer = {**data, "kind": kind, "type": type_, "place": asked.get("place") or settings.place_of(channel)}
    if number is not None:
        buyer[SEAL] = (profile or {}).get(SEAL) if (profile or {}).get(NUMBER) else asked.get(SEAL)
    past = (customer or {}).get("headings") or ()
    unusual = type_ == PERSON and bool(past) and data["name"] not in past
    if unusual:
        notes.append("TAX-12: the heading is none of the customer's past ones")
    return Verdict(buyer, rule, None, notes, unusual)


def wrong_number(number: str, settings: Settings, wrong: WrongNumber) -> str | None:
    """What is wrong with a tax number; it is read, never changed. Numbers may begin with 0 (TAX-10)."""
    if not number.isascii() or not number.isalnum() or number != number.upper():
        return "holds something else than digits and capital letters"
    if len(number) not in settings.number_lengths:
        return f"has {len(number)} characters"
    return wrong(number) if len(number) == USCC_LENGTH else None


def clean(name: str, reserved: frozenset[str]) -> str:
    """TAX-04: the name without control characters, reserved symbols and space around it."""
    kept = (char for char in name if char not in reserved and unicodedata.category(char)[0] != "C")
    return " ".join("".join(kept).split())


def is_stale(customer: Row, now: int, settings: Settings) -> bool:
    """TAX-14: whether the profile was neither set nor used for so many months, by days of Shanghai."""
    last = calendar.business_date(max(customer["profile"]["at"], customer.get("used") or 0))
    today = calendar.business_date(now)
    then = last.year * 12 + last.month + settings.stale_months, last.day
    return (today.year * 12 + today.month, today.day) > then


def fingerprint(buyer: Row) -> str:
    """Tells tax profiles apart: an invoice is never for two of them (TAX-07)."""
    parts = [str(buyer.get(name) or "") for name in ("kind", "type", "place", *FIELDS)]
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


def _guess(asked: Row, customer: Row | None, kind: str | None) -> str | None:
    profile = (customer or {}).get("profile")
    if profile is not None and _fits(asked, profile):
        return TYPES.get(profile.get("type") or "")
    return ENTERPRISE if kind == SPECIAL or asked.get(NUMBER) else PERSON


def _fits(asked: Row, profile: Row) -> bool:
    """Whether the request may mean the buyer of the profile: it names no other."""
    return all(not asked.get(name) or asked[name] == profile.get(name) for name in ("name", NUMBER))
