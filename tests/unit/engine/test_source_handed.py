"""What a source knows of records that were handed over: which it passes, and when its tasks may be handed some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from streams.engine import Agent, source
from streams.engine.agent import folded_header
from streams.engine.source import KafkaSource
from tests.unit.engine.support import JsonTopics
from tests.unit.engine.test_source import LocalMessage, StubConsumer

OWN, OTHER = folded_header("one"), folded_header("two")


class Scripted(StubConsumer):
    """Gives what ``coming`` has, poll by poll."""

    coming: list[list[Any]]

    def committed(self, places: Any, seconds: float) -> Any:
        return places

    def seek(self, place: Any) -> None: ...

    def poll(self, timeout: float) -> Any:
        self.now = self.coming.pop(0) if self.coming else []
        return self.now.pop(0) if self.now else None

    def consume(self, count: int, timeout: float) -> list[Any]:
        return self.now


def message(offset: int, header: str | None = None) -> LocalMessage:
    return LocalMessage("in", 0, offset, b"k", b"{}", header)


def end(offset: int) -> Any:
    error = SimpleNamespace(code=lambda: KafkaError._PARTITION_EOF, fatal=lambda: False, str=lambda: "end")
    return SimpleNamespace(
        error=lambda: error, topic=lambda: "in", partition=lambda: 0, offset=lambda: offset, headers=lambda: None
    )


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KafkaSource:
    monkeypatch.setattr(source, "Consumer", Scripted)
    monkeypatch.setattr(source, "fence_dead_owners", lambda *_: None)
    agent = Agent("one", ("in",))
    agent.fold(lambda ctx, key, event: None)
    made = KafkaSource(
        agent, JsonTopics(), {}, group="g", instance="i", folder=tmp_path, batch_size=100, session_timeout_ms=6000,
        group_protocol="classic", on_outcome=lambda *_: None, on_restore=lambda *_: None, handed=True,
    )  # fmt: skip
    consumer: Any = made._consumer
    consumer.callbacks["on_assign"](consumer, [TopicPartition("in", 0, 0)])
    made.written(("in", 0), 5)
    return made


def polled(one: KafkaSource, *coming: Sequence[Any]) -> list[int]:
    """Offsets of the records of the last batch."""
    consumer: Any = one._consumer
    consumer.coming = [[*messages] for messages in coming]
    for _ in coming:
        batch = one.poll(0.0, 0)
    return [record.offset() for _, sources in batch.parts for record in sources.get("in", ())]


def test_what_it_has_folded_already_is_passed_over_and_counts_as_read(one: KafkaSource) -> None:
    assert polled(one, [message(0, OWN), message(1, OWN)]) == []
    assert one.tasks[0].next == {"in": 2}
    assert polled(one, [message(2, OTHER), message(3)]) == [2, 3], "what others have folded is none of its business"


def test_what_lies_before_it_is_folded_first(one: KafkaSource) -> None:
    assert polled(one, [message(0), message(1, OWN), message(2), message(3, OWN)]) == [0, 2]
    assert one.tasks[0].next == {"in": 0}, "the turn moves it"
    one.tasks[0].next["in"] = 2
    one.hold([(one.tasks[0], {"in": [message(2)]})], True)
    assert polled(one, []) == [2]
    assert one.tasks[0].next == {"in": 2}
    one.tasks[0].next["in"] = 3
    one.hold([], False)
    polled(one, [])
    assert one.tasks[0].next == {"in": 4}


def test_what_was_passed_over_is_forgotten_with_what_was_read(one: KafkaSource) -> None:
    polled(one, [message(0), message(1, OWN)])
    one.rewind()
    polled(one, [])
    assert one.tasks[0].next == {"in": 0}
    polled(one, [message(0), message(1, OWN)])
    one._revoked(one._consumer, [TopicPartition("in", 0, 0)])
    assert not one._after


def test_a_task_is_handed_records_once_all_that_was_written_before_is_read(one: KafkaSource) -> None:
    assert one.receiver("in", 0) is None
    polled(one, [message(0), end(1)])
    assert one.receiver("in", 0) is None, "five are there, the rest is not committed yet"
    polled(one, [message(3), end(5)])
    assert one.receiver("in", 0) is one.tasks[0]
    assert one.receiver("in", 1) is None
    one.written(("in", 0), 7)
    assert one.receiver("in", 0) is None
    polled(one, [message(5), end(7)])
    assert one.receiver("in", 0) is one.tasks[0]


def test_a_record_behind_what_was_to_be_read_says_so_as_well(one: KafkaSource) -> None:
    """Others may write there without a pause: the client would not come to an end."""
    polled(one, [message(2), message(3)])
    assert one.receiver("in", 0) is None
    polled(one, [message(4)])
    assert one.receiver("in", 0) is one.tasks[0]


def test_the_end_is_told_once_and_what_is_read_need_not_be_read_again(one: KafkaSource) -> None:
    polled(one, [message(3), end(5)])
    one.written(("in", 0), 5)
    assert one.receiver("in", 0) is one.tasks[0]
    one.written(("in", 0), 6)
    assert one.receiver("in", 0) is None
    one.rewind()
    one.written(("in", 0), 4)
    assert one.receiver("in", 0) is None, "all six are read anew"


def test_while_its_partitions_are_still_to_come_it_is_behind(one: KafkaSource) -> None:
    polled(one, [message(3), end(5)])
    seen = [one.behind]
    one._revoked(one._consumer, [TopicPartition("in", 0, 0)])
    seen.append(one.behind)
    one._assigned(one._consumer, [])
    assert [*seen, one.behind] == [False, True, False]


def test_places_of_other_workers_are_theirs_to_read(one: KafkaSource) -> None:
    polled(one, [message(3), end(5)])
    one.written(("in", 1), 7)
    assert not one.behind


def test_an_end_that_is_told_before_it_is_known_how_far_to_read_counts(one: KafkaSource) -> None:
    """The client tells it once; the runner asks the broker after all agents have polled."""
    place = [TopicPartition("in", 0, 0)]
    one._revoked(one._consumer, place)
    one._assigned(one._consumer, place)
    polled(one, [end(5)])
    one.written(("in", 0), 5)
    assert one.receiver("in", 0) is one.tasks[0]


def test_it_counts_how_often_it_was_given_partitions(one: KafkaSource) -> None:
    consumer: Any = one._consumer
    consumer.callbacks["on_assign"](consumer, [])
    assert (one.assignments, [(place.topic, place.partition) for place in one.places]) == (1, [("in", 0)])


def test_after_an_abort_or_with_records_held_back_nothing_is_handed_over(one: KafkaSource) -> None:
    polled(one, [message(0), end(5)])
    task = one.tasks[0]
    one.hold([(task, {"in": [message(0)]})], True)
    assert one.receiver("in", 0) is None
    one.hold([], False)
    assert one.receiver("in", 0) is task
    one.rewind()
    assert one.receiver("in", 0) is None
    polled(one, [end(5)])
    assert one.receiver("in", 0) is task
    one._revoked(one._consumer, [TopicPartition("in", 0, 0)])
    assert one.receiver("in", 0) is None


def test_whoever_is_not_handed_anything_passes_over_what_was_folded_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker without a chain takes over from one with; an agent aside was never handed anything."""
    monkeypatch.setattr(source, "Consumer", Scripted)
    for aside, read in ((False, [1]), (True, [0, 1])):
        made = KafkaSource(
            Agent("one", ("in",), aside=aside), JsonTopics(), {}, group="g", instance="i", folder=tmp_path,
            batch_size=100, session_timeout_ms=6000, group_protocol="classic", on_outcome=lambda *_: None,
            on_restore=lambda *_: None,
        )  # fmt: skip
        grouped = made._grouped([message(0, OWN), message(1)])
        assert [record.offset() for record in grouped[0]["in"]] == read
