"""Settings of a worker's process."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 200_000
"""Allocations between collections of the youngest generation. A turn allocates and frees tens of thousands of dicts
that never form cycles, while the kept rows live long: with Python's default of 700 a third of the orders agent's time
went into collections that found nothing."""


def settle() -> None:
    """Call once, when everything is imported and built: what exists now is left out of garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
