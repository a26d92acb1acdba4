"""INV-11: more than 30 units of one SKU oversold within five minutes pause it, until somebody releases it.

The window slides over event time and holds units, not orders, of all channels. A payment that comes late counts where
it belongs: units of the last half hour are kept for it. While the SKU is paused every reserve is refused as
out_of_stock; payments still go through. A release is refused while availability is below zero, and so is a person's
closing of the alert, which is a release: a pause nobody hears of would turn customers away unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.domain import alert

from . import messages
from .change import Change
from .options import advice, options
from .settings import Settings

RULE = "INV-11"
_SHORT = 256
"""Orders of a SKU whose alerts close by themselves as units come in: the row must not grow without end."""


def oversold(change: Change, line_no: int, units: int) -> None:
    """One line was sold beyond availability: somebody has to call the customer (INV-08, CUS-05), until the order gives
    its units back, is sent all the same, or all that is owed is covered."""
    sku, guid, stock = change.sku, change.order_guid, change.touch()
    if guid is not None and guid not in stock.short and len(stock.short) < _SHORT:
        stock.short = [*stock.short, guid]
    change.alert(
        f"INV-08/{sku}/{guid}",
        {
            "do": "open",
            "rule": "INV-08",
            "title": "oversold",
            "detail": f"{units} of {sku} sold beyond stock, line {line_no}",
            "advice": advice(options(change.stock)),
            "order_guid": guid,
        },
    )


def count(change: Change, units: int, settings: Settings) -> None:
    """Units of one payment that were oversold go into the window."""
    stock = change.touch()
    if stock.paused:
        return
    at, length = change.at, settings.break_window_ms
    window = [*stock.window, [at, units, change.order_guid]]
    newest = max(entry[0] for entry in window)
    stock.window = [entry for entry in window if entry[0] > newest - max(settings.break_late_ms, length)]
    # The windows that these units fall into, each up to one of the sales.
    ends = {entry[0] for entry in stock.window if at <= entry[0] < at + length}
    totals = {end: sum(entry[1] for entry in stock.window if end - length < entry[0] <= end) for end in sorted(ends)}
    end = next((end for end, total in totals.items() if total > settings.break_units), None)
    if end is None:
        return
    total, start = totals[end], end - length
    stock.paused = True
    guids = list(dict.fromkeys(guid for sold, _, guid in stock.window if start < sold <= end))
    _tell(change, "pause", guids, total, start, end)
    change.alert(
        f"{RULE}/{change.sku}",
        {
            "do": "open",
            "rule": RULE,
            "title": "oversell breaker",
            "detail": f"{total} units of {change.sku} oversold within {settings.break_window_ms // 60_000} minutes: "
            "selling is paused",
        },
    )


def sku_of(alert_key: str) -> str | None:
    """The SKU whose pause an alert is about, or None for any other alert."""
    rule, _, sku = alert_key.partition("/")
    return sku if rule == RULE and sku else None


def release(change: Change, fact: Mapping[str, Any]) -> Change:
    """The manual release; a refusal with its reason where it may not be."""
    stock, closing = change.stock, fact["command"] == alert.CLOSE_COMMAND
    if not stock.paused:
        return change.refuse("the SKU is not paused")
    if closing and stock.window and change.at < stock.window[-1][0]:  # the sale that paused it
        return change.refuse("the alert was opened after this closing")
    if stock.available < 0:
        return change.refuse(f"{-stock.available} units are still oversold: reconcile the stock first")
    stock = change.touch()
    stock.paused, stock.window = False, []
    _tell(change, "release", [])
    by = {"by": alert.PERSON} if closing else {}
    change.alert(f"{RULE}/{change.sku}", {"do": "close", "rule": RULE, **by})
    return change.finish()


def _tell(
    change: Change,
    action: str,
    guids: list[Any],
    units: int | None = None,
    start: int | None = None,
    end: int | None = None,
) -> None:
    record = {
        "sku": change.sku,
        "action": action,
        "units": units,
        "window_start": start,
        "window_end": end,
        "at": change.at,
        "guids": guids,
    }
    change.sends.append((messages.BREAKS, change.sku, record))
