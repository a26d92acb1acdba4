"""One partition of one agent: folds its records, keeps its tables, timers and position.

The steps of a turn (poll, fold, collect, commit, persist) are driven from outside; a task does not know whether the
transaction is Kafka's or the in-process runner's. After ``fold`` the caller commits ``changes`` together with what went
through the sink, then calls ``committed`` - or ``rolled_back``, after which nothing of the turn is left.

The position travels with the state: a marker row per source topic, in the changelog and in the store, holds the next
offset and the stream time. So a state always knows how far it has come, whatever the group's committed offsets say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from streams.engine.agent import Agent, Clock, Codecs, TableSpec
from streams.engine.codec.errors import DecodeError, RegistryError
from streams.engine.context import Context, RecordLike, Sink
from streams.engine.dead_letters import CONTRACT, DEAD_LETTERS, DECODE, RULE, TIMERS, dead_letter
from streams.engine.errors import EngineError
from streams.engine.record import timer_record
from streams.engine.store import Change, Store
from streams.engine.table import KEPT_ROWS, MAX_VALUE_BYTES, Table, after
from streams.engine.timers import NEVER, Timers

MARK: Final = b"\0mark\0"
"""Prefix of marker rows; then the source topic. Value: next offset and stream time in ms."""
POSITION: Final = b"\0position"
"""Next changelog offset of the local store and when it was written (wall clock ms); never in the changelog."""

_pair = struct.Struct(">qq")

OnOutcome = Callable[[str, bool], None]
"""(source topic or `TIMERS`, failed by rule): a record or timer of an isolated run is done; may raise SourceStopped."""


class Task:
    """See the module. ``fatal`` are exception types of the transport, which are never blamed on a record. ``scope``:
    what its rows begin with in a store that it shares."""

    def __init__(
        self,
        agent: Agent,
        partition: int,
        store: Store,
        codecs: Codecs,
        *,
        kept_rows: int = KEPT_ROWS,
        fatal: tuple[type[BaseException], ...] = (),
        on_outcome: OnOutcome | None = None,
        max_value_bytes: int = MAX_VALUE_BYTES,
        scope: bytes = b"",
    ) -> None:
        if agent._fold is None:
            raise EngineError(f"agent {agent.name} has no fold")
        self.agent = agent
        self.partition = partition
        self.store = store
        self._scope, self._mark = scope, scope + MARK
        self.tables = {spec: Table(spec, store, kept_rows, max_value_bytes, scope) for spec in agent.tables.values()}
        self.timers = Timers(store, scope)
        self.ctx = Context(agent.name, partition, self.tables, self.timers)
        self.ctx._encoders = {topic: codecs.encoder(topic) for topic in (*agent.writes, DEAD_LETTERS)}
        options: dict[str, Any] = {"drop_nulls": True} if agent.sparse else {}
        self._decoders = {topic: codecs.decoder(topic, **options) for topic in agent.sources}
        self._all = (*self.tables.values(), self.timers.by_due, self.timers.by_key)
        self._fold = agent._fold
        self._time_of = agent._time_of
        self._fatal: tuple[type[BaseException], ...] = (EngineError, RegistryError, *fatal)
        self._on_outcome = on_outcome
        self.ctx._max_bytes = max_value_bytes
        self._sink: Sink = self.ctx._sink
        self._wall: int | None = None
        self.dead = {DECODE: 0, CONTRACT: 0, RULE: 0}
        """Dead letters of the turn in hand, by stage."""
        self.starting = agent._on_start is not None
        """Its first turn is still to come; it needs no records."""
        self._started = False
        self.next: dict[str, int] = {}
        self.may_fire: int = NEVER
        """Timers that may still fire in the turn in hand."""
        self.stream_time = 0
        self._reached = 0
        """Clock.EVENTS: how far time had come at the wall clock's ``_reached_at``, when the last turn ended."""
        self._reached_at: int | None = None
        self._load_position()

    # -- position ---------------------------------------------------------------------------------------------------

    def _load_position(self) -> None:
        for topic in self.agent.sources:
            row = self.store.get(self._mark + topic.encode())
            if row is not None:
                offset, time = _pair.unpack(row)
                self.next[topic] = offset
                self.stream_time = max(self.stream_time, time)
        self._durable = dict(self.next), self.stream_time

    def start_at(self, topic: str, offset: int) -> None:
        """Set where a source is read from when no marker says so (an agent without tables, a first start)."""
        self.next[topic] = offset
        self._durable = dict(self.next), self.stream_time

    @property
    def tasks(self) -> Sequence[Task]:
        """Itself: a `JointTask` has several."""
        return (self,)

    # -- fold -------------------------------------------------------------------------------------------------------

    def time_of(self, topic: str, record: RecordLike) -> int:
        """The event time of a record; 0 where it has none. Raises what its codec or the agent raises."""
        return self._time_of(self._decoders[topic](record.value() or b"")) if self._time_of else 0

    def is_due(self, wall: int) -> bool:
        """Whether a turn is wanted at ``wall``, ms, even without records."""
        return self.starting or self.timers.next_due <= self.clock(wall)

    def clock(self, wall: int) -> int:
        """The time of an idle task in a live worker at ``wall``, both ms."""
        if self.agent.clock is not Clock.EVENTS:
            return max(self.stream_time, wall)
        if self._reached_at is None:
            self._reached_at = wall
        return max(self._reached, self.stream_time) + max(0, wall - self._reached_at)

    def begin(
        self,
        sink: Sink,
        wall: int | None,
        received_at: int | None,
        live: bool = False,
        idle: bool = False,
        most: int = NEVER,
        partitions: Callable[[str], int] | None = None,
    ) -> None:
        """Start the task's part of a turn: outputs go to ``sink``; ``wall`` is the clock, ms (None: event time), which
        a ``live`` worker reads as the agent's `Clock` says. ``idle``: no records, only timers. ``most``: timers that
        may fire. ``partitions`` of a topic, see `Context`."""
        ctx = self.ctx
        ctx._partitions = partitions
        self.may_fire = most
        self._time_of = None if live and self.agent.clock is Clock.WALL else self.agent._time_of
        self._sink = ctx._sink = sink
        ctx._refuse = self._refuse
        self._wall = wall
        ctx.received_at = received_at
        if not live or wall is None:
            ctx.now = max(self.stream_time, wall or 0)
        elif idle or self.agent.clock is not Clock.EVENTS:
            ctx.now = self.clock(wall)
        else:
            ctx.now = max(self._reached, self.stream_time)
        self.dead = dict.fromkeys(self.dead, 0)

    def fire(self, limit: int | None = None) -> bool:
        """Fire timers due at or before ``limit`` (default: now), in the first turn after the agent's ``on_start``.
        False if they were too many for one turn."""
        if self.starting:
            self._start()
        return self._fire(self.ctx.now if limit is None else limit, self._fired)

    def _fire(self, limit: int, call: Callable[[str, str, int], None]) -> bool:
        timers, limit = self.timers, min(limit, NEVER - 1)
        if timers.next_due <= limit:
            self.may_fire -= timers.fire(limit, call, self.may_fire)
        return timers.next_due > limit

    def fold(self, topic: str, records: Sequence[RecordLike]) -> bool:
        """Fold records of one source in order. Anything a reducer raises passes through: roll back and isolate.

        False: it stopped before a record that more timers come before than may fire in one turn; ``next`` is there.
        """
        return self._moved(topic, records, self.fold_handed(topic, records))

    def fold_handed(self, topic: str, records: Sequence[RecordLike]) -> int:
        """The same for records that have no place in the topic, see `engine.handover`: how many were folded."""
        ctx, fold, time_of, timers = self.ctx, self._fold, self._time_of, self.timers
        decode, skips = self._decoders[topic], self.agent.skips
        for number, record in enumerate(records):
            value = record.value()
            if skips and value is not None and value.startswith(skips):
                continue
            ctx.record = record
            try:
                if value is None:
                    raise DecodeError("no value (a tombstone)")
                event = decode(value)
            except DecodeError as error:
                self._undecodable(record, str(error))
                continue
            if time_of is not None:
                time = time_of(event)
                if time > self.stream_time:
                    if time > ctx.now:
                        if timers.next_due <= time:
                            if not self.fire(time):
                                return number
                            ctx.record = record
                        ctx.now = time
                    self.stream_time = time
            fold(ctx, record.key(), event)
        return len(records)

    def _moved(self, topic: str, records: Sequence[RecordLike], folded: int) -> bool:
        """Note that so many of a source's records are folded; whether it was all of them."""
        if folded < len(records):
            self.next[topic] = records[folded].offset()
            return False
        if records:
            self.next[topic] = records[-1].offset() + 1
        return True

    def fold_isolated(self, topic: str, records: Sequence[RecordLike]) -> bool:
        """As `fold`, but what fails is set apart: each record is folded on its own and kept whole or not at all."""
        return self._moved(topic, records, self.fold_handed_isolated(topic, records))

    def fold_handed_isolated(self, topic: str, records: Sequence[RecordLike]) -> int:
        """As `fold_handed`, each record on its own."""
        for number, record in enumerate(records):
            if not self._fire_before(topic, record):
                return number
            failure = self._alone(partial(self.fold_handed, topic, (record,)))
            if failure is not None:
                self._bury(record, failure, RULE)
            if self._on_outcome is not None:
                self._on_outcome(topic, failure is not None)
        return len(records)

    def fire_isolated(self, limit: int | None = None) -> bool:
        """Fire what is due, each timer on its own; one that fails is dropped with a dead letter. False as in `fire`."""
        original = self._fired
        if self.starting and (failure := self._alone(self._start)) is not None:
            self.starting = False
            self._bury(timer_record(self.agent.name, "start", "", self.ctx.now, self.partition), failure, RULE)

        def alone(kind: str, key: str, due: int) -> None:
            failure = self._alone(lambda: original(kind, key, due))
            if failure is not None:
                self._bury(timer_record(self.agent.name, kind, key, due, self.partition), failure, RULE)
            if self._on_outcome is not None:
                self._on_outcome(TIMERS, failure is not None)

        return self._fire(self.ctx.now if limit is None else limit, alone)

    def _fire_before(self, topic: str, record: RecordLike) -> bool:
        """Timers due by the record's time, on their own, so that a failing timer is not blamed on the record."""
        if self.agent.skips and (record.value() or b"").startswith(self.agent.skips):
            return True  # its time does not count
        try:
            time = self.time_of(topic, record)
        except Exception:  # the fold of the record itself will say so
            return True
        return time <= self.ctx.now or self.fire_isolated(time)

    def collect(self) -> None:
        """Send what ``emit_latest`` held back."""
        ctx = self.ctx
        if ctx._latest:
            sink = self._sink
            for (topic, key), value in ctx._latest.items():
                if type(value) is not bytes:
                    value = ctx.encoded(topic, key, value() if callable(value) else value)
                sink(topic, value, key)
            ctx._latest.clear()

    def _start(self) -> None:
        self.starting = False
        self.ctx.record = timer_record(self.agent.name, "start", "", self.ctx.now, self.partition)
        assert self.agent._on_start is not None
        self.agent._on_start(self.ctx)

    def _fired(self, kind: str, key: str, due: int) -> None:
        ctx = self.ctx
        if due > ctx.now:
            ctx.now = due
        ctx.record = timer_record(self.agent.name, kind, key, due, self.partition)
        if self.agent._on_timer is None:
            raise EngineError(f"agent {self.agent.name} sets timers but has no on_timer")
        self.agent._on_timer(ctx, kind, key, due)

    def _alone(self, step: Callable[[], object]) -> Exception | None:
        """Run one step in layers of its own; keep all it did, or drop all of it and answer why."""
        ctx, sink, latest = self.ctx, self._sink, self.ctx._latest
        held: list[tuple[str, bytes | None, bytes | None]] = []
        dead = dict(self.dead)
        time, now = self.stream_time, ctx.now
        self._sink = ctx._sink = lambda topic, value, key: held.append((topic, value, _key(key)))
        ctx._latest = {}
        for table in self._all:
            table.begin_record()
        try:
            step()
            for (topic, key), value in ctx._latest.items():
                _key(key)
                ctx._latest[topic, key] = ctx.encoded(topic, key, value() if callable(value) else value)
            for table in self._all:
                table.seal_record()
            _pair.pack(0, self.stream_time)  # a time that is none would keep every later turn from its marker
        except self._fatal:
            raise
        except Exception as error:
            for table in self._all:
                table.drop_record()
            ctx._latest = latest
            ctx.memo.clear()
            self.dead = dead
            self.stream_time, ctx.now = time, now
            return error
        finally:
            self._sink = ctx._sink = sink
        for table in self._all:
            table.keep_record()
        for topic, data, name in held:
            sink(topic, data, name)
        for slot, data in ctx._latest.items():
            latest.pop(slot, None)
            latest[slot] = data
        ctx._latest = latest
        return None

    # -- dead letters -----------------------------------------------------------------------------------------------

    def _undecodable(self, record: RecordLike, error: str) -> None:
        self._bury(record, error, DECODE)
        if self.agent._on_undecodable is not None:
            self.agent._on_undecodable(self.ctx, record.key(), record.value() or b"", error)

    def _refuse(self, reason: str, stage: str) -> None:
        assert self.ctx.record is not None
        self._bury(self.ctx.record, reason, stage)

    def _bury(self, record: RecordLike, error: str | Exception, stage: str) -> None:
        self.dead[stage] = self.dead.get(stage, 0) + 1
        at = self.ctx.now if self._wall is None else self._wall
        value = dead_letter(record, error, stage, self.agent.name, at)
        self._sink(DEAD_LETTERS, self.ctx._encoders[DEAD_LETTERS](value), record.topic())

    # -- reading from outside ---------------------------------------------------------------------------------------

    def peek(self, spec: TableSpec, prefix: str) -> list[tuple[str, Any]]:
        """Committed rows whose key begins with ``prefix``; safe from another thread while the task folds."""
        low = self._scope + spec.name.encode() + b"\0"
        cut, start = len(low), low + prefix.encode()
        return [(key[cut:].decode(), spec.decode(data)) for key, data in self.store.range(start, after(start))]

    # -- the end of the turn ----------------------------------------------------------------------------------------

    def changes(self) -> list[Change]:
        """Rows to write to changelog and store, markers last; empty for an agent without state."""
        if not self.agent.stateful:
            return []
        out: list[Change] = []
        for table in self._all:
            if table._batch:
                out += table.changes()
        for topic in self.agent.sources:
            if topic in self.next:
                out.append((self._mark + topic.encode(), _pair.pack(self.next[topic], self.stream_time)))
        return out

    def committed(self) -> None:
        """The turn is durable."""
        for table in self._all:
            table.committed()
        self.timers.release()
        self._durable = dict(self.next), self.stream_time
        self._started = True
        self._reached, self._reached_at = self.ctx.now, self._wall

    def rolled_back(self) -> None:
        """The turn is void."""
        for table in self._all:
            table.rolled_back()
        self.ctx._latest.clear()
        self.ctx.memo.clear()
        next_offsets, self.stream_time = self._durable
        self.next = dict(next_offsets)
        self.starting = not self._started and self.agent._on_start is not None
        self.timers.refresh()

    def close(self) -> None:
        self.timers.release()
        self.store.close()


def _key(key: str | bytes | None) -> bytes | None:
    return key if key is None or isinstance(key, bytes) else key.encode()
