"""The command as a whole: help, version, settings, converters, and how errors come out."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.engine.codec import compiled

COMMANDS = ["demo", "worker", "topics", "publish", "replay", "convert", "order", "stock", "deadletters", "doctor"]
COMMANDS += ["notify", "reports", "systems"]


def oms(*arguments: object, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(app, [str(argument) for argument in arguments])


def one_line(result: Result, code: int, *texts: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("oms: ")
    for text in texts:
        assert text in result.stderr


def test_help_names_every_command_of_the_contract_without_loading_the_engine() -> None:
    shown = oms("--help").stdout
    assert all(command in shown for command in COMMANDS)
    heavy = "{'faust', 'confluent_kafka', 'rocksdict', 'fastavro'}"
    code = f"import sys, streams.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    assert oms(command, "--help").exit_code == 0


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_what_a_terminal_cannot_show_is_escaped(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "maps", "show", "zto"],
        env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    shown = "签收" if encoding == "utf-8" else "\\u7b7e\\u6536"
    assert f"{shown}: logistics_signed".encode() in done.stdout


@pytest.mark.parametrize("arguments", [("order",), ("stock",), ("stock", "show")])
def test_a_code_in_another_encoding_is_one_line(arguments: tuple[str, ...]) -> None:
    """As a terminal in GB18030 gives it."""
    one_line(oms(*arguments, "订单".encode("gb18030").decode("utf-8", "surrogateescape")), 2, "UTF-8")


def test_the_version_is_shown() -> None:
    assert oms("--version").stdout.startswith("oms ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "nonsense"),
        (("--nonsense",), "--nonsense"),
        (("replay",), "oms replay --help"),
        (("replay", "x", "--outt", "y"), "--outt"),
        (("replay", "x", "--out"), "--out"),
        (("worker", "--processes", "0"), "--processes"),
        (("topics", "read"), "oms topics read --help"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments: tuple[str, ...], said: str) -> None:
    one_line(oms(*arguments), 2, said)


@pytest.mark.parametrize("arguments", [(), ("topics",)])
def test_a_command_without_its_verb_shows_its_help(arguments: tuple[str, ...]) -> None:
    result = oms(*arguments)
    assert (result.exit_code, result.stderr) == (2, "")
    assert "Usage:" in result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_output_that_does_not_fit_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "streams.cli", "maps", "show"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "oms: cannot write: No space left on device\n")


@pytest.mark.parametrize("command", [("worker",), ("doctor",), ("topics", "diff"), ("publish", "x")])
def test_a_wrong_setting_is_one_line_that_names_the_variable(command: tuple[str, ...]) -> None:
    one_line(oms(*command, OMS_BATCH_SIZE="lots"), 1, "OMS_BATCH_SIZE", "1 to 100000")


def test_a_wrong_option_is_wrong_use() -> None:
    one_line(oms("topics", "diff", "--broker", "amqp://x"), 2, "--broker", "kafka://HOST:PORT")
    one_line(oms("worker", "--agents", " , "), 2, "--agents")
    one_line(oms("worker", "--agents", "orders", "--aside-processes", "1"), 2, "--aside-processes")
    one_line(oms("worker", "--processes", "2", "--web-port", "65535"), 2, "--web-port", "65536 is none")
    one_line(oms("worker", "--log-level", "LOUD"), 2, "--log-level")


def test_a_wrong_call_is_said_before_a_broker_is_looked_for(tmp_path: Path) -> None:
    away = ("--broker", "kafka://127.0.0.1:1")
    for more in ((), ("--processes", "2")):
        one_line(oms("worker", "--agents", "orders,nobody", *more, *away), 2, "--agents", "no agent nobody")
    one_line(oms("publish", tmp_path / "none.jsonl", *away), 2, "none.jsonl", "No such file")


def test_a_setting_librdkafka_does_not_know_is_named_without_its_value() -> None:
    result = oms("topics", "diff", OMS_KAFKA_SASL_PASWORD="hunter2")
    one_line(result, 1, "OMS_KAFKA_SASL_PASWORD", "no such librdkafka setting")
    assert "hunter2" not in result.output


def test_an_unreachable_broker_is_one_line_within_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.clients.require_broker.__defaults__", (1.0,))
    started = time.monotonic()
    one_line(oms("topics", "diff", "--broker", "kafka://127.0.0.1:1"), 1, "no broker at 127.0.0.1:1", "OMS_BROKER")
    assert time.monotonic() - started < 5


def test_the_doctor_says_what_fails_and_what_to_do(tmp_path: Path) -> None:
    result = oms("doctor", "--wait", "0.5", OMS_BROKER="127.0.0.1:1", OMS_DATA_DIR=str(tmp_path), OMS_BROKERS="typo")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert any(line.startswith("FAIL broker") for line in lines)
    assert any(line.startswith("WARN settings") and "OMS_BROKERS" in line for line in lines)
    assert any(line.startswith("OK   schemas and registry") for line in lines)
    assert f"OK   avro codec: {compiled.in_force()}" in lines


@pytest.mark.rule("ST-03")
def test_the_doctor_looks_at_the_status_tables_that_a_worker_would_start_with(tmp_path: Path) -> None:
    def told(folder: Path) -> str:
        environ = {"OMS_BROKER": "127.0.0.1:1", "OMS_DATA_DIR": str(tmp_path / "d"), "OMS_MAPS_DIR": str(folder)}
        [line] = [
            text for text in oms("doctor", "--wait", "0.1", **environ).stdout.splitlines() if "status maps" in text
        ]
        return line

    assert told(tmp_path).startswith("OK   status maps: ")
    assert (
        told(tmp_path / "none") == f"FAIL status maps: OMS_MAPS_DIR: {tmp_path / 'none'} is no folder of status tables"
    )
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "zto.json").write_text('{"a":')
    assert told(wrong).startswith("FAIL status maps: OMS_MAPS_DIR: zto.json cannot be read")


def test_the_doctor_finds_a_data_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = oms("doctor", "--wait", "0.2", OMS_BROKER="127.0.0.1:1", OMS_DATA_DIR=str(tmp_path / "file"))
    assert any(line.startswith("FAIL data folder") for line in result.stdout.splitlines())


def test_a_data_set_becomes_input_lines(tmp_path: Path) -> None:
    report = tmp_path / "tmall_order_report.csv"
    report.write_text(
        "订单编号,总金额,买家实际支付金额,收货地址 ,订单创建时间,订单付款时间 ,退款金额\n"
        "1,178.8,0,上海,2020-02-21 00:00:00,,0\n"
        "2,21,21,内蒙古自治区,2020-02-20 23:59:54,2020-02-21 00:00:02,0\n"
    )
    out = tmp_path / "out.jsonl.gz"
    result = oms("convert", "tmall", report, "--out", out)
    assert result.exit_code == 0, result.output
    assert len(gzip.decompress(out.read_bytes()).splitlines()) == 3
    told = oms("convert", "tmall", report, "--out", out, "--json")
    assert json.loads(told.stdout) == {"events": 3, "out": str(out)}
    one_line(oms("convert", "tmall", tmp_path / "none", "--out", out), 2, "none")
    one_line(oms("convert", "olist", tmp_path, "--out", out), 2, str(tmp_path))
    one_line(oms("convert", "tmall", report, "--out", tmp_path / "no" / "out"), 2, "out")


def test_a_demo_whose_folder_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "file")])
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "cannot write to" in result.stderr
