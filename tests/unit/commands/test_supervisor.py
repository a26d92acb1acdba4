"""Several worker processes under one parent, with small programs in place of workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.commands.supervisor import ASIDE_NICENESS, Supervisor
from streams.config import Settings

# Notes its start, then does what its file says: exit code, or wait for SIGTERM and note that too.
CHILD = """
import os, pathlib, signal, sys, time
folder, index = pathlib.Path(sys.argv[1]), os.environ["OMS_WORKER_ID"].rpartition("-")[2]
with open(folder / f"started-{index}", "a") as file:
    file.write(f"{os.getpid()}\\n")
def stop(*_):
    (folder / f"stopped-{index}").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
plan = folder / f"exit-{index}"
if plan.exists():
    sys.exit(int(plan.read_text()))
(folder / f"ready-{index}").touch()
time.sleep(60)
"""
PARENT = """
import sys; from pathlib import Path
import streams.commands.supervisor as s; from streams.config import Settings
s._TOO_SHORT_S = 0.0; s._FIRST_DELAY_S = 0.1
folder = sys.argv[1]
settings = Settings(data_dir=Path(folder) / "w", worker_id="w")
sys.exit(s.Supervisor(settings, 2, [folder], [sys.executable, sys.argv[2]]).run())
"""


@pytest.fixture
def parent(tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    child = tmp_path / "child.py"
    child.write_text(textwrap.dedent(CHILD))

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PARENT, str(tmp_path), str(child)]
        return subprocess.Popen(command, start_new_session=True)

    return start


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def starts(folder: Path, index: int) -> list[int]:
    path = folder / f"started-{index}"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def ready(folder: Path) -> bool:
    return all((folder / f"ready-{index}").exists() for index in (0, 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_worker_gracefully(
    tmp_path: Path, parent: Callable[[], subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    process = parent()
    until(lambda: ready(tmp_path))
    process.send_signal(number)
    assert process.wait(10) == 0
    assert all((tmp_path / f"stopped-{index}").exists() for index in (0, 1))


def test_a_killed_worker_is_started_again_and_the_other_is_left_alone(
    tmp_path: Path, parent: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = parent()
    until(lambda: ready(tmp_path))
    os.kill(starts(tmp_path, 0)[0], signal.SIGKILL)
    until(lambda: len(starts(tmp_path, 0)) == 2)
    assert len(starts(tmp_path, 1)) == 1
    until(lambda: process.poll() is None)
    process.terminate()
    assert process.wait(10) == 0


def test_a_crash_is_tried_again_with_a_growing_pause(
    tmp_path: Path, parent: Callable[[], subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "exit-1").write_text("70")
    process = parent()
    until(lambda: len(starts(tmp_path, 1)) >= 3)
    assert len(starts(tmp_path, 0)) == 1
    process.terminate()
    assert process.wait(10) == 0


def test_an_error_a_restart_cannot_mend_stops_all_with_its_code(
    tmp_path: Path, parent: Callable[[], subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "exit-1").write_text("1")
    process = parent()
    assert process.wait(10) == 1
    until(lambda: (tmp_path / "stopped-0").exists() or not (tmp_path / "ready-0").exists())
    assert len(starts(tmp_path, 1)) == 1


def test_each_worker_has_its_own_id_folder_and_port(tmp_path: Path) -> None:
    settings = Settings(broker="b:1", data_dir=tmp_path / "w", worker_id="w", web_port=6000)
    one = Supervisor(settings, 2, ["--agents", "orders"], ["oms"])
    found = [Settings.from_env(one.environment(child, {"OMS_BROKER_FILE": "x"})) for child in one.children]
    assert [each.worker_id for each in found] == ["w-0", "w-1"]
    assert [each.data_dir for each in found] == [tmp_path / "w-0", tmp_path / "w-1"]
    assert [each.web_port for each in found] == [6000, 6001]
    assert {each.broker for each in found} == {"b:1"}
    assert [one.command_of(child) for child in one.children] == [["oms", "--agents", "orders"]] * 2


def test_workers_of_the_agents_aside_are_apart_and_leave_the_processor_to_the_others(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "w", worker_id="w", web_port=6000)
    one = Supervisor(settings, 1, ["-c", "import time; time.sleep(60)"], [sys.executable], aside=1)
    found = [Settings.from_env(one.environment(child, {})) for child in one.children]
    assert [(each.worker_id, each.web_port) for each in found] == [("w-0", 6000), ("w-aside-0", 6001)]
    assert [one.command_of(child)[-2:] for child in one.children] == [["--agents", "way"], ["--agents", "aside"]]
    one._tend()
    try:
        pids = [child.process.pid for child in one.children if child.process is not None]
        usual, aside = (os.getpriority(os.PRIO_PROCESS, pid) for pid in pids)
        assert (usual, aside) == (os.getpriority(os.PRIO_PROCESS, 0), ASIDE_NICENESS)
    finally:
        one._stop()
