"""Names of platforms, couriers and their fields, in whichever way they are written."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_NO_LETTER: Final = re.compile(r"[\W_]+")


@lru_cache(maxsize=4096)
def bare(name: str) -> str:
    """A name without what spellings of it differ in: case, and whatever is no letter or digit."""
    return _NO_LETTER.sub("", name.casefold())
