"""The Tmall order report as events."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streams.convert.common import ConvertError
from streams.convert.tmall import REFUND_AFTER_MS, convert

REPORT = """订单编号,总金额,买家实际支付金额,收货地址 ,订单创建时间,订单付款时间 ,退款金额
1,178.8,0.0,上海,2020-02-21 00:00:00,,0.0
2,21.0,21.0,内蒙古自治区,2020-02-20 23:59:54,2020-02-21 00:00:02,0.0
3,64.83,40.03,江苏省,2020-02-20 23:57:04,2020-02-20 23:57:11,24.8
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "tmall_order_report.csv"
    path.write_text(REPORT, encoding="utf-8")
    return path


def events(src: Path, **options: Any) -> dict[str, dict[str, Any]]:
    return {entry["value"]["event_id"]: entry["value"] | {"topic": entry["topic"]} for entry in convert(src, **options)}


def test_an_unpaid_order_is_only_created(report: Path) -> None:
    mine = [event_id for event_id in events(report) if event_id.startswith("tmall-1-")]
    assert mine == ["tmall-1-created"]


def test_the_payment_is_what_was_kept_plus_what_was_refunded(report: Path) -> None:
    paid, refunded = events(report)["tmall-3-paid"], events(report)["tmall-3-refunded"]
    assert (paid["amount_minor"], refunded["amount_minor"]) == (6483, 2480)
    assert refunded["event_time"] == paid["event_time"] + REFUND_AFTER_MS
    assert (paid["topic"], paid["source"], paid["currency"]) == ("payments", "alipay", "CNY")


def test_times_are_of_shanghai_and_columns_lose_their_stray_blanks(report: Path) -> None:
    created = events(report)["tmall-1-created"]
    assert created["event_time"] == 1582214400000  # 2020-02-20T16:00:00Z
    assert created["address"] == {"province": "上海"}
    assert created["lines"][0]["unit_price_minor"] == created["total_minor"] == 17880


def test_lines_come_by_time_from_the_folder_or_the_file(report: Path) -> None:
    by_time = [entry["value"]["event_time"] for entry in convert(report.parent)]
    assert by_time == sorted(by_time)
    assert next(iter(convert(report, sort="source")))["value"]["event_id"] == "tmall-1-created"
    assert len({event_id.split("-")[1] for event_id in events(report, limit=2)}) == 2


def test_a_folder_without_the_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="no Tmall order report"):
        convert(tmp_path)


def test_a_report_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tmall_order_report.csv"
    path.write_text("订单编号,总金额\n1,2\n", encoding="utf-8")
    with pytest.raises(ConvertError, match="no column 买家实际支付金额"):
        convert(path)


def test_the_real_report_adds_up(reference: Path) -> None:
    kinds: Counter[str] = Counter()
    totals: dict[str, int] = {}
    paid: dict[str, int] = {}
    for entry in convert(reference / "tmall_1111"):
        value = entry["value"]
        kinds[value["event_type"]] += 1
        if value["event_type"] == "order_created":
            totals[value["order_no"]] = value["total_minor"]
        elif value["event_type"] == "payment_succeeded":
            paid[value["order_no"]] = value["amount_minor"]
    assert kinds == {"order_created": 28_010, "payment_succeeded": 28_010 - 3_923, "refund_settled": 5_646}
    assert all(totals[order_no] == amount for order_no, amount in paid.items())


@pytest.mark.parametrize(("old", "new"), [("21.0,21.0", "1e999999,21.0"), ("21.0,21.0", "1e500,21.0")])
def test_an_amount_beyond_all_measure_is_named_with_its_row(report: Path, old: str, new: str) -> None:
    report.write_text(REPORT.replace(old, new), encoding="utf-8")
    with pytest.raises(ConvertError, match=r"tmall_order_report\.csv:3: "):
        list(convert(report))


def test_a_time_that_stands_for_none_in_other_programs_is_named_with_its_row(report: Path) -> None:
    report.write_text(REPORT.replace("2020-02-21 00:00:02", "0001-01-01 00:00:00"), encoding="utf-8")
    with pytest.raises(ConvertError, match=r"tmall_order_report\.csv:3: "):
        list(convert(report))
