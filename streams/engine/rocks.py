"""The RocksDB store of one task (rocksdict). Written once per turn, after the commit."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import rocksdict

from streams.engine.errors import InfrastructureError
from streams.engine.store import Change

log = logging.getLogger(__name__)

BLOCK_CACHE_BYTES = 32 << 20
"""Shared by all stores of the process: hot rows are cached as objects above, so this only serves misses."""
WRITE_BUFFER_BYTES = 8 << 20
"""Per store; a worker may hold dozens of stores, and RocksDB's default of 64 MiB each would be gigabytes."""

MEMTABLE_BYTES: Final = 48 << 20
"""Of all stores of the process together; beyond it the fullest are flushed early."""
ARENA_BLOCK_BYTES: Final = 64 << 10
"""A store's memtable grows by so much. By RocksDB's default of an eighth of the write buffer, fifty stores reached
`MEMTABLE_BYTES` with nothing in them: all were flushed all the time, and merging the crumbs was a quarter of a worker's
CPU."""
MEMTABLE_FILTER_SHARE: Final = 0.02
"""Of a write buffer, for a filter of its keys: most reads are of rows that it does not hold. 13 bits a row."""

READERS_SECONDS: Final = 5.0
"""Longest wait for whoever still reads a store that was closed, a web page say: until then RocksDB keeps its lock."""
_OURS: Final = "lock hold by current process"

_cache: rocksdict.Cache | None = None
_memtables: rocksdict.WriteBufferManager | None = None


def _options() -> rocksdict.Options:
    global _cache, _memtables
    if _cache is None or _memtables is None:
        _cache = rocksdict.Cache(BLOCK_CACHE_BYTES)
        _memtables = rocksdict.WriteBufferManager(MEMTABLE_BYTES, False)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_manager(_memtables)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_arena_block_size(ARENA_BLOCK_BYTES)
    options.set_target_file_size_base(16 << 20)
    options.set_max_bytes_for_level_base(64 << 20)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    options.set_max_open_files(128)
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER_SHARE)
    options.set_memtable_whole_key_filtering(True)
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(_cache)
    table.set_bloom_filter(10, False)
    # Filters and indexes stay in memory beside the cache, some 2 bytes a row. In it, be it in pages, each level of each
    # read has to look for them: 20 instead of 13 us for a row of 200,000, 6 instead of 2 for one that is not there.
    options.set_block_based_table_factory(table)
    return options


def _unlogged() -> rocksdict.WriteOptions:
    options = rocksdict.WriteOptions()
    options.disable_wal = True
    return options


def _rdict(path: Path) -> Any:
    """The options are named for the column family too: else a store that was there keeps those it was made with, and
    has a cache of its own."""
    options = _options()
    return rocksdict.Rdict(str(path), options=options, column_families={"default": options})


def _opened(path: Path) -> Any:
    deadline = time.monotonic() + READERS_SECONDS
    while True:
        try:
            return _rdict(path)
        except Exception as error:
            if _OURS not in str(error) or time.monotonic() >= deadline:
                raise
        time.sleep(0.01)


class RocksStore:
    """One RocksDB per task.

    No write-ahead log: durability comes from the changelog. The stored position lies in the same column family, so
    what survives a kill is always a prefix of the turns with the position that belongs to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db: Any = _opened(path)
        except Exception as error:
            raise InfrastructureError(f"cannot open the state store {path}: {_line(error)}") from error
        self._db.set_write_options(_unlogged())

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._db.get(key)  # type: ignore[no-any-return]
        except Exception as error:
            raise self._failed("read", error) from error

    def range(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        try:
            for key, value in self._db.items(from_key=low):
                if key >= high:
                    return
                yield key, value
        except Exception as error:
            raise self._failed("read", error) from error

    def prepare(self, changes: Iterable[Change]) -> Any:
        return _added(rocksdict.WriteBatch(raw_mode=True), changes)

    def write(self, changes: Iterable[Change], prepared: Any = None) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True) if prepared is None else prepared
        try:
            self._db.write(_added(batch, changes))
        except Exception as error:
            raise self._failed("write", error) from error

    def size_bytes(self) -> int:
        size = 0
        for name in ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables"):
            size += self._db.property_int_value(name) or 0
        return size

    def clear(self) -> None:
        try:
            self._db.close()
            rocksdict.Rdict.destroy(str(self.path), rocksdict.Options(raw_mode=True))
            self._db = _rdict(self.path)
        except Exception as error:
            raise self._failed("clear", error) from error
        self._db.set_write_options(_unlogged())

    def close(self) -> None:
        """Never raises: what could not be flushed is in the changelog."""
        try:
            self._db.close()  # flushes
        except Exception as error:
            log.warning("cannot flush the state store %s: %s", self.path, _line(error))

    def _failed(self, doing: str, error: Exception) -> InfrastructureError:
        """A broken disk is never blamed on the record in hand."""
        return InfrastructureError(f"cannot {doing} the state store {self.path}: {_line(error)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _added(batch: Any, changes: Iterable[Change]) -> Any:
    put, delete = batch.put, batch.delete
    for key, value in changes:
        if value is None:
            delete(key)
        else:
            put(key, value)
    return batch
