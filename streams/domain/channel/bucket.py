"""BRK-03: a bucket of as many tokens as a channel may have orders in a second.

Each token comes back one second after it was taken. So no second, whenever it begins, sees more orders than that: the
1201st call within a second has to wait, at a limit of 1200, however the 1200 before it were spread.

Row: {"taken": [[when, how many], ...], "used": their sum}, oldest first.
"""

from __future__ import annotations

from typing import Any, Final

from .outcome import Row

SECOND_MS: Final = 1_000


def settled(row: Row | None, now: int) -> Row:
    """The row with the tokens that have come back by now; the same object if none has."""
    if row is None:
        return FULL
    taken = row["taken"]
    if not taken or taken[0][0] > now - SECOND_MS:
        return row
    back = used = 0
    for at, count in taken:
        if at > now - SECOND_MS:
            break
        back += 1
        used += count
    return {"taken": taken[back:], "used": row["used"] - used}


def take(row: Row, count: int, now: int) -> Row:
    """The row with `count` tokens less. Should the clock be set back, they count from the newest that was taken."""
    taken = row["taken"]
    if taken and taken[-1][0] >= now:
        last = [[taken[-1][0], taken[-1][1] + count]]
        return {"taken": taken[:-1] + last, "used": row["used"] + count}
    return {"taken": [*taken, [now, count]], "used": row["used"] + count}


def back_at(row: Row, wanted: int, limit: int) -> int:
    """When `wanted` tokens (at most `limit`) are there, if none is taken meanwhile; ms. Some must be missing now."""
    missing = wanted - (limit - row["used"])
    for at, count in row["taken"]:
        missing -= count
        if missing <= 0:
            return int(at) + SECOND_MS
    raise ValueError("more tokens are wanted than the bucket holds")


FULL: Final[dict[str, Any]] = {"taken": [], "used": 0}
