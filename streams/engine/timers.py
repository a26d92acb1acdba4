"""Per-key timers of one task: rows in an ordered range by due time, plus the due time by key.

Both live in the task's store and changelog as two tables, so timers survive a kill, a rebalance and a restore, and
setting or firing one commits with the turn that did it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final

from streams.engine.agent import TableSpec
from streams.engine.store import Store
from streams.engine.table import Table

NEVER: Final = 2**63 - 1
"""Due time when no timer is set."""
_due = struct.Struct(">q")
_EMPTY: Final = b"1"


def _same(data: bytes) -> bytes:
    return data


class Timers:
    """One timer per (kind, key). ``next_due`` is never later than the earliest: one int is compared per record.

    What is due next is the earlier of two heads: of the stored rows, read once in order from turn to turn, and of the
    rows that this turn put. In a backlog timers fire one by one between records; a scan of all that the turn did, for
    each of them, would take the square of the turn.
    """

    def __init__(self, store: Store, scope: bytes = b"") -> None:
        self.by_due = Table(TableSpec("\1due", _same, _same, binary_keys=True), store, kept_rows=0, scope=scope)
        self.by_key = Table(TableSpec("\1timer", _same, _same, binary_keys=True), store, scope=scope)
        self.next_due = NEVER
        self._generation = -1
        self._stored: Iterator[bytes] | None = None
        self._head: bytes | None = None
        """The first of the stored rows that was not passed yet."""
        self._put: list[bytes] = []
        """Heap of rows that this turn put; some may be gone since."""
        self.refresh()

    def set(self, kind: str, key: str, due: int, *, new: bool = False) -> None:
        """Fire ``on_timer(kind, key, due)`` once event time reaches ``due`` (ms); replaces the timer of (kind, key).
        ``new``: the caller knows that there is none, so the store need not be asked."""
        if not 0 <= due < NEVER:
            raise ValueError(f"timer {kind}: due {due} is not a time in ms since the epoch")
        name, packed = _name(kind, key), _due.pack(due)
        if new:
            self.by_key.add(name, packed)
        else:
            old = self.by_key.get(name)
            if old == packed:
                return
            if old is not None:
                del self.by_due[old + name]
            self.by_key[name] = packed
        self.by_due.add(packed + name, _EMPTY)
        if due < self.next_due:
            self.next_due = due
        if self._generation == self.by_due.generation:
            heappush(self._put, packed + name)

    def cancel(self, kind: str, key: str) -> None:
        """Forget the timer of (kind, key), if there is one."""
        name = _name(kind, key)
        old = self.by_key.pop(name)
        if old is not None:
            del self.by_due[old + name]

    def due(self, kind: str, key: str) -> int | None:
        """When the timer of (kind, key) fires, in ms, or None."""
        packed = self.by_key.get(_name(kind, key))
        return None if packed is None else int(_due.unpack(packed)[0])

    def fire(self, limit: int, call: Callable[[str, str, int], None], most: int = NEVER) -> int:
        """Call ``call(kind, key, due)`` for every timer due at or before ``limit``, in order of due time, but for no
        more than ``most``; answers for how many. If others are still due, ``next_due`` says so.

        A timer set meanwhile and due by then fires in its turn; one cancelled or moved meanwhile does not.
        """
        end, fired = _due.pack(min(limit + 1, NEVER)), 0
        while fired < most and (row := self._first()) is not None and row < end:
            name = row[8:]
            del self.by_due[row]
            del self.by_key[name]
            fired += 1
            kind, _, key = name.decode().partition("\0")
            call(kind, key, _due.unpack_from(row)[0])
        self._find_next()
        return fired

    def refresh(self) -> None:
        """Make ``next_due`` exact (after a restore or a rollback, or when what was next may have been cancelled)."""
        self.next_due = 0
        self.release()
        self._find_next()

    def release(self) -> None:
        """Let go of what was read ahead: the turn is over, or the store is about to be closed."""
        self._generation = -1
        self._stored = self._head = None
        self._put = []

    def _find_next(self) -> None:
        row = self._first()
        self.next_due = NEVER if row is None else _due.unpack_from(row)[0]

    def _first(self) -> bytes | None:
        """The row that is due next."""
        rows = self.by_due
        if self._generation != rows.generation:
            # Nothing lies before next_due but what was deleted lately, which the store would have to step over.
            self._stored = rows.stored(_due.pack(self.next_due))
            self._head = next(self._stored, None)
            self._put = rows.put()
            heapify(self._put)
            self._generation = rows.generation
        assert self._stored is not None
        while self._head is not None and rows.written(self._head) is not None:
            self._head = next(self._stored, None)  # deleted; or deleted and put again, and so among the others
        put = self._put
        while put and not rows.written(put[0]):
            heappop(put)
        if put and (self._head is None or put[0] < self._head):
            return put[0]
        return self._head


def _name(kind: str, key: str) -> bytes:
    return f"{kind}\0{key}".encode()
