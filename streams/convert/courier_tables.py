"""Courier lists as tables: Excel workbooks (xlsx, xlsm) and CSV files of any of the encodings Chinese offices write."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import PurePath
from typing import Any, Final

from streams.domain.courier_file.cells import EXACT, Broken, Cell
from streams.domain.courier_file.rows import Table
from streams.errors import OmsError

_DELIMITERS: Final = (",", "\t", ";")
_ZEROS: Final = re.compile(r"0{2,}")
_QUOTED: Final = re.compile(r'="([^"]*)"')
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[\s/>]")
_UNCALCULATED: Final = Broken("is a formula without a stored value: open the file in Excel and save it")


@dataclass(frozen=True, slots=True)
class Book:
    """The tables of a file. `encoding`: of a CSV file, else None; `hidden`: names of sheets nobody sees, not read."""

    tables: tuple[Table, ...]
    encoding: str | None
    hidden: tuple[str, ...] = ()


def tables(name: str, content: bytes) -> Book:
    """The file's tables; what it is, its content says first and then its name. OmsError (exit 2) if it is none."""
    if content[:4] == b"PK\x03\x04":
        return _workbook(name, content)
    if content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise OmsError(f"{name} is an old or a password-protected Excel file: save it as .xlsx", exit_code=2)
    if PurePath(name).suffix.lower() in (".xlsx", ".xlsm", ".xls"):
        raise OmsError(f"{name} is no Excel workbook: save it as .xlsx or name it .csv", exit_code=2)
    return _csv(name, content)


def _workbook(name: str, content: bytes) -> Book:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parts of a workbook that openpyxl passes over are no business of ours
            return _sheets(content)
    except Exception as error:  # openpyxl and zipfile promise no types for bytes that are no workbook, or are encrypted
        raise OmsError(f"{name} cannot be read as an Excel workbook ({type(error).__name__})", exit_code=2) from None


def _sheets(content: bytes) -> Book:
    from openpyxl import load_workbook
    from openpyxl.utils.datetime import MAC_EPOCH

    with closing(load_workbook(io.BytesIO(content), read_only=True, data_only=True)) as values, ExitStack() as more:
        formulas = None
        if _has_formulas(content):
            # Formulas and the values stored for them are two views of a file: both tell a formula nobody calculated.
            formulas = more.enter_context(closing(load_workbook(io.BytesIO(content), read_only=True)))
        shown = [sheet.title for sheet in values.worksheets if sheet.sheet_state == "visible"]
        hidden = tuple(sheet.title for sheet in values.worksheets if sheet.sheet_state != "visible")
        found = tuple(
            Table(title, list(_rows(values[title], formulas and formulas[title])), values.epoch == MAC_EPOCH)
            for title in shown
        )
    return Book(found, None, hidden)


def _has_formulas(content: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheets = (name for name in parts.namelist() if name.startswith("xl/worksheets/"))
        return any(_FORMULA.search(parts.read(name)) for name in sheets)


def _rows(values: Any, formulas: Any) -> Iterator[tuple[int, list[Cell]]]:
    values.reset_dimensions()  # some writers state a size of one cell; the rows themselves are right
    if formulas is None:
        for number, row in enumerate(values.iter_rows(), start=1):
            yield number, [_cell(cell, cell) for cell in row]
        return
    formulas.reset_dimensions()
    for number, (row, written) in enumerate(zip(values.iter_rows(), formulas.iter_rows(), strict=True), start=1):
        yield number, [_cell(cell, formula) for cell, formula in zip(row, written, strict=True)]


def _cell(cell: Any, formula: Any) -> Cell:
    value: Any = cell.value
    if value is None:
        return _UNCALCULATED if formula.value is not None else None
    if cell.data_type == "e":
        return Broken("is an error of a formula")
    if type(value) is int and 0 <= value < EXACT and _ZEROS.fullmatch(cell.number_format or ""):
        return str(value).zfill(len(cell.number_format))  # the zeros in front that the format shows
    if isinstance(value, str | int | float | datetime | date | time):
        return value
    return Broken("is of a kind that cannot be read")


def _csv(name: str, content: bytes) -> Book:
    text, encoding = _decoded(name, content)
    # The delimiter that cuts the most: a comma in a title line does not hide the tabs below it.
    sample = text[:65_536]
    delimiter = max(_DELIMITERS, key=sample.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, list[Cell]]] = []
    try:
        start = 1
        for row in reader:
            rows.append((start, [_text(cell) for cell in row]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise OmsError(f"{name}:{reader.line_num}: not CSV ({error})", exit_code=2) from None
    return Book((Table(PurePath(name).name, rows),), encoding)


def _text(cell: str) -> Cell:
    cell = cell.strip()
    if quoted := _QUOTED.fullmatch(cell):  # how spreadsheets are made to keep a number as text
        return quoted[1]
    return Broken("is a formula") if cell.startswith("=") else cell


def _decoded(name: str, content: bytes) -> tuple[str, str]:
    if content.startswith(b"\xef\xbb\xbf"):
        names: tuple[str, ...] = ("utf-8-sig",)
    elif content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        names = ("utf-16",)
    else:
        names = ("utf-8", "gb18030")
    for encoding in names:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise OmsError(f"{name} is neither an Excel workbook nor text in UTF-8 or GB18030", exit_code=2)
