"""Case 2: a courier without an interface, whose Excel list comes days late: merged without a step back, once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from typer.testing import CliRunner

from streams.cli import app
from streams.convert.common import Line, line, write
from tests.scenarios.cases.build import Order, at, iso, shipped
from tests.scenarios.play import Played, Record, play, records

START = at("2026-01-18 10:00:00")
SIGNED = datetime(2026, 1, 20, 15, 30)  # noqa: DTZ001 - wall clock, as in the list
IMPORTED = "2026-01-23T08:00:00+08:00"
HEAD = ("运单号", "状态", "签收时间", "签收人", "网点")
ON_ITS_WAY, CONFIRMED, ALREADY, GUARD, STRAY = (f"7712345678{digit}0" for digit in range(5))


def orders() -> list[Line]:
    """Four orders of a pet-food distributor: on its way, confirmed by its buyer, signed already, on its way."""
    told: list[Line] = []
    for waybill in (ON_ITS_WAY, CONFIRMED, ALREADY, GUARD):
        order = Order("douyin", f"PET-{waybill}", "猫粮", "CAT-FOOD", 9_900, f"T-{waybill}", waybill, courier="jt")
        told += shipped(order, START)
        if waybill == CONFIRMED:
            told.append(order.say("orders", "buyer_confirmed", START + timedelta(hours=56), "douyin", **order.names))
        if waybill == ALREADY:
            told.append(order.courier_says("signed", START + timedelta(hours=53), "本人签收"))
    return told


def imported(folder: Path, name: str, *rows: tuple[Any, ...]) -> list[Record]:
    """What `oms couriers import` makes of a list with these rows."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(("某快递 签收日报",))
    for row in (HEAD, *rows):
        sheet.append(row)
    path, out = folder / f"{name}.xlsx", folder / f"{name}.jsonl"
    book.save(path)
    result = CliRunner().invoke(
        app, ["couriers", "import", str(path), "--courier", "jt", "--out", str(out), "--at", IMPORTED]
    )
    assert result.exit_code == 0, result.output
    return records(out)


def before(folder: Path) -> list[Record]:
    write(folder / "orders.jsonl", orders())
    return records(folder / "orders.jsonl")


def first_list(folder: Path) -> list[Record]:
    return imported(
        folder,
        "first",
        (int(ON_ITS_WAY), "已签收", SIGNED, "张三", "城西网点"),
        (int(CONFIRMED), "已签收", SIGNED, "李四", "城西网点"),
        (int(ALREADY), "派送中", datetime(2026, 1, 20, 7, 0), None, "城西网点"),  # noqa: DTZ001
        (float(GUARD), "门卫代收", "2026年1月20日 15时30分", "门卫", "城西网点"),
    )


def state(run: Played, waybill: str) -> dict[str, Any]:
    return run.states[f"PET-{waybill}"]


def final(run: Played) -> dict[str, dict[str, Any]]:
    """The last states without `version`, which counts turns as well."""
    return {number: {**value, "version": 0} for number, value in run.states.items()}


@pytest.mark.rule("LOG-08", "LOG-05")
def test_case_2_late_rows_fill_in_what_is_missing_and_take_nothing_back(tmp_path: Path) -> None:
    run = play([*before(tmp_path), *first_list(tmp_path)])
    signed_at = START.replace(day=20, hour=15, minute=30)
    for waybill in (ON_ITS_WAY, GUARD):
        assert state(run, waybill)["state"] == "logistics_signed"
        assert state(run, waybill)["entered_at"]["logistics_signed"] == signed_at.timestamp() * 1000
    assert state(run, CONFIRMED)["state"] == "customer_signed"
    assert state(run, CONFIRMED)["flags"] == []
    assert state(run, CONFIRMED)["entered_at"]["logistics_signed"] == signed_at.timestamp() * 1000
    assert state(run, ALREADY)["state"] == "logistics_signed"
    assert not run.dead


@pytest.mark.rule("LOG-08")
def test_case_2_without_the_list_the_orders_stay_on_their_way_and_the_gap_is_told(tmp_path: Path) -> None:
    run = play(before(tmp_path))
    assert state(run, ON_ITS_WAY)["state"] == state(run, GUARD)["state"] == "shipped"
    assert state(run, CONFIRMED)["flags"] == ["conflict", "gap"]


