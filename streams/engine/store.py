"""The ordered key-value store beneath the tables of one task: the seam, and the one in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

Change = tuple[bytes, bytes | None]
"""A row to write: key and value, or key and None to delete it."""


class Store(Protocol):
    """Bytes to bytes in key order. ``write`` is atomic; nothing else changes the store."""

    def get(self, key: bytes) -> bytes | None: ...

    def range(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with ``low <= key < high`` in byte order. The store is not written while this is read."""
        ...

    def prepare(self, changes: Iterable[Change]) -> Any:
        """Make these rows ready for ``write``, which gets the answer as ``prepared``; None if that saves nothing."""
        ...

    def write(self, changes: Iterable[Change], prepared: Any = None) -> None:
        """Write the prepared rows, then ``changes``: all or nothing."""
        ...

    def size_bytes(self) -> int:
        """Approximate bytes of state on disk or in memory (for metrics)."""
        ...

    def clear(self) -> None:
        """Remove every row (the local copy is unusable; restore follows)."""
        ...

    def close(self) -> None: ...


class MemoryStore:
    """A dict with a sorted key list: the in-process runner's store."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def range(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        at = bisect_left(self._keys, low)
        while at < len(self._keys) and self._keys[at] < high:
            key = self._keys[at]
            yield key, self._rows[key]
            at += 1

    def prepare(self, changes: Iterable[Change]) -> None:
        return None

    def write(self, changes: Iterable[Change], prepared: None = None) -> None:
        for key, value in list(changes):  # all or nothing, also when the changes cannot be read to the end
            if value is None:
                if self._rows.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
            else:
                if key not in self._rows:
                    insort(self._keys, key)
                # A copy: orjson's bytes hold on to the 4 or 8 kB of the buffer they were written in.
                self._rows[key] = bytes(memoryview(value))

    def size_bytes(self) -> int:
        return sum(len(key) + len(value) for key, value in self._rows.items())

    def clear(self) -> None:
        self._rows.clear()
        self._keys.clear()

    def close(self) -> None:
        pass
