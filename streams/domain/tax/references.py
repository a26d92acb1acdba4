"""What operations set for invoices: `value` of a `reference_set` is JSON text.

{"kind": "invoice_profile", "customer_id", "type": "enterprise" or "person", "name", "tax_number", "licence_no",
 "bank", "bank_account", "address", "phone", "tax_number_hash"}          TAX-02; type and name are needed
{"kind": "tax_code", "sku", "tax_code", "exempt", "rate_per_10000", "name"}      TAX-05; rate 1300: 13 %
{"kind": "invoice_cap", "place", "cap_minor"}                                    TAX-06; null takes it back
{"kind": "contract", "contract_no", "buyer_name", "amount_minor"}                TAX-13; the event names the order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from . import codes
from .buyer import TYPES
from .integrity import SEAL, sealed
from .settings import FIELDS

FACTS: Final = "invoice-facts"
CUSTOMER: Final = "customer/"
_TEXT, _MOST = 256, 10**15

Check = Callable[[Any], "str | None"]
Message = tuple[str, str, dict[str, Any]]
"""(topic, key, message)."""


def _text(value: Any) -> str | None:
    if type(value) is not str or not value or value.isspace():
        return "is not a text"
    if len(value) > _TEXT or "\0" in value:
        return f"is longer than {_TEXT} characters, or holds a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None


def _amount(value: Any) -> str | None:
    return None if type(value) is int and 0 < value <= _MOST else "is not an amount above 0, minor units"


def _flag(value: Any) -> str | None:
    return None if type(value) is bool else "is not true or false"


def _rate(value: Any) -> str | None:
    return None if type(value) is int and 0 <= value < 10_000 else "is not in ten-thousandths"


def _type(value: Any) -> str | None:
    return None if type(value) is str and value in TYPES else "is not one of " + ", ".join(TYPES)


_CHECKS: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Check]]]] = {
    "invoice_profile": (
        ("customer_id", "type", "name"),
        {**dict.fromkeys(("customer_id", SEAL, *FIELDS), _text), "type": _type},
    ),
    "tax_code": (
        ("sku", "tax_code", "exempt", "rate_per_10000"),
        {"sku": _text, "tax_code": codes.wrong_code, "exempt": _flag, "rate_per_10000": _rate, "name": _text},
    ),
    "invoice_cap": (("place",), {"place": _text, "cap_minor": _amount}),
    "contract": (
        ("contract_no", "buyer_name", "amount_minor"),
        {"contract_no": _text, "buyer_name": _text, "amount_minor": _amount},
    ),
}
"""Kind -> what it needs, and how its fields are checked."""
KINDS: Final = tuple(_CHECKS)


def wrong(value: Mapping[str, Any]) -> str | None:
    """What is wrong with the value of one of KINDS; never the value itself."""
    needed, checks = _CHECKS[value["kind"]]
    for name in needed:
        if value.get(name) is None:
            return f"value has no {name}"
    for name, check in checks.items():
        field = value.get(name)
        if field is not None and (fault := check(field)):
            return f"value has a {name} that {fault}"
    return None


def message(fact: Mapping[str, Any], value: Mapping[str, Any]) -> Message:
    """To whom a good value goes that is not about an order."""
    kind, at = value["kind"], fact["event_time"]
    if kind == "invoice_profile":
        to = f"{CUSTOMER}{value['customer_id']}"
        data = sealed({name: value.get(name) for name in ("type", SEAL, *FIELDS)}, fact.get("raw"))
        return FACTS, to, {"do": "profile", "to": to, "at": at, **data}
    if kind == "tax_code":
        ref, names = f"{codes.SKU}{value['sku']}", ("tax_code", "exempt", "name")
        kept = {**{name: value[name] for name in names if value.get(name) is not None}, "rate": value["rate_per_10000"]}
    else:
        ref, kept = f"{codes.PLACE}{value['place']}", {"cap_minor": value.get("cap_minor")}
    return FACTS, ref, {"do": "set", "at": at, "ref": ref, "value": kept}


def contract(fact: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """The fact about the order that the event names."""
    names = ("contract_no", "buyer_name", "amount_minor")
    kept = {name: field for name, field in fact.items() if name != "value"}
    return {**kept, "contract": {**{name: value[name] for name in names}, "at": fact["event_time"]}}
