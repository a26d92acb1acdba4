"""Per-key timers of one task: rows in an ordered range by due time, plus the due time by key.

Both live in the task's store and changelog as two tables, so timers survive a kill, a rebalance and a restore, and
setting or firing one commits with the turn that did it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from streams.engine.agent import TableSpec
from streams.engine.store import Store
from streams.engine.table import Table

NEVER: Final = 2**63 - 1
"""Due time when no timer is set."""
MOST_READ: Final = 10_000
"""Due timers that are held in memory at once, however many there are."""

_due = struct.Struct(">q")
_EMPTY: Final = b"1"
_END: Final = b"\xff"


def _same(data: bytes) -> bytes:
    return data


class Timers:
    """One timer per (kind, key). ``next_due`` is never later than the earliest: one int is compared per record."""

    def __init__(self, store: Store) -> None:
        self.by_due = Table(TableSpec("\1due", _same, _same, binary_keys=True), store, kept_rows=0)
        self.by_key = Table(TableSpec("\1timer", _same, _same, binary_keys=True), store)
        self.next_due = NEVER
        self._firing: list[bytes] | None = None
        self._bound = b""
        self._touched: set[bytes] = set()
        """Rows set or deleted while others fire; a failing callback's changes are dropped again."""
        self.refresh()

    def set(self, kind: str, key: str, due: int) -> None:
        """Fire ``on_timer(kind, key, due)`` once event time reaches ``due`` (ms); replaces the timer of (kind, key)."""
        if not 0 <= due < NEVER:
            raise ValueError(f"timer {kind}: due {due} is not a time in ms since the epoch")
        name = _name(kind, key)
        old = self.by_key.get(name)
        new = _due.pack(due)
        if old == new:
            return
        if old is not None:
            self._forget(old + name)
        self.by_key[name] = new
        self.by_due.add(new + name, _EMPTY)
        if due < self.next_due:
            self.next_due = due
        if self._firing is not None and new + name < self._bound:
            self._touched.add(new + name)
            heappush(self._firing, new + name)

    def cancel(self, kind: str, key: str) -> None:
        """Forget the timer of (kind, key), if there is one."""
        name = _name(kind, key)
        old = self.by_key.pop(name)
        if old is not None:
            self._forget(old + name)

    def _forget(self, row: bytes) -> None:
        if self._firing is not None:
            self._touched.add(row)
        del self.by_due[row]

    def due(self, kind: str, key: str) -> int | None:
        """When the timer of (kind, key) fires, in ms, or None."""
        packed = self.by_key.get(_name(kind, key))
        return None if packed is None else int(_due.unpack(packed)[0])

    def fire(self, limit: int, call: Callable[[str, str, int], None], most: int = NEVER) -> int:
        """Call ``call(kind, key, due)`` for every timer due at or before ``limit``, in order of due time, but for no
        more than ``most``; answers for how many. If others are still due, ``next_due`` says so.

        A timer set meanwhile and due by then fires in its turn; one cancelled or moved meanwhile does not.
        """
        # Nothing lies before next_due but what was deleted lately, which a scan would have to step over.
        low, end, fired = _due.pack(self.next_due), _due.pack(min(limit + 1, NEVER)), 0
        try:
            while fired < most:
                wanted = min(most - fired, MOST_READ)
                heap = [row for row, _ in islice(self.by_due.range(low, end), wanted)]
                self._firing, self._bound = heap, end if len(heap) < wanted else heap[-1]
                while heap and fired < most:
                    low = heappop(heap)
                    name = low[8:]
                    if low in self._touched and self.by_key.get(name) != low[:8]:
                        continue
                    del self.by_due[low]
                    del self.by_key[name]
                    fired += 1
                    kind, _, key = name.decode().partition("\0")
                    call(kind, key, _due.unpack_from(low)[0])
                if heap:
                    low = heap[0]
                if self._bound == end:
                    break
        finally:
            self._firing = None
            self._touched.clear()
        self.refresh(low)
        return fired

    def refresh(self, low: bytes = b"") -> None:
        """Make ``next_due`` exact (after firing, a restore or a rollback); no timer lies before ``low``."""
        for row, _ in self.by_due.range(low, _END):
            self.next_due = _due.unpack_from(row)[0]
            return
        self.next_due = NEVER


def _name(kind: str, key: str) -> bytes:
    return f"{kind}\0{key}".encode()
