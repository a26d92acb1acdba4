"""A hash per protected field, and the comparison at a hop. Values never leave: what is told names fields and hashes.

    sealed = seal(record, paths)                  where the record comes in, before anything is done to it
    altered(sealed, later, paths)                 at each hop: [] or the fields that are others, gone or new

A path (see `paths`) is `tax_no`, `invoice.tax_no` or `lines.*.tax_code`. A field that is absent or null has no hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from streams.domain.paths import values

SEAL: Final = "seal"
"""The field of a fact that holds its seal."""
RULE: Final = "DQ-11"

Seal = Mapping[str, str]
"""Field, as `seal` writes it (`lines.0.tax_code`) -> hash."""

Send = tuple[str, str, dict[str, Any]]
"""(topic, key, value)."""

CHANGED, GONE, NEW = "changed", "gone", "new"


class Altered(NamedTuple):
    """`field`; `how`: CHANGED, GONE or NEW; the hashes, None where there is no value."""

    field: str
    how: str
    before: str | None
    after: str | None


Check = Callable[[Mapping[str, Any]], Sequence[Altered]]
"""What of a fact is not as its seal says."""


def digest(value: Any) -> str:
    """16 hex digits. Of text its bytes as they are; text and a number of the same look are different values."""
    if value.__class__ is str:
        return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8, person=b"text").hexdigest()
    if value.__class__ is int:  # most of them: as JSON would write it
        return blake2b(b"%d" % value, digest_size=8, person=b"json").hexdigest()
    written = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return blake2b(written.encode(), digest_size=8, person=b"json").hexdigest()


def seal(record: Mapping[str, Any], paths: Iterable[str]) -> dict[str, str]:
    """Empty for a record without a protected field."""
    found = {}
    for path in paths:
        value = record.get(path)
        if value is not None:
            found[path] = digest(value)
        elif "." in path and path.partition(".")[0] in record:
            for name, inner in values(record, path):
                found[name] = digest(inner)
    return found


def altered(sealed: Seal, record: Mapping[str, Any], paths: Iterable[str]) -> list[Altered]:
    """What differs from the seal, in order of the fields' names."""
    now = seal(record, paths)
    if now == sealed:
        return []
    return [
        Altered(name, NEW if was is None else GONE if is_ is None else CHANGED, was, is_)
        for name in sorted({*sealed, *now})
        if (was := sealed.get(name)) != (is_ := now.get(name))
    ]


def how(before: Any, after: Any) -> str:
    """In words, for whoever looks for the step that did it, without quoting either: `leading zeros removed`."""
    if not isinstance(before, str) or not isinstance(after, str):
        return "is of another type" if type(before) is not type(after) else "is another value"
    for name, step in _STEPS:
        if step(before) == after:
            return name
    return "is another text"


_STEPS: Final = (
    ("leading zeros removed", lambda text: text.lstrip("0")),
    ("leading zeros and surrounding space removed", lambda text: text.strip().lstrip("0")),
    ("surrounding space removed", str.strip),
    ("all space removed", lambda text: "".join(text.split())),
    ("written in capitals", str.upper),
    ("written in small letters", str.lower),
)


def told(changes: Sequence[Altered], hop: str) -> str:
    """One line about what a hop found: fields and hashes, no values."""
    said = "; ".join(f"{one.field} {one.how} ({one.before or '-'} -> {one.after or '-'})" for one in changes)
    return f"protected fields altered before {hop}: {said}"


def finding(changes: Sequence[Altered], hop: str, fact: Mapping[str, Any]) -> Send:
    """(topic, key, value) for the alerts agent: one alert per field and hop, counted."""
    field = changes[0].field
    about = {"rule": RULE, "at": fact["event_time"], "source": fact.get("source"), "channel": fact.get("channel")}
    said = {"do": "count", "title": "protected_field_altered", "detail": told(changes, hop), "last_event": _event(fact)}
    return "alert-facts", f"{RULE}/{hop}/{field}", {**about, **said}


def through(sends: Iterable[Send], topic: str, hop: str, check: Check) -> tuple[list[Send], str | None]:
    """What may go on of what a hop is about to send, and why the rest may not, if any: instead of a fact for `topic`
    that is not what it was when it was sealed, goes its alert."""
    on: list[Send] = []
    reason = None
    for send in sends:
        if send[0] == topic and SEAL in send[2]:
            changes = check(send[2])
            if changes:
                reason = f"{_event(send[2])}: {told(changes, hop)}"
                send = finding(changes, hop, send[2])
        on.append(send)
    return on, reason


def _event(fact: Mapping[str, Any]) -> str:
    return f"{fact.get('topic')}/{fact.get('source')}/{fact.get('event_id')}"
