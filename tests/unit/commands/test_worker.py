"""How one worker ends: with which code, and what its supervisor is told."""

from __future__ import annotations

import os
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.commands.worker import AWAY, CRASHED, SUPERVISOR_VARIABLE
from streams.engine.codec.errors import RegistryError, RegistryUnavailableError
from streams.engine.errors import InfrastructureError, Misconfigured, Unreachable
from streams.errors import BrokerUnreachableError, OmsError, UsageError

PASSING = [
    BrokerUnreachableError("no broker"),
    InfrastructureError("nothing works for 120 s"),
    Unreachable("cannot restore"),
    RegistryUnavailableError("registry away"),
]
LASTING = [
    OmsError("data folder in use"),
    Misconfigured("topic x is missing"),
    RegistryError("schema refused"),
]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `oms worker` with a worker that ends with this error; (exit code, what it said)."""

    def run(error: Exception | None, supervised: bool, broker: bool = True) -> tuple[int, str]:
        def worker(*_: Any, **__: Any) -> int:
            if error is not None:
                raise error
            return 0

        def nothing(*_: Any, **__: Any) -> None: ...

        monkeypatch.setattr("streams.logs.setup", nothing)
        monkeypatch.setattr("streams.commands.worker._follow", nothing)  # a thread that would outlive the test
        monkeypatch.setattr("streams.clients.require_broker", nothing if broker else worker)
        monkeypatch.setattr("streams.app.run_worker", worker)
        monkeypatch.setenv(SUPERVISOR_VARIABLE, str(os.getppid()) if supervised else "")
        result = CliRunner().invoke(app, ["worker"])
        return result.exit_code, result.stderr

    return run


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_may_pass_is_one_line_and_the_supervisor_learns_that_it_may(ended: Any, error: Exception) -> None:
    assert ended(error, supervised=True) == (AWAY, f"oms: {error}\n")
    assert ended(error, supervised=False) == (1, f"oms: {error}\n")


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_waiting_cannot_mend_is_final_with_a_supervisor_too(ended: Any, error: Exception) -> None:
    assert ended(error, supervised=True) == ended(error, supervised=False) == (1, f"oms: {error}\n")


def test_wrong_use_stays_wrong_use(ended: Any) -> None:
    assert ended(UsageError("no such agent"), supervised=True)[0] == 2


def test_a_broker_that_is_away_at_the_start_is_waited_for_by_the_supervisor(ended: Any) -> None:
    assert ended(PASSING[0], supervised=True, broker=False) == (AWAY, "oms: no broker\n")


def test_a_bug_and_a_good_end_are_told_apart(ended: Any) -> None:
    assert ended(KeyError("bug"), supervised=True)[0] == CRASHED
    assert ended(None, supervised=True)[0] == 0