@pytest.mark.rule("LOG-08", "ID-05")
def test_case_2_the_same_list_twice_and_the_same_rows_in_a_later_list_change_nothing(tmp_path: Path) -> None:
    once = [*before(tmp_path), *first_list(tmp_path)]
    later = imported(tmp_path, "later", (ON_ITS_WAY, "已签收", "2026/1/20 15:30", "张三", "城西网点"))
    run = play([*once, *first_list(tmp_path), *later])
    assert run.decisions["duplicate"] == 5
    told_once = play(once)
    assert final(run) == final(told_once)
    assert run.output("order-events") == told_once.output("order-events")


@pytest.mark.rule("LOG-08")
def test_case_2_a_list_that_comes_before_its_orders_ends_in_the_same_states(tmp_path: Path) -> None:
    orders_told, listed = before(tmp_path), first_list(tmp_path)
    early, late = final(play([*listed, *orders_told])), final(play([*orders_told, *listed]))
    names = ("state", "node", "flags", "entered_at")
    assert {number: [value[name] for name in names] for number, value in early.items()} == {
        number: [value[name] for name in names] for number, value in late.items()
    }


@pytest.mark.rule("LOG-11", "LOG-08")
def test_case_2_five_days_of_the_same_complaint_open_an_investigation_once_the_late_list_tells_of_a_signature(
    tmp_path: Path,
) -> None:
    told = orders()
    order = Order("douyin", f"PET-{ON_ITS_WAY}", "猫粮", "CAT-FOOD", 9_900, courier="jt")
    days = [order.say("orders", "complaint", START.replace(day=21 + day), "douyin", **order.names) for day in range(5)]
    write(tmp_path / "complaints.jsonl", [*told, *days])
    complained = records(tmp_path / "complaints.jsonl")
    assert play(complained).alerts("LOG-11") == [], "nobody said yet that it was signed"
    run = play([*complained, *first_list(tmp_path)])
    [alert] = run.alerts("LOG-11")
    assert (alert["recipient"], alert["status"]) == ("logistics lead", "open")
    assert "5 complaints" in alert["detail"]
    assert ON_ITS_WAY in alert["detail"]
    assert state(run, ON_ITS_WAY)["state"] == "logistics_signed"
    again = play([*first_list(tmp_path), *complained])
    assert [row["alert_key"] for row in again.alerts("LOG-11")] == [alert["alert_key"]]


@pytest.mark.rule("LOG-08")
def test_case_2_no_name_of_who_signed_reaches_states_alerts_or_dead_letters(tmp_path: Path) -> None:
    stray = imported(tmp_path, "stray", (STRAY, "放门口鞋柜", SIGNED, "王五", "城西网点"))
    run = play([*before(tmp_path), *first_list(tmp_path), *stray])
    for topic in ("order-states", "order-events", "audit-log", "alerts", "dead-letters"):
        assert not any(name in str(value) for name in ("张三", "李四", "王五") for value in run.output(topic)), topic


def complaint(day: int) -> Line:
    names = {"channel": "douyin", "order_no": f"PET-{ON_ITS_WAY}"}
    return line(
        "orders",
        event_id=f"complaint-{day}",
        event_type="complaint",
        event_time=iso(at("2026-01-20 20:00:00") + timedelta(days=day)),
        source="douyin",
        **names,
    )


@pytest.mark.rule("LOG-11")
@pytest.mark.parametrize("late", [False, True], ids=["list first", "complaints first"])
def test_case_2_a_customer_who_complains_five_days_running_is_one_investigation(tmp_path: Path, late: bool) -> None:
    write(tmp_path / "complaints.jsonl", [complaint(day) for day in range(5)])
    lists, complaints = first_list(tmp_path), records(tmp_path / "complaints.jsonl")
    once = play([*before(tmp_path), *lists, complaints[0]])
    assert once.alerts("LOG-11") == []
    told = complaints + lists if late else lists + complaints
    run = play([*before(tmp_path), *told])
    assert [alert["count"] for alert in run.alerts("LOG-11")] == [4], "one from the second complaint on"
    alert = next(row for row in run.output("alerts") if row["rule"] == "LOG-11")
    assert (alert["status"], alert["recipient"]) == ("open", "logistics lead")
    assert alert["order_guid"] == once.states[f"PET-{ON_ITS_WAY}"]["order_guid"]
    assert ON_ITS_WAY in alert["detail"]
    assert "proof of delivery" in alert["detail"]
