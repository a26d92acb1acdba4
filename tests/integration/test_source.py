"""An agent's consumer on a real broker, while partitions move."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from streams.engine import Agent
from streams.engine.source import KafkaSource
from streams.engine.turn import Part
from tests.integration.program import JsonTopics
from tests.servers.kafka import KafkaServer
from tests.support.records import create_topics, produce

pytestmark = pytest.mark.integration

Start = Callable[[str], KafkaSource]


@pytest.fixture(params=["classic", "consumer"])
def start(kafka: KafkaServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Sources of one group over one topic of two partitions with 20 records each; closed with the test."""
    topic = f"source-{uuid.uuid4().hex[:8]}"
    create_topics(kafka.bootstrap, {topic: 2})
    produce(kafka.bootstrap, [(topic, str(number).encode(), b"{}") for number in range(40)])
    agent = Agent("one", (topic,))
    agent.fold(lambda *_: None)
    with ExitStack() as opened:

        def one(instance: str) -> KafkaSource:
            made = KafkaSource(
                agent, JsonTopics(), {"bootstrap.servers": kafka.bootstrap}, group=f"group-{topic}",
                instance=instance, folder=tmp_path / instance, batch_size=5, session_timeout_ms=6000,
                group_protocol=request.param, on_outcome=lambda *_: None, on_restore=lambda *_: None,
            )  # fmt: skip
            return opened.enter_context(closing(made))

        yield one


def until(reached: Callable[[], object], sources: list[KafkaSource], seen: dict[int, Part]) -> None:
    """Poll them in turn; what they have is never folded. ``seen``: the newest part of each partition."""
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline, f"{[*seen]}, {[sorted(one.tasks) for one in sources]}"
        for one in sources:
            seen.update((task.partition, (task, records)) for task, records in one.poll(0.1, 0).parts)


def test_what_was_paused_when_it_was_taken_away_is_read_when_it_comes_back(start: Start) -> None:
    """The client's partitions stay paused over a rebalance; whoever had records held back would never read again."""
    first, seen = start("first"), dict[int, Part]()
    until(lambda: len(seen) == 2, [first], seen)
    first.hold([*seen.values()], more=False)
    second = start("second")
    until(lambda: len(first.tasks) == len(second.tasks) == 1, [first, second], {})
    second.close()
    first.hold([], more=False)
    seen.clear()
    last = {0: 0, 1: 0}

    def all_read() -> bool:
        for _, sources in seen.values():
            for record in sources[first.agent.sources[0]]:
                last[record.partition()] = max(last[record.partition()], record.offset())
        return sum(last.values()) == 38

    until(all_read, [first], seen)
