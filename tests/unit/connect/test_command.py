"""`oms connect status`: what it prints, when it fails, and that it starts again what has failed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.connect import connectors, lag
from streams.connect.rest import Rest
from streams.errors import BrokerUnreachableError

NAMES = [connector.name for connector in connectors.load()]


class Worker:
    """Connect as the command sees it: which tasks have failed, and for how many restarts more they will."""

    def __init__(self, failing: dict[str, int]) -> None:
        self.failing = failing
        self.restarted: list[str] = []

    def statuses(self, _: Rest) -> dict[str, Any]:
        def task(name: str) -> dict[str, Any]:
            trace = "x.E: no\n\tat y\nCaused by: x.SQLException: the database is away\n\tat z"
            return (
                {"id": 0, "state": "FAILED", "trace": trace} if name in self.failing else {"id": 0, "state": "RUNNING"}
            )

        return {name: {"connector": {"state": "RUNNING"}, "tasks": [task(name)]} for name in NAMES}

    def restart(self, _: Rest, name: str) -> None:
        self.restarted.append(name)
        self.failing[name] -= 1
        if not self.failing[name]:
            del self.failing[name]


def oms(*arguments: str) -> Result:
    return CliRunner(env={"OMS_BROKER": "127.0.0.1:9"}).invoke(app, ["connect", "status", *arguments])


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    found = Worker({})
    monkeypatch.setattr(Rest, "statuses", lambda rest: found.statuses(rest))
    monkeypatch.setattr(Rest, "restart_failed", lambda rest, name: found.restart(rest, name))
    monkeypatch.setattr(lag.Lag, "of_all", lambda self: dict.fromkeys(NAMES, 1234))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return found


def test_all_run(worker: Worker) -> None:
    said = oms()
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout.splitlines()[:2] == ["alerts RUNNING, 1,234 records behind", "alerts task 0 RUNNING"]
    assert len(said.stdout.splitlines()) == 2 * len(NAMES)


def test_one_has_failed(worker: Worker) -> None:
    worker.failing = {"reports": 9, "alerts": 9}
    said = oms()
    assert said.exit_code == 1
    assert said.stderr == "oms: alerts task 0 FAILED: x.SQLException: the database is away (and 1 more)\n"
    assert "reports task 0 FAILED: x.SQLException: the database is away" in said.stdout
    assert worker.restarted == []
    told = orjson.loads(oms("--json").stdout)
    assert {"connector": "alerts", "task": 0, "state": "FAILED", "why": "x.SQLException: the database is away"} in told[
        "parts"
    ]
    assert told["lag_records"]["reports"] == 1234


def test_what_has_failed_is_started_again_on_request(worker: Worker) -> None:
    worker.failing = {"reports": 1}
    said = oms("--restart")
    assert said.exit_code == 0
    assert said.stderr == "reports: what had failed is started again\n"
    assert worker.restarted == ["reports"]
    assert "reports task 0 RUNNING" in said.stdout


def test_a_broker_that_is_away_does_not_hide_the_tasks(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: lag.Lag) -> dict[str, int]:
        raise BrokerUnreachableError("the broker does not answer")

    monkeypatch.setattr(lag.Lag, "of_all", away)
    said = oms()
    assert said.exit_code == 0
    assert said.stderr == "the broker does not answer\n"
    assert said.stdout.splitlines()[0] == "alerts RUNNING"
