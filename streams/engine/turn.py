"""One turn of one agent: poll, fold, collect, commit, persist.

    1. poll      the caller brings a batch of records, grouped by task and source
    2. fold      each task folds its records in order over its read-your-writes tables
    3. collect   outputs, changelog rows and position markers go into one transaction
    4. commit    the source offsets join the transaction and it commits
    5. persist   one atomic write per task puts rows and changelog position into the local store

If it dies before 4, nothing happened: the transaction aborts and the store was not touched. If it dies after 4, the
outputs, the changelog and the offsets are there; the store catches up from the changelog by its stored position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, Protocol

from streams.engine.agent import Agent
from streams.engine.codec.errors import RegistryError
from streams.engine.context import RecordLike, Sink
from streams.engine.errors import EngineError, InfrastructureError
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
    """One transactional producer. All of a turn goes through it or none."""

    fatal: tuple[type[BaseException], ...]

    def begin(self) -> None: ...

    @property
    def sink(self) -> Sink: ...

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        ...

    def changelog(self, partition: int, changes: Sequence[Change]) -> None:
        """Send the rows to the agent's changelog partition and note the position after the last one."""
        ...

    def commit(
        self, offsets: Mapping[tuple[str, int], int], meanwhile: Callable[[], None] | None = None
    ) -> Mapping[int, int]:
        """Commit with the sources' next offsets; answers the next changelog offset by partition. ``meanwhile`` is
        called once while the transport is at it."""
        ...

    def abort(self) -> None: ...


@dataclass(slots=True)
class Report:
    """What a turn did, for metrics: seconds by step, records, dead letters by stage, whether it ran isolated,
    timers fired.

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


class Turn:
    """Runs turns of one agent over one transaction.

    ``wall()`` is the clock in ms: a live worker's, a replay's event time, or None. ``received_at`` is when records came
    in, ms, or what says so: None in a live worker means now.
    """

    def __init__(
        self,
        agent: Agent,
        transaction: Transaction,
        wall: Callable[[], int | None],
        *,
        live: bool = True,
        received_at: int | Callable[[], int | None] | None = None,
        at_step: Callable[[str], None] | None = None,
        most_fired: int = MOST_FIRED,
    ) -> None:
        self.agent = agent
        self._most_fired = most_fired
        self.transaction = transaction
        self._wall = wall
        self._live = live
        self._received_at = received_at if callable(received_at) else lambda: received_at
        self._at_step = at_step
        self._fatal: tuple[type[BaseException], ...] = (EngineError, RegistryError, *transaction.fatal)

    def run(self, batch: Batch) -> Report:
        """Fold and commit the batch. A record that fails is isolated and buried; any other error leaves no trace."""
        try:
            return self._attempt(batch, isolated=False)
        except self._fatal:
            self._undo(batch)
            raise
        except Exception:  # a reducer failed: which record it was, the isolated run finds out
            self._undo(batch)
        try:
            return self._attempt(batch, isolated=True)
        except BaseException:
            self._undo(batch)
            raise

    def _attempt(self, batch: Batch, isolated: bool) -> Report:
        report = Report(records=batch.records, isolated=isolated)
        seconds = report.seconds
        transaction, wall = self.transaction, self._wall()
        started = perf_counter()
        folding = 0.0
        self._step("fold")
        transaction.begin()
        sink = transaction.sink
        offsets: dict[tuple[str, int], int] = {}
        written: list[tuple[AnyTask, list[Change]]] = []
        # A task's rows go out before the next task folds: they are on their way while that one uses the CPU.
        for task, sources in batch.parts:
            clock = perf_counter()
            most = self._most_fired - report.timers
            received_at = wall if self._live else self._received_at()
            task.begin(sink, wall, received_at, self._live, not sources, most, transaction.partitions)
            left, all_fired = _fold(task, sources, isolated)
            report.timers += most - task.may_fire
            report.more |= not all_fired
            if left:
                report.left.append((task, left))
                report.records -= sum(map(len, left.values()))
            folding += perf_counter() - clock
            task.collect()
            changes = task.changes()
            if changes:
                transaction.changelog(task.partition, changes)
                written.append((task, changes))
            # Without records too (timers only): it is the offsets that carry the group's generation, and so the fence.
            for topic in sources or task.next:
                offsets[topic, task.partition] = task.next[topic]
        self._step("collect")
        seconds["fold"] = folding
        seconds["collect"] = perf_counter() - started - folding
        clock = perf_counter()
        self._step("commit")
        prepared: list[Any] = []
        try:
            positions = transaction.commit(
                offsets, lambda: prepared.extend(task.store.prepare(changes) for task, changes in written)
            )
            seconds["commit"] = perf_counter() - clock
            clock = perf_counter()
            self._step("persist")
            for (task, changes), ready in zip(written, prepared, strict=True):
                self._persist(task, changes, ready, positions, wall or 0)
        except self._fatal:
            raise
        except Exception as error:
            # The turn may be committed, and must never be folded again: stop, and catch up from the changelog.
            why = f"{type(error).__name__}: {error}"
            raise InfrastructureError(f"agent {self.agent.name}: cannot store a committed turn: {why}") from error
        for task, _ in batch.parts:
            task.committed()
            for stage, count in task.dead.items():
                report.dead[stage] = report.dead.get(stage, 0) + count
        seconds["persist"] = perf_counter() - clock
        self._step("done")
        return report

    def _persist(
        self, task: AnyTask, changes: list[Change], prepared: Any, positions: Mapping[int, int], wall: int
    ) -> None:
        position = (POSITION, _pair.pack(positions[task.partition], wall))
        if prepared is None:
            task.store.write([*changes, position])
        else:
            task.store.write([position], prepared)

    def _undo(self, batch: Batch) -> None:
        for task, _ in batch.parts:
            task.rolled_back()
        self.transaction.abort()

    def _step(self, name: str) -> None:
        if self._at_step is not None:
            self._at_step(name)


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
