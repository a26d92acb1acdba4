"""The contract of a store, held by each of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from streams.engine import rocks
from streams.engine.errors import InfrastructureError
from streams.engine.rocks import RocksStore
from streams.engine.store import MemoryStore, Store


class StoreContract:
    """What every store promises; a suite per store provides ``store``."""

    @pytest.fixture
    @abstractmethod
    def store(self, tmp_path: Path) -> Any: ...

    KEYS: ClassVar = [b"", b"\0", b"\0\xff", b"a", b"a\0", b"a\0b", b"ab", b"b", b"\x7f", b"\x80", b"\xff", b"\xff\xff"]

    def test_an_empty_store_has_nothing(self, store: Store) -> None:
        assert store.get(b"a") is None
        assert list(store.range(b"", b"\xff")) == []

    def test_a_written_value_is_read_back(self, store: Store) -> None:
        store.write([(b"a", b"1"), (b"empty", b"")])
        assert store.get(b"a") == b"1"
        assert store.get(b"empty") == b""
        assert store.get(b"b") is None

    def test_a_range_has_its_low_end_but_not_its_high_one(self, store: Store) -> None:
        store.write([(key, key) for key in (b"a", b"b", b"c")])
        assert list(store.range(b"a", b"c")) == [(b"a", b"a"), (b"b", b"b")]
        assert list(store.range(b"aa", b"cc")) == [(b"b", b"b"), (b"c", b"c")]
        assert list(store.range(b"b", b"b")) == []
        assert list(store.range(b"c", b"a")) == []

    def test_keys_are_in_byte_order_whatever_the_order_of_writing(self, store: Store) -> None:
        for key in reversed(self.KEYS):
            store.write([(key, b"v")])
        assert [key for key, _ in store.range(b"", b"\xff\xff\xff")] == sorted(self.KEYS)

    def test_the_last_of_several_writes_to_a_key_counts(self, store: Store) -> None:
        store.write([(b"a", b"1"), (b"a", b"2"), (b"b", b"1"), (b"b", None), (b"c", None), (b"c", b"3")])
        assert list(store.range(b"", b"\xff")) == [(b"a", b"2"), (b"c", b"3")]

    def test_a_deleted_key_is_gone_and_may_come_back(self, store: Store) -> None:
        store.write([(b"a", b"1"), (b"b", b"2")])
        store.write([(b"a", None), (b"never", None)])
        assert store.get(b"a") is None
        assert list(store.range(b"", b"\xff")) == [(b"b", b"2")]
        store.write([(b"a", b"3")])
        assert store.get(b"a") == b"3"

    def test_what_cannot_be_read_to_the_end_is_not_written_at_all(self, store: Store) -> None:
        def broken() -> Iterator[tuple[bytes, bytes | None]]:
            yield b"a", b"1"
            raise RuntimeError("no more")

        with pytest.raises((RuntimeError, InfrastructureError), match="no more"):
            store.write(broken())
        assert store.get(b"a") is None

    def test_clear_leaves_an_empty_store_that_can_be_written(self, store: Store) -> None:
        store.write([(b"a", b"1"), (b"b", b"2")])
        store.clear()
        assert list(store.range(b"", b"\xff")) == []
        store.write([(b"c", b"3")])
        assert list(store.range(b"", b"\xff")) == [(b"c", b"3")]

    def test_its_size_grows_with_what_is_written(self, store: Store) -> None:
        before = store.size_bytes()
        store.write([(b"%06d" % number, b"x" * 500) for number in range(2000)])
        assert store.size_bytes() >= before + 500_000


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return MemoryStore()


class TestRocksStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = RocksStore(tmp_path / "agent" / "3")
        yield store
        store.close()

    def test_it_is_the_same_after_being_closed_and_opened(self, tmp_path: Path) -> None:
        store = RocksStore(tmp_path / "0")
        store.write([(b"a", b"1"), (b"b", b"2")])
        store.write([(b"b", None), (b"c", b"3")])
        store.close()
        again = RocksStore(tmp_path / "0")
        assert list(again.range(b"", b"\xff")) == [(b"a", b"1"), (b"c", b"3")]
        again.close()

    def test_a_cleared_store_stays_clear_when_opened_again(self, tmp_path: Path) -> None:
        store = RocksStore(tmp_path / "0")
        store.write([(b"a", b"1")])
        store.clear()
        store.close()
        again = RocksStore(tmp_path / "0")
        assert again.get(b"a") is None
        again.close()

    def test_a_killed_store_holds_a_prefix_of_its_turns(self, tmp_path: Path) -> None:
        """Rows and position of a turn are there together or not at all, though there is no write-ahead log."""
        script = (
            "import os, pathlib, sys\n"
            "from streams.engine.rocks import RocksStore\n"
            "store = RocksStore(pathlib.Path(sys.argv[1]))\n"
            "for turn in range(1200):\n"
            "    rows = [(b'%d/%04d' % (row, turn), os.urandom(2000)) for row in range(10)]\n"
            "    store.write([*rows, (b'position', b'%d' % turn)])\n"
            "os._exit(9)\n"
        )
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "0")], timeout=60)
        assert done.returncode == 9
        store = RocksStore(tmp_path / "0")
        last = int(store.get(b"position") or -1)
        assert last >= 0, "24 MB were written through buffers of 8 MiB, so some turns must have reached the disk"
        for row in range(10):
            turns = [int(key[2:]) for key, _ in store.range(b"%d/" % row, b"%d0" % row)]
            assert turns == list(range(last + 1))
        store.close()

    def test_a_folder_that_cannot_be_written_is_said_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("a file where a folder should be")
        with pytest.raises(InfrastructureError, match="cannot open the state store") as caught:
            RocksStore(tmp_path / "data" / "orders" / "0")
        assert "\n" not in str(caught.value)
        assert str(tmp_path / "data") in str(caught.value)

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root can write")
    def test_a_read_only_folder_is_said_in_one_line(self) -> None:
        with pytest.raises(InfrastructureError, match="cannot open the state store") as caught:
            RocksStore(Path("/proc/orders/0"))
        assert "\n" not in str(caught.value)

    def test_a_store_that_somebody_still_reads_can_be_opened_again(self, tmp_path: Path) -> None:
        """A page is being answered while its partition is taken away and given back: that must not stop the worker."""
        store = RocksStore(tmp_path / "0")
        store.write([(b"%03d" % number, b"x") for number in range(100)])
        page: Any = store.range(b"", b"\xff")
        next(page)
        store.close()
        threading.Timer(0.2, page.close).start()
        again = RocksStore(tmp_path / "0")
        assert len(list(again.range(b"", b"\xff"))) == 100
        again.close()

    def test_a_store_that_is_open_elsewhere_is_said_in_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rocks, "READERS_SECONDS", 0.1)
        store = RocksStore(tmp_path / "0")
        with pytest.raises(InfrastructureError, match="cannot open the state store") as caught:
            RocksStore(tmp_path / "0")
        assert "\n" not in str(caught.value)
        store.close()

    def test_a_full_disk_is_said_in_one_line_and_what_was_stored_stays(self, tmp_path: Path) -> None:
        """A limit on the size of files stands for the full disk."""
        script = (
            "import os, pathlib, resource, sys\n"
            "from streams.engine.errors import InfrastructureError\n"
            "from streams.engine.rocks import RocksStore\n"
            "store = RocksStore(pathlib.Path(sys.argv[1]))\n"
            "store.write([(b'a', b'1')])\n"
            "store.close()\n"
            "store = RocksStore(pathlib.Path(sys.argv[1]))\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
            "try:\n"
            "    for turn in range(50):\n"
            "        store.write([(b'%d/%d' % (turn, row), os.urandom(10_000)) for row in range(100)])\n"
            "    print('was not noticed')\n"
            "except InfrastructureError as error:\n"
            "    print(error)\n"
            "store.close()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "0")], timeout=60, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("cannot write the state store")
        assert len(done.stdout.splitlines()) == 1
        store = RocksStore(tmp_path / "0")
        assert store.get(b"a") == b"1"
        store.close()

    def test_a_failed_read_is_the_disk_s_fault_not_the_record_s(self, tmp_path: Path) -> None:
        store = RocksStore(tmp_path / "0")
        store.close()
        with pytest.raises(InfrastructureError, match="cannot read the state store"):
            store.get(b"a")
        with pytest.raises(InfrastructureError, match="cannot read the state store"):
            list(store.range(b"a", b"b"))
        with pytest.raises(InfrastructureError, match="cannot write the state store"):
            store.write([(b"a", b"1")])
        (tmp_path / "0").rename(tmp_path / "1")
        (tmp_path / "0").write_text("a file where the store should be")
        with pytest.raises(InfrastructureError, match="cannot clear the state store"):
            store.clear()

    def test_reading_one_of_many_rows_does_not_cost_what_reading_their_index_does(self, tmp_path: Path) -> None:
        def per_read(rows: int) -> float:
            store = RocksStore(tmp_path / str(rows))
            for start in range(0, rows, 20_000):
                store.write([(b"sku-%d" % number, b"x" * 150) for number in range(start, start + 20_000)])
            store._db.flush()
            store._db.compact_range(None, None)
            keys = [b"sku-%d" % (number * 7919 % rows) for number in range(4_000)]
            begun = time.thread_time()
            assert all(map(store.get, keys))
            spent = time.thread_time() - begun
            store.close()
            return spent

        # A filter and an index read from the file for each key make it a hundredfold.
        assert per_read(800_000) < 20 * per_read(20_000)


def test_a_store_opened_again_shares_the_cache_and_takes_the_options_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RocksStore(tmp_path / "s").close()
    monkeypatch.setattr(rocks, "WRITE_BUFFER_BYTES", 3 << 20)
    store = RocksStore(tmp_path / "s")
    try:
        assert store._db.property_int_value("rocksdb.block-cache-capacity") == rocks.BLOCK_CACHE_BYTES
        newest = max((tmp_path / "s").glob("OPTIONS-*"))
        assert f"write_buffer_size={3 << 20}\n" in newest.read_text()
    finally:
        store.close()


def test_many_stores_with_little_in_them_stay_in_memory(tmp_path: Path) -> None:
    """All memtables share one limit: what a store reserves beyond its rows would have the others flushed early."""
    stores = [RocksStore(tmp_path / str(number)) for number in range(60)]
    for turn in range(30):
        for store in stores:
            store.write([(b"%d" % (turn * 10 + row), b"v" * 100) for row in range(10)])
    assert not list(tmp_path.glob("*/*.sst"))
    for store in stores:
        store.close()
