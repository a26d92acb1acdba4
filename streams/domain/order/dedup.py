"""ID-05: which events an order has seen, so that a repeated one changes nothing.

`seen` is a string of fixed-size entries, oldest first: a 6-byte key of (source, event_id), the 4-byte digest of the
event's content, and the order's clock - the latest event time it had seen - in seconds when the event came. The memory
is 7 days of that clock and MAX_SEEN events; what repeats after that is harmless too, since every merge of this package
is idempotent, but the audit then calls it accepted.
"""

from __future__ import annotations

from enum import Enum
from hashlib import blake2b
from struct import Struct
from typing import Final

KEY_SIZE: Final = 6
"""48 bits: two of an order's 256 events fall together once in 10^10 orders."""
_REST: Final = Struct(">II")
"""Digest and second: what follows the key."""
_SECOND: Final = Struct(">I")
ENTRY_SIZE: Final = KEY_SIZE + _REST.size
_LATEST: Final = 0xFFFFFFFF
MAX_SEEN: Final = 256
"""A typical order has 5 to 30 events; the bound keeps a runaway sender from growing the row beyond 5 KB."""


class Verdict(Enum):
    NEW = 0
    REPEATED = 1
    REUSED = 2
    """The event id was seen with other content."""


# By themselves: looking one up in an Enum takes as long as looking an event up.
NEW: Final = Verdict.NEW
REPEATED: Final = Verdict.REPEATED
REUSED: Final = Verdict.REUSED


def event_key(source: str, event_id: str) -> bytes:
    """Key of an event; event ids are unique per source."""
    return blake2b(f"{source}\0{event_id}".encode("utf-8", "surrogatepass"), digest_size=KEY_SIZE).digest()


def check(seen: bytes, key: bytes, digest: int) -> Verdict:
    """Whether the event is new to this memory."""
    at = seen.find(key)
    while at >= 0:
        if at % ENTRY_SIZE == 0:
            same = seen[at + KEY_SIZE : at + KEY_SIZE + 4] == (digest & 0xFFFFFFFF).to_bytes(4, "big")
            return REPEATED if same else REUSED
        at = seen.find(key, at + 1)
    return NEW


def remember(seen: bytes, key: bytes, digest: int, event_time: int, memory_ms: int) -> bytes:
    """`seen` with the event (ms) added and everything older than the memory dropped.

    An event is known as long as the order's clock has moved by at most `memory_ms` (to the second) since it came.
    """
    second = event_time // 1000
    if not 0 <= second <= _LATEST:
        second = 0 if second < 0 else _LATEST
    if seen:
        size = len(seen)
        (last,) = _SECOND.unpack_from(seen, size - 4)
        if last > second:
            second = last
        oldest = second - memory_ms // 1000
        start = max(0, size + ENTRY_SIZE - MAX_SEEN * ENTRY_SIZE)
        while start < size and _SECOND.unpack_from(seen, start + ENTRY_SIZE - 4)[0] < oldest:
            start += ENTRY_SIZE
        if start:
            seen = seen[start:]
    return seen + key + _REST.pack(digest & 0xFFFFFFFF, second)
