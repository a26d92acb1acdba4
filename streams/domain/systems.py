"""DQ-10: the register of what other systems demand without saying so (系统交互备忘录), checked before anything is sent.

`rules/systems.json` says, by system and topic, what a field must be: its length, the characters or the encoding it may
be written in, whether it must be there; and how many requests a second the system takes. A system that would drop or
garble a record does not get it: nothing is shortened to fit. The others named in the record do, and the owner is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from streams.domain.paths import is_path, plain, value, values

RULE: Final = "DQ-10"
TAX: Final = "tax"
TAX_REQUESTS: Final = "tax-requests"
"""Not held back here, where the invoice would wait for an answer for ever: who calls the tax service answers what it
would not take as rejected."""
_CLASS: Final = re.compile(r"\[(?:[^\[\]\\]|\\.)+\]")

Send = tuple[str, str, dict[str, Any]]
"""(topic, key, value)."""


class SystemsError(ValueError):
    """An entry that must not be used; the text names it."""


class Breach(NamedTuple):
    """A field of a record, and what is wrong with it; never its value."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Demand:
    """What a field must be: `length` exactly or `most` characters, all of them of `charset` (`[A-Z0-9]`) and to be
    written in `encoding` (`gb2312`); `required`: there at all."""

    length: int | None = None
    most: int | None = None
    charset: str | None = None
    encoding: str | None = None
    required: bool = False

    def breach(self, value: Any) -> str | None:
        """What is wrong with the value; None if nothing is."""
        text = value if isinstance(value, str) else str(value)
        if self.length is not None and len(text) != self.length:
            return f"has {len(text)} characters, {self.length} are demanded"
        if self.most is not None and len(text) > self.most:
            return f"has {len(text)} characters, {self.most} are the most"
        if self.charset is not None and _pattern(self.charset).fullmatch(text) is None:
            return f"holds a character other than {self.charset}"
        if self.encoding is not None and not text.isascii() and not _is_writable(text, self.encoding):
            return f"holds a character that {self.encoding} cannot write"
        return None


def _is_writable(text: str, encoding: str) -> bool:
    return len(text.encode(encoding, "ignore").decode(encoding)) == len(text)


@lru_cache(maxsize=256)
def _pattern(charset: str) -> re.Pattern[str]:
    return re.compile(f"{charset}*")


@dataclass(frozen=True, slots=True)
class System:
    """`owner`: who is told. `found`: how the demands came to light. `demands`: topic -> path -> demand. `per_second`:
    requests it takes, None if nobody knows of a limit."""

    owner: str
    found: str
    demands: Mapping[str, Mapping[str, Demand]]
    per_second: int | None = None


_Asked = tuple[str, "tuple[str, ...] | None", Demand]
"""(path, its names if it is plain, what is demanded there)."""


