"""Recomputes what an agent must have sent, from its source topics alone, without the engine.

One reader, one record at a time, tables as dicts, timers as a sorted list: no batches, transactions, changelog or
RocksDB. Only the agent's callbacks are the same. Rows are kept encoded by their table's codec, as a restored worker
would see them, so a reducer that leans on an object it kept is found out too.

Meant for event times ahead of the wall clock: then stream time alone says when timers fire.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.engine.agent import Agent, Codecs, TableSpec
from streams.engine.codec.errors import DecodeError
from tests.support.records import Record

DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True, slots=True)
class Sent:
    """One output: who sent it, from which source and partition, where it went, with what.

    `latest` marks what a turn may leave out because a later value of the same key follows in the same turn.
    """

    agent: str
    source: str
    partition: int
    topic: str
    key: str | None
    value: dict[str, Any]
    latest: bool


class Rows:
    """A table as the reducers see it: a dict of encoded rows under the writes of the record in hand."""

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self.stored: dict[str, bytes] = {}
        self._open: dict[str, bytes | None] = {}

    def get(self, key: str, default: Any = None) -> Any:
        data = self._open[key] if key in self._open else self.stored.get(key)
        return default if data is None else self._spec.decode(data)

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._open[key] = self._spec.encode(value)

    add = __setitem__

    def __delitem__(self, key: str) -> None:
        self._open[key] = None

    def __contains__(self, key: object) -> bool:
        return self.get(str(key)) is not None

    def pop(self, key: str, default: Any = None) -> Any:
        value = self.get(key)
        if value is None:
            return default
        del self[key]
        return value

    def range(self, low: str, high: str) -> Iterator[tuple[str, Any]]:
        first, last = low.encode(), high.encode()
        return self._where(lambda key: first <= key < last)

    def scan(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        start = prefix.encode()
        return self._where(lambda key: key.startswith(start))

    def _where(self, wanted: Any) -> Iterator[tuple[str, Any]]:
        rows = {**self.stored, **self._open}
        names = sorted((key for key, data in rows.items() if data is not None and wanted(key.encode())), key=str.encode)
        return iter([(key, self._spec.decode(rows[key])) for key in names])  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self.scan())

    def __len__(self) -> int:
        return sum(1 for _ in self.scan())

    def items(self) -> Iterator[tuple[str, Any]]:
        return self.scan()

    def keep(self) -> None:
        for key, data in self._open.items():
            if data is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = data
        self._open.clear()

    def drop(self) -> None:
        self._open.clear()


@dataclass(slots=True)
class Clockwork:
    """Timers of one partition: (due, "kind\\0key") in order, one per kind and key."""

    dues: dict[bytes, int] = field(default_factory=dict)
    order: list[tuple[int, bytes]] = field(default_factory=list)

    @staticmethod
    def _name(kind: str, key: str) -> bytes:
        return f"{kind}\0{key}".encode()

    def set(self, kind: str, key: str, due: int) -> None:
        self.cancel(kind, key)
        name = self._name(kind, key)
        self.dues[name] = due
        bisect.insort(self.order, (due, name))

    def cancel(self, kind: str, key: str) -> None:
        name = self._name(kind, key)
        due = self.dues.pop(name, None)
        if due is not None:
            self.order.remove((due, name))

    def due(self, kind: str, key: str) -> int | None:
        return self.dues.get(self._name(kind, key))

    def pop(self, limit: int) -> tuple[str, str, int] | None:
        if not self.order or self.order[0][0] > limit:
            return None
        due, name = self.order.pop(0)
        del self.dues[name]
        kind, _, key = name.decode().partition("\0")
        return kind, key, due


class Seat:
    """The context of one partition of one agent, and the loop that feeds it."""

    def __init__(self, agent: Agent, partition: int, codecs: Codecs, received_at: int) -> None:
        self.agent = agent
        self.partition = partition
        self.timers: Any = Clockwork()
        self.memo: dict[Any, Any] = {}
        self.now = 0
        self.received_at: int | None = received_at
        self.record: Record
        self.appended_at: int | None = None
        self.waited = 0  # an interruption of a test is shorter than what counts
        self._tables = {spec: Rows(spec) for spec in agent.tables.values()}
        self._codecs = codecs
        sparse = {"drop_nulls": True} if agent.sparse else {}
        self._decoders = {topic: codecs.decoder(topic, **sparse) for topic in agent.sources}
        self._out: list[Sent] = []
        self._position: tuple[str, int, int | None] = ("", 0, 0)

    def __getitem__(self, spec: TableSpec) -> Rows:
        return self._tables[spec]

    @property
    def source(self) -> str:
        return self._position[0]

    @property
    def offset(self) -> int:
        return -1 if self._position[2] is None else self._position[2]

    @property
    def value(self) -> bytes:
        return self.record.value or b""

    def emit(self, topic: str, key: str | None, value: Any, latest: bool = False) -> None:
        value = value() if callable(value) else value  # a value may be made only when it is sent
        # Through the topic's codec and back: what a reader of the topic sees (defaults filled in, tuples as lists).
        seen = self._codecs.decoder(topic)(self._codecs.encoder(topic)(value))
        self._out.append(Sent(self.agent.name, self.record.topic, self.partition, topic, key, seen, latest))

    def emit_latest(self, topic: str, key: str | None, value: Any) -> None:
        self.emit(topic, key, value, latest=True)

    def refuse(self, reason: str, stage: str = "contract") -> None:
        self._bury(stage)

    def _bury(self, stage: str) -> None:
        topic, partition, offset = self._position
        letter = {"topic": topic, "partition": partition, "offset": offset, "stage": stage}
        self._out.append(Sent(self.agent.name, self.record.topic, self.partition, DEAD_LETTERS, topic, letter, False))

    def feed(self, record: Record) -> list[Sent]:
        """Everything the record leads to, the timers due before it included."""
        self._out = []
        self.record = record
        handed = record.folded is not None and record.folded[0] == self.agent.name
        here = (record.topic, record.partition, None if handed else record.offset)
        self._position = here
        try:
            event = self._decoders[record.topic](record.value)  # type: ignore[arg-type]
        except DecodeError as error:
            self._bury("decode")
            if self.agent._on_undecodable:
                self.agent._on_undecodable(self, record.key, record.value or b"", str(error))  # type: ignore[arg-type]
            self._keep()
            return self._out
        moment = self.agent._time_of(event) if self.agent._time_of else 0
        while (due := self.timers.pop(max(moment, self.now))) is not None:
            kind, key, at = due
            self.now = max(self.now, at)
            self._position = (f"{self.agent.name}:timer:{kind}", self.partition, at)
            assert self.agent._on_timer is not None
            self.agent._on_timer(self, kind, key, at)  # type: ignore[arg-type]
            self._keep()
        self._position = here
        before, sent, timers = self.now, len(self._out), (dict(self.timers.dues), list(self.timers.order))
        self.now = max(self.now, moment)
        assert self.agent._fold is not None
        try:
            self.agent._fold(self, record.key, event)  # type: ignore[arg-type]
        except Exception:
            self.now = before
            self.timers = Clockwork(*timers)
            for table in self._tables.values():
                table.drop()
            del self._out[sent:]
            self._bury("rule")
        self._keep()
        return self._out

    def _keep(self) -> None:
        for table in self._tables.values():
            table.keep()


def recompute(
    agent: Agent, codecs: Codecs, sources: Mapping[str, Iterable[Record]], received_at: int | None = None
) -> list[Sent]:
    """Fold every partition of every source in its order. Several sources are taken one after the other, which is
    right for an agent without tables only. `received_at` (ms) is now if not given."""
    assert len(agent.sources) == 1 or not agent.tables, f"{agent.name}: the order across its sources is not known"
    received_at = int(time.time() * 1000) if received_at is None else received_at
    seats: dict[int, Seat] = {}
    sent: list[Sent] = []
    for topic in agent.sources:
        for record in sources[topic]:
            seat = seats.get(record.partition)
            if seat is None:
                seat = seats[record.partition] = Seat(agent, record.partition, codecs, received_at)
            sent += seat.feed(record)
    return sent
