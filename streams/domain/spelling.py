"""Names of platforms, couriers and their fields, in whichever way they are written."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from unicodedata import normalize

_NO_LETTER: Final = re.compile(r"[\W_]+")
"""What stands between the words of a name."""


@lru_cache(maxsize=4096)
def bare(name: str) -> str:
    """A name without what spellings of it differ in: case, width of letters, and whatever is no letter or digit."""
    return _NO_LETTER.sub("", normalize("NFKC", name).casefold())


def tidy(name: str) -> str:
    """A name as it may stand in a key: small letters of one width, `_` between its words."""
    return "_".join(normalize("NFKC", name).casefold().split())


@lru_cache(maxsize=4096)
def beginnings(name: str) -> tuple[str, ...]:
    """The `bare` name, and those it begins with word by word, the longest first: taobao-shop1 is a shop of taobao."""
    ends = [len(name), *(found.start() for found in reversed([*_NO_LETTER.finditer(name)]))]
    return tuple(dict.fromkeys(short for end in ends if (short := bare(name[:end]))))
