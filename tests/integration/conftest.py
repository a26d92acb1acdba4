"""One topic family, and workers that end with the test."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka.admin import AdminClient

from tests.integration.program import JsonTopics, counting, topics
from tests.servers.kafka import KafkaServer
from tests.support.compare import differences
from tests.support.oracle import recompute
from tests.support.process import WorkerProcess
from tests.support.progress import wait_until
from tests.support.records import create_topics, produce, read


@dataclass
class Family:
    """The topics of one test, and what its program must have made of them."""

    broker: str
    name: str
    sent: int = 0
    home: Path = Path()
    start: Callable[..., WorkerProcess] = field(repr=False, default=lambda: pytest.fail("no workers"))

    @property
    def source(self) -> str:
        return f"{self.name}-in"

    def feed(self, events: list[dict[str, Any] | bytes]) -> None:
        """Events to the source, keyed by name; bytes go as they are."""
        produce(
            self.broker,
            [
                (self.source, e["name"].encode(), orjson.dumps(e)) if isinstance(e, dict) else (self.source, b"junk", e)
                for e in events
            ],
        )
        self.sent += len(events)

    def steps(self) -> int:
        return len(read(self.broker, f"{self.name}-steps"))

    def wait_for_steps(self, count: int, seconds: float = 60) -> None:
        wait_until(lambda: self.steps() >= count, seconds, f"{count} steps in {self.name}-steps")

    def findings(self) -> list[str]:
        """What is missing, doubled or out of order in the outputs (dead letters are looked at by the tests)."""
        codecs = JsonTopics()
        expected = recompute(counting(self.name), codecs, {self.source: read(self.broker, self.source)})
        return [
            text
            for topic in (f"{self.name}-steps", f"{self.name}-totals")
            for text in differences(
                topic, read(self.broker, topic), [one for one in expected if one.topic == topic], codecs.decoder(topic)
            )
        ]


@pytest.fixture
def family(kafka: KafkaServer, dead_letters: None, tmp_path: Path) -> Iterator[Family]:
    """Fresh topics on the shared broker, and `start(worker, *options)` for workers that end with the test."""
    name = f"c{uuid.uuid4().hex[:8]}"
    create_topics(kafka.bootstrap, topics(name))
    with ExitStack() as workers:

        def start(worker: str = "w1", *options: str, home: Path = tmp_path, **env: str) -> WorkerProcess:
            command = [sys.executable, "-m", "tests.integration.program", "--name", name, *options]
            return workers.enter_context(WorkerProcess(worker, home, kafka.bootstrap, command, env))

        yield Family(kafka.bootstrap, name, home=tmp_path, start=start)


@pytest.fixture(scope="session")
def dead_letters(kafka: KafkaServer) -> None:
    """The engine's one topic for what it refuses, shared by all tests of the session."""
    if "dead-letters" not in AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics:
        create_topics(kafka.bootstrap, {"dead-letters": 1})
