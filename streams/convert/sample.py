"""Makes the bundled sample: about 1,000 Olist orders with every status and every kind of disorder in their timestamps.

    python -m streams.convert.sample SRC

The choice is fixed: of each kind the first orders by id (ids are hashes, so the draw is fair), then delivered orders.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from streams.convert import olist
from streams.convert.common import ConvertError, Line, write
from streams.data import SAMPLE

SIZE = 1_000
TARGET = SAMPLE

Marks: TypeAlias = Mapping[str, int]
"""What an order's events are: event name without the order id, payments as one `paid`, to the event's time in ms."""


def _before(first: str, second: str) -> Callable[[Marks], bool]:
    return lambda marks: marks.get(first, sys.maxsize) < marks.get(second, -1)


def _has(*names: str) -> Callable[[Marks], bool]:
    return lambda marks: all(name in marks for name in names)


# Kind, how many at least, and how it shows in the events. Where fewer exist, all are taken.
KINDS: tuple[tuple[str, int, Callable[[Marks], bool]], ...] = (
    ("only created", 5, lambda marks: set(marks) == {"created", "empty"} or set(marks) == {"created"}),
    ("approved", 2, _has("status-approved")),
    ("delivered without a date", 8, _has("status-delivered")),
    ("canceled yet delivered", 6, _has("status-canceled", "signed")),
    ("delivered before the carrier had it", 5, _before("signed", "picked-up")),
    ("carrier before the purchase", 22, _before("picked-up", "created")),
    ("carrier before the approval", 40, _before("picked-up", "paid")),
    ("canceled yet handed to the carrier", 25, _has("status-canceled", "picked-up")),
    ("canceled before approval", 25, lambda marks: "status-canceled" in marks and "paid" not in marks),
    ("canceled", 60, _has("status-canceled")),
    ("unavailable with items", 6, lambda marks: "status-unavailable" in marks and "empty" not in marks),
    ("unavailable without items", 30, _has("status-unavailable", "empty")),
    ("shipped without items", 1, _has("picked-up", "empty")),
    ("invoiced without items", 2, _has("status-invoiced", "empty")),
    ("invoiced", 40, _has("status-invoiced")),
    ("processing", 40, _has("status-processing")),
    ("shipped", 100, lambda marks: "picked-up" in marks and len(marks) == 3),
    ("several payments", 40, _has("several")),
    ("late against the estimate", 60, _has("late")),
)


def choose(marks_of: Mapping[str, Marks], full: set[str], size: int = SIZE) -> set[str]:
    """Ids of `size` orders: the quota of each kind, then delivered orders of `full` (those with real items) by id."""
    chosen: set[str] = set()
    for _, quota, matches in KINDS:
        chosen.update([order_id for order_id in sorted(marks_of) if matches(marks_of[order_id])][:quota])
    rest = (order_id for order_id in sorted(full - chosen) if "signed" in marks_of[order_id])
    for order_id in rest:
        if len(chosen) >= size:
            break
        chosen.add(order_id)
    return chosen


def survey(src: Path) -> tuple[dict[str, Marks], set[str]]:
    """What the events of every order in `src` are, and the ids of the orders whose items are known."""
    marks_of: dict[str, dict[str, int]] = {}
    full: set[str] = set()
    estimated: dict[str, int] = {}
    for entry in olist.convert(src, sort="source"):
        value = entry["value"]
        order_id, _, what = value["event_id"].partition("-")
        marks = marks_of.setdefault(order_id, {})
        if what.startswith("paid-"):
            marks["several" if "paid" in marks else "paid"] = value["event_time"]
            continue
        marks[what] = value["event_time"]
        if what == "created":
            marks |= {"empty": 0} if not value["lines"] else {}
            full.update([order_id] if "synthesised" not in value["raw"] and value["lines"] else [])
            estimated[order_id] = olist.estimated_at(value)
    for order_id, marks in marks_of.items():
        if marks.get("signed", -1) > estimated[order_id]:
            marks["late"] = estimated[order_id]
    return dict(marks_of), full


def sample(src: Path) -> list[Line]:
    """The input lines of the sample, by event time."""
    return list(olist.convert(src, orders=choose(*survey(src))))


def main(arguments: list[str]) -> int:
    """Writes the sample; exit code 2 on wrong use or a source that cannot be converted."""
    if len(arguments) != 1:
        print("usage: python -m streams.convert.sample SRC", file=sys.stderr)
        return 2
    try:
        lines = sample(Path(arguments[0]))
    except ConvertError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{TARGET.name}: {write(TARGET, lines)} events, {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
