"""Values within a record by path: `field`, `record.field`, `list.*.field` for one of each item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

EACH: Final = "*"


def values(record: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(the path with numbers for `*`, value) of each value there; null is none."""
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
            yield from ((f"{name}.{inner}", one) for inner, one in values(value, rest))
        else:
            yield name, value


def plain(path: str) -> tuple[str, ...] | None:
    """The names of a path without `*`, for `value`; None for one with it."""
    names = tuple(path.split("."))
    return None if EACH in names else names


def value(record: Any, names: Iterable[str]) -> Any:
    """The one value at a plain path, or None."""
    for name in names:
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record


def is_path(text: Any) -> bool:
    """Whether it is written as one."""
    return isinstance(text, str) and all(text.split("."))
