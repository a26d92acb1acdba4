"""A hash per protected field, and the comparison at a hop. Values never leave: what is told names fields and hashes.

    sealed = seal(record, paths)                  where the record comes in, before anything is done to it
    altered(sealed, later, paths)                 at each hop: [] or the fields that are others, gone or new

A path is the name of a field, of one within a record (`invoice.tax_no`), or of one of each item of a list
(`lines.*.tax_code`). A field that is absent or null has no hash.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

SEAL: Final = "seal"
"""The field of a fact that holds its seal."""
RULE: Final = "DQ-11"
EACH: Final = "*"

Seal = Mapping[str, str]
"""Field, as `seal` writes it (`lines.0.tax_code`) -> hash."""

CHANGED, GONE, NEW = "changed", "gone", "new"


class Altered(NamedTuple):
    """`field`; `how`: CHANGED, GONE or NEW; the hashes, None where there is no value."""

    field: str
    how: str
    before: str | None
    after: str | None


def digest(value: Any) -> str:
    """16 hex digits. Of text its bytes as they are; text and a number of the same look are different values."""
    if value.__class__ is str:
        return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8, person=b"text").hexdigest()
    written = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return blake2b(written.encode(), digest_size=8, person=b"json").hexdigest()


def seal(record: Mapping[str, Any], paths: Iterable[str]) -> dict[str, str]:
    """Empty for a record without a protected field."""
    found = {}
    for path in paths:
        if path in record or "." in path:
            for name, value in _values(record, path):
                found[name] = digest(value)
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


def finding(changes: Sequence[Altered], hop: str, fact: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """(topic, key, value) for the alerts agent: one alert per field and hop, counted."""
    field = changes[0].field
    about = {"rule": RULE, "at": fact["event_time"], "source": fact.get("source"), "channel": fact.get("channel")}
    event = f"{fact.get('topic')}/{fact.get('source')}/{fact.get('event_id')}"
    said = {"do": "count", "title": "protected_field_altered", "detail": told(changes, hop), "last_event": event}
    return "alert-facts", f"{RULE}/{hop}/{field}", {**about, **said}


def _values(record: Any, path: str) -> Iterator[tuple[str, Any]]:
    head, _, rest = path.partition(".")
    if head == EACH:
        items = enumerate(record) if isinstance(record, Sequence) and not isinstance(record, str) else ()
        found: Iterable[tuple[str, Any]] = ((str(number), item) for number, item in items)
    else:
        found = ((head, record.get(head)),) if isinstance(record, Mapping) else ()
    for name, value in found:
        if value is None:
            continue
        if rest:
            yield from ((f"{name}.{inner}", one) for inner, one in _values(value, rest))
        else:
            yield name, value
