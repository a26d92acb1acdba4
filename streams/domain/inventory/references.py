"""What operations set: stock, quotas, activities, alternatives. `value` of an `ops` event is JSON text:

    reference_set   {"kind": "stock", "sku", "warehouse", "pool", "quantity"}        pool: sales if it is left out
                    {"kind": "alternative", "sku", "alternatives": [sku ...], "discount", "nearby": [warehouse ...],
                     "next_batch_at"}
                    {"kind": "channel_stock", "channel", "sku", "quantity"}          what a channel shows (INV-13)
                    {"kind": "courier_interface", "courier", "whitelist", "callback", "exit_ips", "expected_callback",
                     "retired_domains"}                       LOG-07: see domain/logistics/interfaces.py
                    {"kind": "warehouse", "warehouse", "lat", "lon"}, {"kind": "channel", "channel", ...}
                    kinds invoice_profile, tax_code, invoice_cap and contract: see domain/tax/references.py
    quota_set       {"sku", "channel", "activity", "warehouse", "quota"}             at least one of the three; quota
                    null removes it
    activity_set    {"activity", "sku" or "skus": [...], "starts_at", "ends_at", "freeze_ratio": 1, "flash": false}

Times are epoch milliseconds or, as in every input line, ISO 8601 with an offset. A quota or a channel's stock that
names no channel is of the channel that its event names.

`routes` checks it and says where it goes: one message per SKU, with what was set as `set`; the rest to its channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from streams.domain import identity, jsontext
from streams.domain.events import primary_code
from streams.domain.logistics import interfaces
from streams.domain.tax import references as invoices

from .stock import POOLS

Routes = list[tuple[str, str, dict[str, Any]]]
"""(topic, key, message)."""

STOCK_COMMANDS: Final = ("release_sku", "resume_sku")
"""manual_commands about the SKU that is their target: both end the pause of INV-11."""

CHANNELS: Final = "channel-facts"
COURIERS: Final = "courier-facts"
SKU_TOPIC: Final = "stock-commands"

WORD: Final = 256
_UNITS: Final = 10**15
LATEST: Final = 4_102_444_800_000
"""Times lie before it, ms."""
ITEMS: Final = 10_000
"""SKUs of an activity."""
CHOICES: Final = 10
"""Of alternatives and of warehouses nearby: they are said with every line that cannot be served."""
MOST_FROZEN: Final = 1_000
"""Largest freeze_ratio."""

Check = Callable[[Any], str | None]


def word(value: Any) -> str | None:
    """A code that may become part of a key."""
    if type(value) is not str or not value or value.isspace():
        return "is not a text"
    if len(value) > WORD:
        return f"is longer than {WORD} characters"
    if "\0" in value:
        return "holds a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None


def _units(value: Any) -> str | None:
    if type(value) is not int:
        return "is not a whole number"
    return None if 0 <= value <= _UNITS else "is out of range"


def _time(value: Any) -> str | None:
    good = type(value) is int and 0 <= value < LATEST
    return None if good else "is not a time in milliseconds, nor one of ISO 8601 with an offset"


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = ("sku", "warehouse", "channel", "activity")
_CODES: Final = frozenset({*_NAMES, "courier", "customer_id"})
_LISTS: Final = frozenset({"skus", "alternatives", "nearby"})
_TIMES: Final = frozenset({"starts_at", "ends_at", "next_batch_at"})


def _moment(value: Any) -> Any:
    """A time in ISO 8601 as milliseconds, cut off below them; what is none, as it stands."""
    try:
        moment = datetime.fromisoformat(value) if type(value) is str else None
    except ValueError:
        return value
    return value if moment is None or moment.tzinfo is None else (moment - _EPOCH) // timedelta(milliseconds=1)


def _read(name: str, value: Any) -> Any:
    """A field as it is meant: times as text, and names without the blanks of the form they were written in."""
    if name in _TIMES:
        return _moment(value)
    if name in _CODES:
        return value.strip() if type(value) is str else value
    if name in _LISTS and type(value) is list:
        return [item.strip() if type(item) is str else item for item in value]
    return value


def _words(most: int) -> Check:
    def check(value: Any) -> str | None:
        if type(value) is not list or len(value) > most:
            return f"is not a list of at most {most}"
        return next((f"has an entry that {wrong}" for wrong in map(word, value) if wrong), None)

    return check


def _flag(value: Any) -> str | None:
    return None if type(value) is bool else "is not true or false"


def _ratio(value: Any) -> str | None:
    good = type(value) in (int, float) and 0 <= value <= MOST_FROZEN
    return None if good else f"is not a number from 0 to {MOST_FROZEN}"


def _degrees(value: Any) -> str | None:
    return None if type(value) in (int, float) and -180 <= value <= 180 else "is not in degrees"


def _discount(value: Any) -> str | None:
    return None if type(value) in (int, float) and 0 <= value <= _UNITS else word(value)


def _pool(value: Any) -> str | None:
    return None if value in POOLS else "is not one of " + ", ".join(POOLS)


_REFERENCES: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Check]]]] = {
    "stock": (("sku", "warehouse", "quantity"), {"quantity": _units, "pool": _pool}),
    "alternative": (
        ("sku",),
        {"alternatives": _words(CHOICES), "nearby": _words(CHOICES), "discount": _discount, "next_batch_at": _time},
    ),
    "channel_stock": (("sku", "channel", "quantity"), {"quantity": _units}),
    "warehouse": (("warehouse",), {"lat": _degrees, "lon": _degrees}),
    "channel": (("channel",), {}),
    "courier_interface": (
        ("courier",),
        {"courier": word, **{name: partial(interfaces.wrong, name) for name in interfaces.FIELDS}},
    ),
}
"""Kind -> what it needs, and the checks of its fields; `sku`, `warehouse` and `channel` are words."""


def routes(fact: Mapping[str, Any]) -> Routes | str:
    """Where an accepted reference_set, quota_set or activity_set goes, or what is wrong with its value."""
    try:
        value = jsontext.parsed(fact["value"])
    except ValueError as wrong:
        return f"value is {wrong}"
    if not isinstance(value, dict):
        return "value is not a JSON object"
    value = {name: _read(name, field) for name, field in value.items()}
    kind = fact["event_type"]
    if kind == "quota_set":
        return _quota(fact, value)
    return _activity(fact, value) if kind == "activity_set" else _reference(fact, value)


def _wrong(value: Mapping[str, Any], needed: tuple[str, ...], checks: Mapping[str, Check]) -> str | None:
    for name in needed:
        if value.get(name) is None:
            return f"value has no {name}"
    for name, check in {**dict.fromkeys(_NAMES, word), **checks}.items():
        field = value.get(name)
        if field is not None and (wrong := check(field)):
            return f"value has a {name} that {wrong}"
    return None


def _reference(fact: Mapping[str, Any], value: dict[str, Any]) -> Routes | str:
    kind = value.get("kind")
    if type(kind) is str and kind in invoices.KINDS:
        return _invoicing(fact, value)
    if type(kind) is not str or kind not in _REFERENCES:
        return "value has no kind that is known: " + ", ".join((*_REFERENCES, *invoices.KINDS))
    needed, checks = _REFERENCES[kind]
    if kind == "channel_stock" and value.get("channel") is None:
        value = {**value, "channel": fact.get("channel")}
    wrong = _wrong(value, needed, checks)
    if wrong is not None:
        return wrong
    found: Routes = []
    if "sku" in needed:
        kept = {name: value.get(name) for name in ("kind", *needed, *checks) if value.get(name) is not None}
        found.append(_message(fact, value["sku"], kept))
    if kind == "courier_interface":
        said = {name: value[name] for name in interfaces.FIELDS if value.get(name) is not None}
        found.append((COURIERS, value["courier"], {"do": interfaces.INTERFACE, "at": fact["event_time"], **said}))
    elif kind in ("channel_stock", "channel"):
        found.append((CHANNELS, value["channel"], dict(fact)))
    elif kind == "warehouse":
        found.append((CHANNELS, fact.get("channel") or fact["source"], dict(fact)))
    return found


def _invoicing(fact: Mapping[str, Any], value: dict[str, Any]) -> Routes | str:
    wrong = invoices.wrong(value)
    if wrong is not None:
        return wrong
    if value["kind"] != "contract":
        return [invoices.message(fact, value)]
    code = primary_code(fact)
    if code is None:
        return "a contract names no order: no code it could be found by"
    return [(identity.FACTS, code[2], identity.event_message(code, invoices.contract(fact, value)))]


def _quota(fact: Mapping[str, Any], value: dict[str, Any]) -> Routes | str:
    if "quota" not in value:
        return "value has no quota"
    wrong = _wrong(value, ("sku",), {"quota": _units})
    if not any(value.get(name) for name in ("channel", "activity", "warehouse")):
        value = {**value, "channel": fact.get("channel")}
    if wrong is None and not any(value.get(name) for name in ("channel", "activity", "warehouse")):
        wrong = "value names neither channel nor activity nor warehouse"
    if wrong is not None:
        return wrong
    kept = {name: value.get(name) for name in ("channel", "activity", "warehouse", "quota")}
    return [_message(fact, value["sku"], kept)]


def _activity(fact: Mapping[str, Any], value: dict[str, Any]) -> Routes | str:
    skus = value.get("skus", [value["sku"]] if value.get("sku") is not None else None)
    if skus is None or skus == []:
        return "value has no sku"
    times = {"starts_at": _time, "ends_at": _time}
    checks = {**times, "freeze_ratio": _ratio, "flash": _flag, "skus": _words(ITEMS)}
    wrong = _wrong({**value, "skus": skus}, ("activity", *times), checks)
    if wrong is None and value["starts_at"] >= value["ends_at"]:
        wrong = "value ends before it starts"
    if wrong is None and value["ends_at"] <= fact["event_time"]:
        wrong = "value has an ends_at that is over already"
    if wrong is not None:
        return wrong
    ratio = value.get("freeze_ratio")
    kept = {
        "activity": value["activity"],
        "starts_at": value["starts_at"],
        "ends_at": value["ends_at"],
        "freeze_per_1000": round((1 if ratio is None else ratio) * 1_000),
        "flash": bool(value.get("flash")),
    }
    return [_message(fact, sku, kept) for sku in dict.fromkeys(skus)]


def _message(fact: Mapping[str, Any], sku: str, kept: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    return SKU_TOPIC, sku, {**{name: fact[name] for name in fact if name not in _DROPPED}, "sku": sku, "set": kept}


_DROPPED: Final = frozenset({"value", "raw"})
