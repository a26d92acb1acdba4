"""`oms couriers import`: good rows go, wrong ones are named, nothing personal is told; a folder is looked at again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.commands.courier_watch import SETTLED_S, Memory, look, memory_of, watch
from streams.errors import OmsError

AT = "2026-01-25T00:00:00+08:00"
HEAD = ("运单号", "状态", "签收时间", "签收人", "电话")
GOOD = ("771234567890", "已签收", "2026-01-22 09:30", "张三丰", "13812345678")
LATE = ("771234567891", "已签收", "2025-12-25 23:59:59", "李四光", "13812345678")
BAD = ("13812345678张三丰", "已签收", "2026-01-22 09:30", "张三丰", "13812345678")
PERSONAL = ("张三丰", "李四光", "13812345678")


def oms(*arguments: object, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(app, ["couriers", "import", *map(str, arguments)])


def xlsx(tmp_path: Path, *rows: tuple[Any, ...], name: str = "a.xlsx") -> Path:
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / name)
    return tmp_path / name


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.rule("LOG-08")
def test_the_good_rows_go_and_the_others_are_findings_that_tell_of_no_person(tmp_path: Path) -> None:
    path, out = xlsx(tmp_path, HEAD, GOOD, LATE, BAD, GOOD), tmp_path / "out.jsonl"
    result = oms(path, "--courier", "jt", "--out", out, "--at", AT)
    assert result.exit_code == 1
    assert "Sheet row 3: is older than 30 days" in result.output
    assert "Sheet row 4: waybill is not written as" in result.output
    assert "5 rows" not in result.output
    assert "4 rows, 1 written to" in result.output
    assert "1 repeated, 1 too old, 1 wrong" in result.output
    assert not any(word in result.output for word in PERSONAL)
    (only,) = lines(out)
    assert (only["topic"], only["value"]["waybill_no"], only["value"]["signed_by"]) == ("couriers", GOOD[0], "张三丰")
    assert "13812345678" not in out.read_text(encoding="utf-8")
    assert "张三丰" not in only["value"]["raw"]


@pytest.mark.rule("LOG-08")
def test_the_report_for_machines_has_every_row_left_out_and_tells_of_no_person(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join(",".join(row) for row in (HEAD, GOOD, LATE, BAD)).encode("gb18030"))
    result = oms(path, "--courier", "jt", "--check", "--json", "--at", AT)
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (said["encoding"], said["layout"], said["rows"], said["events"], said["sent"]) == (
        "gb18030", "any-courier/1", 3, 1, 0,
    )  # fmt: skip
    assert said["late"] == [{"table": "a.csv", "row": 3, "reason": "is older than 30 days"}]
    assert [bad["row"] for bad in said["bad"]] == [4]
    assert not any(word in result.output for word in PERSONAL)


@pytest.mark.rule("LOG-08")
def test_a_list_without_findings_is_a_success_and_check_sends_nothing(tmp_path: Path) -> None:
    path = xlsx(tmp_path, HEAD, GOOD)
    result = oms(path, "--courier", "jt", "--check", "--at", AT, "--broker", "kafka://127.0.0.1:1")
    assert result.exit_code == 0, result.output
    assert "1 would be sent" in result.output


@pytest.mark.rule("LOG-08")
def test_headings_of_its_own_are_named(tmp_path: Path) -> None:
    path, out = xlsx(tmp_path, ("单号", "妥投"), (GOOD[0], GOOD[2])), tmp_path / "out.jsonl"
    assert oms(path, "--courier", "jt", "--out", out, "--at", AT).exit_code == 2
    result = oms(path, "--courier", "jt", "--out", out, "--at", AT, "--columns", "waybill=单号,signed_at=妥投")
    assert result.exit_code == 0, result.output
    assert lines(out)[0]["value"]["event_type"] == "signed"


@pytest.mark.parametrize(
    "arguments",
    [
        ("a.xlsx",),
        ("a.xlsx", "--courier", "*"),
        ("--courier", "jt"),
        ("a.xlsx", "--courier", "jt", "--watch", "."),
        ("--watch", ".", "--courier", "jt", "--check"),
        ("a.xlsx", "--courier", "jt", "--every", "5"),
        ("a.xlsx", "--courier", "jt", "--check", "--out", "x"),
        ("a.xlsx", "--courier", "jt", "--columns", "phone=电话"),
        ("a.xlsx", "--courier", "jt", "--columns", "waybill=a,status=a"),
        ("a.xlsx", "--courier", "jt", "--at", "yesterday"),
        ("a.xlsx", "--courier", "jt"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = oms(*arguments)
    assert result.exit_code == 2, result.output
    assert len(result.output.splitlines()) == 1


# -- a folder -------------------------------------------------------------------------------------------------------


class Taker:
    def __init__(self, fail: str = "") -> None:
        self.names: list[str] = []
        self.fail = fail

    def __call__(self, path: Path, content: bytes) -> None:
        if path.name == self.fail:
            raise OmsError("no broker answered")
        self.names.append(path.name)


def put(folder: Path, name: str, content: str = "") -> Path:
    path = folder / name
    path.write_text(content or name, encoding="utf-8")
    os.utime(path, (1000, 1000))
    return path


NOW_S = 1000 + SETTLED_S


@pytest.mark.rule("LOG-08")
def test_a_file_is_taken_once_by_its_content_also_after_a_restart(tmp_path: Path) -> None:
    memory, take = memory_of(tmp_path / "data", "jt"), Taker()
    folder = tmp_path / "in"
    folder.mkdir()
    put(folder, "b.xlsx")
    put(folder, "a.csv")
    put(folder, "c.csv", "a.csv")
    for name in ("~$b.xlsx", ".d.csv", "notes.txt"):
        put(folder, name)
    assert look(folder, Memory(memory), NOW_S, take) == 3 - 1
    assert take.names == ["a.csv", "b.xlsx"]
    put(folder, "a.csv", "more rows")
    assert look(folder, Memory(memory), NOW_S, take) == 1
    assert look(folder, Memory(memory), NOW_S, take) == 0
    assert look(folder, Memory(memory_of(tmp_path / "data", "yto")), NOW_S, take) == 3


@pytest.mark.rule("LOG-08")
def test_a_file_that_may_still_be_on_its_way_waits(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    memory, take = Memory(tmp_path / "done"), Taker()
    assert look(tmp_path, memory, NOW_S - 0.1, take) == 0
    assert look(tmp_path, memory, NOW_S, take) == 1


@pytest.mark.rule("LOG-08")
def test_a_file_that_failed_is_tried_again_and_holds_up_no_other(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    put(tmp_path, "b.csv")
    memory, take = Memory(tmp_path / "done"), Taker(fail="a.csv")
    assert look(tmp_path, memory, NOW_S, take) == 1
    take.fail = ""
    assert look(tmp_path, memory, NOW_S, take) == 1
    assert take.names == ["b.csv", "a.csv"]


@pytest.mark.rule("LOG-08")
def test_the_folder_is_looked_at_at_once_and_then_after_each_pause(tmp_path: Path) -> None:
    slept: list[float] = []
    take = Taker()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        put(tmp_path, f"{len(slept)}.csv")
        if len(slept) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(tmp_path, Memory(tmp_path / "done"), take, every_s=7200, clock=lambda: NOW_S, sleep=sleep)
    assert slept == [7200] * 3
    assert take.names == ["1.csv", "2.csv"]


@pytest.mark.rule("LOG-08")
def test_watching_looks_every_two_hours_and_stays_when_the_broker_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise KeyboardInterrupt

    def refuse(*_: object) -> int:
        raise OmsError("no broker answered")

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("streams.commands.courier_import.send", refuse)
    folder = tmp_path / "in"
    folder.mkdir()
    os.utime(xlsx(folder, HEAD, GOOD), (1000, 1000))
    result = oms("--watch", folder, "--courier", "jt", OMS_DATA_DIR=str(tmp_path / "data"))
    assert slept == [7200]
    assert "no broker answered; tried again at the next look" in result.output
    assert not memory_of(tmp_path / "data", "jt").exists()
