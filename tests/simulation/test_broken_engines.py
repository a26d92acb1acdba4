"""A proof that cannot fail proves nothing: the simulation must notice each of these deliberately broken engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from streams.engine import local, table, task, timers, turn
from streams.engine.agent import changelog_topic
from streams.engine.align import Place
from streams.engine.joint import AnyTask
from streams.engine.store import Change
from tests.simulation import test_simulation
from tests.simulation.schedule import Mismatch, UnloggedStore

ENOUGH = 400
"""Schedules within which every one of them must be caught; most are within the first few."""

Break = Callable[[pytest.MonkeyPatch], None]
BROKEN: dict[str, Break] = {}


def broken(function: Break) -> Break:
    BROKEN[function.__name__.replace("_", " ")] = function
    return function


@broken
def persists_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    changes = task.Task.changes

    def early(self: task.Task) -> list[Change]:
        rows = changes(self)
        self.store.write(rows)
        return rows

    patch.setattr(task.Task, "changes", early)


@broken
def never_persists_but_notes_the_position(patch: pytest.MonkeyPatch) -> None:
    persist = turn._persist

    def only_position(place: task.Task, changes: list[Change], *rest: Any) -> None:
        persist(place, [], *rest)

    patch.setattr(turn, "_persist", only_position)


@broken
def ignores_the_marker(patch: pytest.MonkeyPatch) -> None:
    def nothing(self: task.Task) -> None:
        self._durable = {}, 0

    patch.setattr(task.Task, "_load_position", nothing)


@broken
def forgets_the_stream_time(patch: pytest.MonkeyPatch) -> None:
    load = task.Task._load_position

    def without_time(self: task.Task) -> None:
        load(self)
        self.stream_time = 0
        self._durable = dict(self.next), 0

    # Only where the clock does not hide it: the runner's time is kept from following either.
    patch.setattr(task.Task, "_load_position", without_time)
    patch.setattr(local.LocalRunner, "_fire_next", _by_stream_time(local.LocalRunner._fire_next))


def _by_stream_time(fire: Callable[[Any, int], bool]) -> Callable[[Any, int], bool]:
    def fire_next(self: local.LocalRunner, until: int) -> bool:
        self.time = max((place.stream_time for place in self._tasks.values()), default=0)
        return fire(self, until)

    return fire_next


@broken
def commits_no_offsets_where_only_timers_fired(patch: pytest.MonkeyPatch) -> None:
    commit = local.LocalTransaction.commit

    def without(self: local.LocalTransaction, offsets: Mapping[Place, int], *rest: Any) -> Mapping[Place, int]:
        before = {task.partition: task.tasks[0]._durable[0] for task in self._runner._running}
        moved = any(offset != before[partition].get(topic) for (topic, partition), offset in offsets.items())
        return commit(self, offsets if moved else {}, *rest)

    patch.setattr(local.LocalTransaction, "commit", without)


@broken
def sends_outputs_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    def sink(self: local.LocalTransaction) -> Any:
        def send(topic: str, value: bytes | None, key: str | bytes | None) -> None:
            runner = self._runner
            runner._appended(runner.log.append(topic, key.encode() if isinstance(key, str) else key, value))

        return send

    patch.setattr(local.LocalTransaction, "sink", property(sink))


@broken
def leaves_outputs_out_of_the_next_transaction_s_abort(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(local.LocalTransaction, "begin", lambda self: None)
    patch.setattr(local.LocalTransaction, "abort", lambda self: None)


@broken
def keeps_rows_of_an_aborted_turn(patch: pytest.MonkeyPatch) -> None:
    def only_the_batch(self: table.Table) -> None:
        self._batch.clear()
        self._record = None

    patch.setattr(table.Table, "rolled_back", only_the_batch)


@broken
def keeps_the_batch_of_an_aborted_turn(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(table.Table, "rolled_back", lambda self: None)


@broken
def keeps_what_a_failing_record_wrote(patch: pytest.MonkeyPatch) -> None:
    def keep(self: table.Table) -> None:
        self.seal_record()
        self.keep_record()

    patch.setattr(table.Table, "drop_record", keep)


@broken
def keeps_latest_outputs_of_an_aborted_turn(patch: pytest.MonkeyPatch) -> None:
    rolled_back = task.Task.rolled_back

    def without_latest(self: task.Task) -> None:
        held = dict(self.ctx._latest)
        rolled_back(self)
        self.ctx._latest.update(held)

    patch.setattr(task.Task, "rolled_back", without_latest)


@broken
def drops_a_failing_record_without_a_dead_letter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(task.Task, "_bury", lambda self, *rest: None)


@broken
def does_not_go_back_after_an_abort(patch: pytest.MonkeyPatch) -> None:
    rolled_back = task.Task.rolled_back

    def stay(self: task.Task) -> None:
        position = dict(self.next)
        rolled_back(self)
        self.next = position

    patch.setattr(task.Task, "rolled_back", stay)


@broken
def restores_all_but_the_last_row(patch: pytest.MonkeyPatch) -> None:
    opened = local.LocalRunner._open

    def all_but_one(self: local.LocalRunner, index: int, partition: int) -> AnyTask:
        rows = self.log.partition(changelog_topic(self.agents[index]), partition)
        hidden = rows.pop() if rows else None
        try:
            return opened(self, index, partition)
        finally:
            if hidden is not None:
                rows.append(hidden)

    patch.setattr(local.LocalRunner, "_open", all_but_one)


@broken
def does_not_restore_deletions(patch: pytest.MonkeyPatch) -> None:
    write = UnloggedStore.write

    def without(self: UnloggedStore, changes: Iterable[Change], prepared: None = None) -> None:
        write(self, [(key, value) for key, value in changes if value is not None or not _restoring])

    opened = local.LocalRunner._open
    _restoring: list[bool] = []

    def opening(self: local.LocalRunner, index: int, partition: int) -> AnyTask:
        _restoring.append(True)
        try:
            return opened(self, index, partition)
        finally:
            _restoring.pop()

    patch.setattr(UnloggedStore, "write", without)
    patch.setattr(local.LocalRunner, "_open", opening)


@broken
def takes_up_an_old_store_as_if_it_were_new(patch: pytest.MonkeyPatch) -> None:
    opened = local.LocalRunner._open

    def without_changelog(self: local.LocalRunner, index: int, partition: int) -> AnyTask:
        store = self._stores.get((self.agents[index].name, partition, self._owner[partition]))
        log = self.log.topics.get(changelog_topic(self.agents[index]))
        if store is None or log is None:
            return opened(self, index, partition)
        rows, log[partition] = log[partition], []
        try:
            return opened(self, index, partition)
        finally:
            log[partition] = rows

    patch.setattr(local.LocalRunner, "_open", without_changelog)


@broken
def forgets_timers_on_a_restart(patch: pytest.MonkeyPatch) -> None:
    refresh = timers.Timers.refresh
    start = timers.Timers.__init__

    def starting(self: timers.Timers, store: Any) -> None:
        start(self, store)
        self.next_due = timers.NEVER

    patch.setattr(timers.Timers, "__init__", starting)
    patch.setattr(timers.Timers, "refresh", lambda self: refresh(self) if self.next_due != timers.NEVER else None)


@broken
def fires_cancelled_timers(patch: pytest.MonkeyPatch) -> None:
    cancel = timers.Timers.cancel

    def sometimes(self: timers.Timers, kind: str, key: str) -> None:
        if self.by_due._record is None:  # in a common run only
            cancel(self, kind, key)

    patch.setattr(timers.Timers, "cancel", sometimes)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_engine_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(ENOUGH):  # what should be comes from the sound engine
        test_simulation.unbroken(seed % test_simulation.STORIES, *_batch(seed))
    BROKEN[name](monkeypatch)
    with pytest.raises(Mismatch, match="SIMULATION_SEED="):
        _run_all()


def _run_all() -> None:
    for seed in range(ENOUGH):
        test_simulation.run(seed)


def _batch(seed: int) -> tuple[int, bool]:
    plan, _ = test_simulation.plan_of(seed)
    return plan.batch, plan.shuffled


def test_the_sound_engine_is_not_accused() -> None:
    for seed in range(50):
        test_simulation.run(seed)
