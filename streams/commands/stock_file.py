"""The CSV file of `oms stock load`: what each line may say, and the ops event it becomes.

A line's `kind` says what it is; a file without that column is a plain stock list. Columns a kind does not know stay
empty on its lines. Every line is checked before anything is sent.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streams.domain.inventory import references
from streams.errors import OmsError
from streams.lines import parse_until

POOLS: Final = ("sales", "reserved", "quality_check", "in_transit")
WORD: Final = 256
MOST_UNITS: Final = 10**12

Parse = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One ops event of a line: `value` is the JSON object of the event's `value`, `key` its record key."""

    number: int
    event_type: str
    key: str
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that cannot be sent, by its number in the file (the header is line 1)."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of line needs and may have. `same`: the columns that make two lines speak of the same thing;
    `key`: the column that is the record's key; `one_of`: columns of which at least one must be filled."""

    event_type: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    same: tuple[str, ...]
    key: str
    one_of: tuple[str, ...] = ()


def _word(text: str) -> str:
    if len(text) > WORD:
        raise ValueError(f"longer than {WORD} characters")
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


def _words(text: str, most: int = references.CHOICES) -> list[str]:
    found = [_word(word.strip()) for word in text.split(";")]
    if len(found) > most:
        raise ValueError(f"more than {most:,} names")
    if not all(found):
        raise ValueError("a name between two semicolons is empty")
    if len(set(found)) < len(found):
        raise ValueError("names the same twice")
    return found


def _time(text: str) -> int:
    at = parse_until(text)
    if not 0 <= at < references.LATEST:
        raise ValueError("not a time from 1970 to 2099")
    return at


def _whole(least: int, most: int) -> Parse:
    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"{text[:40]!r} is not a whole number")
        number = int(digits[:20]) * (-1 if text.startswith("-") else 1)
        if not least <= number <= most:
            raise ValueError(f"{text[:40]} is not between {least} and {most}")
        return number

    return parse


def _quota(text: str) -> int | None:
    """None takes a quota away: what is left of it is shared stock again (INV-03)."""
    units: int | None = None if text.lower() == "none" else _whole(0, MOST_UNITS)(text)
    return units


def _decimal(least: float, most: float) -> Parse:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{text[:40]!r} is not a number") from None
        if not least <= number <= most:  # also refuses NaN
            raise ValueError(f"{text[:40]} is not between {least:g} and {most:g}")
        return number

    return parse


def _pool(text: str) -> str:
    if text not in POOLS:
        raise ValueError(f"{text[:40]!r} is no pool ({', '.join(POOLS)})")
    return text


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return text.lower() == "true"


COLUMNS: Final[Mapping[str, Parse]] = {
    "kind": _word,
    "sku": _word,
    "warehouse": _word,
    "pool": _pool,
    "quantity": _whole(0, MOST_UNITS),
    "channel": _word,
    "activity": _word,
    "quota": _quota,
    "starts_at": _time,
    "ends_at": _time,
    "freeze_ratio": _decimal(0, 100),
    "flash": _flag,
    "lat": _decimal(-90, 90),
    "lon": _decimal(-180, 180),
    "alternatives": _words,
    "discount": _whole(1, 99),
    "nearby": _words,
    "next_batch_at": _time,
    "qps": _whole(0, 1_000_000),
    "api": _flag,
}

_SET: Final = "reference_set"
KINDS: Final[Mapping[str, Kind]] = {
    "stock": Kind(_SET, ("sku", "warehouse", "quantity"), ("pool",), ("sku", "warehouse", "pool"), "sku"),
    "quota": Kind(
        "quota_set",
        ("sku", "quota"),
        ("channel", "activity", "warehouse"),
        ("sku", "channel", "activity", "warehouse"),
        "sku",
        ("channel", "activity", "warehouse"),
    ),
    "activity": Kind(
        "activity_set", ("activity", "sku", "starts_at", "ends_at"), ("freeze_ratio", "flash"), ("activity", "sku"),
        "activity",
    ),
    "warehouse": Kind(_SET, ("warehouse", "lat", "lon"), (), ("warehouse",), "warehouse"),
    "alternative": Kind(
        _SET, ("sku",), ("alternatives", "discount", "nearby", "next_batch_at"), ("sku",), "sku",
        ("alternatives", "nearby", "next_batch_at"),
    ),
    "channel": Kind(_SET, ("channel",), ("qps", "api"), ("channel",), "channel", ("qps", "api")),
    "channel_stock": Kind(_SET, ("channel", "sku", "quantity"), (), ("channel", "sku"), "sku"),
}  # fmt: skip


