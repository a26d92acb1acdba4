"""`oms reports`: a report as a table for a spreadsheet (FIN-04)."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.convert import tables

LINK = "https://vouchers.example.com/1.png"
TOTAL = {"channel": "tmall", "alerted": 1, "listed": 0}
ORDER = {
    "order_guid": "DB20260124ABCDEFGHIJKL",
    "channel": "tmall",
    "sales_minor": 10_000,
    "alert": True,
    "vouchers": [["receipt", LINK], ["sales", "audit-log/DB20260124ABCDEFGHIJKL"]],
}


def record(period: str, rows: list[dict[str, Any]], name: str = "FIN-04", about: str = "") -> dict[str, Any]:
    said = {"report_id": f"{name}/{period}{about}", "name": name, "period": period, "highlights": ["=1 order differs"]}
    return {**said, "rows": json.dumps(rows), "generated_at": 1}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "reports.jsonl"
    old = record("2026-01-24T12:00", [{"channel": "=cmd|' /C calc'!A0"}])
    records = [record("2026-01-24T10:00", [TOTAL]), old, record("2026-01-24T12:00", [TOTAL, ORDER])]
    records.append(record("2026-01", [{"channel": "a"}], "FIN-08", "/a"))
    records.append(record("2026-01", [{"channel": "b"}], "FIN-08", "/b"))
    path.write_text("".join(json.dumps({"key": one["report_id"], "value": one}) + "\n" for one in records))
    return path


def oms(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reports", *(str(argument) for argument in arguments)])


@pytest.mark.rule("FIN-04")
def test_the_newest_report_comes_out_as_csv_with_every_field(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert oms("export", "FIN-04", "--from", source, "--out", out).exit_code == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel reads Chinese only with the mark"
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["alerted"] for row in rows] == ["1", ""]
    text = out.read_bytes()
    assert oms("export", "FIN-04", "--from", source.parent, "--out", out).exit_code == 0, "a folder, as elsewhere"
    assert out.read_bytes() == text
    assert rows[1]["order_guid"] == ORDER["order_guid"]
    assert LINK in rows[1]["vouchers"]


@pytest.mark.rule("FIN-04")
def test_a_workbook_has_numbers_and_links_to_the_vouchers(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.XLSX"
    assert oms("export", "FIN-04", "--period", "2026-01-24T12:00", "--from", source, "--out", out).exit_code == 0
    book = load_workbook(out)
    head, total, order = book["FIN-04"].iter_rows(values_only=True)
    assert dict(zip(head, order, strict=True))["sales_minor"] == 10_000
    assert dict(zip(head, total, strict=True))["sales_minor"] is None
    links = {row[1].value: row[2] for row in book["vouchers"].iter_rows(min_row=2)}
    assert links["receipt"].hyperlink is not None
    assert links["receipt"].hyperlink.target == LINK
    assert links["sales"].hyperlink is None
    assert [row[0] for row in book["highlights"].iter_rows(values_only=True)][1] == "'=1 order differs"


@pytest.mark.rule("FIN-08")
def test_reports_of_one_period_about_several_channels_are_one_table(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert oms("export", "FIN-08", "--from", source, "--out", out).exit_code == 0
    assert out.read_text(encoding="utf-8-sig").split() == ["channel", "a", "b"]


def test_what_is_not_there_is_said(source: Path, tmp_path: Path) -> None:
    for arguments, code, text in [
        (("FIN-99", "--out", tmp_path / "x.csv"), 1, "no report FIN-99"),
        (("FIN-04", "--period", "1999", "--out", tmp_path / "x.csv"), 1, "of 1999"),
        (("FIN-04", "--out", tmp_path / "x.pdf"), 2, ".csv or .xlsx"),
        (("FIN-04", "--out", tmp_path / "no" / "x.csv"), 1, "cannot be written"),
    ]:
        done = oms("export", *arguments, "--from", source)
        assert (done.exit_code, text in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"highlights": None},
        {"highlights": [1]},
        {"name": None},
        {"period": 7},
        {"report_id": []},
        {"rows": "["},
        {"rows": "[1]"},
    ],
)
def test_a_file_whose_records_are_no_reports_is_one_clear_line(source: Path, tmp_path: Path, wrong: Any) -> None:
    good = record("2026-01-24T10:00", [TOTAL])
    for text in ("{}", "[", "7", json.dumps({"value": {**good, **wrong}})):
        source.write_text(text)
        for arguments in (("list",), ("export", "FIN-04", "--out", tmp_path / "x.xlsx")):
            done = oms(*arguments, "--from", source)
            assert (done.exit_code, "line 1: no record of a report" in done.stderr) == (1, True), done.output


def test_list_names_each_report_once(source: Path) -> None:
    lines = oms("list", "FIN-04", "--from", source).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["FIN-04/2026-01-24T10:00", "FIN-04/2026-01-24T12:00"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_text_is_taken_for_a_formula(text: str) -> None:
    assert tables.cell(text) == f"'{text}"
    assert tables.cell(-1) == -1


@pytest.mark.rule("FIN-04")
def test_a_workbook_has_a_sign_for_characters_that_none_can_hold(tmp_path: Path) -> None:
    out, source = tmp_path / "out.xlsx", tmp_path / "reports.jsonl"
    odd = record("2026-01-24T12:00", [{"channel": "a\x01b", "order_guid": "G", "vouchers": [["sales", "x\x0by"]]}])
    source.write_text(json.dumps({"key": "k", "value": odd}) + "\n")
    assert oms("export", "FIN-04", "--from", source, "--out", out).exit_code == 0
    book = load_workbook(out)
    assert [row[0] for row in book["FIN-04"].iter_rows(values_only=True)] == ["channel", "a\ufffdb"]
    assert [row[2] for row in book["vouchers"].iter_rows(values_only=True)] == ["link", "x\ufffdy"]


@pytest.mark.rule("TAX-15")
def test_the_pages_of_a_report_are_in_order(tmp_path: Path) -> None:
    out, source = tmp_path / "out.csv", tmp_path / "reports.jsonl"
    pages = [record("2026-01", [{"page": n}], "TAX-15", f"/{n}" if n > 1 else "") for n in range(1, 13)]
    source.write_text("".join(json.dumps({"key": one["report_id"], "value": one}) + "\n" for one in reversed(pages)))
    assert oms("export", "TAX-15", "--from", source, "--out", out).exit_code == 0
    assert out.read_text(encoding="utf-8-sig").split() == ["page", *map(str, range(1, 13))]
