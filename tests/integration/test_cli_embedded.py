"""Commands against the embedded broker: topics, publish, read, dead letters, doctor, and a whole demo."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.broker import BrokerError, EmbeddedBroker, find_binary
from streams.cli import app

Oms = Callable[..., Result]


def _no_binary() -> str:
    try:
        find_binary()
    except BrokerError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(_no_binary()), reason=f"no embedded broker: {_no_binary()}")


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with EmbeddedBroker() as running:
        yield f"kafka://{running.url}"


@pytest.fixture
def oms(broker: str, tmp_path: Path) -> Oms:
    environ = {"OMS_BROKER": broker, "OMS_DATA_DIR": str(tmp_path / "state"), "OMS_PARTITIONS": "2"}
    environ |= {name: "" for name in os.environ if name.startswith("OMS_") and name not in environ}
    return lambda *arguments: CliRunner(env=environ).invoke(app, [str(argument) for argument in arguments])


def event(number: int, **more: Any) -> str:
    value = {"event_id": f"e{number}", "event_type": "order_created", "event_time": "2026-01-24T10:00:00+08:00"}
    value |= {"source": "douyin", "channel": "douyin", "order_no": f"N{number}", **more}
    return json.dumps({"topic": "orders", "value": value}, ensure_ascii=False)


def rows(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_topics_are_made_once_and_published_events_are_read_back(oms: Oms, tmp_path: Path) -> None:
    assert oms("topics", "diff").exit_code == 1
    applied = oms("topics", "apply")
    assert applied.exit_code == 0
    assert "orders: missing" in applied.stdout
    assert "as topics.yaml says" in oms("topics", "apply").stdout

    file = tmp_path / "events.jsonl"
    file.write_text("\n".join([event(1), event(2, total_minor="much"), "nonsense", event(3), event(1, total_minor=5)]))
    sent = oms("publish", file, "--json")
    assert sent.exit_code == 1
    assert json.loads(sent.stdout)["sent"] == 3
    assert json.loads(sent.stdout)["refused"] == 2
    assert f"{file}:2: orders: Orders" in sent.stderr
    assert f"{file}:3: not JSON" in sent.stderr

    read = rows(oms("topics", "read", "orders"))
    assert sorted(row["key"] for row in read) == ["N1", "N1", "N3"]
    assert {row["value"]["event_time"] for row in read} == {1769220000000}
    last = {row["key"]: row["value"]["total_minor"] for row in rows(oms("topics", "read", "orders", "--last"))}
    assert last == {"N1": 5, "N3": None}


def test_the_rate_is_held(oms: Oms, tmp_path: Path) -> None:
    oms("topics", "apply")
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(event(number) for number in range(11)))
    started = time.monotonic()
    assert oms("publish", file, "--rate", "20").exit_code == 0
    assert 0.45 < time.monotonic() - started < 5


def test_a_missing_topic_is_one_line(oms: Oms) -> None:
    result = oms("topics", "read", "no-such-topic")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "no-such-topic" in result.stderr


@pytest.mark.rule("DQ-08")
def test_a_dead_letter_is_listed_without_its_payload_and_sent_again_as_it_came(oms: Oms, broker: str) -> None:
    from streams import topology
    from streams.clients import producer
    from streams.config import Settings

    oms("topics", "apply")
    letter = {"topic": "payments", "partition": 1, "offset": 77, "error": "no magic byte", "stage": "decode"}
    letter |= {"key": b"K", "value": b"\xff secret 13912345678", "at": 1769220000000}
    client = producer(Settings.from_env({"OMS_BROKER": broker}))
    client.produce("dead-letters", topology.load().encoder("dead-letters")(letter), key="payments")
    client.flush(10)

    listed = oms("deadletters", "list", "--topic", "payments")
    assert "payments:1:77" in listed.stdout
    assert "13912345678" not in listed.output
    assert oms("deadletters", "replay", "--topic", "payments").exit_code == 2
    assert oms("deadletters", "replay", "--topic", "payments", "--partition", "0", "--offset", "77").exit_code == 1
    again = oms("deadletters", "replay", "--topic", "payments", "--partition", "1", "--offset", "77")
    assert again.exit_code == 0, again.output
    read = oms("topics", "read", "payments")
    assert read.exit_code == 1
    (row,) = [json.loads(line) for line in read.stdout.splitlines()]
    assert (row["key"], row["value"], row["partition"]) == ("K", None, 1)


def test_the_doctor_finds_all_well_and_tells_a_mismatch_with_its_remedy(oms: Oms) -> None:
    oms("topics", "apply")
    checks = {check["name"]: check for check in json.loads(oms("doctor", "--json").stdout)}
    assert all(check["status"] == "OK" for check in checks.values() if check["name"] != "data folder"), checks
    sick = oms("topics", "diff", "--partitions", "3")
    assert sick.exit_code == 1
    assert "has 2 partitions" in sick.stdout


@pytest.mark.slow
def test_the_demo_plays_everything_and_says_where_to_look_next(tmp_path: Path) -> None:
    result = CliRunner(env={"OMS_BROKER": ""}).invoke(app, ["demo", "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["orders"] > 1000
    assert sum(summary["states"].values()) == summary["orders"]
    assert summary["dead"]["decode"] == 1327
    guid = summary["examples"][0]
    shown = CliRunner().invoke(app, ["order", guid, "--from", str(tmp_path)])
    assert shown.exit_code == 0
    assert "stands at" in shown.stdout
