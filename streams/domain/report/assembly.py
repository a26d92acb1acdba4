"""Parts of a report on their way to one record.

A part is what one partition of an agent tells at the report's hour, on `report-facts`, keyed by the series:

    {"series": "stock", "period": "2026-01-24", "due": ms, "at": ms, "place": "inventory/3", ...}

Where every partition is asked at once, as by a closing, a part says of how many it is (`of`): the report goes out with
the last of them. Of others a partition in which nothing happened for a day tells nothing, so nobody can know how many
parts will come: the report goes out as soon as every partition that ever told a part has told this one, else when the
grace is over. Either goes out once more for every part that comes later. For a partition that was silent its last part
stands in: what was open there still is.

In a backlog partitions come to a time days apart. So the last word of each is kept however old it is, and where an
older one stands in for it in the newest report, that one is made again. The report of a day whose other parts are gone
by then is not: what the late part has counted is in none, and where that matters the newest report says so.

    index        {"places": {place: its last period}, "open": {period: {"due": ms, "places": [...], "carried": {place:
                 period of the part that stands in}, "out": whether the report went out, "lost": [how many parts came
                 too late for their report, its period of the first of them, of the last], if any did}}}
    part rows    period NUL place -> part
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain.calendar import DAY_MS

from .settings import Waiting

Part = Mapping[str, Any]
Index = Mapping[str, Any]
Get = Callable[[str], Any]
"""Row key -> part or None."""

OF: Final = "of"
"""Field of a part: how many there are in all."""

EMPTY: Final[Index] = {"places": {}, "open": {}}


@dataclass(slots=True)
class Outcome:
    """The index to keep; parts to write (None deletes); when (ms) the grace of the period is over, if that matters, and
    `again`, (period, ms), of another one that is made once more; and whether the report of the period goes out now: of
    `parts`, and `carried` for the silent partitions, both by place; `lost`: see the index.
    """

    index: Index
    writes: list[tuple[str, Part | None]] = field(default_factory=list)
    grace_over: int | None = None
    again: tuple[str, int] | None = None
    out: bool = False
    parts: dict[str, Part] = field(default_factory=dict)
    carried: dict[str, Part] = field(default_factory=dict)
    lost: tuple[int, str, str] | None = None


def row_key(period: str, place: str) -> str:
    return f"{period}\0{place}"


def step(index: Index, get: Get, part: Part, settings: Waiting, counted: bool = False) -> Outcome:
    """A part has come. One that its place told before is replaced; one from too long ago opens no report any more.
    `counted`: what it tells is of its period and in no later part, so that somebody must know that it is lost."""
    period, place, due = part["period"], part["place"], part["due"]
    newest = max((entry["due"] for entry in index["open"].values()), default=due)
    oldest = max(newest, due) - settings.kept_days * DAY_MS
    known = index["places"]
    if due <= oldest:
        done = Outcome(index) if known.get(place, "") >= period else _stands_in(index, part, settings)
        return _lost(done, period, settings) if counted else done
    entry = index["open"].get(period) or {"due": due, "places": [], "carried": {}, "out": False}
    told = entry["places"] if place in entry["places"] else [*entry["places"], place]
    spoke_before = any(last < period for last in known.values())  # else nobody knows yet who will speak
    whole = len(told) >= part[OF] if OF in part else spoke_before and known.keys() <= {*told}
    out = entry["out"] or whole
    carried = {name: other for name, other in entry["carried"].items() if name != place}
    still = {name: each for name, each in index["open"].items() if each["due"] > oldest}
    after = {
        "places": {**known, place: max(period, known.get(place, ""))},
        "open": {**still, period: {**entry, "places": told, "carried": carried, "out": out}},
    }
    done = _kept(index, after, part)
    if out:
        _gather(done, get, period, {place: part})
    else:
        # Who asks late is answered as late: until then the parts of all are on their way.
        done.grace_over = (max(due, part["at"]) if OF in part else due) + settings.grace_ms
    newer = _outdated(after, part)
    if newer is not None:
        done.index = _again(after, newer)
        done.again = newer, after["open"][newer]["due"] + settings.grace_ms
    return done


def _stands_in(index: Index, part: Part, settings: Waiting) -> Outcome:
    """The last word of a place, from too long ago for a report of its own."""
    after = {**index, "places": {**index["places"], part["place"]: part["period"]}}
    newer = _outdated(after, part)
    if newer is None:
        return _kept(index, after, part)
    done = _kept(index, _again(after, newer), part)
    done.again = newer, after["open"][newer]["due"] + settings.grace_ms
    return done


def _lost(done: Outcome, period: str, settings: Waiting) -> Outcome:
    """A part of `period` has come too late for its report: the newest one says so, and is made again for it."""
    newest, entry = max(done.index["open"].items(), key=lambda one: one[1]["due"])
    count, first, last = entry.get("lost", (0, period, period))
    told = {**entry, "lost": [count + 1, min(first, period), max(last, period)], "out": False}
    done.index = {**done.index, "open": {**done.index["open"], newest: told}}
    done.again = newest, entry["due"] + settings.grace_ms
    return done


def sentence(lost: tuple[int, str, str], settings: Waiting) -> str:
    """Of `Outcome.lost`, for the highlights of the report."""
    count, first, last = lost
    which = f"1 part, of {first}, is" if count == 1 else f"{count} parts, of {first} to {last}, are"
    return f"{which} in no report: partitions were {settings.kept_days} days behind the others, or more"


def _kept(index: Index, after: Index, part: Part) -> Outcome:
    done = Outcome(after, [(row_key(part["period"], part["place"]), part)])
    done.writes += [(key, None) for key in sorted(_needed(index) - _needed(after))]
    return done


def _outdated(index: Index, part: Part) -> str | None:
    """The newest report, if it went out with an older word of the part's place than this, or without any."""
    newest = max(index["open"], default="", key=lambda period: index["open"][period]["due"])
    entry = index["open"].get(newest)
    place = part["place"]
    if entry is None or not entry["out"] or place in entry["places"] or entry["due"] <= part["due"]:
        return None
    return newest if entry["carried"].get(place, "") < part["period"] else None


def _again(index: Index, period: str) -> Index:
    """The report of a period is to be made once more, as if its grace were not over."""
    return {**index, "open": {**index["open"], period: {**index["open"][period], "out": False}}}


def waited(index: Index, get: Get, period: str) -> Outcome | None:
    """The grace of a period is over. None if its report has gone out meanwhile."""
    entry = index["open"].get(period)
    if entry is None or entry["out"]:
        return None
    silent = {place: last for place, last in index["places"].items() if last < period and place not in entry["places"]}
    done = Outcome({**index, "open": {**index["open"], period: {**entry, "carried": silent, "out": True}}})
    _gather(done, get, period, {})
    return done


def _gather(done: Outcome, get: Get, period: str, fresh: Mapping[str, Part]) -> None:
    entry = done.index["open"][period]
    done.out = True
    done.parts = {place: fresh.get(place) or get(row_key(period, place)) for place in sorted(entry["places"])}
    done.carried = {place: get(row_key(last, place)) for place, last in sorted(entry["carried"].items())}
    if "lost" in entry:
        count, first, last = entry["lost"]
        done.lost = count, first, last


def _needed(index: Index) -> set[str]:
    """Rows that a report may still be made of."""
    rows = {row_key(period, place) for place, period in index["places"].items()}
    for period, entry in index["open"].items():
        rows |= {row_key(period, place) for place in entry["places"]}
        rows |= {row_key(last, place) for place, last in entry["carried"].items()}
    return rows
