"""The contract check: what an input event must be before any rule sees it (contract.md section 1).

A refusal names the field and what is wrong with it, never the value: it may be personal data. The limits:

    codes, ids and other short words   256 characters      they become keys of topics and tables
    names, streets and other texts     4,096 characters
    raw, text, value                   262,144 bytes       an original payload
    lines, discounts                   10,000 each
    amounts and quantities             0 to 10**15         minor units; fits every sum of 9,000 orders in 64 bits
    one event                          900,000 bytes as JSON, so that it passes a broker's usual limit of 1,000,000
    times                              2000-01-01 UTC to 2099-12-31; event_time at most one day after it was received
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import calendar, ids
from .events import SPECS, Spec, primary_code


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the check; lengths in characters (long texts in UTF-8 bytes), times in milliseconds."""

    word: int = 256
    text: int = 4_096
    long_text: int = 262_144
    items: int = 10_000
    amount: int = 10**15
    event_bytes: int = 900_000
    earliest: int = 946_684_800_000
    latest: int = calendar.at(2100, 1, 1) - 1
    ahead: int = calendar.DAY_MS


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is refused. `rule` is DQ-15 if it names no order though it concerns one, else `contract`."""

    reason: str
    rule: str = "contract"


LIMITS: Final = Limits()
STOCK_POOLS: Final = ("sales", "reserved", "quality_check", "in_transit")
INVOICE: Final = (
    "kind", "type", "name", "tax_number", "tax_number_hash", "licence_no", "bank", "bank_account", "address", "phone",
    "place",
)  # fmt: skip
SALES_TYPES: Final = ("normal", "presale", "custom", "cross_border")

_Check = Callable[[Any], str | None]

# What a JSON writer makes longer: control characters become six characters, quotes and backslashes two.
_CONTROLS: Final = bytes(range(32)) + b"\x7f"
_LARGE: Final = 131_072


def _broken(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "is not valid Unicode (lone surrogate)"
    return None


def _word(limit: int) -> _Check:
    def check(value: Any) -> str | None:
        if type(value) is not str:
            return "is not text"
        if len(value) > limit:
            return f"is longer than {limit} characters"
        if value.isascii() and "\0" not in value:
            return None
        return _broken(value)

    return check


def _long(limit: int) -> _Check:
    def check(value: Any) -> str | None:
        if type(value) is not str:
            return "is not text"
        if len(value) > limit:
            return f"is longer than {limit} bytes"
        wrong = _broken(value)
        if wrong is None and len(value) * 4 > limit and len(value.encode()) > limit:
            return f"is longer than {limit} bytes"
        return wrong

    return check


def _whole(low: int, high: int) -> _Check:
    def check(value: Any) -> str | None:
        if type(value) is not int:
            return "is not a whole number"
        if value < low:
            return "is negative" if low == 0 else f"is less than {low}"
        return f"is greater than {high}" if value > high else None

    return check


def _time(earliest: int, latest: int) -> _Check:
    def check(value: Any) -> str | None:
        if type(value) is not int:
            return "is not a time in milliseconds"
        if value < earliest:
            return "is before the year 2000"
        return "is after the year 2099" if value > latest else None

    return check


def _number(value: Any) -> str | None:
    if type(value) is int or (type(value) is float and -1e15 < value < 1e15):
        return None
    return "is not a number"


def _flag(value: Any) -> str | None:
    return None if type(value) is bool else "is not true or false"


def _one_of(allowed: tuple[str, ...]) -> _Check:
    known = frozenset(allowed)

    def check(value: Any) -> str | None:
        return None if type(value) is str and value in known else "is not one of " + ", ".join(allowed)

    return check


def _record(fields: Mapping[str, _Check], required: tuple[str, ...], other: _Check) -> _Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, Mapping):
            return "is not a record"
        for name in required:
            if value.get(name) is None:
                return f"has no {name}"
        for name, field in value.items():
            if field is not None:
                wrong = fields.get(name, other)(field)
                if wrong is not None:
                    return f"has a {name} that {wrong}"
        return None

    return check


def _items(item: _Check, limit: int) -> _Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return "is not a list"
        if len(value) > limit:
            return f"holds more than {limit} items"
        for number, entry in enumerate(value, start=1):
            wrong = item(entry)
            if wrong is not None:
                return f"item {number} {wrong}"
        return None

    return check


def _guid(value: Any) -> str | None:
    if type(value) is not str:
        return "is not text"
    text = value.strip()
    return None if not text or ids.is_guid(text) else "is not written as an order_guid"


_SHORT: Final = (
    "event_id", "event_type", "source", "channel", *ids.KINDS, "operator", "customer_id", "customer_tier", "city_tier",
    "ip", "activity", "currency", "warehouse", "carrier", "raw_status", "raw_field", "courier", "sign_type", "sku",
    "scanned_code", "scanner_id", "ticket_code", "command", "target", "request_id", "period", "fee_type",
    "refund_no", "to_warehouse", "invoice_code", "invoice_number", "error_code", "interface", "tax_number",
)  # fmt: skip


class Contract:
    """The check under given limits. Stateless; one instance serves all partitions."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self._time = _time(limits.earliest, limits.latest)
        word, text, long_text = _word(limits.word), _word(limits.text), _long(limits.long_text)
        money, count = _whole(0, limits.amount), _whole(1, limits.amount)
        amounts = {"amount_minor": money, "unit_price_minor": money, "line_no": money, "quantity": count}

        def unknown(value: Any) -> str | None:
            # A field added to the schema later: any plain value that is not absurd.
            if type(value) is str:
                return long_text(value)
            return "is out of range" if type(value) is int and abs(value) > 2**63 - 1 else None

        words = {"sku": word, "name": text, "text": text}
        line = _record({**amounts, **words, "is_gift": _flag}, ("sku", "quantity"), unknown)
        discount = _record({**amounts, **words}, (), unknown)
        invoice = dict.fromkeys(INVOICE, word)
        place = dict.fromkeys(("province", "city", "district", "street", "receiver", "phone"), text)
        self._fields: dict[str, _Check] = {
            **dict.fromkeys(_SHORT, word),
            **dict.fromkeys(("location", "signed_by", "error", "result", "reason"), text),
            **dict.fromkeys(("raw", "text", "value"), long_text),
            **dict.fromkeys(("pool", "to_pool"), _one_of(STOCK_POOLS)),
            ids.ORDER_GUID: _guid,
            "sales_type": _one_of(SALES_TYPES),
            "lines": _items(line, limits.items),
            "discounts": _items(discount, limits.items),
            "invoice": _record(invoice, (), unknown),
            "pdf_url": text,
            "address": _record({**place, "lat": _number, "lon": _number}, (), unknown),
            **dict.fromkeys(
                ("amount_minor", "total_minor", "coupon_count", "duration_ms", "quantity", "line_no", "attempt"), money
            ),
            "page_dwell_s": _number,
            **dict.fromkeys(("promised_ship_at", "promised_delivery_at"), self._time),
        }
        self._unknown: _Check = unknown
        self._short = min(limits.word, limits.text, limits.long_text)
        self._texts = frozenset(
            name for name, field in self._fields.items() if field is word or field is text or field is long_text
        )

    def check(self, topic: str, value: Mapping[str, Any], received_at: int | None = None) -> Refusal | None:
        """The first thing wrong with an input event, or None. `received_at`: UTC milliseconds, or None where lateness
        is not judged.
        """
        event_type = value.get("event_type")
        if not event_type:
            return Refusal("event_type is missing")
        spec = SPECS[topic].get(event_type) if type(event_type) is str else None
        if spec is None:
            return Refusal(f"event_type is unknown on topic {topic}")
        for name in ("event_id", "source"):
            text = value.get(name)
            if not text or (type(text) is str and text.isspace()):
                return Refusal(f"{name} is missing")
        wrong = self.wrong_time(value.get("event_time"), received_at)
        if wrong is not None:
            return wrong
        fields, other, texts, short = self._fields, self._unknown, self._texts, self._short
        for name, field in value.items():
            # Nearly every field is a short ASCII text: said here once, it spares most calls.
            if (
                field.__class__ is str
                and name in texts
                and len(field) <= short
                and field.isascii()
                and "\0" not in field
            ):
                continue
            if field is not None and name != "event_time":
                reason = fields.get(name, other)(field)
                if reason is not None:
                    return Refusal(f"{name} {reason}")
        return self._needs(spec, value)

    def wrong_time(self, time: Any, received_at: int | None) -> Refusal | None:
        """Why an event_time is none."""
        if time is None:
            return Refusal("event_time is missing")
        wrong = self._time(time)
        if wrong is not None:
            return Refusal(f"event_time {wrong}")
        if received_at is not None and time > received_at + self.limits.ahead:
            return Refusal("event_time is more than a day ahead")
        return None

    def _needs(self, spec: Spec, value: Mapping[str, Any]) -> Refusal | None:
        for name in spec.required:
            field = value.get(name)
            if field is None or (type(field) is str and (not field or field.isspace())):
                return Refusal(f"{spec.event_type} needs {name}")
            if name == "lines" and not field:
                return Refusal(f"{spec.event_type} without lines")
        if spec.route == "stock":
            if spec.event_type != "stock_snapshot" and value["quantity"] < 1:
                return Refusal(f"{spec.event_type} needs a quantity of at least 1")
        elif spec.route in ("order", "perhaps_order") and not _found_by(spec, value):
            instead = f", and no {' or '.join(spec.one_of)}" if spec.one_of else ""
            return Refusal(f"{spec.event_type} names no order: no code it could be found by{instead}", "DQ-15")
        return None

    def oversize(self, payload: bytes) -> Refusal | None:
        """Refuses a payload that would outgrow `event_bytes` once written as JSON between our own agents."""
        size = len(payload)
        if size > _LARGE:
            controls = size - len(payload.translate(None, _CONTROLS))
            quotes = payload.count(b'"') + payload.count(b"\\")
            if size + 5 * controls + quotes > self.limits.event_bytes:
                return Refusal("the event is too large")
        return None


def _found_by(spec: Spec, value: Mapping[str, Any]) -> bool:
    if primary_code(value) is not None or any(value.get(name) for name in spec.one_of):
        return True
    # A downstream system may say our alias back as the order's number, without a channel.
    text = value.get(ids.ORDER_NO)
    return text is not None and ids.guid_of_alias(text) is not None


_DEFAULT: Final = Contract()


def check(topic: str, value: Mapping[str, Any], received_at: int | None = None) -> Refusal | None:
    """`Contract.check` under the default limits."""
    return _DEFAULT.check(topic, value, received_at)
