"""The transaction's clock, over a stand-in for the producer: what takes too long is given up, and in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.engine import transaction
from streams.engine.runner import RunnerConfig
from streams.engine.transaction import COMMIT_SECONDS, STUCK_SECONDS, TRANSACTION_TIMEOUT_MS, KafkaTransaction


class Producer:
    """``slow``: the calls that never come back, ``late``: those that say time and again that their time is over."""

    def __init__(self, conf: dict[str, Any]) -> None:
        self.slow: set[str] = set()
        self.late: set[str] = set()
        self.refused = False
        self.called: list[str] = []
        self.free = threading.Event()

    def init_transactions(self, seconds: float) -> None: ...

    def begin_transaction(self) -> None: ...

    def purge(self) -> None: ...

    def send_offsets_to_transaction(self, places: Any, metadata: Any, seconds: float) -> None:
        self._call("offsets", seconds)

    def commit_transaction(self, seconds: float) -> None:
        self._call("commit", seconds)
        if self.refused:
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))

    def abort_transaction(self, seconds: float) -> None:
        self._call("abort", seconds)

    def _call(self, name: str, seconds: float) -> None:
        self.called.append(name)
        if name in self.slow:
            self.free.wait(10)
        if name in self.late:
            time.sleep(min(seconds, 0.01))
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, retriable=True))


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(transaction, "Producer", Producer)
    monkeypatch.setattr(transaction, "COMMIT_SECONDS", 0.1)
    monkeypatch.setattr(transaction, "STUCK_SECONDS", 0.1)
    made: Any = KafkaTransaction({}, "oms-x-w", lambda topic: None)
    made.begin()
    yield made
    made._producer.free.set()
    made.close()


def test_a_stuck_commit_costs_no_more_than_a_lost_worker_does() -> None:
    """And less than the broker's patience: an open transaction is fenced by us, not aborted by the clock."""
    session = RunnerConfig({}, "w", Path()).session_timeout_ms / 1000
    assert COMMIT_SECONDS + STUCK_SECONDS <= session < TRANSACTION_TIMEOUT_MS / 1000


@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_a_commit_that_never_comes_back_is_left_behind_with_its_producer(one: Any, call: str) -> None:
    one._producer.slow = {call}
    started = time.monotonic()
    with pytest.raises(KafkaException, match="the commit is stuck in the client"):
        one.commit({("in", 0): 1})
    assert 0.2 <= time.monotonic() - started < 2
    assert one.broken


@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_a_commit_that_is_late_is_tried_until_its_deadline_and_no_abort_waits_as_long_again(
    one: Any, call: str
) -> None:
    one._producer.late = {call}
    with pytest.raises(KafkaException) as caught:
        one.commit({("in", 0): 1})
    one.abort()
    assert one._producer.called.count(call) > 1
    assert "abort" not in one._producer.called
    assert transaction.is_timeout(caught.value)
    assert one.broken


def test_a_commit_that_fails_at_once_is_aborted_and_the_producer_goes_on(one: Any) -> None:
    one._producer.refused = True
    with pytest.raises(KafkaException):
        one.commit({("in", 0): 1})
    one.abort()
    assert one._producer.called == ["offsets", "commit", "abort"]
    assert not one.broken


def test_a_producer_that_cannot_abort_in_time_is_broken(one: Any) -> None:
    one._producer.late = {"abort"}
    started = time.monotonic()
    one.abort()
    assert 0.1 <= time.monotonic() - started < 2
    assert one.broken
