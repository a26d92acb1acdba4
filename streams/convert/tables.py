"""Reports as tables for spreadsheets: CSV (UTF-8 with its mark, so that Excel reads Chinese) and XLSX.

A report's rows are of several kinds, totals first and details after them. One table holds them all, with a column for
each field that any row has, in the order in which they first appear. Numbers stay numbers, times milliseconds; lists
and records are JSON. Text that a spreadsheet would take for a formula is marked as text. Links to vouchers (a field
`vouchers`) are a sheet of their own in XLSX, to be clicked on.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Record = Mapping[str, Any]
Cell = str | int | float | bool | None

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What no file of Excel can hold, as a channel's name may."""
VOUCHERS: Final = "vouchers"
ORDER: Final = "order_guid"


def columns(rows: Sequence[Record]) -> list[str]:
    """Every field of any row, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def cell(value: Any) -> Cell:
    """A value as a cell."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"'{text}" if text.startswith(_FORMULA) else text


def grid(reports: Sequence[Record]) -> list[list[Cell]]:
    """Head and rows of records of `reports`, under each other."""
    rows = [row for report in reports for row in json.loads(report["rows"])]
    names = columns(rows)
    return [[*names], *([cell(row.get(name)) for name in names] for row in rows)]


def write(path: Path, reports: Sequence[Record]) -> int:
    """Write the file; how many rows it holds below its head. Its ending says how it is written. OSError if it cannot
    be."""
    table = grid(reports)
    WRITERS[path.suffix.lower()](path, table, reports)
    return len(table) - 1


def _csv(path: Path, table: Sequence[Sequence[Cell]], reports: Sequence[Record]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(table)


def _xlsx(path: Path, table: Sequence[Sequence[Cell]], reports: Sequence[Record]) -> None:
    """The rows, and a second sheet with what the report says in words."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    sheet = book.create_sheet(reports[0]["name"])
    sheet.freeze_panes = "A2"
    bold = Font(bold=True)
    heads = []
    for name in table[0]:
        head = WriteOnlyCell(sheet, value=name)
        head.font = bold
        heads.append(head)
    sheet.append(heads)
    for row in table[1:]:
        sheet.append([_xml(value) for value in row])
    _vouchers(book, reports)
    words = book.create_sheet("highlights")
    for report in reports:
        for text in (report["report_id"], *report["highlights"]):
            words.append([_xml(cell(text))])
    book.save(path)


def _vouchers(book: Any, reports: Sequence[Record]) -> None:
    """A sheet with one link per line, if any row has some."""
    from openpyxl.cell import WriteOnlyCell

    rows = [row for report in reports for row in json.loads(report["rows"]) if row.get(VOUCHERS)]
    if not rows:
        return
    sheet = book.create_sheet(VOUCHERS)
    sheet.append([ORDER, "of", "link"])
    for row in rows:
        for what, link in row[VOUCHERS]:
            where = WriteOnlyCell(sheet, value=_xml(cell(link)))
            if link.startswith(("https://", "http://")):
                where.hyperlink = link
            sheet.append([cell(row.get(ORDER)), cell(what), where])


def _xml(value: Cell) -> Cell:
    return _NO_XML.sub("\ufffd", value) if isinstance(value, str) else value


WRITERS: Final[Mapping[str, Callable[[Path, Sequence[Sequence[Cell]], Sequence[Record]], None]]] = {
    ".csv": _csv,
    ".xlsx": _xlsx,
}
"""By the ending of the file."""
