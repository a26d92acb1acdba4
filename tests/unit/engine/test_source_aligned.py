"""A backlog of several topics waits until each was heard of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.engine import Agent, source
from streams.engine.source import HEARD_SECONDS, KafkaSource
from tests.unit.engine.support import JsonTopics
from tests.unit.engine.test_source import LocalMessage
from tests.unit.engine.test_source_handed import Scripted

SIZE = 4


class Marked(Scripted):
    """Knows where topics end: -1001 not yet, as the client says; None: it fails."""

    ends: dict[str, int | None]

    def get_watermark_offsets(self, place: TopicPartition, cached: bool) -> tuple[int, int]:
        assert cached
        if (end := self.ends[place.topic]) is None:
            raise KafkaException(KafkaError(KafkaError._STATE))
        return 0, end


def records(topic: str, count: int, since: int = 0) -> list[Any]:
    return [LocalMessage(topic, 0, since + number, b"k", b"{}", None) for number in range(count)]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], int]]:
    """What the first batch of an agent of `payments` and `orders` has of what comes poll by poll, and how many polls
    it took."""
    monkeypatch.setattr(source, "Consumer", Marked)
    monkeypatch.setattr(source, "fence_dead_owners", lambda *_: None)
    agent = Agent("one", ("payments", "orders"))
    agent.fold(lambda ctx, key, event: None)

    def first(ends: dict[str, int | None], *coming: list[Any]) -> tuple[list[str], int]:
        made = KafkaSource(
            agent, JsonTopics(), {}, group="g", instance="i", folder=tmp_path, batch_size=SIZE, session_timeout_ms=6000,
            group_protocol="classic", on_outcome=lambda *_: None, on_restore=lambda *_: None,
        )  # fmt: skip
        consumer: Any = made._consumer
        consumer.callbacks["on_assign"](consumer, [TopicPartition(topic, 0, 0) for topic in agent.sources])
        consumer.ends, consumer.coming = ends, [[*messages] for messages in coming]
        batch = made.poll(0.0, 0)
        return sorted(topic for _, sources in batch.parts for topic in sources), len(coming) - len(consumer.coming)

    return first


@pytest.mark.parametrize("end", [-1001, 3, None])
def test_a_backlog_waits_for_a_topic_that_has_or_may_have_records(read: Any, end: int | None) -> None:
    ends = {"payments": 8, "orders": end}
    assert read(ends, records("payments", SIZE), [], [], records("orders", 1))[0] == ["orders", "payments"]


def test_it_does_not_wait_for_a_topic_that_has_nothing(read: Any) -> None:
    ends = {"payments": 8, "orders": 0}
    assert read(ends, records("payments", SIZE), [], records("orders", 3))[0] == ["payments"]


def test_few_records_wait_for_nothing(read: Any) -> None:
    ends = {"payments": 8, "orders": -1001}
    assert read(ends, records("payments", 1), records("orders", 3))[0] == ["payments"]


def test_it_waits_for_so_long(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_000))
    monkeypatch.setattr("streams.engine.source.time.monotonic", lambda: next(clock) * HEARD_SECONDS / 4)
    ends = {"payments": 8, "orders": -1001}
    topics, polls = read(ends, records("payments", SIZE), *[[]] * 20)
    assert topics == ["payments"]
    assert 1 < polls < 10
