"""The embedded broker: found, ready, and gone with its owner."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.broker import BrokerError, EmbeddedBroker, find_binary, reachable


def _available() -> bool:
    try:
        return bool(find_binary())
    except BrokerError:
        return False


needs_binary = pytest.mark.skipif(not _available(), reason="no embedded broker for this platform")


def test_where_there_is_none_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.broker.importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("streams.broker.shutil.which", lambda _: None)
    with pytest.raises(BrokerError, match="set OMS_BROKER"):
        EmbeddedBroker().start()


def test_one_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "tansu"
    fake.write_text("#!/bin/sh\necho starting >&2\necho 'cannot bind' >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setattr("streams.broker.find_binary", lambda: str(fake))
    with pytest.raises(BrokerError, match="did not start: cannot bind"):
        EmbeddedBroker().start()


@needs_binary
def test_it_takes_connections_until_it_is_stopped() -> None:
    with EmbeddedBroker() as broker:
        assert reachable("127.0.0.1", broker.port, 1)
    assert not reachable("127.0.0.1", broker.port, 1)


@needs_binary
def test_it_ends_with_an_owner_that_is_killed() -> None:
    start = "from streams.broker import EmbeddedBroker as B; b = B().start(); print(b.port, flush=True)"
    code = f"import os; {start}; os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    port = int(done.stdout)
    deadline = time.monotonic() + 10
    while reachable("127.0.0.1", port, 0.5):
        assert time.monotonic() < deadline
        time.sleep(0.05)
