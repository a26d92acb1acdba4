"""`oms stock load`: the file is checked whole before anything leaves, and becomes ops events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.commands.stock_file import COLUMNS, KINDS, Event, ops_value, read
from streams.domain.contract import check
from streams.domain.inventory.references import routes

AT = "2026-01-22T20:00:00+08:00"
AT_MS = 1_769_083_200_000
LATER = AT_MS + 3_600_000


EVERY_KIND = (
    "kind,sku,warehouse,quantity,channel,activity,quota,starts_at,ends_at,freeze_ratio,flash,lat,lon,"
    "alternatives,discount,nearby,next_batch_at,qps,api",
    f"activity,BAG;CUP,,,,newyear,,{AT},1769086800000,0.5,true,,,,,,,,",
    "quota,BAG,,,douyin,newyear,50,,,,,,,,,,,,",
    "warehouse,,HZ,,,,,,,,,30.25,120.17,,,,,,",
    f"alternative,BAG,,,,,,,,,,,,CUP;MUG,15,HZ;SH,{AT},,",
    "channel,,,,douyin,,,,,,,,,,,,,1200,false",
    "channel_stock,BAG,,80,tmall,,,,,,,,,,,,,,",
)


def oms(*arguments: object, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(app, [str(argument) for argument in arguments])


def csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "stock.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def loaded(tmp_path: Path, *lines: str) -> list[dict[str, Any]]:
    out = tmp_path / "out.jsonl"
    result = oms("stock", "load", csv(tmp_path, *lines), "--out", out, "--at", AT)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def reasons(tmp_path: Path, *lines: str) -> list[tuple[int, str]]:
    out = tmp_path / "out.jsonl"
    result = oms("stock", "load", csv(tmp_path, *lines), "--out", out, "--at", AT, "--json")
    assert result.exit_code == 1, result.output
    assert not out.exists()
    said = json.loads(result.stdout)
    assert said["sent"] == 0
    return [(bad["line"], bad["reason"]) for bad in said["refused"]]


@pytest.mark.rule("INV-03")
def test_a_quota_of_none_is_taken_away(tmp_path: Path) -> None:
    lines = loaded(tmp_path, "kind,sku,channel,quota", "quota,BAG,douyin,none", "quota,CUP,douyin,0")
    assert [json.loads(line["value"]["value"])["quota"] for line in lines] == [None, 0]


@pytest.mark.rule("INV-01", "INV-02")
def test_a_plain_stock_list_sets_levels_of_the_sales_pool_unless_it_names_another(tmp_path: Path) -> None:
    lines = loaded(tmp_path, "sku,warehouse,pool,quantity", "BAG,HZ,,87", "BAG,HZ,reserved,20", "", "福袋,SH,sales,0")
    assert [(line["topic"], line["key"]) for line in lines] == [("ops", "BAG"), ("ops", "BAG"), ("ops", "福袋")]
    assert [json.loads(line["value"]["value"]) for line in lines] == [
        {"kind": "stock", "pool": "sales", "sku": "BAG", "warehouse": "HZ", "quantity": 87},
        {"kind": "stock", "pool": "reserved", "sku": "BAG", "warehouse": "HZ", "quantity": 20},
        {"kind": "stock", "pool": "sales", "sku": "福袋", "warehouse": "SH", "quantity": 0},
    ]
    assert {line["value"]["event_type"] for line in lines} == {"reference_set"}
    assert {line["value"]["event_time"] for line in lines} == {AT_MS}


@pytest.mark.rule("INV-03", "INV-04", "INV-12", "CUS-05")
def test_every_kind_of_line_becomes_its_event(tmp_path: Path) -> None:
    lines = loaded(tmp_path, *EVERY_KIND)
    assert [(line["value"]["event_type"], line["key"], json.loads(line["value"]["value"])) for line in lines] == [
        (
            "activity_set", "newyear",
            {"activity": "newyear", "starts_at": AT_MS, "ends_at": AT_MS + 3_600_000, "freeze_ratio": 0.5,
             "flash": True, "skus": ["BAG", "CUP"]},
        ),
        ("quota_set", "BAG", {"sku": "BAG", "channel": "douyin", "activity": "newyear", "quota": 50}),
        ("reference_set", "HZ", {"kind": "warehouse", "warehouse": "HZ", "lat": 30.25, "lon": 120.17}),
        (
            "reference_set", "BAG",
            {"kind": "alternative", "sku": "BAG", "alternatives": ["CUP", "MUG"], "discount": 15,
             "nearby": ["HZ", "SH"], "next_batch_at": AT_MS},
        ),
        (
            "reference_set", "douyin",
            {"kind": "channel", "channel": "douyin", "qps": 1200, "api": False},
        ),
        ("reference_set", "BAG", {"kind": "channel_stock", "sku": "BAG", "quantity": 80, "channel": "tmall"}),
    ]  # fmt: skip


def test_what_is_sent_passes_the_contract_and_is_named_by_file_time_and_line(tmp_path: Path) -> None:
    first = loaded(tmp_path, "sku,warehouse,quantity", "BAG,HZ,87", "CUP,HZ,5")
    again = loaded(tmp_path, "sku,warehouse,quantity", "BAG,HZ,87", "CUP,HZ,5")
    other = loaded(tmp_path, "sku,warehouse,quantity", "BAG,HZ,88", "CUP,HZ,5")
    assert again == first
    ids = [line["value"]["event_id"] for line in first + other]
    assert len(set(ids)) == 4
    for line in first:
        assert check("ops", line["value"]) is None


def test_intake_takes_every_kind_that_the_file_may_hold(tmp_path: Path) -> None:
    lines = loaded(tmp_path, *EVERY_KIND, "stock,BAG,HZ,87,,,,,,,,,,,,,,,")
    for line in lines:
        found = routes(line["value"])
        assert not isinstance(found, str), (line["value"]["value"], found)
        assert found


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("stock,BAG,HZ,,-1,,,", "quantity: -1 is not between 0 and"),
        ("stock,BAG,HZ,,1.5,,,", "quantity: '1.5' is not a whole number"),
        ("stock,BAG,HZ,,1000000000001,,,", "quantity: 1000000000001 is not between"),
        ("stock,BAG,HZ,,８,,,", "quantity: '８' is not a whole number"),
        ("stock,BAG,HZ,shelf,1,,,", "pool: 'shelf' is no pool (sales, reserved,"),
        ("stock,,HZ,,1,,,", "stock needs sku"),
        ("stock,BAG,,,,,,", "stock needs warehouse, quantity"),
        ("stock,BAG,HZ,,1,,7,", "stock has no quota"),
        ("stock," + "B" * 257 + ",HZ,,1,,,", "sku: longer than 256 characters"),
        ("stock,B\x07,HZ,,1,,,", "sku: has characters that cannot be printed"),
        ("stok,BAG,HZ,,1,,,", "'stok' is no kind (stock, quota,"),
        ("quota,BAG,,,,,7,", "quota needs one of channel, activity, warehouse"),
        ("quota,BAG,,,,douyin,-7,", "quota: -7 is not between"),
        ("quota,BAG,,,,douyin,null,", "quota: 'null' is not a whole number"),
        ("warehouse,,HZ,,,,,", "warehouse needs lat, lon"),
        ("stock,BAG,HZ,,1,,,,9", "has 9 cells, the header 8"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    header = "kind,sku,warehouse,pool,quantity,channel,quota,discount"
    found = reasons(tmp_path, header, "stock,CUP,HZ,,5,,,", line, "stock,MUG,HZ,,5,,,")
    assert [number for number, _ in found] == [3]
    assert found[0][1].startswith(reason)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("activity,BAG,,a,2026-01-22T20:00:00,1769086800000,", "starts_at: time: a time without an offset"),
        ("activity,BAG,,a,1769086800000,1769086800000,", "starts_at is not before ends_at"),
        ("activity,BAG,,a,1769079600000,1769083200000,", "ends_at: the activity is over already"),
        ("activity,BAG;;CUP,,a,1,1769086800000,", "a name between two semicolons is empty"),
        ("activity,BAG;BAG,,a,1,1769086800000,", "names the same twice"),
        ("alternative,BAG,,,,,CUP;BAG", "a SKU is no alternative to itself"),
        ("alternative,BAG,,,,," + ";".join("ABCDEFGHIJK"), "alternatives: more than 10 names"),
        ("activity,BAG,,a,1,4102444800000,", "ends_at: not a time from 1970 to 2099"),
        ("activity,BAG,,a,-1,1769086800000,", "starts_at: not a time from 1970 to 2099"),
        ("alternative,BAG,,,,,", "alternative needs one of alternatives, nearby, next_batch_at"),
        ("channel,,douyin,,,,", "channel needs one of qps, api"),
    ],
)
def test_cells_that_contradict_each_other_are_refused(tmp_path: Path, line: str, reason: str) -> None:
    found = reasons(tmp_path, "kind,sku,channel,activity,starts_at,ends_at,alternatives", line)
    assert [number for number, _ in found] == [2]
    assert found[0][1].startswith(reason)


def test_two_lines_that_say_the_same_are_refused_because_nobody_knows_which_one_holds(tmp_path: Path) -> None:
    lines = ["sku,warehouse,pool,quantity", "BAG,HZ,,1", "BAG,HZ,reserved,1", "BAG,SH,,1", "BAG,HZ,sales,2"]
    assert reasons(tmp_path, *lines) == [(5, "says again what line 2 says")]
    header = "kind,activity,sku,starts_at,ends_at"
    lines = [header, f"activity,a,BAG;CUP,1,{LATER}", f"activity,b,CUP,1,{LATER}", f"activity,a,MUG;CUP,1,{LATER}"]
    assert reasons(tmp_path, *lines) == [(4, "says again what line 2 says")]


def test_all_bad_lines_are_told_twenty_of_them_in_words(tmp_path: Path) -> None:
    path = csv(tmp_path, "sku,warehouse,quantity", *(f"S{number},HZ,x" for number in range(25)))
    result = oms("stock", "load", path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    said = result.stderr.splitlines()
    assert said[0] == f"{path}:2: quantity: 'x' is not a whole number"
    assert len(said) == 21
    assert said[-1] == "25 lines are wrong, 5 more than shown: nothing was sent"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"sku,warehouse,quantity\n", "no lines below its header"),
        (b"sku,place,quantity\nBAG,HZ,1\n", "no such column: 'place'"),
        (b"sku,sku,quantity\nBAG,HZ,1\n", "named twice"),
        (b"sku,warehouse,quantity\n\xff,HZ,1\n", "not UTF-8 text (byte 23)"),
        (b'sku,warehouse,quantity\n"BAG,HZ,1\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_stock_file_is_wrong_use(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    result = oms("stock", "load", path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert text in result.stderr
    missing = oms("stock", "load", tmp_path / "none.csv")
    assert (missing.exit_code, "cannot read" in missing.stderr) == (2, True)


def test_a_byte_order_mark_and_quoted_cells_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b'\xef\xbb\xbfSKU, Warehouse ,quantity\r\n"A, ""B""",HZ, 7 \r\n')
    events, wrong = read(path, AT_MS)
    assert not wrong
    assert events == [
        Event(2, "reference_set", 'A, "B"', {"kind": "stock", "pool": "sales", "sku": 'A, "B"', "warehouse": "HZ",
                                             "quantity": 7})
    ]  # fmt: skip


