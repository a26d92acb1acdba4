"""What a day's parts say about stock: the differences somebody has to follow up (INV-13), and how often a count agreed
(INV-16). A part holds, besides what `assembly` needs:

    skus      SKUs looked at
    figures   figures of warehouses and channels compared
    rows      differences, each [sku, side, name, pool, ours, theirs, told at]; side: wms or channel, name: whose figure
    left_out  further differences that are not listed
    counted   {warehouse: [SKUs counted, of these equal]}; "" over all warehouses
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .assembly import Outcome, Part
from .record import record_of
from .settings import CHANNEL, StockReports

SERIES: Final = "stock"
DIFFERENCES: Final = "INV-13"
ACCURACY: Final = "INV-16"
ALL: Final = ""

Row = list[Any]


def records(outcome: Outcome, period: str, at: int, settings: StockReports) -> list[dict[str, Any]]:
    """The records of `reports` for a period; `at` ms is when they were made."""
    parts = [*outcome.parts.values()]
    found = [_differences(parts, outcome.carried, period, at, settings)]
    counted = _counted(parts)
    if counted.get(ALL, (0, 0))[0]:
        found.append(_accuracy(counted, period, at, settings))
    return found


# -- INV-13 -----------------------------------------------------------------------------------------------------------


def _differences(
    parts: Iterable[Part], carried: Mapping[str, Part], period: str, at: int, settings: StockReports
) -> dict[str, Any]:
    parts = [*parts]
    # A count belongs to its day; what a channel shows stays wrong until it shows something else.
    still_open = [row for part in carried.values() for row in part["rows"] if row[1] == CHANNEL]
    found: list[Row] = [row for part in parts for row in part["rows"]] + still_open
    listed = largest(found, settings.rows)
    rows = [
        {
            "sku": sku,
            "side": side,
            "name": name,
            "pool": pool,
            "ours": ours,
            "theirs": theirs,
            "difference": theirs - ours,
            "told_at": told_at,
            "follow_up": settings.follow_up.person(side, name),
        }
        for sku, side, name, pool, ours, theirs, told_at in listed
    ]
    skus, figures = (sum(part[what] for part in parts) for what in ("skus", "figures"))
    left_out = len(found) - len(listed) + sum(part["left_out"] for part in parts)
    highlights = [
        f"{len(found) + sum(part['left_out'] for part in parts)} differences in {figures} figures of {skus} SKUs"
    ]
    if not figures:
        highlights.append("no warehouse and no channel has told a figure to compare with")
    if left_out:
        highlights.append(f"{left_out} differences are not listed: the largest are")
    persons = Counter(row["follow_up"] for row in rows)
    highlights += [f"{person}: {count} to follow up" for person, count in sorted(persons.items())]
    if carried:
        since = min(part["period"] for part in carried.values())
        highlights.append(f"{len(carried)} partitions told nothing new: theirs is of {since} or later")
    return record_of(DIFFERENCES, period, rows, highlights, at)


def largest(rows: list[Row], most: int) -> list[Row]:
    """At most so many rows, those with the largest differences, in order of SKU, side, name and pool."""
    if len(rows) > most:
        rows = sorted(rows, key=lambda row: (-abs(row[5] - row[4]), row[:4]))[:most]
    return sorted(rows, key=lambda row: row[:4])


# -- INV-16 -----------------------------------------------------------------------------------------------------------


def _counted(parts: Iterable[Part]) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for part in parts:
        for name, (counted, equal) in part["counted"].items():
            before = sums.get(name, (0, 0))
            sums[name] = before[0] + counted, before[1] + equal
    return sums


def _accuracy(counted: Mapping[str, tuple[int, int]], period: str, at: int, settings: StockReports) -> dict[str, Any]:
    target = settings.accuracy_per_1000
    rows, highlights = [], []
    for name, (skus, equal) in sorted(counted.items()):
        reached = equal * 1000 >= target * skus
        rows.append(
            {
                "warehouse": name or None,
                "skus_counted": skus,
                "skus_equal": equal,
                "accuracy": _percent(equal, skus),
                "reached": reached,
            }
        )
        if not reached:
            where = f"in {name}" if name else "over all warehouses"
            wanted = f"{target // 10}.{target % 10}"
            highlights.append(f"accuracy {_percent(equal, skus)} % {where}, below the target of {wanted} %")
    return record_of(ACCURACY, period, rows, highlights, at)


def _percent(part: int, whole: int) -> str:
    """Two decimals, cut off: 99.499 % must not look like 99.50 %."""
    share = part * 10_000 // whole
    return f"{share // 100}.{share % 100:02d}"
