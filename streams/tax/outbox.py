"""What the tax service is to be asked, what it answered and how far the topic was read: one SQLite file.

A request and the offset behind it are noted in one transaction. Before a call it is noted that its outcome is unsure,
after it what it was, together with the event that tells it; the event goes once the broker has taken it. So a kill at
any moment leaves a request that is sent for the first time, one that is asked about by its id first, or an event that
is told twice under one id. If the file is lost, requests from before it are unsure, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streams.outlet.outbox import OutboxFile

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, interface TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, unsure INTEGER NOT NULL, due_at INTEGER NOT NULL, answered_at INTEGER
);
CREATE INDEX IF NOT EXISTS waiting ON requests (due_at) WHERE answered_at IS NULL;
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (interface TEXT NOT NULL, at INTEGER NOT NULL);
"""
FORGET_MS: Final = 100 * 86_400_000
"""Answered requests are kept as long as the topic keeps them."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request to be sent; `unsure`: it may have been sent before."""

    id: str
    interface: str
    body: Mapping[str, Any]
    attempts: int
    unsure: bool


class Outbox(OutboxFile):
    """`now` in ms."""

    def __init__(self, path: Path | None, now: int) -> None:
        super().__init__(path, now, _SCHEMA)

    # -- reading the topic -------------------------------------------------------------------------------------------

    def take(self, requests: Iterable[tuple[Mapping[str, Any], int]], offsets: Mapping[int, int], now: int) -> None:
        """Note (request, when its record was written) and how far that reaches. One that is known changes nothing."""
        rows = [
            (each["request_id"], each["interface"], _text(each), int(at < self.since), now) for each, at in requests
        ]
        with self.transaction():
            insert = "INSERT OR IGNORE INTO requests (id, interface, body, unsure, due_at) VALUES (?, ?, ?, ?, ?)"
            self._db.executemany(insert, rows)
            self.note_offsets(offsets)

    # -- asking ------------------------------------------------------------------------------------------------------

    def due_interfaces(self, now: int) -> list[str]:
        """Interfaces with requests that are due, by name."""
        query = "SELECT DISTINCT interface FROM requests WHERE answered_at IS NULL AND due_at <= ? ORDER BY interface"
        with self._lock:
            return [name for (name,) in self._db.execute(query, (now,))]

    def due(self, interface: str, now: int, without: Set[str]) -> list[Waiting]:
        """The oldest request of an interface that is due, `without` those in hand."""
        columns = "id, interface, body, attempts, unsure"
        where = "interface = ? AND answered_at IS NULL AND due_at <= ?"
        query = f"SELECT {columns} FROM requests WHERE {where} ORDER BY number LIMIT ?"
        with self._lock:
            rows = self._db.execute(query, (interface, now, len(without) + 1)).fetchall()
        found = [Waiting(row[0], row[1], json.loads(row[2]), row[3], bool(row[4])) for row in rows]
        return [each for each in found if each.id not in without][:1]

    def next_due(self) -> int | None:
        """When (ms) the next request is due, or None."""
        with self._lock:
            [(at,)] = self._db.execute("SELECT min(due_at) FROM requests WHERE answered_at IS NULL")
        return at  # type: ignore[no-any-return]

    def note_call(self, interface: str, at: int) -> None:
        """TAX-11: a call of the interface is made; remembered over restarts."""
        with self.transaction():
            self._db.execute("DELETE FROM calls WHERE at < ?", (at - 60_000,))
            self._db.execute("INSERT INTO calls VALUES (?, ?)", (interface, at))

    def calls(self, interface: str) -> list[int]:
        """When (ms) the interface was called in the last minute."""
        with self._lock:
            return [at for (at,) in self._db.execute("SELECT at FROM calls WHERE interface = ?", (interface,))]

    def note_sending(self, request: Waiting) -> None:
        """It is about to be sent: from here on it may have been."""
        self._set(request, "unsure = 1, attempts = attempts + 1")

    def note_answered(self, request: Waiting, event: Mapping[str, Any], now: int) -> None:
        self._set(request, "unsure = 0, answered_at = ?", now, event=event)

    def note_failed(self, request: Waiting, unsure: bool, due_at: int, event: Mapping[str, Any] | None) -> None:
        self._set(request, "unsure = ?, due_at = ?", int(unsure), due_at, event=event)

    def _set(self, request: Waiting, change: str, *values: Any, event: Mapping[str, Any] | None = None) -> None:
        with self.transaction():
            self._db.execute(f"UPDATE requests SET {change} WHERE id = ?", (*values, request.id))
            if event is not None:
                self._db.execute("INSERT INTO events (key, body) VALUES (?, ?)", (request.id, _text(event)))

    # -- telling -----------------------------------------------------------------------------------------------------

    def events(self, most: int) -> list[tuple[int, str, dict[str, Any]]]:
        """(number, key, event) that the broker has not taken yet, the oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT number, key, body FROM events ORDER BY number LIMIT ?", (most,)).fetchall()
        return [(number, key, json.loads(body)) for number, key, body in rows]

    def note_told(self, last: int) -> None:
        """The broker has all events up to this number."""
        with self.transaction():
            self._db.execute("DELETE FROM events WHERE number <= ?", (last,))

    # -- looking -----------------------------------------------------------------------------------------------------

    def pending(self) -> int:
        """Requests not answered, and events not told."""
        query = "SELECT (SELECT count(*) FROM requests WHERE answered_at IS NULL) + (SELECT count(*) FROM events)"
        with self._lock:
            [(count,)] = self._db.execute(query)
        return int(count)

    def waiting(self) -> dict[str, int]:
        """Requests not answered by interface."""
        query = "SELECT interface, count(*) FROM requests WHERE answered_at IS NULL GROUP BY interface"
        with self._lock:
            return dict(self._db.execute(query))

    def forget(self, now: int) -> None:
        with self.transaction():
            self._db.execute("DELETE FROM requests WHERE answered_at < ?", (now - FORGET_MS,))


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
