"""What a partition has to say at the hour of the stock reports (INV-13, INV-16): its SKUs' figures against those that
warehouses counted and channels show.

A figure is compared with ours of the moment it was told: what was sold since is no difference. A count belongs to the
first report after it was heard of, for a warehouse that counts at night may tell of it when the hour of the report is
over; what a channel shows stays a difference until the channel shows something else.

A partition may hold many SKUs, so it is looked through in steps, and other events are folded between them. A look in
hand is a row of JSON values, see `begin`; what the reports agent gets of it is described in `report.stock`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from streams.domain.report.settings import CHANNEL, WMS, StockReports, period
from streams.domain.report.stock import ALL, SERIES, largest

from .references import WORD
from .stock import POOLS, SALES, Stock

FACTS: Final = "report-facts"
TABLE: Final = "look"
HOUR: Final = "report"
STEP: Final = "report_step"
"""Kinds of timers; there is one of each per partition, under the key NOBODY."""
NOBODY: Final = ""

Look = Mapping[str, Any]


def begin(due: int) -> Look:
    """A look that has seen no SKU yet. `due`: the hour of the report, ms. `after`: the last SKU that was seen."""
    return {"due": due, "after": None, "skus": 0, "figures": 0, "rows": [], "left_out": 0, "counted": {}}


def following(look: Look) -> tuple[str, str]:
    """The range of names the look has not come to: from the first, up to but without the second."""
    return "" if look["after"] is None else look["after"] + "\0", "\U0010ffff" * (WORD + 1)


def step(look: Look, skus: Iterable[tuple[str, Stock]], settings: StockReports) -> Look:
    """The look after these SKUs, which follow `after` in order of their names."""
    due, after = look["due"], look["after"]
    seen, figures = look["skus"], look["figures"]
    rows, left_out = list(look["rows"]), look["left_out"]
    counted = {name: list(sums) for name, sums in look["counted"].items()}
    since = due - settings.counted_within_ms
    for sku, stock in skus:
        after = sku
        seen += bool(stock.warehouses)
        agreed: dict[str, bool] = {}
        for name, (at, count, level, *told) in stock.counts.items():
            if not since <= (told[0] if told else at) < due:
                continue
            warehouse, _, pool = name.partition("\0")
            figures += 1
            agreed[warehouse] = agreed.get(warehouse, True) and count == level
            if count != level:
                rows.append([sku, WMS, warehouse, pool, level, count, at])
        for channel, (shown, at, ours) in stock.channel_stock.items():
            figures += 1
            if shown != ours:
                rows.append([sku, CHANNEL, channel, POOLS[SALES], ours, shown, at])
        if agreed:
            for name, equal in (*agreed.items(), (ALL, all(agreed.values()))):
                sums = counted.setdefault(name, [0, 0])
                sums[0] += 1
                sums[1] += equal
    listed = largest(rows, settings.rows_per_part)
    left_out += len(rows) - len(listed)
    return {
        "due": due, "after": after, "skus": seen, "figures": figures, "rows": listed, "left_out": left_out,
        "counted": counted,
    }  # fmt: skip


def part(look: Look, partition: int, at: int) -> dict[str, Any]:
    """The finished look as a part for the reports agent, told at `at` ms."""
    told = {name: value for name, value in look.items() if name != "after"}
    place = f"inventory/{partition}"
    return {"series": SERIES, "period": period(look["due"]), "place": place, "at": at, **told}
