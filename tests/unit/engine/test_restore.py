"""How far a store is brought before its task goes on: to the end of the log, not to what happens to be stable."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from streams.engine import restore as module
from streams.engine.errors import Unreachable
from streams.engine.restore import Restoring, restore
from streams.engine.store import MemoryStore
from streams.engine.task import MARK, POSITION, _pair

TIMER, MARKER = b"\1timer\0late", MARK + b"in"
FIRST = [(0, TIMER, b"due"), (1, MARKER, _pair.pack(7, 0))]
"""A turn that set a timer; its commit marker is at offset 2."""
SECOND = [(3, TIMER, None), (4, MARKER, _pair.pack(7, 0))]
"""The next one fired it, without any record: the source's position is where it was. Its marker is at 5."""


class Log:
    """A changelog partition whose last marker comes with the ``late``-th look at it; ``seen``: the rows of what was not
    aborted."""

    def __init__(self, seen: list[Any], stable: int, end: int, late: int = 4) -> None:
        self.seen, self.stable, self.end, self.late = seen, stable, end, late
        self.looks = 0

    def look(self) -> int:
        self.looks += 1
        if self.looks >= self.late:
            self.stable = self.end
        return self.stable


class Message:
    def __init__(self, offset: int, key: bytes | None = None, value: bytes | None = None, error: Any = None) -> None:
        self.partition, self.offset, self.key, self.value, self.error = (
            lambda: 0, lambda: offset, lambda: key, lambda: value, lambda: error,
        )  # fmt: skip


def over(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumers read this log, as far as their isolation lets them."""

    class StubConsumer:
        def __init__(self, conf: Any) -> None:
            self.committed = conf["isolation.level"] == "read_committed"
            self.at = self.ended = -1

        def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
            return 0, log.stable if self.committed else log.end

        def assign(self, places: list[TopicPartition]) -> None:
            self.at = places[0].offset

        def consume(self, count: int, timeout: float) -> list[Message]:
            stable = log.look()
            found = [Message(*row) for row in log.seen if self.at <= row[0] < stable]
            self.at = max(self.at, stable)
            if self.ended < self.at:
                self.ended = self.at
                found.append(Message(self.at, error=KafkaError(KafkaError._PARTITION_EOF)))
            return found

        def close(self) -> None: ...

    monkeypatch.setattr(module, "Consumer", StubConsumer)


def restored(store: MemoryStore, committed: int = 7) -> int:
    return restore({}, "log", {0: Restoring(store, {"in": committed})}, lambda records, left: None)


def test_a_turn_that_only_fired_timers_is_waited_for_until_its_marker_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group's offsets say nothing of it: they are those of the turn before. Its timers would fire once more."""
    over(Log([*FIRST, *SECOND], stable=3, end=6), monkeypatch)
    store = MemoryStore()
    assert restored(store) == 4
    assert store.get(TIMER) is None
    assert store.get(POSITION) is not None


def test_a_transaction_that_ends_in_an_abort_leaves_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(FIRST, stable=3, end=6)
    over(log, monkeypatch)
    store = MemoryStore()
    assert restored(store) == 2
    assert store.get(TIMER) == b"due"
    assert log.looks >= log.late, "it was waited for all the same"


def test_a_store_whose_last_marker_is_not_there_yet_is_not_rebuilt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    over(Log([*FIRST, *SECOND], stable=3, end=6), monkeypatch)
    store = MemoryStore()
    store.write([(POSITION, _pair.pack(5, int(time.time() * 1000))), (MARKER, _pair.pack(7, 0)), (b"kept", b"1")])
    assert restored(store) == 0
    assert store.get(b"kept") == b"1"
    assert not caplog.records


@pytest.mark.parametrize("position", [7, 100])
def test_a_store_that_is_ahead_of_its_changelog_is_rebuilt(monkeypatch: pytest.MonkeyPatch, position: int) -> None:
    over(Log(FIRST, stable=3, end=3), monkeypatch)
    store = MemoryStore()
    store.write([(POSITION, _pair.pack(position, int(time.time() * 1000))), (b"odd", b"1")])
    assert restored(store) == 2
    assert store.get(b"odd") is None


def test_offsets_that_were_moved_by_hand_are_told_and_do_not_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    over(Log(FIRST, stable=3, end=3), monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert restored(MemoryStore(), committed=1000) == 2
    assert "log/0: the group's offsets are beyond the state's own position, which rules" in caplog.text


def test_an_empty_partition_is_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    over(Log([], stable=0, end=0), monkeypatch)
    assert restored(MemoryStore(), committed=0) == 0


def test_a_transaction_that_nobody_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over(Log(FIRST, stable=3, end=6, late=10**9), monkeypatch)
    now = [1000.0]

    def hand() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr("time.monotonic", hand)
    with pytest.raises(Unreachable, match=r"restoring log: nothing heard from the broker for 4\d s"):
        restored(MemoryStore())
