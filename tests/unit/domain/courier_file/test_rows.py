"""Rows of a courier's list as events: headings, times, keys, what is too old, and what no report may tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.courier_file import Judged, Numbers, Reader, Table
from streams.domain.courier_file.cells import Cell
from streams.domain.courier_file.layout import Layout, LayoutError, Layouts, parse, zone
from streams.domain.rules import data
from streams.domain.rules.data import FOLDER
from streams.domain.status_map import TERMINAL_WORDS

AT = calendar.at(2026, 1, 22, 9, 30)
NOW = calendar.at(2026, 1, 25)
HEAD: tuple[Cell, ...] = ("运单号", "状态", "签收时间", "签收人", "网点", "电话")
ROW: tuple[Cell, ...] = ("771234567890", "已签收", "2026-01-22 09:30", "张三", "杭州一部", "13800000000")


def reader(*, now: int = NOW, layout: Layout | None = None, courier: str = "jt", **columns: str) -> Reader:
    found = layout or data.courier_layouts().of(courier)
    return Reader(courier, found, data.status_maps(), data.contract(), data.courier_numbers(), now, columns)


def judged(*rows: tuple[Cell, ...], date1904: bool | None = False, **options: Any) -> list[Judged]:
    table = Table("Sheet1", list(enumerate(rows, start=1)), date1904)
    found = reader(**options).read(table)
    assert found is not None
    return list(found)


def event(*rows: tuple[Cell, ...], **options: Any) -> dict[str, Any]:
    (only,) = judged(*rows, **options)
    assert only.value is not None, only.reason
    return dict(only.value)


def document(**changes: Any) -> dict[str, Any]:
    base = json.loads((FOLDER / "couriers" / "any-courier.json").read_text(encoding="utf-8"))
    return {**base, **changes}


@pytest.mark.rule("LOG-08")
def test_a_row_is_an_event_at_the_time_in_the_file() -> None:
    value = event(HEAD, ROW)
    assert value.pop("event_id").startswith(f"jt-file-771234567890-{AT}-")
    raw = json.loads(value.pop("raw"))
    assert value == {
        "event_type": "signed",
        "event_time": AT,
        "source": "jt",
        "waybill_no": "771234567890",
        "courier": "jt",
        "raw_status": "已签收",
        "raw_field": "status",
        "sign_type": None,
        "location": "杭州一部",
        "signed_by": "张三",
    }
    assert raw == {"waybill": "771234567890", "status": "已签收", "location": "杭州一部"}


@pytest.mark.rule("LOG-08", "ID-05")
def test_the_event_id_is_the_rows_own_wherever_it_stands() -> None:
    here = event(HEAD, ROW)["event_id"]
    there = event(
        ("某快递签收日报",),
        ("网点", "备注", "快递单号", "签收时间(UTC)", "物流状态"),
        ("上海二部", "", 771234567890, "2026-01-22 01:30:00", " 已签收 "),
        now=NOW + 1,
    )["event_id"]
    assert here == there
    others = [("771234567891", *ROW[1:]), (ROW[0], "本人签收", *ROW[2:]), (*ROW[:2], "2026-01-22 09:31", *ROW[3:])]
    ids = {here, *(event(HEAD, other)["event_id"] for other in others), event(HEAD, ROW, courier="yto")["event_id"]}
    assert len(ids) == 5


@pytest.mark.rule("LOG-08", "ID-05")
def test_a_row_told_twice_in_a_file_is_sent_once() -> None:
    first, second = judged(HEAD, ROW, (*ROW[:3], "李四"))
    assert (first.outcome, second.outcome) == ("event", "repeated")
    assert second.reason == "says again what Sheet1 row 2 says"


@pytest.mark.rule("LOG-08")
def test_30_days_are_taken_and_a_millisecond_more_is_too_old() -> None:
    month = 30 * calendar.DAY_MS
    assert Numbers() == data.courier_numbers() == Numbers(month, 2 * calendar.HOUR_MS)
    assert judged(HEAD, ROW, now=AT + month)[0].outcome == "event"
    (late,) = judged(HEAD, ROW, now=AT + month + 1)
    assert (late.outcome, late.number, late.reason, late.value) == ("late", 2, "is older than 30 days", None)


@pytest.mark.rule("LOG-08")
def test_a_row_more_than_a_day_ahead_is_wrong_as_the_contract_says() -> None:
    assert judged(HEAD, ROW, now=AT - calendar.DAY_MS)[0].outcome == "event"
    (ahead,) = judged(HEAD, ROW, now=AT - calendar.DAY_MS - 1)
    assert (ahead.outcome, ahead.reason) == ("bad", "event_time is more than a day ahead")


@pytest.mark.rule("LOG-05", "LOG-08")
@pytest.mark.parametrize("word", TERMINAL_WORDS)
def test_each_word_that_ends_a_delivery_is_a_signature(word: str) -> None:
    value = event(HEAD, (ROW[0], word, *ROW[2:]))
    assert (value["event_type"], value["raw_status"]) == ("signed", word)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    ("word", "event_type"),
    [
        *(("派送中", "out_for_delivery"), ("已揽收", "picked_up"), ("中转", "scanned"), ("中转滞留", "exception")),
        *(("待揽收", "waybill_accepted"), ("201", "picked_up"), ("拒收", "exception"), ("未签收", "exception")),
        *(("放门口鞋柜", "scanned"), ("退件签收", "exception"), ("问题件", "scanned")),
    ],
)
def test_other_words_are_no_signature(word: str, event_type: str) -> None:
    head = ("运单号", "状态", "操作时间", "签收时间")
    value = event(head, (ROW[0], word, "2026-01-21 08:00", None))
    assert (value["event_type"], value["event_time"]) == (event_type, calendar.at(2026, 1, 21, 8))


@pytest.mark.rule("LOG-08")
def test_a_signature_has_the_time_it_was_signed_at_and_other_words_that_of_the_status() -> None:
    head = ("运单号", "状态", "操作时间", "签收时间")
    times = ("2026-01-21 08:00", "2026-01-22 09:30")
    assert event(head, (ROW[0], "已签收", *times))["event_time"] == AT
    assert event(head, (ROW[0], "派送中", *times))["event_time"] == calendar.at(2026, 1, 21, 8)
    assert event(head, (ROW[0], "已签收", times[0], None))["event_time"] == calendar.at(2026, 1, 21, 8)


@pytest.mark.rule("LOG-08")
def test_a_list_of_signatures_needs_no_status() -> None:
    value = event(("运单号", "签收时间"), (ROW[0], ROW[2]))
    assert (value["event_type"], value["raw_status"], value["raw_field"]) == ("signed", None, None)
    how = event(("运单号", "签收时间", "签收类型"), (ROW[0], ROW[2], "门卫代收"))
    assert (how["event_type"], how["raw_status"], how["raw_field"]) == ("signed", "门卫代收", "sign_type")


@pytest.mark.rule("LOG-08")
def test_day_and_clock_may_stand_in_two_columns_and_a_day_alone_is_told() -> None:
    assert event(("运单号", "签收日期", "签收时间"), (ROW[0], "2026/1/22", "9:30"))["event_time"] == AT
    (only,) = judged(("运单号", "签收日期"), (ROW[0], "2026/1/22"))
    assert only.value is not None
    assert (only.value["event_time"], only.day_only) == (calendar.at(2026, 1, 22), True)


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    ("heading", "hours"),
    [
        *(("签收时间", 8), ("签收时间（北京时间）", 8), ("签收时间(必填)", 8)),
        *(("签收时间(UTC)", 0), ("签收时间 (UTC+9)", 9), ("签收时间(-03:30)", -3.5)),
    ],
)
def test_a_heading_may_say_of_which_zone_its_times_are(heading: str, hours: float) -> None:
    rows = ((ROW[0], ROW[2]),)
    shift = int((8 - hours) * calendar.HOUR_MS)
    assert event(("运单号", heading), *rows)["event_time"] == AT + shift
    assert event(("单号", heading), *rows, waybill="单号", signed_at=heading)["event_time"] == AT + shift


@pytest.mark.rule("LOG-08")
def test_a_zone_nobody_knows_is_refused() -> None:
    with pytest.raises(LayoutError, match="time zone"):
        judged(("运单号", "签收时间(UTC+99)"), ROW)
    assert (zone("UTC"), zone("UTC+8"), zone("GMT-3:30"), zone("CST"), zone("")) == (0, 28800000, -12600000, None, None)


@pytest.mark.rule("LOG-08")
def test_titles_empty_rows_totals_and_repeated_headings_are_no_rows() -> None:
    found = judged(("签收日报", None), (None, None), ("2026-01-25",), HEAD, ROW, (None, "  "), HEAD, ("合计", 1))
    assert [(row.number, row.outcome) for row in found] == [(5, "event")]


@pytest.mark.rule("LOG-08")
def test_headings_are_told_by_name_in_any_form() -> None:
    value = event(("＊签 收 时 间", " 快递单号： ", "Status"), (ROW[2], ROW[0], "已签收"))
    assert (value["event_time"], value["waybill_no"], value["raw_status"]) == (AT, ROW[0], "已签收")


@pytest.mark.rule("LOG-08")
def test_a_table_without_a_heading_is_none_and_an_ambiguous_one_is_refused() -> None:
    assert reader().read(Table("S", [(1, ("说明",)), (2, ("单号", "签收时间"))])) is None
    far = [(number, ("标题",)) for number in range(1, 31)]
    assert reader().read(Table("S", [*far[:29], (30, HEAD), (31, ROW)])) is not None
    assert reader().read(Table("S", [*far, (31, HEAD), (32, ROW)])) is None
    with pytest.raises(LayoutError, match="two columns could be waybill"):
        judged(("运单号", "快递单号", "签收时间"), ROW)
    assert (
        event(("运单号", "快递单号", "签收时间"), ("x", *ROW[:1], ROW[2]), waybill="快递单号")["waybill_no"] == ROW[0]
    )
    with pytest.raises(LayoutError, match="no column tells a status"):
        judged(("运单号", "时间"), ROW)


@pytest.mark.rule("LOG-08")
def test_a_wrong_row_is_named_and_the_others_still_go() -> None:
    found = judged(
        HEAD, ("", *ROW[1:]), (ROW[0], "", *ROW[2:]), (*ROW[:2], "", "张三"), ROW, ("合计", "已签收", "13800000000")
    )
    assert [(row.number, row.outcome, row.reason) for row in found] == [
        (2, "bad", "waybill is empty"),
        (3, "bad", "status is empty"),
        (4, "bad", "time is empty"),
        (5, "event", ""),
        (6, "bad", "waybill is not written as this courier's waybill numbers are"),
    ]


@pytest.mark.rule("LOG-08")
def test_a_list_may_have_the_contracts_names_and_short_numbers_that_begin_with_a_letter() -> None:
    head = ("waybill_no", "raw_status", "event_time")
    value = event(head, ("ZTO731", "门卫代收", ROW[2]))
    assert (value["waybill_no"], value["raw_status"], value["event_time"]) == ("ZTO731", "门卫代收", AT)
    assert [row.outcome for row in judged(head, ("731", "门卫代收", ROW[2]))] == ["bad"]  # may be the row's number


@pytest.mark.rule("LOG-08")
def test_numbers_that_a_csv_file_has_cut_are_refused_until_one_shows_they_are_whole() -> None:
    head, when = ("运单号", "签收时间"), ROW[2]
    cut, whole = ("1234567890123450", when), ("1234567890123451", when)
    assert [row.outcome for row in judged(head, cut, cut, date1904=None)] == ["bad", "bad"]
    assert [row.outcome for row in judged(head, cut, whole, date1904=None)] == ["event", "event"]
    assert [row.outcome for row in judged(head, cut)] == ["event"]


@pytest.mark.rule("LOG-08")
def test_a_courier_may_have_a_layout_of_its_own() -> None:
    own = parse("jt", document(couriers=["jt"], waybill_pattern="JT[0-9]{13}", offset="+00:00"))
    layouts = Layouts([parse("any", document()), own])
    assert (layouts.of("jt").name, layouts.of("yto").name) == ("jt", "any")
    assert [row.outcome for row in judged(HEAD, ROW, layout=own)] == ["bad"]
    value = event(HEAD, ("JT1234567890123", *ROW[1:]), layout=own)
    assert value["event_time"] == AT + 8 * calendar.HOUR_MS


@pytest.mark.rule("LOG-08")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 0}, "version"),
        ({"couriers": []}, "couriers"),
        ({"extra": 1}, "unknown entry extra"),
        ({"waybill_pattern": "("}, "waybill_pattern"),
        ({"offset": "noon"}, "offset"),
        ({"columns": {"waybil": ["运单号"]}}, "waybil is no field"),
        ({"columns": {"waybill": ["单号"], "status": ["单 号"]}}, "heads two fields"),
    ],
)
def test_a_layout_that_could_not_be_applied_does_not_load(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(LayoutError, match=reason):
        parse("x", document(**changes))


@pytest.mark.rule("LOG-08")
def test_layouts_need_one_for_any_courier_and_one_at_most_for_each() -> None:
    with pytest.raises(LayoutError, match="no layout for any"):
        Layouts([parse("jt", document(couriers=["jt"]))])
    with pytest.raises(LayoutError, match="another layout"):
        Layouts([parse("a", document()), parse("b", document())])


@pytest.mark.rule("LOG-08", "LOG-12")
@pytest.mark.parametrize("word", ["本人签收", "派件"])
@pytest.mark.parametrize("head", [("日期", "时间"), ("扫描日期", "扫描时间", "签收时间")])
def test_a_day_and_its_clock_in_two_columns_are_one_moment_of_a_signature_too(word: str, head: tuple[str, ...]) -> None:
    value = event(
        ("运单号", "状态", *head), ("771234567890", word, "2026-01-22", "9:30", None)[: len(head) + 2], courier="sto"
    )
    assert value["event_time"] == AT


@pytest.mark.rule("LOG-08")
def test_a_signatures_own_clock_goes_with_the_day_beside_it() -> None:
    row = ("771234567890", "已签收", "2026-01-22", "8:00", "9:30")
    assert event(("运单号", "状态", "日期", "时间", "签收时间"), row)["event_time"] == AT
    assert event(("运单号", "签收时间", "日期"), ("771234567890", "9:30", "2026-01-22"))["event_time"] == AT
