"""A table of one task: a mapping whose writes are seen at once by the task and by nobody else before the commit.

Layers, newest first: the record in hand (isolated runs only), the batch, decoded rows kept from earlier turns,
the store. A turn ends in ``committed`` or ``rolled_back``.

Decoded rows are kept in two generations: a row that is used moves to the young one; when the young one is full
the old one is dropped. That is close to LRU at the cost of one dict lookup, and it spares hot rows the store read
and the JSON decoding. Reducers never change a value they got, they write a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from heapq import merge
from typing import Any, Final

from streams.engine.agent import TableSpec
from streams.engine.store import Change, Store

MAX_VALUE_BYTES: Final = 4_000_000
MAX_KEY_LENGTH: Final = 40_000
"""Largest value and key of a row or an output. Together they fit in what topics and producer take (4 MiB): a record the
broker refuses could never be committed, and its batch would be tried for ever."""
KEPT_ROWS: Final = 4096
"""Decoded rows kept per table, task and generation unless the runner says otherwise."""


class _Absent:
    def __repr__(self) -> str:
        return "<absent>"


_GONE: Final = _Absent()
_MISS: Final = _Absent()


class _Raw:
    """An encoded value in the batch layer of an isolated run."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


def _same(key: Any) -> bytes:
    return key  # type: ignore[no-any-return]


