"""What a reducer may touch while it folds one record: its tables, its timers, the ways out, and the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from streams.engine.agent import TableSpec
from streams.engine.errors import EngineError
from streams.engine.table import MAX_KEY_LENGTH, MAX_VALUE_BYTES

if TYPE_CHECKING:
    from streams.engine.table import Table
    from streams.engine.timers import Timers

_LOG_APPEND_TIME = 2
"""confluent_kafka.TIMESTAMP_LOG_APPEND_TIME"""

Header = tuple[str, "bytes | None"]
"""Name and value of a record's header."""
Sink = Callable[[str, "bytes | None", "str | bytes | None"], None]
"""(topic, value, key) into the open transaction."""


class RecordLike(Protocol):
    """The part of a Kafka message the engine reads (confluent_kafka.Message has it)."""

    def topic(self) -> str: ...

    def partition(self) -> int: ...

    def offset(self) -> int: ...

    def key(self) -> bytes | None: ...

    def value(self) -> bytes | None: ...

    def timestamp(self) -> tuple[int, int]: ...


class Context:
    """One per task. ``now``: the partition's stream time (ms), which a live worker brings together with the wall clock
    as the agent's `Clock` says."""

    __slots__ = (
        "_encoders",
        "_latest",
        "_max_bytes",
        "_partitions",
        "_refuse",
        "_sink",
        "_tables",
        "agent",
        "memo",
        "now",
        "partition",
        "received_at",
        "record",
        "timers",
    )

    def __init__(self, agent: str, partition: int, tables: Mapping[TableSpec, Table], timers: Timers) -> None:
        self.agent = agent
        self.partition = partition
        self.timers = timers
        self.now = 0
        self.received_at: int | None = None
        """When the record in hand came in, ms: the wall clock of a live worker, None or a fixed time in a replay."""
        self.memo: dict[Any, Any] = {}
        """Hints that may be lost: in memory only, emptied when a turn is rolled back or the task moves."""
        self.record: RecordLike | None = None
        self._tables = tables
        self._encoders: Mapping[str, Callable[[Any], bytes]] = {}
        self._sink: Sink = _closed
        self._latest: dict[tuple[str, str | None], Any] = {}
        self._max_bytes = MAX_VALUE_BYTES
        self._refuse: Callable[[str, str], None] = _closed
        self._partitions: Callable[[str], int] | None = None

    def __getitem__(self, spec: TableSpec) -> Table:
        return self._tables[spec]

    @property
    def source(self) -> str:
        """Topic of the record in hand."""
        assert self.record is not None
        return self.record.topic()

    @property
    def offset(self) -> int:
        assert self.record is not None
        return self.record.offset()

    @property
    def appended_at(self) -> int | None:
        """When the broker took the record in hand in, ms; None without a broker, or where the topic keeps the sender's
        time."""
        assert self.record is not None
        kind, at = self.record.timestamp()
        return at if kind == _LOG_APPEND_TIME else None

    @property
    def waited(self) -> int:
        """How long the record in hand has lain in its topic before a live worker came to it, ms; 0 in a replay, of a
        timer, and of a record without a time."""
        assert self.record is not None
        kind, at = self.record.timestamp()
        return max(0, self.received_at - at) if kind and self.received_at is not None else 0

    @property
    def value(self) -> bytes:
        """Payload of the record in hand as it came."""
        assert self.record is not None
        return self.record.value() or b""

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has, for what every one of them is to be told; None where nobody knows."""
        return None if self._partitions is None else self._partitions(topic)

    def emit(self, topic: str, key: str | None, value: Any) -> None:
        """Send ``value``, encoded by the topic's codec, in this turn's transaction."""
        data = self._encoders[topic](value)
        if len(data) > self._max_bytes or (key is not None and len(key) > MAX_KEY_LENGTH):
            self._check_size(topic, key, data)
        self._sink(topic, data, key)

    def emit_latest(self, topic: str, key: str | None, value: Any) -> None:
        """The same for a compacted topic: only the last value per key and turn is sent, in order of last change.

        ``value`` may be a function without arguments; it is called when the turn ends, so a value that is overtaken
        costs nothing.
        """
        slot = (topic, key)
        self._latest.pop(slot, None)
        self._latest[slot] = value

    def encoded(self, topic: str, key: str | None, value: Any) -> bytes:
        """The payload of an output. ValueError for one that the broker would refuse, and with it the whole turn."""
        data = self._encoders[topic](value)
        if len(data) > self._max_bytes or (key is not None and len(key) > MAX_KEY_LENGTH):
            self._check_size(topic, key, data)
        return data

    def _check_size(self, topic: str, key: str | None, data: bytes) -> None:
        if len(data) > self._max_bytes:
            raise ValueError(f"output for {topic} is {len(data)} bytes, more than {self._max_bytes}")
        if key is not None and len(key) > MAX_KEY_LENGTH:
            raise ValueError(f"the key of an output for {topic} is {len(key)} long, more than {MAX_KEY_LENGTH}")

    def refuse(self, reason: str, stage: str = "contract") -> None:
        """Send the record in hand to dead-letters with its position and ``reason`` (one line); go on with the next."""
        self._refuse(reason, stage)


def _closed(*_: Any) -> None:
    raise EngineError("a context is only usable while its task folds a record")
