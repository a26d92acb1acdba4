"""Which column of a courier's list says what (LOG-08): versioned data, by courier; headings decide, never positions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import calendar
from streams.domain.courier_file.cells import Cell, text_of

FIELDS: Final = (
    "waybill", "status", "signed_at", "signed_day", "time", "day", "signed_by", "location", "sign_type",
)  # fmt: skip
"""signed_at: when it was signed for; time: when the status came about; the days beside them hold where those are a
clock alone, or stand for them."""
SIGNATURE: Final = ("signed_at", "signed_day")
_TIMES: Final = (*SIGNATURE, "time", "day")
_KEYS: Final = frozenset({"about", "version", "couriers", "waybill_pattern", "offset", "columns"})
_BRACKET: Final = re.compile(r"(.+)\(([^()]*)\)")
_ZONE: Final = re.compile(r"(?:UTC|GMT)?(?:([+-])(\d{1,2})(?::?(\d{2}))?)?", re.IGNORECASE)
_LOOKS_LIKE_ZONE: Final = re.compile(r"UTC|GMT|时区|[+-]\d", re.IGNORECASE)
ANY: Final = "*"


class LayoutError(ValueError):
    """A layout that must not be used, or a table whose heading cannot be told; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one courier (or `*`: any other) writes its list. `columns`: heading, made plain, to field."""

    name: str
    version: int
    couriers: tuple[str, ...]
    pattern: re.Pattern[str]
    offset_ms: int
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Heading:
    """Where each field stands (position in the row), and the offset of the wall clock of each time column."""

    at: Mapping[str, int]
    offsets: Mapping[str, int]


def parse(name: str, document: Any) -> Layout:
    """A layout from its JSON document. LayoutError on anything that could not be applied as written."""
    if not isinstance(document, Mapping) or (odd := sorted(set(document) - _KEYS)):
        raise LayoutError(f"{name}: " + (f"unknown entry {odd[0]}" if isinstance(document, Mapping) else "no record"))
    version, couriers, columns = (document.get(key) for key in ("version", "couriers", "columns"))
    if type(version) is not int or version < 1:
        raise LayoutError(f"{name}: version must be a whole number from 1")
    if not isinstance(couriers, list) or not _words(couriers):
        raise LayoutError(f"{name}: couriers must be a list of words")
    if not isinstance(columns, Mapping) or not all(_words(words) for words in columns.values()):
        raise LayoutError(f"{name}: columns must be lists of headings by field")
    found: dict[str, str] = {}
    for field, words in columns.items():
        if field not in FIELDS:
            raise LayoutError(f"{name}: {field} is no field ({', '.join(FIELDS)})")
        for word in words:
            if found.setdefault(plain(word), field) != field:
                raise LayoutError(f"{name}: {word} heads two fields")
    try:
        pattern = re.compile(document["waybill_pattern"])
        offset = zone(document.get("offset", "+08:00"))
    except (KeyError, TypeError, re.error):
        raise LayoutError(f"{name}: waybill_pattern must be a regular expression") from None
    if offset is None:
        raise LayoutError(f"{name}: offset must be written +08:00")
    return Layout(name, version, tuple(couriers), pattern, offset, found)


def _words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) and word for word in value)


class Layouts:
    """All layouts: a courier's own, else the one for any."""

    def __init__(self, layouts: Iterable[Layout]) -> None:
        self._by_courier: dict[str, Layout] = {}
        for layout in layouts:
            for courier in layout.couriers:
                if courier in self._by_courier:
                    raise LayoutError(f"{layout.name}: {courier} has another layout already")
                self._by_courier[courier] = layout
        if ANY not in self._by_courier:
            raise LayoutError("no layout for any courier (*)")

    def of(self, courier: str) -> Layout:
        return self._by_courier.get(courier) or self._by_courier[ANY]


def plain(heading: str) -> str:
    """A heading for comparison: narrow forms, no blanks or marks of a required column, lower case."""
    narrow = unicodedata.normalize("NFKC", heading).strip("\ufeff")
    return "".join(narrow.split()).strip("*:").lower()


def zone(text: str) -> int | None:
    """Milliseconds ahead of UTC that a text such as UTC, UTC+8, +08:00, 北京时间 says, or None."""
    if text.lower() in ("北京时间", "上海时间", "中国标准时间", "asia/shanghai"):
        return calendar.SHANGHAI_OFFSET_MS
    match = _ZONE.fullmatch(text)
    if match is None or not text or int(match[2] or 0) > 14:
        return None
    minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
    return minutes * calendar.MINUTE_MS * (-1 if match[1] == "-" else 1)


def heading(row: Sequence[Cell], layout: Layout, overrides: Mapping[str, str] | None = None) -> Heading | None:
    """The heading, if this row is one: it has a waybill column and a column of times. None if it is another row.

    `overrides`: field to heading; they take the place of the layout's headings of that field. LayoutError if two
    columns claim one field, or a time column names a zone nobody knows.
    """
    named = {plain(word): field for field, word in (overrides or {}).items()}
    known = {word: field for word, field in layout.columns.items() if field not in (overrides or {})} | named
    at: dict[str, int] = {}
    offsets: dict[str, int] = {}
    twice: list[str] = []
    for position, cell in enumerate(row):
        try:
            word = plain(text_of(cell))
        except ValueError:
            continue
        field, offset = _meant(word, known, layout.offset_ms)
        if field is None:
            continue
        if field in at:
            twice.append(field)
            continue
        at[field] = position
        if field in _TIMES:
            offsets[field] = offset
    if "waybill" not in at or not any(field in at for field in _TIMES):
        return None
    if twice:
        raise LayoutError(f"two columns could be {twice[0]}: name one with --columns {twice[0]}=HEADING")
    if not any(field in at for field in ("status", "sign_type", *SIGNATURE)):
        raise LayoutError("no column tells a status, nor that its times are signatures: name one with --columns")
    return Heading(at, offsets)


def _meant(word: str, known: Mapping[str, str], usual: int) -> tuple[str | None, int]:
    """The field a heading stands for, and the offset that what is in its brackets says."""
    bracket = _BRACKET.fullmatch(word)
    field = known.get(word) or (known.get(bracket[1]) if bracket else None)
    if field not in _TIMES or bracket is None:
        return field, usual
    offset = zone(bracket[2])
    if offset is None and _LOOKS_LIKE_ZONE.search(bracket[2]):
        raise LayoutError(f"the heading of {field} names a time zone that is not known: write UTC+8")
    return field, usual if offset is None else offset
