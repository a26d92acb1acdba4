"""What is to go out and how far its topic was read: one SQLite file in the process's data folder.

SQLite, because several rows change together and must survive a kill; it comes with Python, and whoever is on call can
look into the file with any SQLite tool.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streams.errors import OmsError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS offsets (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
"""


class OutboxError(OmsError):
    """The file cannot be used."""


class OutboxFile:
    """One file, used by all threads of the process in turn. `path` None keeps it in memory. `schema`: the tables of its
    own. `since`: when the file was made, ms: what was written before, another file may have known of.
    """

    def __init__(self, path: Path | None, now: int, schema: str) -> None:
        self._lock = threading.RLock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA + schema)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('since', ?)", (now,))
            [(self.since,)] = self._db.execute("SELECT value FROM meta WHERE name = 'since'")
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"{path}: cannot be used: {error}") from None

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def transaction(self) -> _Transaction:
        """All within becomes durable together, or not at all. Raises sqlite3.Error."""
        return _Transaction(self._lock, self._db)

    def offsets(self) -> dict[int, int]:
        """Partition -> next offset to read."""
        with self._lock:
            return dict(self._db.execute("SELECT partition, next FROM offsets"))

    def note_offsets(self, following: Mapping[int, int]) -> None:
        """Partition -> next offset to read."""
        with self._lock:
            self._db.executemany("INSERT OR REPLACE INTO offsets VALUES (?, ?)", list(following.items()))


class _Transaction:
    """Nested ones join the outer one."""

    def __init__(self, lock: threading.RLock, db: sqlite3.Connection) -> None:
        self._lock, self._db, self._outer = lock, db, False

    def __enter__(self) -> None:
        self._lock.acquire()
        self._outer = not self._db.in_transaction
        if self._outer:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except BaseException:
                self._lock.release()
                raise

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self._outer:
                self._db.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()
