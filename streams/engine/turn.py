"""One turn of one agent: poll, fold, collect, commit, persist.

    1. poll      the caller brings a batch of records, grouped by task and source
    2. fold      each task folds its records in order over its read-your-writes tables
    3. collect   outputs, changelog rows and position markers go into one transaction
    4. commit    the source offsets join the transaction and it commits
    5. persist   one atomic write per task puts rows and changelog position into the local store

The agents of a chain have their turn together: between 2 and 3 records go from one to the next (`engine.handover`).

If it dies before 4, nothing happened: the transaction aborts and the store was not touched. If it dies after 4, the
outputs, the changelog and the offsets are there; the store catches up from the changelog by its stored position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, Protocol

from streams.engine.agent import changelog_topic
from streams.engine.align import Place
from streams.engine.codec.errors import RegistryError
from streams.engine.context import Header, RecordLike, Sink
from streams.engine.errors import EngineError, InfrastructureError
from streams.engine.handover import Handover
from streams.engine.joint import AnyTask
from streams.engine.store import Change
from streams.engine.task import POSITION, _pair

STEPS: Final = ("fold", "collect", "commit", "persist")
MOST_FIRED: Final = 2_000
"""Timers of one turn. After a night without a worker a million may be due: one transaction would run out of time over
them, and no other partition's events would be dealt with meanwhile."""

Part = tuple[AnyTask, Mapping[str, Sequence[RecordLike]]]


@dataclass(slots=True)
class Batch:
    """Records by task and source topic; a task without records only fires its timers."""

    parts: list[Part] = field(default_factory=list)
    records: int = 0


class Transaction(Protocol):
    """One transactional producer. All of a turn goes through it or none. ``ends``: after the commit, where what was
    forwarded without a header ended, by place."""

    fatal: tuple[type[BaseException], ...]
    ends: dict[Place, int]

    def begin(self) -> None: ...

    @property
    def sink(self) -> Sink: ...

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        ...

    def place(self, topic: str, key: bytes) -> int: ...

    def forward(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, header: Header | None = None
    ) -> None: ...

    def changelog(self, topic: str, partition: int, changes: Sequence[Change]) -> None:
        """Send the rows to a changelog partition and note the position after the last one."""
        ...

    def commit(self, offsets: Mapping[Place, int], meanwhile: Callable[[], None] | None = None) -> Mapping[Place, int]:
        """Commit with the sources' next offsets; answers the next offset by changelog partition. ``meanwhile`` is
        called once while the transport is at it."""
        ...

    def abort(self) -> None: ...


@dataclass(slots=True)
class Share:
    """Of one agent of a chain in a turn: records folded, its own and those handed to it, timers fired, and the seconds
    of both."""

    records: int = 0
    timers: int = 0
    seconds: float = 0.0
    dead: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """What a turn did, for metrics: seconds by step, records, dead letters by stage, whether it ran isolated,
    timers fired; in a chain, `Share` by agent, and how many records were handed to an agent by (agent, topic).

    ``left``: records that it did not come to, since more timers were due before them than one turn fires; ``more``:
    such timers are still due.
    """

    records: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    isolated: bool = False
    timers: int = 0
    left: list[Part] = field(default_factory=list)
    more: bool = False
    shares: dict[str, Share] = field(default_factory=dict)
    handed: dict[tuple[str, str], int] = field(default_factory=dict)


