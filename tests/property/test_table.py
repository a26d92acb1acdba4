"""A table, against a dict: whatever a reducer does to it, and however the turn and its records end."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, ClassVar

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.engine.agent import TableSpec
from streams.engine.store import MemoryStore
from streams.engine.table import Table, after

STEPS = settings(max_examples=150, stateful_step_count=50, deadline=None)
KEPT = 0  # every turn is a generation of kept rows
TEXT = st.one_of(
    st.sampled_from(["a", "aa", "中"]),  # few, so that the same key is met again
    st.sampled_from(["", "a\0", "a\0b", "b", "é", "中文", "\uffff", "\U00010000"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
)
BINARY = st.one_of(
    st.sampled_from([b"a", b"a\xff", b"\xff"]),
    st.sampled_from([b"", b"\0", b"\xff\xff", b"b"]),
    st.binary(max_size=3),
)
VALUES = st.one_of(st.integers(0, 9), st.text(max_size=2), st.lists(st.integers(0, 9), max_size=3), st.just(False))


class TableMachine(RuleBasedStateMachine):
    """Dicts play the layers: what is committed, what the batch made of it, what the record in hand made of that."""

    binary: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.neighbours: list[Table] = []
        for name in ("s", "ta", "u"):
            neighbour = Table(TableSpec(name), self.store)
            neighbour["x"] = name
            self.store.write(neighbour.changes())
            neighbour.committed()
            self.neighbours.append(neighbour)
        self.table = Table(TableSpec("t", binary_keys=self.binary), self.store, kept_rows=KEPT)
        self.committed: dict[Any, Any] = {}
        self.batch: dict[Any, Any] = {}
        self.record: dict[Any, Any] | None = None
        self.seen: dict[Any, None] = {}
        self.plain: set[Any] = set()
        """Keys whose value of this turn was not written within a record: it is the reducer's own object."""

    @property
    def now(self) -> dict[Any, Any]:
        """What a reducer must see."""
        return self.batch if self.record is None else self.record

    def key(self, text: str, data: bytes) -> Any:
        return data if self.binary else text

    def order(self, key: Any) -> bytes:
        return key if isinstance(key, bytes) else str(key).encode()

    def rows(self) -> list[tuple[Any, Any]]:
        return sorted(self.now.items(), key=lambda row: self.order(row[0]))

    # -- what a reducer does --------------------------------------------------------------------------------------

    @rule(text=TEXT, data=BINARY, value=VALUES)
    def set(self, text: str, data: bytes, value: Any) -> None:
        key = self.key(text, data)
        self.table[key] = value
        self.wrote(key, value)

    @rule(text=TEXT, data=BINARY, value=VALUES)
    def add(self, text: str, data: bytes, value: Any) -> None:
        key = self.key(text, data)
        if key not in self.now:
            self.table.add(key, value)
            self.wrote(key, value)

    def wrote(self, key: Any, value: Any) -> None:
        self.now[key] = deepcopy(value)
        self.seen[key] = None
        if self.record is None:
            self.plain.add(key)

    @rule(text=TEXT, data=BINARY)
    def get(self, text: str, data: bytes) -> None:
        key = self.key(text, data)
        assert self.table.get(key, "none") == self.now.get(key, "none")
        assert (key in self.table) == (key in self.now)
        if key in self.now:
            assert self.table[key] == self.now[key]

    @rule(text=TEXT, data=BINARY)
    def delete(self, text: str, data: bytes) -> None:
        key = self.key(text, data)
        del self.table[key]
        self.now.pop(key, None)

    @rule(text=TEXT, data=BINARY)
    def pop(self, text: str, data: bytes) -> None:
        key = self.key(text, data)
        assert self.table.pop(key, "none") == self.now.pop(key, "none")

    @rule(text=TEXT, data=BINARY)
    def scan(self, text: str, data: bytes) -> None:
        prefix = self.order(self.key(text, data))
        expected = [row for row in self.rows() if self.order(row[0]).startswith(prefix)]
        assert list(self.table.scan(self.key(text, data))) == expected

    @rule(low=TEXT, high=TEXT, low_data=BINARY, high_data=BINARY)
    def range(self, low: str, high: str, low_data: bytes, high_data: bytes) -> None:
        first, end = self.key(low, low_data), self.key(high, high_data)
        expected = [row for row in self.rows() if self.order(first) <= self.order(row[0]) < self.order(end)]
        assert list(self.table.range(first, end)) == expected

    @rule(text=TEXT, data=BINARY)
    def delete_while_scanning(self, text: str, data: bytes) -> None:
        prefix = self.key(text, data)
        for key, _ in self.table.scan(prefix):
            del self.table[key]
            del self.now[key]

    def read_all(self) -> None:
        """Every key that ever was (reading moves rows between the generations of kept ones)."""
        for key in self.seen:
            assert self.table.get(key, "none") == self.now.get(key, "none")

    # -- how a record ends ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.record is None)
    @rule()
    def begin_record(self) -> None:
        self.table.begin_record()
        self.record = dict(self.batch)

    @precondition(lambda self: self.record is not None)
    @rule()
    def keep_record(self) -> None:
        self.table.seal_record()
        self.table.keep_record()
        assert self.record is not None
        self.plain = {key for key in self.plain if self.record.get(key, self) == self.batch.get(key, self)}
        self.batch, self.record = self.record, None

    @precondition(lambda self: self.record is not None)
    @rule(mutate=st.booleans(), sealed=st.booleans())
    def drop_record(self, mutate: bool, sealed: bool) -> None:
        """The record fails, perhaps after it changed values in place, perhaps after it was sealed."""
        if mutate:
            self.mutate(self.now.keys() - self.plain)
        if sealed:
            self.table.seal_record()
        self.table.drop_record()
        self.record = None

    def mutate(self, keys: Iterable[Any]) -> None:
        """Break the promise of reducers: change values they got."""
        for key in keys:
            value = self.table.get(key)
            if isinstance(value, list):
                value.append("left")

    # -- how a turn ends ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.record is None)
    @rule()
    def commit(self) -> None:
        changes = self.table.changes()
        assert len({key for key, _ in changes}) == len(changes), "a row is written once per turn"
        self.store.write(changes)
        self.table.committed()
        self.ended(self.batch)

    @rule(mutate=st.booleans())
    def roll_back(self, mutate: bool) -> None:
        """The turn is void, whatever it did to values it got."""
        if mutate:
            self.mutate(self.now)
        self.table.rolled_back()
        self.ended(self.committed)

    @rule()
    def crash(self) -> None:
        """Only the store is left."""
        self.table = Table(TableSpec("t", binary_keys=self.binary), self.store, kept_rows=KEPT)
        self.ended(self.committed)

    def ended(self, rows: dict[Any, Any]) -> None:
        self.batch, self.committed, self.record = dict(rows), dict(rows), None
        self.plain.clear()
        self.read_all()

    # -- always ---------------------------------------------------------------------------------------------------

    @invariant()
    def it_equals_the_dict(self) -> None:
        assert list(self.table.scan()) == self.rows()
        assert list(self.table) == [key for key, _ in self.rows()]
        assert len(self.table) == len(self.now)

    @invariant()
    def nobody_else_sees_it_before_the_commit(self) -> None:
        prefix = b"t\0"
        stored = {key[2:]: orjson.loads(value) for key, value in self.store.range(prefix, after(prefix))}
        assert stored == {self.order(key): value for key, value in self.committed.items()}

    @invariant()
    def the_tables_beside_it_stay_as_they_were(self) -> None:
        for neighbour in self.neighbours:
            assert list(neighbour.scan()) == [("x", neighbour.name)]


