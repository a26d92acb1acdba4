"""What a cell of a courier's list says (LOG-08): waybill numbers that a spreadsheet may have spoilt, and times.

A cell that can be read in two ways is refused, never guessed. No reason quotes a cell: it may hold a name or telephone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final, TypeAlias

from streams.domain import calendar


@dataclass(frozen=True, slots=True)
class Broken:
    """A cell without a value to read, such as a formula nobody has calculated; `reason` completes "waybill ..."."""

    reason: str


Cell: TypeAlias = "str | int | float | bool | datetime | date | time | Broken | None"
"""As the file has it; times are wall-clock times without an offset."""

EXACT: Final = 10**15
"""A spreadsheet keeps 15 significant digits: a number below this one is whole, from it on the last digits are lost."""
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_DAY_SECONDS: Final = 86_400
# Days from the first day of the two date systems of workbooks to 1970-01-01.
_EPOCH_1900: Final = calendar.number_of(1899, 12, 30)
_EPOCH_1904: Final = calendar.number_of(1904, 1, 1)
# 2000-01-01 to 2099-12-31: what else is a number is no date.
_FIRST_DAY: Final = calendar.number_of(2000, 1, 1)
_LAST_DAY: Final = calendar.number_of(2099, 12, 31)

_CLOCK: Final = (
    r"(?:(上午|下午|AM|PM)\s*)?(\d{1,2})[:时点](\d{1,2})(?:分|[:分](\d{1,2})(?:\.\d{1,9})?秒?)?(?:\s*(AM|PM))?"
)
_DATE: Final = r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|\.(\d{1,2})\.(\d{1,2})|年(\d{1,2})月(\d{1,2})日?)"
_OFFSET: Final = r"\s*(Z|[+-]\d{2}:?\d{2})?"
_ONLY_CLOCK: Final = re.compile(_CLOCK, re.IGNORECASE)
_MOMENT: Final = re.compile(rf"{_DATE}(?:(?:\s*T\s*|\s*){_CLOCK}{_OFFSET})?", re.IGNORECASE)
# 1E12345678 may be a waybill number as it stands; with a point or a plus it is none.
_SCIENCE: Final = re.compile(r"(\d)(?=\.|E\+)(?:\.(\d+))?E\+?(\d{1,3})", re.IGNORECASE)
_DIGITS: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\s*(\d{2})(\d{2})(\d{2}))?")


def text_of(cell: Cell) -> str:
    """The cell as plain text, "" if empty: full-width forms made narrow, blanks at the ends and invisible marks gone.
    ValueError with the reason if it holds no text or number."""
    if cell is None:
        return ""
    if isinstance(cell, Broken):
        raise ValueError(cell.reason)
    if isinstance(cell, bool | datetime | date | time):
        raise ValueError("is a date or a yes/no value, not text")
    if isinstance(cell, float):
        if not cell.is_integer():
            raise ValueError("is a number with a fraction")
        cell = int(cell)
    if isinstance(cell, int):
        if abs(cell) >= EXACT:
            raise ValueError("is a number of more than 15 digits, of which the spreadsheet keeps 15: make it text")
        return str(cell)
    return unicodedata.normalize("NFKC", cell).translate(_INVISIBLE).strip()


def waybill(cell: Cell, pattern: re.Pattern[str], *, rounded: bool = False) -> str:
    """The waybill number of a cell, "" if empty. `rounded`: long numbers of this file end in zeros from the 16th digit
    on, as if a spreadsheet had cut them. ValueError with the reason."""
    text = text_of(cell).removeprefix("'")
    number, _, fraction = text.partition(".")
    if number.isdigit() and fraction and not fraction.strip("0"):
        text = number
        if int(number) >= EXACT:
            raise ValueError("is a number of more than 15 digits, of which the spreadsheet keeps 15: make it text")
    elif science := _SCIENCE.fullmatch(text):
        text = _written_out(science[1], science[2] or "", int(science[3]))
    if rounded and cut(text):
        raise ValueError("has only zeros after its 15th digit: a spreadsheet may have cut it off")
    if text and pattern.fullmatch(text) is None:
        raise ValueError("is not written as this courier's waybill numbers are")
    return text


def cut(text: str) -> bool:
    """Whether a number is longer than a spreadsheet keeps and has nothing but zeros there."""
    return len(text) > 15 and text.isdigit() and not text[15:].strip("0")


def _written_out(first: str, fraction: str, exponent: int) -> str:
    """1.23456789012E+11 has all of its digits; 1.23457E+11 has lost some."""
    if len(fraction) != exponent or exponent > 14:
        raise ValueError("is in scientific notation, which has lost digits: make the column text")
    return first + fraction


def moment(cell: Cell, day: Cell, offset_ms: int, *, date1904: bool | None) -> tuple[int | None, bool]:
    """(UTC milliseconds or None if empty, whether the clock is known) of a time cell and the day cell beside it.

    A day alone is its first moment. `offset_ms`: of the wall clock; a text with an offset of its own overrules it.
    `date1904`: the workbook's date system, None where numbers are no dates (CSV). ValueError with the reason.
    """
    if _empty(cell):
        cell, day = day, None
    if _empty(cell):
        return None, False
    clock = _clock(cell)
    if clock is None:
        return _moment(cell, offset_ms, date1904)
    if _empty(day):
        raise ValueError("has a clock but no day")
    start, known = _moment(day, offset_ms, date1904)
    if known and (start + offset_ms) % calendar.DAY_MS:
        raise ValueError("has a clock in both its columns")
    return start + clock * 1000, True


def _empty(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not text_of(cell))


def _clock(cell: Cell) -> int | None:
    """Seconds of the day, where the cell holds a time of day alone."""
    if isinstance(cell, time):
        return cell.hour * 3600 + cell.minute * 60 + cell.second
    if isinstance(cell, float) and 0 < cell < 1:
        return min(round(cell * _DAY_SECONDS), _DAY_SECONDS - 1)
    if isinstance(cell, str) and (match := _ONLY_CLOCK.fullmatch(text_of(cell))):
        return _seconds(*match.groups())
    return None


def _moment(cell: Cell, offset_ms: int, date1904: bool | None) -> tuple[int, bool]:
    if isinstance(cell, datetime):  # a spreadsheet's fractions of days miss the second by a little
        seconds = _at(cell.year, cell.month, cell.day, cell.hour * 3600 + cell.minute * 60 + cell.second)
        return (seconds + (cell.microsecond >= 500_000)) * 1000 - offset_ms, cell.time() != time()
    if isinstance(cell, date):
        return _at(cell.year, cell.month, cell.day, 0) * 1000 - offset_ms, False
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return _number(cell, offset_ms, date1904)
    text = text_of(cell)
    if match := _DIGITS.fullmatch(text):
        year, month, day, *clock = match.groups()
        known = clock[0] is not None
        seconds = _seconds(None, clock[0], clock[1], clock[2], None) if known else 0
        return _at(int(year), int(month), int(day), seconds) * 1000 - offset_ms, known
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("is not written as a time, such as 2026-01-22 09:30:00 or 2026年1月22日 9:30")
    year, *rest = match.groups()
    month, day = (part for part in rest[:8] if part is not None)
    known = rest[9] is not None
    seconds = _seconds(*rest[8:13]) if known else 0
    shift = offset_ms if rest[13] is None else _offset(rest[13])
    return _at(int(year), int(month), int(day), seconds) * 1000 - shift, known


def _number(number: float, offset_ms: int, date1904: bool | None) -> tuple[int, bool]:
    """A date as a spreadsheet counts days, or 20260122 and 20260122093000 typed as a number."""
    if float(number).is_integer() and (match := _DIGITS.fullmatch(str(int(number)))):
        return _moment(match[0], offset_ms, date1904)
    if date1904 is None:
        raise ValueError("is a number, not a time")
    base = _EPOCH_1904 if date1904 else _EPOCH_1900
    if not _FIRST_DAY <= base + number < _LAST_DAY + 1:  # refuses what is not finite too
        raise ValueError("is a number that is no date")
    seconds = round(number * _DAY_SECONDS)
    return (base * _DAY_SECONDS + seconds) * 1000 - offset_ms, seconds % _DAY_SECONDS != 0


def _seconds(before: str | None, hour: str, minute: str, second: str | None, after: str | None) -> int:
    half = {"上午": "AM", "下午": "PM"}.get(before or "", (before or after or "").upper())
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59 or (half == "AM" and hours > 12) or (before and after):
        raise ValueError("has a clock that does not exist")
    if half == "PM" and hours < 12:
        hours += 12
    elif half == "AM" and hours == 12:
        hours = 0
    return hours * 3600 + minutes * 60 + seconds


def _at(year: int, month: int, day: int, seconds: int) -> int:
    try:
        return calendar.number_of(year, month, day) * _DAY_SECONDS + seconds
    except ValueError:
        raise ValueError("has a day that does not exist") from None


def _offset(text: str) -> int:
    if text.upper() == "Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 14 or minutes > 59:
        raise ValueError("has an offset that does not exist")
    return (hours * 60 + minutes) * 60_000 * (-1 if text[0] == "-" else 1)