class Turn:
    """Runs turns of one agent, or of a chain, over one transaction. ``name``: whose.

    ``wall()`` is the clock in ms: a live worker's, a replay's event time, or None. ``received_at`` is when records came
    in, ms, or what says so: None in a live worker means now.
    """

    def __init__(
        self,
        name: str,
        transaction: Transaction,
        wall: Callable[[], int | None],
        *,
        live: bool = True,
        received_at: int | Callable[[], int | None] | None = None,
        at_step: Callable[[str], None] | None = None,
        most_fired: int = MOST_FIRED,
        handover: Handover | None = None,
    ) -> None:
        self._name = name
        self._most_fired = most_fired
        self.transaction = transaction
        self._wall = wall
        self._live = live
        self._received_at = received_at if callable(received_at) else lambda: received_at
        self._at_step = at_step
        self._handover = handover
        self._fatal: tuple[type[BaseException], ...] = (EngineError, RegistryError, *transaction.fatal)
        self._begun: dict[AnyTask, None] = {}
        self._offsets: dict[Place, int] = {}
        self._written: list[tuple[AnyTask, list[Change]]] = []

    def run(self, batch: Batch) -> Report:
        """Fold and commit the batch. A record that fails is isolated and buried; any other error leaves no trace."""
        try:
            return self._attempt(batch, isolated=False)
        except self._fatal:
            self._undo()
            raise
        except Exception:  # a reducer failed: which record it was, the isolated run finds out
            self._undo()
        try:
            return self._attempt(batch, isolated=True)
        except BaseException:
            self._undo()
            raise

    def _attempt(self, batch: Batch, isolated: bool) -> Report:
        report = Report(records=batch.records, isolated=isolated)
        seconds = report.seconds
        transaction, wall = self.transaction, self._wall()
        self._begun, self._offsets, self._written = {}, {}, []
        started = perf_counter()
        self._step("fold")
        transaction.begin()
        handover = self._handover
        sink = transaction.sink if handover is None else handover.begin(transaction, wall or 0)
        # A task's rows go out before the next task folds: they are on their way while that one uses the CPU.
        if handover is None:
            folding = 0.0
            for task, sources in batch.parts:
                folding += self._part(task, sources, sink, wall, report)
                self._collect(task, sources)
        else:
            folding = self._chained(batch, handover, sink, wall, report)
        self._step("collect")
        seconds["fold"] = folding
        seconds["collect"] = perf_counter() - started - folding
        clock = perf_counter()
        self._step("commit")
        prepared: list[Any] = []
        written = self._written
        try:
            positions = transaction.commit(
                self._offsets, lambda: prepared.extend(task.store.prepare(changes) for task, changes in written)
            )
            seconds["commit"] = perf_counter() - clock
            clock = perf_counter()
            self._step("persist")
            for (task, changes), ready in zip(written, prepared, strict=True):
                _persist(task, changes, ready, positions, wall or 0)
        except self._fatal:
            raise
        except Exception as error:
            # The turn may be committed, and must never be folded again: stop, and catch up from the changelog.
            why = f"{type(error).__name__}: {error}"
            raise InfrastructureError(f"agent {self._name}: cannot store a committed turn: {why}") from error
        for task in self._begun:
            task.committed()
            share = report.shares.get(task.agent.name)
            for stage, count in task.dead.items():
                report.dead[stage] = report.dead.get(stage, 0) + count
                if share is not None:
                    share.dead[stage] = share.dead.get(stage, 0) + count
        seconds["persist"] = perf_counter() - clock
        self._step("done")
        return report

    def _begin(self, task: AnyTask, sink: Sink, wall: int | None, idle: bool, report: Report) -> None:
        most = self._most_fired - report.timers
        received_at = wall if self._live else self._received_at()
        task.begin(sink, wall, received_at, self._live, idle, most, self.transaction.partitions)
        self._begun[task] = None

    def _part(
        self, task: AnyTask, sources: Mapping[str, Sequence[RecordLike]], sink: Sink, wall: int | None, report: Report
    ) -> float:
        """Fold a task's own records; the seconds it took."""
        clock = perf_counter()
        self._begin(task, sink, wall, not sources, report)
        most = task.may_fire
        left, all_fired = _fold(task, sources, report.isolated)
        fired = most - task.may_fire
        report.timers += fired
        report.more |= not all_fired
        behind = sum(map(len, left.values()))
        if left:
            report.left.append((task, left))
            report.records -= behind
        took = perf_counter() - clock
        if self._handover is not None:
            _count(report, task, sum(map(len, sources.values())) - behind, fired, took)
        return took

    def _chained(self, batch: Batch, handover: Handover, sink: Sink, wall: int | None, report: Report) -> float:
        """The batch of a chain; the seconds of its folds. What has timers only comes last: records that are handed to
        it may stop them, and for a clock of events it is not idle then."""
        folding = 0.0
        for with_records in (True, False):
            for task, sources in batch.parts:
                if bool(sources) is with_records and task not in self._begun:
                    folding += self._part(task, sources, sink, wall, report)
            folding += self._hand(handover, sink, wall, report)
        sources_of = dict(batch.parts)
        for task in self._begun:
            self._collect(task, sources_of.get(task, {}))
        handover.rest()
        return folding

    def _hand(self, handover: Handover, sink: Sink, wall: int | None, report: Report) -> float:
        """Fold what the agents of a chain have for each other, until nothing is left; the seconds it took."""
        began = perf_counter()
        while handed := handover.take():
            for task, topic, records in handed:
                clock = perf_counter()
                ready = all(task is not behind for behind, _ in report.left)
                if new := task not in self._begun:
                    self._begin(task, sink, wall, False, report)
                most = task.may_fire
                if new:
                    ready = task.fire_isolated() if report.isolated else task.fire()
                fold = task.fold_handed_isolated if report.isolated else task.fold_handed
                count = fold(topic, records) if ready else 0
                fired = most - task.may_fire
                report.timers += fired
                report.more |= count < len(records)
                report.handed[task.agent.name, topic] = report.handed.get((task.agent.name, topic), 0) + count
                handover.folded(task, topic, records, count)
                _count(report, task, count, fired, perf_counter() - clock)
        return perf_counter() - began

    def _collect(self, task: AnyTask, sources: Mapping[str, Sequence[RecordLike]]) -> None:
        task.collect()
        changes = task.changes()
        if changes:
            self.transaction.changelog(changelog_topic(task.agent), task.partition, changes)
            self._written.append((task, changes))
        # Without records too (timers, what was handed over): it is the offsets that carry the group's generation, and
        # so the fence.
        for topic in sources or task.next:
            self._offsets[topic, task.partition] = task.next[topic]

    def _undo(self) -> None:
        for task in self._begun:
            task.rolled_back()
        self.transaction.abort()

    def _step(self, name: str) -> None:
        if self._at_step is not None:
            self._at_step(name)


def _persist(task: AnyTask, changes: list[Change], prepared: Any, positions: Mapping[Place, int], wall: int) -> None:
    position = (POSITION, _pair.pack(positions[changelog_topic(task.agent), task.partition], wall))
    if prepared is None:
        task.store.write([*changes, position])
    else:
        task.store.write([position], prepared)


def _count(report: Report, task: AnyTask, records: int, timers: int, seconds: float) -> None:
    share = report.shares.setdefault(task.agent.name, Share())
    share.records += records
    share.timers += timers
    share.seconds += seconds


def _fold(
    task: AnyTask, sources: Mapping[str, Sequence[RecordLike]], isolated: bool
) -> tuple[Mapping[str, Sequence[RecordLike]], bool]:
    """Fire what is due, then fold the task's records, source by source. What is left of them, and whether all fired."""
    if not (task.fire_isolated() if isolated else task.fire()):
        return sources, False
    fold = task.fold_isolated if isolated else task.fold
    for number, (topic, records) in enumerate(sources.items()):
        if not fold(topic, records):
            rest = [record for record in records if record.offset() >= task.next[topic]]
            return {topic: rest, **dict([*sources.items()][number + 1 :])}, False
    return {}, True
