"""Cells of a courier's list: what a spreadsheet spoils is refused where it can be read in two ways, else mended."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.courier_file.cells import Broken, Cell, moment, waybill

PATTERN = re.compile("(?=.*[0-9])[A-Za-z0-9-]{8,32}")
EIGHT = calendar.SHANGHAI_OFFSET_MS


def ms(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    at = datetime(year, month, day, hour, minute, second, tzinfo=timezone(timedelta(hours=8)))
    return round(at.timestamp() * 1000)


def told(cell: Cell, day: Cell = None, *, date1904: bool | None = False) -> tuple[int | None, bool]:
    return moment(cell, day, EIGHT, date1904=date1904)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("771234567890", "771234567890"),
        ("  771234567890\u200b\xa0", "771234567890"),
        ("'771234567890", "771234567890"),
        ("７７１２３４５６７８９０", "771234567890"),
        ("SF1234567890123", "SF1234567890123"),
        (771234567890, "771234567890"),
        (771234567890.0, "771234567890"),
        ("771234567890.00", "771234567890"),
        ("7.71234567890E+11", "771234567890"),
        (999_999_999_999_999, "999999999999999"),
        ("1234567890123456789", "1234567890123456789"),
        ("1E12345678", "1E12345678"),
        (None, ""),
        ("  ", ""),
    ],
)
def test_a_waybill_number_is_read_where_there_is_one_way_to_read_it(cell: Cell, number: str) -> None:
    assert waybill(cell, PATTERN) == number


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (10**15, "more than 15 digits"),
        (1.2345678901234568e17, "more than 15 digits"),
        ("1234567890123456.0", "more than 15 digits"),
        ("7.71235E+11", "scientific notation"),
        ("7.7123456789E+11", "scientific notation"),
        ("7.712345678901234E+15", "scientific notation"),
        (771234567890.5, "fraction"),
        (True, "yes/no"),
        (datetime(2026, 1, 22), "date"),  # noqa: DTZ001 - as a workbook gives it
        ("1234567", "not written as"),
        ("张三13800000000", "not written as"),
        ("合计", "not written as"),
        ("77123456 7890", "not written as"),
        (Broken("is a formula"), "is a formula"),
    ],
)
def test_a_spoilt_waybill_number_is_refused_without_being_quoted(cell: Cell, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        waybill(cell, PATTERN)
    assert not re.search(r"\d{6}|张三", str(error.value))


@pytest.mark.rule("LOG-08")
def test_zeros_from_the_16th_digit_on_are_refused_where_all_long_numbers_have_them() -> None:
    assert waybill("1234567890123450", PATTERN) == "1234567890123450"
    assert waybill("123456789012000", PATTERN, rounded=True) == "123456789012000"
    assert waybill("1234567890123451", PATTERN, rounded=True) == "1234567890123451"
    with pytest.raises(ValueError, match="may have cut it off"):
        waybill("1234567890123450", PATTERN, rounded=True)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    "text",
    [
        "2026-01-22 09:30:15",
        "2026/1/22 9:30:15",
        "2026.1.22 9:30:15",
        "2026年1月22日 9:30:15",
        "2026年1月22日9时30分15秒",
        "2026年01月22日 上午9:30:15",
        "2026/1/22 9:30:15 AM",
        "20260122 093015",
        "20260122093015",
        "２０２６－０１－２２　０９：３０：１５",
        "2026-01-22T09:30:15+08:00",
        "2026-01-22T01:30:15Z",
        "2026-01-22T10:30:15+0900",
        "2026-01-22 09:30:15.000",
        20260122093015,
    ],
)
def test_the_usual_forms_of_a_time_are_the_same_moment(text: Cell) -> None:
    assert told(text) == (ms(2026, 1, 22, 9, 30, 15), True)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [("下午 3:05", 15, 5), ("下午12:30", 12, 30), ("上午12:30", 0, 30), ("下午15:05", 15, 5), ("15点5分", 15, 5)],
)
def test_half_days_are_those_of_the_clock(text: str, hour: int, minute: int) -> None:
    assert told(f"2026-01-22 {text}") == (ms(2026, 1, 22, hour, minute), True)


@pytest.mark.rule("LOG-08")
def test_a_workbooks_dates_are_read_as_numbers_and_as_dates_to_the_second() -> None:
    at = ms(2026, 1, 22, 9, 30)
    assert told(46044.395833333336) == (at, True)
    assert told(46044.39583) == (at, True)  # 0.3 s early: the number was cut
    assert told(46044.395833333336 - 1462, date1904=True) == (at, True)
    assert told(datetime(2026, 1, 22, 9, 29, 59, 999_000)) == (at, True)  # noqa: DTZ001
    assert told(datetime(2026, 1, 22, 9, 29, 59, 499_000)) == (at - 1000, True)  # noqa: DTZ001


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize("cell", ["2026-01-22", "2026年1月22日", 20260122, 46044, date(2026, 1, 22)])
def test_a_day_alone_is_its_first_moment_and_said_to_be_one(cell: Cell) -> None:
    assert told(cell) == (ms(2026, 1, 22), False)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize("clock", ["9:30", "09:30:00", "9时30分", time(9, 30), 0.39583333333])
@pytest.mark.parametrize("day", ["2026/1/22", 46044, date(2026, 1, 22)])
def test_a_clock_belongs_to_the_day_in_the_column_beside_it(clock: Cell, day: Cell) -> None:
    assert told(clock, day) == (ms(2026, 1, 22, 9, 30), True)


@pytest.mark.rule("LOG-08")
def test_a_clock_without_a_day_and_a_day_with_a_second_clock_are_refused() -> None:
    with pytest.raises(ValueError, match="no day"):
        told("9:30")
    with pytest.raises(ValueError, match="clock in both"):
        told("9:30", "2026-01-22 09:31")
    assert told("", "  ") == (None, False)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize("last", [("1999-12-31 23:59:59", 36525.99), ("2000-01-01", 36526)])
def test_numbers_are_dates_from_2000_to_2099(last: Any) -> None:
    text, number = last
    if text.startswith("1999"):
        with pytest.raises(ValueError, match="number that is no date"):
            told(number)
    else:
        assert told(number) == told(text)
    assert told(73050.5)[0] == ms(2099, 12, 31, 12)
    with pytest.raises(ValueError, match="number that is no date"):
        told(73051.0)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    "cell",
    [
        *(
            "01/22/2026",
            "22-01-2026",
            "1月22日 9:30",
            "26-01-22",
            "2026-1/22",
            "昨天",
            "2026-02-30",
            "2026-01-22 24:00",
        ),
        *("2026-01-22 9:60", "2026-01-22 上午15:05", "20261322", "2026-01-22 09:30+15:00", "1769045400000"),
        *(1769045400000, 12, float("nan"), float("inf"), True, Broken("is a formula")),
    ],
)
def test_what_is_no_time_or_could_be_two_is_refused(cell: Cell) -> None:
    with pytest.raises(ValueError):
        told(cell)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize("cell", [46044.5, 0.5])
def test_numbers_are_no_times_where_no_workbook_says_how_days_are_counted(cell: Cell) -> None:
    with pytest.raises(ValueError):
        told(cell, date1904=None)
