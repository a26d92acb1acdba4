"""Excel and CSV lists as they come: merged titles, formulas, old formats, the encodings of Chinese offices."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from streams.convert.courier_tables import Book, tables
from streams.domain.courier_file.cells import Broken
from streams.errors import OmsError

HEAD = ["运单号", "状态", "签收时间"]
ROW = ["771234567890", "已签收", "2026-01-22 09:30"]


def saved(book: Any) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def rewritten(content: bytes, part: str, old: str, new: str) -> bytes:
    """The workbook with something in one of its parts replaced, as another program might have written it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            if name == part:
                assert old.encode() in text
                text = text.replace(old.encode(), new.encode())
            target.writestr(name, text)
    return out.getvalue()


def cells(book: Book, table: int = 0) -> list[tuple[int, list[Any]]]:
    return [(number, list(row)) for number, row in book.tables[table].rows]


@pytest.mark.rule("LOG-08")
def test_a_workbook_keeps_its_row_numbers_below_a_merged_title_and_empty_rows() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"] = "签收日报"
    sheet.merge_cells("A1:C1")
    for column, (heading, cell) in enumerate(zip(HEAD, ROW, strict=True), start=1):
        sheet.cell(3, column, heading)
        sheet.cell(6, column, cell)
    found = tables("a.xlsx", saved(book))
    filled = [(number, row) for number, row in cells(found) if any(cell is not None for cell in row)]
    assert filled == [(1, ["签收日报"]), (3, HEAD), (6, ROW)]
    assert found.encoding is None


@pytest.mark.rule("LOG-08")
def test_numbers_dates_and_zeros_in_front_come_as_the_workbook_has_them() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    at = datetime(2026, 1, 22, 9, 30)  # noqa: DTZ001 - as a workbook has it
    sheet.append([771234567890, 7.7123456789e11, 46044.5, at, 12345678, True, "=1+1"])
    sheet["E1"].number_format = "0000000000"
    row = cells(tables("a.xlsx", saved(book)))[0][1]
    assert row[:6] == [771234567890, 771234567890, 46044.5, at, "0012345678", True]
    assert isinstance(row[6], Broken)
    assert "stored value" in row[6].reason


@pytest.mark.rule("LOG-08")
def test_a_formula_that_was_calculated_is_its_value_and_an_error_is_none() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["=A2", "=A3"])
    part = "xl/worksheets/sheet1.xml"
    content = rewritten(saved(book), part, "<f>A2</f><v />", "<f>A2</f><v>771234567890</v>")
    content = rewritten(content, part, '<c r="B1"><f>A3</f><v />', '<c r="B1" t="e"><f>A3</f><v>#N/A</v>')
    assert cells(tables("a.xlsx", content))[0][1] == [771234567890, Broken("is an error of a formula")]


@pytest.mark.rule("LOG-08")
def test_a_wrong_statement_of_the_sheets_size_hides_no_row() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEAD)
    sheet.append(ROW)
    content = rewritten(saved(book), "xl/worksheets/sheet1.xml", 'ref="A1:C2"', 'ref="A1"')
    assert cells(tables("a.xlsx", content)) == [(1, HEAD), (2, ROW)]


@pytest.mark.rule("LOG-08")
def test_all_visible_sheets_are_read_hidden_ones_are_named_and_the_date_system_is_kept() -> None:
    book = Workbook()
    assert book.active is not None
    book.active.title = "一月"
    book.create_sheet("二月").append(HEAD)
    book.create_sheet("密").sheet_state = "hidden"
    found = tables("a.xlsx", saved(book))
    assert [(table.name, table.date1904) for table in found.tables] == [("一月", False), ("二月", False)]
    assert found.hidden == ("密",)
    book.epoch = CALENDAR_MAC_1904
    assert tables("a.xlsx", saved(book)).tables[0].date1904 is True


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_csv_file_says_in_which_encoding_it_is(encoding: str, delimiter: str) -> None:
    text = f"{delimiter.join(HEAD)}\r\n{delimiter.join(ROW)}\r\n"
    found = tables("dir/a.csv", text.encode(encoding))
    assert (found.encoding, found.tables[0].name, found.tables[0].date1904) == (encoding, "a.csv", None)
    assert cells(found) == [(1, HEAD), (2, ROW)]


@pytest.mark.rule("LOG-08")
def test_a_csv_row_has_the_number_of_its_first_line_and_quoted_numbers_stay_text() -> None:
    text = '运单号,状态,"签收\n时间"\n="771234567890",已签收,=A1\n'
    assert cells(tables("a.csv", text.encode())) == [
        (1, ["运单号", "状态", "签收\n时间"]),
        (3, ["771234567890", "已签收", Broken("is a formula")]),
    ]


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "save it as .xlsx"),
        ("a.xlsx", "运单号,状态".encode(), "no Excel workbook"),
        ("a.xlsx", b"PK\x03\x04 cut off", "cannot be read as an Excel workbook"),
        ("a.csv", b"\xff\x00\x81", "neither"),
        ("a.csv", b"a\0b,c", "neither"),
    ],
)
def test_what_is_no_list_is_wrong_use(name: str, content: bytes, reason: str) -> None:
    with pytest.raises(OmsError, match=reason) as error:
        tables(name, content)
    assert error.value.exit_code == 2


@pytest.mark.rule("LOG-08")
def test_a_zip_file_that_is_no_workbook_and_a_workbook_cut_short_are_wrong_use(tmp_path: Path) -> None:
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as target:
        target.writestr("a.txt", "x")
    whole = saved(Workbook())
    for content in (plain.getvalue(), whole[: len(whole) // 2]):
        with pytest.raises(OmsError, match="Excel workbook"):
            tables("a.xlsx", content)
    broken = rewritten(whole, "xl/worksheets/sheet1.xml", "<sheetData", "<sheetData><row")
    with pytest.raises(OmsError, match="Excel workbook"):
        tables("a.xlsx", broken)


@pytest.mark.rule("LOG-08")
def test_a_workbook_that_was_garbled_or_encrypted_is_wrong_use() -> None:
    whole = saved(Workbook())
    encrypted = bytearray(whole)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := encrypted.find(mark, at + 1)) >= 0:
            encrypted[at + flags] |= 1
    body = whole.index(b"xl/worksheets/sheet1.xml") + 24
    for content in (bytes(encrypted), whole[:body] + b"\xff" * 40 + whole[body + 40 :]):
        with pytest.raises(OmsError, match="Excel workbook"):
            tables("a.xlsx", content)
