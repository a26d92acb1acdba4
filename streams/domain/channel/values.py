"""What operations write into `value`, and which channel a fact is about.

    heartbeat      {"interface": text, "calls": n, "errors": n, "p95_ms": n, "stock_push": true}   each may be missing
    reference_set  {"kind": "channel", "channel": text, "qps": n or 0 for no limit, "api": true or false}

A heartbeat whose value cannot be read is a heartbeat all the same: its figures are left out, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import jsontext

WORD: Final = 256
"""Longest name, in characters, as the contract has it."""
MOST: Final = 10**9
"""Largest figure that is believed."""

COMMANDS: Final = frozenset({"resume_channel", "reopen_channel", "open_channel"})
"""manual_command: opens the intake of the channel named as `channel` or `target` (BRK-01)."""
_TICKET: Final = "BRK-01/"


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a heartbeat. `calls` is 0 where it says nothing about calls."""

    interface: str
    calls: int = 0
    errors: int = 0
    p95_ms: int | None = None
    stock_push: bool = False


def parsed(fact: Mapping[str, Any]) -> dict[str, Any]:
    """`value` as a JSON object; empty if it is none."""
    text = fact.get("value")
    if not text:
        return {}
    try:
        value = jsontext.parsed(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def word(value: Any) -> str | None:
    """A name that may become a key, or None."""
    if type(value) is not str or not 0 < len(value) <= WORD or value.isspace() or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def report(fact: Mapping[str, Any]) -> Report:
    """What a heartbeat says. Its interface is the one it names, else its channel, else who speaks."""
    value = parsed(fact)
    interface = word(value.get("interface")) or fact.get("channel") or fact["source"]
    p95 = _figure(value.get("p95_ms"))
    # A latency without a count is that of one call at least: it must not be weighed with nothing.
    calls = _figure(value.get("calls"))
    calls = (1 if p95 is not None else 0) if calls is None else calls
    errors = min(_figure(value.get("errors")) or 0, calls)
    return Report(interface, calls, errors, p95, value.get("stock_push") is True)


def wrong_with(value: Mapping[str, Any]) -> str | None:
    """What is wrong with a `reference_set` of a channel, or None."""
    if word(value.get("channel")) is None:
        return "reference_set of a channel names none"
    qps, api = value.get("qps"), value.get("api")
    if qps is not None and (type(qps) is not int or not 0 <= qps <= MOST):
        return "qps is not a whole number of orders a second"
    return None if api is None or type(api) is bool else "api is not true or false"


def _figure(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MOST else None


def ticket(channel: str, at: int) -> str:
    """The ticket of a suspension that began at `at` (ms): the same whenever it is worked out again."""
    return f"{_TICKET}{channel}/{at}"


def channel_of(ticket_code: Any) -> str | None:
    """The channel whose suspension a ticket is about, or None for any other ticket. It goes by its own code or, as all
    that a list of alerts shows, by the key of its alert."""
    if type(ticket_code) is str and ticket_code.startswith(_TICKET):
        named = ticket_code[len(_TICKET) :]
        channel, _, at = named.rpartition("/")
        return word(channel if channel and at.isdecimal() else named)
    return None


def concerns(fact: Mapping[str, Any]) -> bool:
    """Whether a fact that goes to its order is news for a channel as well: its suspension's ticket is closed."""
    return fact["event_type"] == "ticket_closed" and channel_of(fact.get("ticket_code")) is not None


def key_of(fact: Mapping[str, Any]) -> str:
    """The channel a fact goes to; who speaks, where it names none."""
    kind, channel = fact["event_type"], None
    if kind == "ticket_closed":
        channel = channel_of(fact.get("ticket_code"))
    elif kind == "manual_command" and fact["command"] in COMMANDS:
        channel = fact.get("channel") or word(fact.get("target"))
    elif kind == "reference_set":
        value = parsed(fact)
        channel = word(value.get("channel")) if value.get("kind") == "channel" else None
    return channel or fact.get("channel") or fact["source"]