class BinaryTableMachine(TableMachine):
    """The same with bytes as keys."""

    binary = True


TestTextTable = TableMachine.TestCase
TestTextTable.settings = STEPS
TestBinaryTable = BinaryTableMachine.TestCase
TestBinaryTable.settings = STEPS


@given(prefix=st.binary(max_size=4).map(lambda data: b"t\0" + data), key=st.binary(max_size=6))
def test_after_is_the_first_key_beyond_a_prefix(prefix: bytes, key: bytes) -> None:
    assert (prefix <= key < after(prefix)) == key.startswith(prefix)
    assert (prefix <= prefix + key < after(prefix)) is True


def test_kept_rows_stay_within_two_generations() -> None:
    table = Table(TableSpec("t"), store := MemoryStore(), kept_rows=10)
    for turn in range(100):
        for number in range(5):
            table[f"{turn}/{number}"] = number
        table.get(f"{turn - 1}/0")
        store.write(table.changes())
        table.committed()
        assert len(table._young) + len(table._old) <= 2 * (10 + 6)


def test_a_row_that_comes_and_goes_within_a_turn_is_not_stored() -> None:
    table = Table(TableSpec("t"), MemoryStore())
    assert table.get("x") is None
    table["x"] = 1
    del table["x"]
    table.add("y", 1)
    del table["y"]
    assert table.changes() == []


def test_a_stored_row_that_is_deleted_written_and_deleted_in_a_turn_is_gone() -> None:
    table = Table(TableSpec("t"), store := MemoryStore())
    table["x"] = 1
    store.write(table.changes())
    table.committed()
    del table["x"]
    table.add("x", 2)
    del table["x"]
    assert "x" not in table
    store.write(table.changes())
    assert store.get(b"t\0x") is None