def test_a_time_that_is_none_is_wrong_use(tmp_path: Path) -> None:
    path = csv(tmp_path, "sku,warehouse,quantity", "BAG,HZ,1")
    result = oms("stock", "load", path, "--at", "yesterday", "--out", tmp_path / "out")
    assert (result.exit_code, "--at" in result.stderr) == (2, True)


def test_an_unreachable_broker_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.clients.require_broker.__defaults__", (0.5,))
    monkeypatch.setattr("streams.clients.require_topics.__defaults__", (0.5,))
    path = csv(tmp_path, "sku,warehouse,quantity", "BAG,HZ,1")
    result = oms("stock", "load", path, "--broker", "kafka://127.0.0.1:1")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no broker at 127.0.0.1:1" in result.stderr


def test_help_names_every_kind_and_only_columns_that_exist() -> None:
    shown = " ".join(oms("stock", "load", "--help", COLUMNS="200").stdout.split())
    assert all(kind in shown for kind in KINDS)
    assert {column for kind in KINDS.values() for column in (*kind.required, *kind.optional)} == {*COLUMNS} - {"kind"}


def test_the_ops_event_names_the_channel_it_is_about() -> None:
    value = ops_value(Event(4, "quota_set", "BAG", {"sku": "BAG", "channel": "douyin", "quota": 5}), "load-1", 7)
    assert (value["event_id"], value["channel"], value["event_time"]) == ("load-1-4", "douyin", 7)
