"""Rows of a courier's list as events (LOG-08). A row's event_id is made of courier, waybill, time and status, so the
same row is the same event in whatever file it stands, and a repeat does no harm (ID-05).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from streams.domain import calendar
from streams.domain.contract import Contract
from streams.domain.courier_file.cells import Cell, cut, moment, text_of, waybill
from streams.domain.courier_file.layout import SIGNATURE, Heading, Layout, heading
from streams.domain.status_map import Mapped, StatusMaps

HEADING_WITHIN: Final = 30
"""A heading stands within the first so many rows that are not empty: above it are titles and dates of the list."""
_TOTALS: Final = ("合计", "总计", "小计", "共计")
_NEGATED: Final = ("拒收", "拒签", "未签收", "退回", "退件", "无法签收")
_EVENT_OF_NODE: Final[Mapping[str | None, str]] = {
    "awaiting_pickup": "waybill_accepted",
    "picked_up": "picked_up",
    "in_transit": "scanned",
    "transit_stalled": "exception",
    "out_for_delivery": "out_for_delivery",
}

Outcome: TypeAlias = Literal["event", "repeated", "late", "bad"]


@dataclass(frozen=True, slots=True)
class Numbers:
    """late_ms: a row older than this is not sent; poll_ms: how often a folder of lists is looked at."""

    late_ms: int = 30 * calendar.DAY_MS
    poll_ms: int = 2 * calendar.HOUR_MS


@dataclass(frozen=True, slots=True)
class Table:
    """One sheet, or a CSV file: (row number from 1, cells) of each row. `date1904`: the workbook's date system, None
    for a CSV file."""

    name: str
    rows: Sequence[tuple[int, Sequence[Cell]]]
    date1904: bool | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a row. `reason` never quotes a cell; `value` is the event of an `event` and of nothing else."""

    table: str
    number: int
    outcome: Outcome
    reason: str = ""
    value: Mapping[str, Any] | None = None
    day_only: bool = False


