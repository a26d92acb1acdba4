"""Cleaning steps, and how one gets at a protected field: confirmed by two others, and by stages (canary).

What is cleaned is data: a step for a field of a topic. A field that is not protected needs no more than that. For a
protected one the entry names who asked, two others who confirmed, and stages: from when on which share of the orders
is cleaned, the first of them a small one, each for at least `canary_ms`. Which orders are in a share follows from
their number, so a larger share holds the smaller one, and a replay cleans the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from zlib import crc32

from .seal import digest

WHOLE: Final = 1000

STEPS: Final[Mapping[str, Callable[[str], str]]] = {
    "strip": str.strip,
    "squeeze": lambda text: " ".join(text.split()),
    "full_width": lambda text: unicodedata.normalize("NFKC", text),
    "drop_controls": lambda text: "".join(one for one in text if unicodedata.category(one) not in ("Cc", "Cf")),
}
"""What a cleaning step may be: text in, text out."""


class Cleaned(NamedTuple):
    """What was done to a field of a record: `step`, and the hashes of before and after."""

    field: str
    step: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """A cleaning step of a field (no path) of a topic. `stages`: (from when, ms, share of 1,000), rising in both;
    empty: of all, always."""

    topic: str
    field: str
    step: str
    asked_by: str = ""
    confirmed_by: tuple[str, ...] = ()
    stages: tuple[tuple[int, int], ...] = ()

    def share(self, at: int) -> int:
        """Of 1,000 orders, at `at` (ms)."""
        if not self.stages:
            return WHOLE
        return max((share for since, share in self.stages if since <= at), default=0)


def wrong(change: Change, is_protected: bool, canary_ms: int, canary_per_1000: int, confirmations: int) -> str | None:
    """Why a change must not be used; None if it may."""
    if change.step not in STEPS:
        return f"unknown step {change.step!r}, there are {', '.join(STEPS)}"
    if not is_protected:
        return None
    others = {name.strip() for name in change.confirmed_by} - {"", change.asked_by.strip()}
    if not change.asked_by.strip() or len(others) < confirmations:
        return f"{change.field} is protected: who asked, and {confirmations} others who confirmed, must be named"
    if not change.stages or change.stages[0][1] > canary_per_1000:
        return f"{change.field} is protected: the first stage is of at most {canary_per_1000} of 1,000 orders"
    for (since, share), (then, more) in zip(change.stages, change.stages[1:], strict=False):
        if then - since < canary_ms or more <= share:
            return f"{change.field} is protected: stages rise, each lasts at least {canary_ms} ms"
    return None if 0 < change.stages[-1][1] <= WHOLE else "a share is out of 1,000"


def clean(
    changes: Iterable[Change], record: Mapping[str, Any], number: str, at: int
) -> tuple[dict[str, Any], list[Cleaned]]:
    """The record with the steps of its topic's changes done to it, and what they did. `number` names the order, `at` is
    the event time (ms)."""
    new, done = dict(record), []
    for change in changes:
        before = new.get(change.field)
        if isinstance(before, str) and crc32(number.encode("utf-8", "surrogatepass")) % WHOLE < change.share(at):
            after = STEPS[change.step](before)
            if after != before:
                new[change.field] = after
                done.append(Cleaned(change.field, change.step, digest(before), digest(after)))
    return new, done