@dataclass(frozen=True, slots=True)
class Register:
    """`systems` by name. `receivers`: topic -> the field that names its receivers (a name or a list of names), or
    "=NAME" where it is always the same."""

    systems: Mapping[str, System]
    receivers: Mapping[str, str]
    _asking: Mapping[str, Mapping[str, Sequence[_Asked]]] = field(init=False, repr=False, compare=False)
    """Topic -> system -> what it demands, for the few that demand anything: made once, read for every record."""

    def __post_init__(self) -> None:
        asking: dict[str, dict[str, Sequence[_Asked]]] = {topic: {} for topic in self.topics}
        for name, system in self.systems.items():
            for topic, demands in system.demands.items():
                asking[topic][name] = [(path, plain(path), demand) for path, demand in demands.items()]
        object.__setattr__(self, "_asking", asking)

    @property
    def topics(self) -> tuple[str, ...]:
        """Of which something may be demanded."""
        return (*self.receivers, TAX_REQUESTS)

    def check(self, system: str, topic: str, record: Mapping[str, Any]) -> list[Breach]:
        """What of the record the system would not take; empty for one that nothing is known of."""
        return _breaches(self._asking.get(topic, {}).get(system, ()), record)

    def through(self, send: Send) -> tuple[Send | None, list[Send]]:
        """What may be sent of a record, None if nobody would take it; and what its breaches are told as."""
        topic, key, record = send
        asking, where = self._asking[topic], self.receivers[topic]
        named = where[1:] if where[0] == "=" else record.get(where)
        systems = [named] if isinstance(named, str) else named or []
        wrong = {}
        for name in systems:
            asked = asking.get(name)
            if asked is not None and (breaches := _breaches(asked, record)):
                wrong[name] = breaches
        if not wrong:
            return send, []
        told = [self._finding(name, topic, record, breaches) for name, breaches in wrong.items()]
        left = [name for name in systems if name not in wrong]
        if isinstance(named, str) or not left:
            return None, told
        return (topic, key, {**record, where: left}), told

    def per_second(self, system: str) -> int | None:
        """Requests a second that the system takes; None if nobody knows of a limit."""
        known = self.systems.get(system)
        return None if known is None else known.per_second

    def _finding(self, name: str, topic: str, record: Mapping[str, Any], breaches: Sequence[Breach]) -> Send:
        said = "; ".join(f"{breach.field} {breach.reason}" for breach in breaches[:8])
        about = {"rule": RULE, "at": record["at"], "order_guid": record.get("order_guid")}
        about["recipient"] = self.systems[name].owner
        about["last_event"] = f"{topic}/{record.get('push_id') or record.get('request_id')}"
        detail = f"not sent to {name}, which would not take it: {said}"
        finding = {"do": "count", "title": f"hidden contract of {name} broken", "detail": detail, "source": name}
        return "alert-facts", f"{RULE}/{name}/{breaches[0].field}", {**about, **finding}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Register:
        """From the shape of the file. SystemsError names what must not be used."""
        try:
            receivers = dict(document["receivers"])
            systems = {
                name: _system(name, entry, (*receivers, TAX_REQUESTS)) for name, entry in document["systems"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise SystemsError(f"register of systems: {type(error).__name__} {error}") from None
        if not all(isinstance(field, str) and field.strip("=") for field in receivers.values()):
            raise SystemsError("register of systems: a topic without a field that names its receivers")
        return cls(systems, receivers)


def _breaches(asked: Iterable[_Asked], record: Mapping[str, Any]) -> list[Breach]:
    found = []
    for path, names, demand in asked:
        missing = demand.required
        for name, said in values(record, path) if names is None else ((path, value(record, names)),):
            if said is None:
                continue
            missing = False
            if (reason := demand.breach(said)) is not None:
                found.append(Breach(name, reason))
        if missing:
            found.append(Breach(path, "is missing"))
    return found


def _system(name: str, entry: Mapping[str, Any], topics: Iterable[str]) -> System:
    if unknown := sorted(entry.keys() - {"owner", "found", "fields", "per_second"}):
        raise SystemsError(f"system {name}: unknown {', '.join(unknown)}")
    rate = entry.get("per_second")
    if rate is not None and (type(rate) is not int or rate < 1):
        raise SystemsError(f"system {name}: per_second is a whole number from 1")
    if not entry["owner"] or not entry["found"]:
        raise SystemsError(f"system {name}: who owns it, and how its demands were found, must be said")
    fields = entry.get("fields", {})
    if unknown := sorted(fields.keys() - {*topics}):
        raise SystemsError(f"system {name}: nothing is sent by {', '.join(unknown)}")
    demands = {topic: {path: _demand(name, path, one) for path, one in some.items()} for topic, some in fields.items()}
    return System(entry["owner"], entry["found"], demands, rate)


def _demand(name: str, path: str, entry: Mapping[str, Any]) -> Demand:
    demand, where = Demand(**entry), f"system {name}, {path}"
    if not is_path(path) or type(demand.required) is not bool:
        raise SystemsError(f"{where}: not written as a path, or required is neither true nor false")
    for size in (demand.length, demand.most):
        if size is not None and (type(size) is not int or size < 1):
            raise SystemsError(f"{where}: a length is a whole number from 1")
    if demand.charset is not None and _CLASS.fullmatch(demand.charset) is None:
        raise SystemsError(f"{where}: charset is a class of characters such as [A-Z0-9]")
    try:
        _pattern(demand.charset or "[a]")
        "".encode(demand.encoding or "utf-8")
    except (re.error, LookupError) as error:
        raise SystemsError(f"{where}: {error}") from None
    return demand