def read(path: Path, at: int) -> tuple[list[Event], list[Bad]]:
    """The events of the file in its order, and every line that is wrong. OmsError (exit 2) if it is no such file.

    `at`: event time of the events, ms."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OmsError(f"cannot read {path}: {error.strerror}", exit_code=2) from None
    except UnicodeDecodeError as error:
        raise OmsError(f"{path} is not UTF-8 text (byte {error.start})", exit_code=2) from None
    rows = _rows(path, text)
    header = [name.strip().lower() for name in next(rows, (0, []))[1]]
    _check_header(path, header)
    events: list[Event] = []
    wrong: list[Bad] = []
    said: dict[tuple[str, ...], int] = {}
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        try:
            if len(row) > len(header):
                raise ValueError(f"has {len(row)} cells, the header {len(header)}")
            cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
            events.append(_event(number, cells, said, at))
        except ValueError as error:
            wrong.append(Bad(number, str(error)))
    if not events and not wrong:
        raise OmsError(f"{path} has no lines below its header", exit_code=2)
    return events, wrong


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """(number of the line it ends on, cells)"""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise OmsError(f"{path}:{reader.line_num}: not CSV ({error})", exit_code=2) from None


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        raise OmsError(f"{path} is empty: a header line is needed, such as sku,warehouse,pool,quantity", exit_code=2)
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        raise OmsError(
            f"{path}: no such column: {', '.join(repr(name[:40]) for name in unknown)}; there are {', '.join(COLUMNS)}",
            exit_code=2,
        )
    if len(set(header)) < len(header):
        raise OmsError(f"{path}: a column is named twice in the header", exit_code=2)


def _event(number: int, cells: Mapping[str, str], said: dict[tuple[str, ...], int], at: int) -> Event:
    """The event of one line. ValueError with the reason; `said` remembers on which line a thing was spoken of."""
    name = cells.get("kind") or "stock"
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"{name[:40]!r} is no kind ({', '.join(KINDS)})")
    filled = {column: text for column, text in cells.items() if text and column != "kind"}
    missing = [column for column in kind.required if column not in filled]
    if missing:
        raise ValueError(f"{name} needs {', '.join(missing)}")
    foreign = [column for column in filled if column not in (*kind.required, *kind.optional)]
    if foreign:
        raise ValueError(f"{name} has no {', '.join(foreign)}")
    if kind.one_of and not any(column in filled for column in kind.one_of):
        raise ValueError(f"{name} needs one of {', '.join(kind.one_of)}")
    value: dict[str, Any] = {}
    for column, text in filled.items():
        try:
            value[column] = COLUMNS[column](text)
        except ValueError as error:
            raise ValueError(f"{column}: {error}") from None
    value = _finished(name, value, at)
    for part in _spoken_of(kind, value):
        first = said.setdefault((name, *part), number)
        if first != number:
            raise ValueError(f"says again what line {first} says")
    if kind.event_type == _SET:
        value = {"kind": name, **value}
    return Event(number, kind.event_type, str(value[kind.key]), value)


def _finished(name: str, value: dict[str, Any], at: int) -> dict[str, Any]:
    """The line's value as the event says it; ValueError where its cells contradict each other."""
    if name == "stock":
        return {"pool": "sales", **value}
    if name == "activity":
        if value["starts_at"] >= value["ends_at"]:
            raise ValueError("starts_at is not before ends_at")
        if value["ends_at"] <= at:
            raise ValueError("ends_at: the activity is over already")
        skus = _words(value["sku"], references.ITEMS)
        return {**{column: cell for column, cell in value.items() if column != "sku"}, "skus": skus}
    if name == "alternative" and value["sku"] in value.get("alternatives", ()):
        raise ValueError("a SKU is no alternative to itself")
    return value


def _spoken_of(kind: Kind, value: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    skus = value.get("skus") or [value.get("sku", "")]
    for sku in skus:
        yield tuple(str(sku if column == "sku" else value.get(column, "")) for column in kind.same)


def ops_value(event: Event, run: str, at: int) -> dict[str, Any]:
    """The `ops` record. `run` and `at` (ms) name the loading: the same event of the same loading counts once."""
    return {
        "event_id": f"{run}-{event.number}",
        "event_type": event.event_type,
        "event_time": at,
        "source": "oms-stock",
        "channel": event.value.get("channel"),
        "value": json.dumps(event.value, ensure_ascii=False, separators=(",", ":")),
    }
