"""Exact money, local times, and the order of lines."""

from pathlib import Path

import pytest

from streams.convert.common import (
    ConvertError,
    found,
    in_time_order,
    line,
    local_ms,
    minor,
    row_of,
    rows,
    write,
    zone,
)


@pytest.mark.parametrize(
    ("text", "expected"), [("99.9", 9990), ("128.45", 12845), ("0.0", 0), ("1e2", 10000), (" 7 ", 700), ("8.300", 830)]
)
def test_amounts_are_exact_minor_units(text: str, expected: int) -> None:
    assert minor(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "1.005", "NaN", "Infinity"])
def test_an_amount_that_is_not_hundredths_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        minor(text)


def test_local_times_follow_the_summer_time_of_the_zone() -> None:
    brazil = zone("America/Sao_Paulo")
    winter, summer = local_ms("2018-07-01 12:00:00", brazil), local_ms("2018-01-01 12:00", brazil)
    assert winter == 1530457200000  # UTC-3
    assert summer == 1514815200000  # UTC-2


def test_the_first_of_two_equal_wall_clock_hours_is_taken() -> None:
    brazil = zone("America/Sao_Paulo")  # clocks went back on 2018-02-17 at 24:00
    assert local_ms("2018-02-17 23:30:00", brazil) == local_ms("2018-02-17 22:30:00", brazil) + 3_600_000


def test_an_unknown_zone_is_one_clear_line() -> None:
    with pytest.raises(ConvertError, match="no time zone data for Nowhere/At_All"):
        zone("Nowhere/At_All")


def test_lines_come_by_time_and_ties_keep_their_order() -> None:
    groups = [
        [line("orders", event_id="a1", event_time=1), line("orders", event_id="a2", event_time=9)],
        [line("orders", event_id="b1", event_time=2), line("orders", event_id="b2", event_time=2)],
        [line("orders", event_id="c1", event_time=9), line("orders", event_id="c2", event_time=3)],
    ]
    groups.sort(key=lambda group: min(entry["value"]["event_time"] for entry in group))
    assert [entry["value"]["event_id"] for entry in in_time_order(groups)] == ["a1", "b1", "b2", "c2", "a2", "c1"]


def test_a_row_with_missing_columns_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n", encoding="utf-8")
    with pytest.raises(ConvertError, match=r"t\.csv:3: 1 columns, the header has 2"):
        list(rows(path))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a,b\n", ""])
def test_a_column_that_is_needed_and_missing_is_named_rows_or_not(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConvertError, match=r"t\.csv: no column (a, )?c$"):
        list(rows(path, "a", "c"))


def test_a_table_that_is_missing_is_named_with_the_files_it_could_be_in(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r": no table of x; looked for one\.csv\[\.gz\], two\.csv\[\.gz\]$"):
        found(tmp_path, "table of x", "one", "two")
    (tmp_path / "two.csv").touch()
    assert found(tmp_path, "table of x", "one", "two") == tmp_path / "two.csv"


def test_a_value_that_is_wrong_is_named_by_file_and_row() -> None:
    with pytest.raises(ConvertError, match=r"^t\.csv:7: not an amount: 'x'$"), row_of(Path("t.csv"), 7):
        minor("x")


def test_a_broken_gzip_file_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08 not gzip at all")
    with pytest.raises(ConvertError, match=r"t\.csv\.gz: cannot be read"):
        list(rows(path))


def test_written_gzip_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    lines = [line("orders", event_id="a", event_time=1)]
    assert write(tmp_path / "one.jsonl.gz", lines) == 1
    write(tmp_path / "two.jsonl.gz", lines)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()
    write(tmp_path / "plain.jsonl", lines)
    assert (tmp_path / "plain.jsonl").read_text() == '{"topic":"orders","value":{"event_id":"a","event_time":1}}\n'
