"""The tasks of a joined agent's parts over one partition, as one task: what one of them is to its turn.

Each part folds on its own, with its own tables, timers, time and outputs, so it gives what it would give alone; the
store, the changelog rows and the position travel together. A part may stand behind the others (more of its timers were
due than fire in one turn): the whole stands where the last of them does, and what the others know they pass over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from streams.engine.agent import Agent, Codecs
from streams.engine.context import RecordLike, Sink
from streams.engine.dead_letters import TIMERS
from streams.engine.store import Change, Store
from streams.engine.task import OnOutcome, Task
from streams.engine.timers import NEVER


class SharedCodecs:
    """The codecs of the parts: what one of them decoded is there for the next, until it is forgotten. Reducers never
    change an event. In an isolated run each part decodes for itself: one that fails may have broken that promise."""

    def __init__(self, codecs: Codecs) -> None:
        self.encoder = codecs.encoder
        self.alone = False
        self._codecs = codecs
        self._events: dict[bytes, Any] = {}

    def decoder(self, topic: str) -> Callable[[bytes], Any]:
        decode, events = self._codecs.decoder(topic), self._events

        def shared(data: bytes) -> Any:
            if self.alone:
                return decode(data)
            event = events.get(data)
            if event is None:
                event = events[data] = decode(data)
            return event

        return shared

    def forget(self) -> None:
        self._events.clear()


class JointTimers:
    """When the next timer of any part is due."""

    def __init__(self, parts: Sequence[Task]) -> None:
        self._timers = [part.timers for part in parts]

    @property
    def next_due(self) -> int:
        return min(timers.next_due for timers in self._timers)

    def refresh(self) -> None:
        for timers in self._timers:
            timers.refresh()


class JointTask:
    """See the module; the same methods as a `Task`."""

    def __init__(
        self,
        agent: Agent,
        partition: int,
        store: Store,
        codecs: Codecs,
        *,
        on_outcome: OnOutcome | None = None,
        **options: Any,
    ) -> None:
        self.agent = agent
        self.partition = partition
        self.store = store
        self.may_fire: int = NEVER
        self._codecs = SharedCodecs(codecs)
        self._on_outcome = on_outcome
        self._heard: list[bool] = []
        self.tasks: Sequence[Task] = [
            Task(part, partition, store, self._codecs, on_outcome=self._hear, scope=scope, **options)
            for part, scope in zip(agent.parts, scopes(agent), strict=True)
        ]
        self.timers = JointTimers(self.tasks)

    @property
    def next(self) -> dict[str, int]:
        """Where the last of the parts stands, by topic that all of them have begun."""
        return {
            topic: min(part.next[topic] for part in self.tasks)
            for topic in self.agent.sources
            if all(topic in part.next for part in self.tasks)
        }

    @property
    def stream_time(self) -> int:
        return max(part.stream_time for part in self.tasks)

    @property
    def starting(self) -> bool:
        return any(part.starting for part in self.tasks)

    @property
    def dead(self) -> dict[str, int]:
        out: dict[str, int] = {}
        for part in self.tasks:
            for stage, count in part.dead.items():
                out[stage] = out.get(stage, 0) + count
        return out

    def start_at(self, topic: str, offset: int) -> None:
        for part in self.tasks:
            if topic not in part.next:
                part.start_at(topic, offset)

    def is_due(self, wall: int) -> bool:
        return any(part.is_due(wall) for part in self.tasks)

    def time_of(self, topic: str, record: RecordLike) -> int:
        return self.tasks[0].time_of(topic, record)

    # -- the turn ---------------------------------------------------------------------------------------------------

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
        self.may_fire = most
        for part in self.tasks:
            part.begin(sink, wall, received_at, live, idle, most, partitions)

    def fire(self, limit: int | None = None) -> bool:
        return self._all((part, partial(part.fire, limit)) for part in self.tasks)

    def fire_isolated(self, limit: int | None = None) -> bool:
        return self._all((part, partial(part.fire_isolated, limit)) for part in self.tasks)

    def fold(self, topic: str, records: Sequence[RecordLike]) -> bool:
        try:
            return self._all((part, partial(part.fold, topic, rest)) for part, rest in self._new(topic, records))
        finally:
            self._codecs.forget()

    def fold_isolated(self, topic: str, records: Sequence[RecordLike]) -> bool:
        failed: dict[int, bool] = {}
        complete = self._codecs.alone = True
        try:
            for part, rest in self._new(topic, records):
                self._heard = []
                complete &= self._all([(part, partial(part.fold_isolated, topic, rest))])
                for record, bad in zip(rest, self._heard, strict=False):
                    failed[record.offset()] = bad or failed.get(record.offset(), False)
        finally:
            self._codecs.alone = False
        if self._on_outcome is not None:
            for offset in sorted(failed):
                self._on_outcome(topic, failed[offset])
        return complete

    def _new(self, topic: str, records: Sequence[RecordLike]) -> Iterator[tuple[Task, Sequence[RecordLike]]]:
        """Each part with those of the records that it does not know yet, if there are any."""
        for part in self.tasks:
            known = part.next.get(topic, 0)
            rest = records
            if records and records[0].offset() < known:
                rest = [record for record in records if record.offset() >= known]
            if rest:
                yield part, rest

    def _all(self, steps: Iterable[tuple[Task, Callable[[], bool]]]) -> bool:
        """A step of each part, with what the turn has left of timers to fire; whether all were done to their end."""
        complete = True
        for part, step in steps:
            part.may_fire = self.may_fire
            complete &= step()
            self.may_fire = part.may_fire
        return complete

    def _hear(self, topic: str, failed: bool) -> None:
        """A part's outcome: of a record only all of them together say it, a timer is of one part."""
        if topic != TIMERS:
            self._heard.append(failed)
        elif self._on_outcome is not None:
            self._on_outcome(topic, failed)

    def collect(self) -> None:
        for part in self.tasks:
            part.collect()

    def changes(self) -> list[Change]:
        return [change for part in self.tasks for change in part.changes()]

    def committed(self) -> None:
        for part in self.tasks:
            part.committed()

    def rolled_back(self) -> None:
        for part in self.tasks:
            part.rolled_back()

    def close(self) -> None:
        for part in self.tasks:
            part.timers.release()
        self.store.close()


AnyTask = Task | JointTask


def task_of(agent: Agent, partition: int, store: Store, codecs: Codecs, **options: Any) -> AnyTask:
    """The task of an agent over one partition; options as `Task` has them."""
    return (JointTask if agent.parts else Task)(agent, partition, store, codecs, **options)


def scopes(agent: Agent) -> list[bytes]:
    """What the rows of each part begin with in the store and the changelog; of an agent by itself, nothing."""
    return [f"{part.name}\0".encode() for part in agent.parts] or [b""]