class Table(MutableMapping[Any, Any]):
    """See the module. Keys are ``str`` (or ``bytes`` for a table with binary keys); None is not a value."""

    __slots__ = (
        "_absent",
        "_batch",
        "_decode",
        "_encode",
        "_key",
        "_max_bytes",
        "_old",
        "_prefix",
        "_record",
        "_store",
        "_unkey",
        "_young",
        "generation",
        "kept_rows",
        "name",
    )

    def __init__(
        self,
        spec: TableSpec,
        store: Store,
        kept_rows: int = KEPT_ROWS,
        max_bytes: int = MAX_VALUE_BYTES,
        scope: bytes = b"",
    ) -> None:
        self.name = spec.name
        self.kept_rows = int(kept_rows * spec.kept)
        self._max_bytes = max_bytes
        self._prefix = scope + spec.name.encode() + b"\0"
        self._store = store
        self._encode = spec.encode
        self._decode = spec.decode
        self._key: Callable[[Any], bytes] = _same if spec.binary_keys else str.encode
        self._unkey: Callable[[bytes], Any] = _same if spec.binary_keys else bytes.decode
        self._batch: dict[Any, Any] = {}
        self._absent: set[Any] = set()
        """Keys that the store is known not to hold, in this turn: deleting one of them again takes no tombstone."""
        self._young: dict[Any, Any] = {}
        self._old: dict[Any, Any] = {}
        self._record: dict[Any, Any] | None = None
        self.generation = 0
        """Another number after each commit, roll back and dropped record: whoever looked ahead has to look again."""

    def get(self, key: Any, default: Any = None) -> Any:
        if self._record is not None:
            return self._get_isolated(key, default)
        value = self._batch.get(key, _MISS)
        if value is _MISS:
            value = self._young.get(key, _MISS)
            if value is _MISS:
                value = self._old.get(key, _MISS)
                if value is _MISS:
                    data = self._store.get(self._prefix + self._key(key))
                    if data is None:
                        self._absent.add(key)
                        return default
                    value = self._decode(data)
                self._young[key] = value
        elif type(value) is _Raw:
            return self._decode(value.data)
        return default if value is _GONE else value

    def _get_isolated(self, key: Any, default: Any) -> Any:
        """Every read decodes afresh, so that what a failing record did to a value is not seen by the next one."""
        assert self._record is not None
        value = self._record.get(key, _MISS)
        if value is _MISS:
            value = self._batch.get(key, _MISS)
            if isinstance(value, _Raw):
                value = self._decode(value.data)
            elif value is _MISS:
                data = self._store.get(self._prefix + self._key(key))
                value = _GONE if data is None else self._decode(data)
        return default if value is _GONE else value

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, _GONE)
        if value is _GONE:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        if value is None:
            raise ValueError(f"table {self.name}: None is not a value; delete the key instead")
        if self._record is not None:
            self._record[key] = value
        else:
            self._batch[key] = value

    def add(self, key: Any, value: Any) -> None:
        """Write a row of a key that the caller knows to be new: should the turn delete it again, nothing is stored."""
        if self._record is None and key not in self._batch:
            self._absent.add(key)
        self[key] = value

    def __delitem__(self, key: Any) -> None:
        if self._record is not None:
            self._record[key] = _GONE
        elif key in self._absent:
            self._batch.pop(key, None)
        else:
            self._batch[key] = _GONE

    def __contains__(self, key: object) -> bool:
        return self.get(key, _GONE) is not _GONE

    def pop(self, key: Any, default: Any = None) -> Any:
        value = self.get(key, _GONE)
        if value is _GONE:
            return default
        del self[key]
        return value

    def written(self, key: Any) -> bool | None:
        """Whether this turn put the row (True) or deleted it (False); None if it has left it alone."""
        value = _MISS if self._record is None else self._record.get(key, _MISS)
        if value is _MISS:
            value = self._batch.get(key, _MISS)
        return None if value is _MISS else value is not _GONE

    def put(self) -> list[Any]:
        """Keys of the rows that this turn put, in no order."""
        layers = (self._batch,) if self._record is None else (self._batch, self._record)
        return [key for layer in layers for key in layer if self.written(key)]

    def stored(self, low: Any) -> Iterator[Any]:
        """Keys that the store holds from ``low`` on, in order, whatever this turn does with them."""
        cut = len(self._prefix)
        for full, _ in self._store.range(self._prefix + self._key(low), after(self._prefix)):
            yield self._unkey(full[cut:])

    def scan(self, prefix: Any = None) -> Iterator[tuple[Any, Any]]:
        """Rows whose key begins with ``prefix``, in key order (all rows without one)."""
        low = self._key(prefix) if prefix is not None else b""
        return self._rows(low, after(self._prefix + low))

    def range(self, low: Any, high: Any) -> Iterator[tuple[Any, Any]]:
        """Rows with ``low <= key < high`` in key order (UTF-8 byte order)."""
        return self._rows(self._key(low), self._prefix + self._key(high))

    def _rows(self, low: bytes, end: bytes) -> Iterator[tuple[Any, Any]]:
        start = self._prefix + low
        cut = len(self._prefix)
        pending: dict[bytes, Any] = {}
        for layer in (self._batch, self._record or {}):
            for key, value in layer.items():
                full = self._prefix + self._key(key)
                if start <= full < end:
                    pending[full] = value
        if not pending:
            for full, data in self._store.range(start, end):
                yield self._unkey(full[cut:]), self._decode(data)
            return
        ours = ((full, 0, value) for full, value in sorted(pending.items(), key=lambda row: row[0]))
        stored = ((full, 1, data) for full, data in self._store.range(start, end) if full not in pending)
        for full, origin, value in merge(ours, stored, key=lambda row: row[0]):
            if value is _GONE:
                continue
            if origin or isinstance(value, _Raw):
                value = self._decode(value if origin else value.data)
            yield self._unkey(full[cut:]), value

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self.scan())

    def __len__(self) -> int:
        return sum(1 for _ in self.scan())

    # -- the turn ---------------------------------------------------------------------------------------------------

    def changes(self) -> list[Change]:
        """The batch as rows to write, encoded once per key."""
        prefix, to_bytes, encode, limit = self._prefix, self._key, self._encode, self._max_bytes
        out: list[Change] = []
        for key, value in self._batch.items():
            full = prefix + to_bytes(key)
            if value is _GONE:
                data = None
            elif type(value) is _Raw:
                data = value.data
            else:
                data = encode(value)
                if data is not value:
                    # A copy: orjson's lies in up to sixteen times its size, and all rows of a turn are held.
                    data = bytes(memoryview(data))
                if len(data) > limit:
                    raise ValueError(f"a row of table {self.name} is {len(data)} bytes, more than {limit}")
            if len(full) > MAX_KEY_LENGTH:
                raise ValueError(f"a key of table {self.name} is {len(full)} bytes, more than {MAX_KEY_LENGTH}")
            out.append((full, data))
        return out

    def committed(self) -> None:
        """The batch is durable: its rows become the kept ones."""
        self.generation += 1
        young = self._young
        if self._batch:
            for key in [key for key, value in self._batch.items() if value is _GONE or type(value) is _Raw]:
                del self._batch[key]
                young.pop(key, None)
                self._old.pop(key, None)
            young.update(self._batch)
            self._batch.clear()
        self._absent.clear()
        if len(young) > self.kept_rows:
            self._old, self._young = young, {}

    def rolled_back(self) -> None:
        """The batch is void. Kept rows go too: a reducer that breaks its promise must not leave traces."""
        self.generation += 1
        self._batch.clear()
        self._absent.clear()
        self._young.clear()
        self._old.clear()
        self._record = None

    # -- isolated runs: one record at a time ------------------------------------------------------------------------

    def begin_record(self) -> None:
        self._record = {}

    def seal_record(self) -> None:
        """Encode what the record wrote: a key or value that cannot be encoded fails the record, not the batch."""
        assert self._record is not None
        kept, self._batch = self._batch, self._record
        try:
            rows = self.changes()
        finally:
            self._batch = kept
        for key, (_, data) in zip(self._record, rows, strict=True):
            self._record[key] = _GONE if data is None else _Raw(data)

    def keep_record(self) -> None:
        """Take a sealed record into the batch. Cannot fail, so that all tables keep it or none."""
        assert self._record is not None
        self._batch.update(self._record)
        self._record = None

    def drop_record(self) -> None:
        self.generation += 1
        self._record = None


def after(prefix: bytes) -> bytes:
    """The first key beyond every key with this prefix."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1])
