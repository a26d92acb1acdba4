"""The partition of a key: murmur2 as the Java client and librdkafka's ``murmur2_random`` compute it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """32-bit murmur2 with Kafka's seed, as an unsigned int."""
    length = len(data)
    value = (_SEED ^ length) & _MASK
    end = length & ~3
    for at in range(0, end, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        value = (value * _M & _MASK) ^ k
    tail = data[end:]
    if tail:
        value = ((value ^ int.from_bytes(tail, "little")) * _M) & _MASK
    value = ((value ^ (value >> 13)) * _M) & _MASK
    return value ^ (value >> 15)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a record with this key in a topic with that many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
