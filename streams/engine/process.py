"""Settings of a worker's process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from typing import Final

YOUNG_OBJECTS: Final = 200_000
"""Allocations between collections of the youngest generation. A turn allocates and frees tens of thousands of dicts
that never form cycles, while the kept rows live long: with Python's default of 700 a third of the orders agent's time
went into collections that found nothing."""


ARENAS: Final = 2
"""Of glibc's malloc. A worker has dozens of threads, and an arena for each would keep what it once freed."""
MAPPED_BYTES: Final = 256 << 10
"""Blocks from this size on are mapped singly and go back when freed. Left to itself glibc raises the limit to that of
the largest block it saw freed; then fetched batches lie among what is kept, and a fifth of the memory is holes."""
SPARE_BYTES: Final = 8 << 20
"""Free memory at the end of an arena that stays: to hand it back and ask again takes time."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


@contextlib.contextmanager
def haste() -> Iterator[None]:
    """Around a worker's imports: nothing of what they make is garbage, and to look for it again and again takes a tenth
    of its start. Until `settle`, or the end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """Call once, when everything is imported and built and before threads start: what exists now is left out of garbage
    collection."""
    with contextlib.suppress(OSError, AttributeError):  # other C libraries have no mallopt
        options = {_M_ARENA_MAX: ARENAS, _M_MMAP_THRESHOLD: MAPPED_BYTES, _M_TRIM_THRESHOLD: SPARE_BYTES}
        for option, value in options.items():
            ctypes.CDLL(None).mallopt(option, value)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
    gc.enable()


def give_back() -> None:
    """Hand whole pages that lie free between blocks back to the system. Takes milliseconds; from any thread."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(SPARE_BYTES)
