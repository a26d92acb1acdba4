"""What the engine's unit tests share: JSON topics, records made by hand, a transaction that notes what it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from streams.engine import Agent
from streams.engine.codec import json
from streams.engine.context import Header, Sink
from streams.engine.joint import task_of
from streams.engine.partitioner import partition_of
from streams.engine.record import LocalRecord
from streams.engine.store import Change, MemoryStore, Store
from streams.engine.task import Task
from streams.engine.turn import Batch, Report, Turn


class JsonTopics:
    """Every topic holds JSON; key and payload in a dead letter are shown as text."""

    def encoder(self, topic: str) -> Callable[[Any], bytes]:
        if topic == "dead-letters":
            return lambda letter: orjson.dumps(
                {**letter, **{part: (letter[part] or b"").decode("latin-1") for part in ("key", "value")}}
            )
        return json.encode

    def decoder(self, topic: str) -> Callable[[bytes], Any]:
        return json.decode


class Unreachable(Exception):
    """What the transport of these tests raises when it is lost."""


class NotedTransaction:
    """Notes what goes through it; ``fail`` is raised by the next commit."""

    fatal: tuple[type[BaseException], ...] = (Unreachable,)

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, Any]] = []
        self.rows: dict[int, list[Change]] = {}
        self.ends: dict[tuple[str, int], int] = {}
        self.offsets: list[Mapping[tuple[str, int], int]] = []
        self.aborted = 0
        self.fail: Exception | None = None
        self.no_positions = False
        self._held: list[tuple[str, bytes | None, Any]] = []
        self._rows: dict[tuple[str, int], list[Change]] = {}

    def begin(self) -> None:
        self._held, self._rows = [], {}

    @property
    def sink(self) -> Sink:
        held = self._held
        return lambda topic, value, key: held.append((topic, value, key.encode() if isinstance(key, str) else key))

    def partitions(self, topic: str) -> int:
        return 8

    def place(self, topic: str, key: bytes) -> int:
        return partition_of(key, 8)

    def forward(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, header: Header | None = None
    ) -> None:
        self._held.append((topic, value, key))

    def changelog(self, topic: str, partition: int, changes: Sequence[Change]) -> None:
        self._rows[topic, partition] = list(changes)

    def commit(
        self, offsets: Mapping[tuple[str, int], int], meanwhile: Callable[[], None] | None = None
    ) -> Mapping[tuple[str, int], int]:
        if self.fail is not None:
            failure, self.fail = self.fail, None
            if meanwhile is not None:
                meanwhile()
            raise failure
        self.sent += self._held
        for (_, partition), rows in self._rows.items():
            self.rows.setdefault(partition, []).extend(rows)
        self.offsets.append(dict(offsets))
        if meanwhile is not None:
            meanwhile()
        if self.no_positions:
            return {}
        return {place: len(self.rows[place[1]]) for place in self._rows}

    def abort(self) -> None:
        self.aborted += 1
        self._held, self._rows = [], {}


class Bench:
    """One task of an agent with its turns: feed it values, look at what came out."""

    def __init__(self, agent: Agent, store: Store | None = None, wall: int | None = None, **options: Any) -> None:
        self.agent = agent
        self.store = store or MemoryStore()
        self.transaction = NotedTransaction()
        self.wall = wall
        self.task = task_of(agent, 0, self.store, JsonTopics(), fatal=NotedTransaction.fatal, **options)
        self._turn = Turn(agent.name, self.transaction, lambda: self.wall, live=False, received_at=7)
        self._ends: dict[str, int] = {}

    @property
    def one(self) -> Task:
        """The task of an agent that is not joined."""
        [task] = self.task.tasks
        return task

    def record(self, value: Any, key: str | None = "k", topic: str | None = None) -> LocalRecord:
        """The next record of the topic; bytes stand for themselves, everything else is written as JSON."""
        topic = topic or self.agent.sources[0]
        offset = self._ends.get(topic, 0)
        self._ends[topic] = offset + 1
        payload = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
        return LocalRecord(topic, 0, offset, None if key is None else key.encode(), payload)

    def turn(self, *values: Any) -> Report:
        """One turn over these records of the first source (none: only timers fire)."""
        records = [value if isinstance(value, LocalRecord) else self.record(value) for value in values]
        return self.run({self.agent.sources[0]: records} if records else {})

    def run(self, sources: Mapping[str, Sequence[LocalRecord]]) -> Report:
        return self._turn.run(Batch([(self.task, sources)], sum(len(records) for records in sources.values())))

    def reopened(self, **options: Any) -> Bench:
        """The same store under a new task."""
        bench = Bench(self.agent, self.store, self.wall, **options)
        bench._ends = self._ends
        return bench

    def sent(self, topic: str) -> list[Any]:
        return [json.decode(value) for name, value, _ in self.transaction.sent if name == topic and value is not None]

    @property
    def dead(self) -> list[dict[str, Any]]:
        return self.sent("dead-letters")


@contextmanager
def no_trace(bench: Bench) -> Iterator[None]:
    """Whatever happens inside leaves store, outputs and position as they were."""
    rows, sent = list(bench.store.range(b"", b"\xff")), list(bench.transaction.sent)
    position, time = dict(bench.task.next), bench.task.stream_time
    yield
    assert list(bench.store.range(b"", b"\xff")) == rows
    assert bench.transaction.sent == sent
    assert (bench.task.next, bench.task.stream_time) == (position, time)


def rows(bench: Bench, table: str) -> dict[str, Any]:
    """The rows of a table of the only task."""
    return dict(bench.one.tables[bench.agent.tables[table]].scan())
