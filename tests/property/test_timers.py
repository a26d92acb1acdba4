"""Timers, against a dict of due times: order, what is set or cancelled meanwhile, and what a turn's end leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.engine.store import MemoryStore
from streams.engine.timers import NEVER, Timers

NAMES = st.tuples(st.sampled_from(["a", "b", "超时"]), st.sampled_from(["", "x", "y", "x\0y", "单"]))
TIMES = st.integers(0, 40)
MOST = st.just(NEVER) | st.integers(0, 4)
Name = tuple[str, str]


def order(row: tuple[int, Name]) -> tuple[int, bytes]:
    """By due time, then by the bytes of kind and key."""
    due, (kind, key) = row
    return due, f"{kind}\0{key}".encode()


class Action:
    """What the reducer does when a timer fires: set (with a due time) or cancel another one, and whether it fails."""

    def __init__(self, name: Name, due: int | None, fails: bool) -> None:
        self.name, self.due, self.fails = name, due, fails

    def __repr__(self) -> str:
        return f"{'fail after ' if self.fails else ''}{'cancel' if self.due is None else f'set {self.due}'} {self.name}"


ACTIONS = st.lists(st.none() | st.builds(Action, NAMES, st.none() | TIMES, st.booleans()), max_size=6)


class TimerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.timers = Timers(self.store)
        self.committed: dict[Name, int] = {}
        self.now: dict[Name, int] = {}

    @rule(name=NAMES, due=TIMES, told=st.booleans())
    def set(self, name: Name, due: int, told: bool) -> None:
        self.timers.set(*name, due, new=told and name not in self.now)
        self.now[name] = due

    @rule(name=NAMES)
    def cancel(self, name: Name) -> None:
        self.timers.cancel(*name)
        self.now.pop(name, None)

    @rule(name=NAMES)
    def due(self, name: Name) -> None:
        assert self.timers.due(*name) == self.now.get(name)

    @rule(limit=TIMES, actions=ACTIONS, most=MOST)
    def fire(self, limit: int, actions: list[Action | None], most: int) -> None:
        """A common run: whatever fires may set or cancel others."""
        good = [action for action in actions if action is None or not action.fails]
        self.check(limit, good, most, isolated=False)

    @rule(limit=TIMES, actions=ACTIONS, most=MOST)
    def fire_isolated(self, limit: int, actions: list[Action | None], most: int) -> None:
        """An isolated run: each timer in a layer of its own; what a failing one did is dropped, the timer is gone."""
        self.check(limit, actions, most, isolated=True)

    def check(self, limit: int, actions: list[Action | None], most: int, isolated: bool) -> None:
        fired: list[tuple[int, Name]] = []
        expected: list[tuple[int, Name]] = []
        todo = iter(actions)

        def call(kind: str, key: str, due: int) -> None:
            fired.append((due, (kind, key)))
            action = next(todo, None)
            if action is None:
                return
            tables = (self.timers.by_due, self.timers.by_key) if isolated else ()
            for table in tables:
                table.begin_record()
            if action.due is None:
                self.timers.cancel(*action.name)
            else:
                self.timers.set(*action.name, action.due)
            for table in tables:
                if action.fails:
                    table.drop_record()
                else:
                    table.seal_record()
                    table.keep_record()

        count = self.timers.fire(limit, call, most)
        again = iter(actions)
        while len(expected) < most and (due := [(at, name) for name, at in self.now.items() if at <= limit]):
            expected.append(first := min(due, key=order))
            del self.now[first[1]]
            action = next(again, None)
            if action is not None and not action.fails:
                if action.due is None:
                    self.now.pop(action.name, None)
                else:
                    self.now[action.name] = action.due
        assert fired == expected
        assert count == len(fired)
        assert self.timers.next_due == min(self.now.values(), default=NEVER), "exact after firing"

    @rule()
    def commit(self) -> None:
        for table in (self.timers.by_due, self.timers.by_key):
            self.store.write(table.changes())
            table.committed()
        self.committed = dict(self.now)

    @rule()
    def roll_back(self) -> None:
        for table in (self.timers.by_due, self.timers.by_key):
            table.rolled_back()
        self.timers.refresh()
        self.now = dict(self.committed)
        assert self.timers.next_due == min(self.now.values(), default=NEVER)

    @rule()
    def crash(self) -> None:
        """Only the store is left."""
        self.timers = Timers(self.store)
        self.now = dict(self.committed)
        assert self.timers.next_due == min(self.now.values(), default=NEVER)

    @invariant()
    def next_due_is_never_later_than_the_earliest(self) -> None:
        assert self.timers.next_due <= min(self.now.values(), default=NEVER)

    @invariant()
    def both_tables_tell_the_same(self) -> None:
        rows = sorted(((due, name) for name, due in self.now.items()), key=order)
        by_due = [(int.from_bytes(row[:8]), tuple(row[8:].decode().split("\0", 1))) for row in self.timers.by_due]
        assert by_due == rows
        assert len(self.timers.by_key) == len(rows)


TestTimers = TimerMachine.TestCase
TestTimers.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("due", [-1, NEVER, 2**70])
def test_a_due_time_that_is_no_time_is_refused(due: int) -> None:
    timers = Timers(MemoryStore())
    with pytest.raises(ValueError, match="is not a time in ms"):
        timers.set("a", "x", due)
    assert timers.next_due == NEVER


def test_setting_the_same_time_again_writes_nothing() -> None:
    timers = Timers(store := MemoryStore())
    timers.set("a", "x", 5)
    for table in (timers.by_due, timers.by_key):
        store.write(table.changes())
        table.committed()
    timers.set("a", "x", 5)
    assert timers.by_due.changes() == timers.by_key.changes() == []


def test_a_timer_that_sets_itself_again_fires_until_the_limit() -> None:
    timers = Timers(MemoryStore())
    fired: list[int] = []

    def call(kind: str, key: str, due: int) -> None:
        fired.append(due)
        timers.set(kind, key, due + 10)

    timers.set("a", "x", 5)
    timers.fire(30, call)
    assert fired == [5, 15, 25]
    assert timers.next_due == 35


def test_a_failing_callback_passes_its_error_on_and_a_roll_back_restores_all() -> None:
    timers = Timers(store := MemoryStore())
    for number in range(3):
        timers.set("a", f"x{number}", number)
    for table in (timers.by_due, timers.by_key):
        store.write(table.changes())
        table.committed()

    def call(*_: Any) -> None:
        raise RuntimeError("no")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            timers.fire(10, call)
        for table in (timers.by_due, timers.by_key):
            table.rolled_back()
        timers.refresh()
        assert timers.next_due == 0
    timers.set("a", "y", 4)  # no firing list is left behind to catch it
    fired: list[str] = []
    timers.fire(10, lambda kind, key, due: fired.append(key))
    assert fired == ["x0", "x1", "x2", "y"]


def test_the_end_of_time_may_be_the_limit() -> None:
    timers = Timers(MemoryStore())
    timers.set("a", "x", NEVER - 1)
    fired: list[int] = []
    timers.fire(NEVER, lambda kind, key, due: fired.append(due))
    assert fired == [NEVER - 1]


def test_timers_that_fire_one_by_one_read_the_store_once_a_turn() -> None:
    """In a backlog a timer is due between any two records: a scan for each would take the square of the turn."""

    class Counting(MemoryStore):
        reads = 0

        def range(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
            Counting.reads += 1
            return super().range(low, high)

    timers = Timers(store := Counting())
    fired: list[int] = []
    for turn in range(3):
        Counting.reads = 0
        for at in range(turn * 100, turn * 100 + 100):
            if timers.next_due <= at:
                timers.fire(at, lambda kind, key, due: fired.append(due))
            timers.set("a", f"x{at}", at + 50)
        assert Counting.reads <= 1
        for table in (timers.by_due, timers.by_key):
            store.write(table.changes())
            table.committed()
    assert fired == list(range(50, 300))


def test_what_a_dropped_record_cancelled_is_due_again_though_it_was_looked_for_meanwhile() -> None:
    timers = Timers(MemoryStore())
    timers.set("a", "x", 5)
    fired: list[str] = []
    for table in (timers.by_due, timers.by_key):
        table.begin_record()
    timers.cancel("a", "x")
    assert timers.fire(9, lambda kind, key, due: fired.append(key)) == 0
    for table in (timers.by_due, timers.by_key):
        table.drop_record()
    assert timers.fire(9, lambda kind, key, due: fired.append(key)) == 1
    assert fired == ["x"]