class Reader:
    """Judges the tables of one file. Remembers the file's row keys, so that a row told twice is sent once."""

    def __init__(
        self,
        courier: str,
        layout: Layout,
        maps: StatusMaps,
        contract: Contract,
        numbers: Numbers,
        now: int,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        """`now`: UTC milliseconds, against which a row is late; `columns`: field to heading, before the layout's."""
        self.courier, self.layout, self.now = courier, layout, now
        self._maps, self._contract, self._numbers, self._columns = maps, contract, numbers, columns
        self._seen: dict[str, str] = {}

    def read(self, table: Table) -> Iterator[Judged] | None:
        """What became of each row below the heading, in order; None if the table has no heading. LayoutError."""
        rows = [(number, cells) for number, cells in table.rows if not _empty(cells)]
        for position, (_, cells) in enumerate(rows[:HEADING_WITHIN]):
            found = heading(cells, self.layout, self._columns)
            if found is not None:
                return self._below(table, rows[position:], found)
        return None

    def _below(self, table: Table, rows: Sequence[tuple[int, Sequence[Cell]]], found: Heading) -> Iterator[Judged]:
        rounded = table.date1904 is None and _all_cut(rows[1:], found.at["waybill"])
        head = rows[0][1]
        for number, cells in rows[1:]:
            if cells == head or _total(cells):  # lists glued together repeat their heading
                continue
            fields = {name: cells[at] if at < len(cells) else None for name, at in found.at.items()}
            try:
                yield self._judge(table, number, fields, found, rounded)
            except ValueError as error:
                yield Judged(table.name, number, "bad", str(error))

    def _judge(self, table: Table, number: int, fields: Mapping[str, Cell], found: Heading, rounded: bool) -> Judged:
        code = _told("waybill", waybill, fields["waybill"], self.layout.pattern, rounded=rounded)
        if not code:
            raise ValueError("waybill is empty")
        texts = {
            name: _told(name, text_of, fields.get(name)) for name in ("status", "signed_by", "location", "sign_type")
        }
        word, field = _word(texts, found)
        mapped = self._maps.find("couriers", (self.courier, self.courier), field, word) if word else None
        event_type = _event_type(word, mapped)
        at, known = self._time(fields, found, table.date1904, signed=event_type == "signed")
        value = {
            "event_id": f"{self.courier}-file-{code}-{at}-{sha256(word.encode()).hexdigest()[:12]}",
            "event_type": event_type,
            "event_time": at,
            "source": self.courier,
            "waybill_no": code,
            "courier": self.courier,
            "raw_status": word or None,
            "raw_field": field if word else None,
            "sign_type": texts["sign_type"] or None,
            "location": texts["location"] or None,
            "signed_by": texts["signed_by"] or None,
            "raw": _raw(texts, code),
        }
        refusal = self._contract.check("couriers", value, self.now)
        if refusal is not None:
            raise ValueError(refusal.reason)
        if self.now - at > self._numbers.late_ms:
            days = self._numbers.late_ms / calendar.DAY_MS
            return Judged(table.name, number, "late", f"is older than {days:g} days")
        first = self._seen.setdefault(value["event_id"], f"{table.name} row {number}")
        if first != f"{table.name} row {number}":
            return Judged(table.name, number, "repeated", f"says again what {first} says")
        return Judged(table.name, number, "event", value=value, day_only=not known)

    def _time(
        self, fields: Mapping[str, Cell], found: Heading, date1904: bool | None, *, signed: bool
    ) -> tuple[int, bool]:
        """A signature's time is that of the signature, any other word's that of the status, if the list has both."""
        pairs = [("signed_at", "signed_day" if "signed_day" in fields else "day"), ("time", "day")]
        for name, day in pairs if signed else reversed(pairs):
            if name == "signed_at" and day == "day" and _empty((fields.get(name),)):
                continue  # a day of its own is told with `time`, which may hold its clock
            offset = found.offsets.get(name, found.offsets.get(day, self.layout.offset_ms))
            told = _told(name, moment, fields.get(name), fields.get(day), offset, date1904=date1904)
            at: int | None = told[0]
            if at is not None:
                return at, told[1]
        raise ValueError("time is empty")


def _told(name: str, read: Any, *cells: Any, **more: Any) -> Any:
    """The value of a cell; a reason gets the field's name."""
    try:
        return read(*cells, **more)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _word(texts: Mapping[str, str], found: Heading) -> tuple[str, str]:
    """(raw_status, raw_field): the status, or where the list has no such column how it was signed for. Empty only in
    a list of signatures, which needs no word."""
    for field in ("status", "sign_type"):
        if field in found.at:
            if texts[field]:
                return texts[field], field
            if field == "status" or not any(name in found.at for name in SIGNATURE):
                raise ValueError(f"{field} is empty")
    return "", ""


def _event_type(word: str, mapped: Mapped | None) -> str:
    """The event type that goes with the word; what the word means is decided where all words are (ST-03, LOG-05)."""
    if mapped is None:
        return "signed"
    if mapped["state"] == "logistics_signed":
        return "signed"
    if (known := _EVENT_OF_NODE.get(mapped["node"])) is not None:
        return known
    return "exception" if any(negated in word for negated in _NEGATED) else "scanned"


def _raw(texts: Mapping[str, str], code: str) -> str:
    """What the row says, without the person: `raw` goes into the audit log."""
    shown = {"waybill": code, "status": texts["status"], "sign_type": texts["sign_type"], "location": texts["location"]}
    row = {name: text for name, text in shown.items() if text}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _empty(cells: Sequence[Cell]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _total(cells: Sequence[Cell]) -> bool:
    """A line such as 合计 120 below the list."""
    filled = [cell for cell in cells if cell is not None and cell != ""]
    first = filled[0] if filled else None
    return isinstance(first, str) and first.strip().startswith(_TOTALS) and len(filled) <= 2


def _all_cut(rows: Sequence[tuple[int, Sequence[Cell]]], at: int) -> bool:
    """Whether every waybill number that is longer than 15 digits ends in zeros: one that does not shows that no
    spreadsheet has cut them."""
    texts = [cell.strip() for _, cells in rows if at < len(cells) and isinstance(cell := cells[at], str)]
    return all(cut(text) for text in texts if len(text) > 15 and text.isdigit())
