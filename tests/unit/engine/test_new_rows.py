"""A row that a turn writes and deletes again leaves nothing in the changelog, if the store never held it."""

from __future__ import annotations

from streams.engine.agent import TableSpec
from streams.engine.store import MemoryStore
from streams.engine.table import Table
from streams.engine.timers import Timers


def table(store: MemoryStore) -> Table:
    return Table(TableSpec("t"), store)


def commit(store: MemoryStore, *tables: Table) -> None:
    for each in tables:
        store.write(each.changes())
        each.committed()


def test_a_key_that_was_looked_up_in_vain_needs_no_tombstone() -> None:
    rows = table(MemoryStore())
    assert rows.get("a") is None
    rows["a"] = 1
    del rows["a"]
    assert rows.changes() == []
    assert "a" not in rows


def test_an_added_key_needs_no_tombstone_and_no_look_up() -> None:
    rows = table(MemoryStore())
    rows.add("a", 1)
    assert rows["a"] == 1
    assert rows.pop("a") == 1
    assert rows.changes() == []


def test_a_stored_row_is_buried_however_often_it_is_written_again() -> None:
    store = MemoryStore()
    rows = table(store)
    rows["a"] = 1
    commit(store, rows)
    del rows["a"]
    assert rows.get("a") is None
    rows.add("a", 2)
    del rows["a"]
    assert rows.changes() == [(b"t\0a", None)]
    commit(store, rows)
    assert store.get(b"t\0a") is None


def test_what_one_turn_knew_to_be_absent_is_not_believed_in_the_next() -> None:
    store = MemoryStore()
    rows = table(store)
    rows.add("a", 1)
    commit(store, rows)
    del rows["a"]
    assert rows.changes() == [(b"t\0a", None)]


def test_a_timer_set_and_cancelled_in_one_turn_leaves_no_row() -> None:
    timers = Timers(MemoryStore())
    timers.set("late", "k", 5)
    timers.set("late", "k", 7)
    timers.cancel("late", "k")
    assert timers.by_due.changes() == []
    assert timers.by_key.changes() == []


def test_a_stored_timer_moved_away_and_back_is_cancelled_whole() -> None:
    store = MemoryStore()
    timers = Timers(store)
    timers.set("late", "k", 5)
    commit(store, timers.by_due, timers.by_key)
    timers.set("late", "k", 7)
    timers.set("late", "k", 5)
    timers.cancel("late", "k")
    commit(store, timers.by_due, timers.by_key)
    assert list(store.range(b"", b"\xff")) == []
