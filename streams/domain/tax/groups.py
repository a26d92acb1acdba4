"""TAX-07: orders that wait to share an invoice.

Orders of one customer that were signed on one day (Shanghai), went to one address and are for one tax profile wait for
each other: until `wait_ms` after the first is ready, a group of `trigger_minor` only `trigger_wait_ms`, and none into
the margin before its invoice is late (TAX-08). What is signed later that day makes a group of its own.

Row: {"opened", "due", "late", "guids", "amounts" {guid: minor units}}. See closing for what becomes of it.
"""

from __future__ import annotations

from streams.domain import calendar

from .buyer import fingerprint
from .desk import GROUP, GROUPS, Desk, Row


def join(desk: Desk, guid: str, row: Row) -> None:
    """The order, which is ready, waits with others like it. `row` is the caller's own."""
    order, settings = row["order"], desk.settings
    day = calendar.day_number(order["signed_at"])
    parts = (str(day), row["to"], order["address"] or guid, fingerprint(row["buyer"]), order["currency"])
    name = "\0".join(parts)
    # By the time of the events, not of the worker: that goes on while it idles, and what is asked for hangs on it.
    ready = max(desk.at, order["signed_at"])
    group = desk.row(GROUPS, name) or {"opened": ready, "guids": [], "late": None, "amounts": {}}
    amounts = {**group["amounts"], guid: sum(line[3] for line in row["open"])}
    guids = group["guids"] if guid in group["guids"] else [*group["guids"], guid]
    late = row.get("due", max(order["signed_at"], order["paid_at"] or 0, row["asked_at"]) + settings.sla_ms)
    late = late if group["late"] is None else min(late, group["late"])
    full = sum(amounts.values()) >= settings.trigger_minor
    due = group["opened"] + (settings.trigger_wait_ms if full else settings.wait_ms)
    due = max(ready, min(due, late - settings.margin_ms))
    row["group"] = name
    desk.put(GROUPS, name, {"opened": group["opened"], "guids": guids, "late": late, "amounts": amounts, "due": due})
    if due != group.get("due"):
        desk.timers.append((GROUP, name, due))
