"""What a worker says when it cannot work: one clear line and exit code 1, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.tether import free_ports
from tests.integration.conftest import Family
from tests.integration.program import topics
from tests.integration.test_engine import assigned, events
from tests.support.process import ROOT
from tests.support.progress import wait_until
from tests.support.records import create_topics

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def refused(broker: str, name: str, data: Path, seconds: float = 40) -> str:
    """Runs the program to its end; answers its error line."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.program", "--name", name],
        env={**os.environ, "OMS_BROKER": broker, "OMS_WORKER_ID": "w1", "OMS_DATA_DIR": str(data)},
        cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("%")]  # librdkafka's own begin with %
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_missing_topic_is_named(family: Family, tmp_path: Path) -> None:
    line = refused(family.broker, "nobody-made-these", tmp_path)
    assert "nobody-made-these-in" in line
    assert "oms topics apply" in line


def test_unequal_partition_counts_are_named(family: Family, tmp_path: Path) -> None:
    name = family.name + "u"
    create_topics(family.broker, {**topics(name), f"{name}-in": 3})
    line = refused(family.broker, name, tmp_path)
    assert f"{name}-in has 3" in line
    assert f"oms-{name}-changelog has 4" in line


def test_an_unreachable_broker_is_named(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    started = time.monotonic()
    assert f"127.0.0.1:{port}" in refused(f"127.0.0.1:{port}", "x", tmp_path)
    assert time.monotonic() - started < 30


def test_a_data_folder_that_cannot_be_written_is_named(family: Family, tmp_path: Path) -> None:
    """A file in its place: what a read-only folder is to a user without rights, and refuses root as well."""
    place = tmp_path / "data"
    place.write_text("not a folder")
    assert str(place) in refused(family.broker, family.name, place)


def test_of_two_workers_with_one_id_the_older_ends_with_one_line(family: Family, tmp_path: Path) -> None:
    older = family.start("twin", home=tmp_path / "older")
    assigned(older)
    family.feed(events(500))
    family.wait_for_steps(500)
    newer = family.start("twin", home=tmp_path / "newer")
    wait_until(lambda: not older.alive or not newer.alive, 60, "one of the twins ends")
    assert older.returncode == 1
    assert "another worker runs under worker id twin" in older.tail(3)
    family.feed(events(500, first=500))
    family.wait_for_steps(1000)
    assert newer.alive
    assert family.findings() == []
