"""INV-03 and INV-09: quotas of channels, activities and warehouses, and the activities themselves.

A quota is an allotment: its unused units are set aside for those it names. A reservation draws from one quota, the
most specific that names it (ties: activity before channel before warehouse), and is refused when that is spent; one
that no quota names draws from what is not set aside. A cart draws like the order that takes its place. If more is set
aside than there is, the first to come are served, of those with a quota. Quotas of an activity end with it: what is
unused is shared stock again.
"""

from __future__ import annotations

from typing import Final

from .stock import MOST_SUM, Stock, quota_aside

_SEPARATOR: Final = "\0"


def key(channel: str | None, activity: str | None, warehouse: str | None) -> str:
    """Key of a quota; None: any."""
    return _SEPARATOR.join((activity or "", channel or "", warehouse or ""))


def named(quota: str) -> tuple[str | None, str | None, str | None]:
    """(channel, activity, warehouse) of a key."""
    activity, channel, warehouse = quota.split(_SEPARATOR)
    return channel or None, activity or None, warehouse or None


def of(stock: Stock, channel: str | None, activity: str | None, warehouse: str | None) -> str | None:
    """Ticket of the quota a reservation draws from, or None. A ticket is the key and when the quota was first set:
    units that come back to a quota removed and set anew are not its own.
    """
    quotas = stock.quotas
    if not quotas:
        return None
    for a, c, w in _SPECIFIC_FIRST:
        if (a and not activity) or (c and not channel) or (w and not warehouse):
            continue
        found = key(channel if c else None, activity if a else None, warehouse if w else None)
        if found in quotas:
            return f"{found}{_SEPARATOR}{quotas[found][3]}"
    return None


_SPECIFIC_FIRST: Final = (
    (True, True, True),
    (True, True, False),
    (True, False, True),
    (False, True, True),
    (True, False, False),
    (False, True, False),
    (False, False, True),
)


def _entry(stock: Stock, ticket: str | None) -> tuple[str, list[int]] | None:
    """The quota of a ticket, if it is still the same."""
    if ticket is None:
        return None
    name, _, born = ticket.rpartition(_SEPARATOR)
    entry = stock.quotas.get(name)
    return (name, entry) if entry is not None and entry[3] == int(born) else None


def is_live(stock: Stock, ticket: str) -> bool:
    """Whether the quota of a ticket is still in force."""
    return _entry(stock, ticket) is not None


def use(stock: Stock, ticket: str | None, units: int) -> None:
    """Draw units from a quota, or give them back (negative). A quota that has ended is left alone."""
    found = _entry(stock, ticket)
    if found is not None:
        name, (limit, used, at, born) = found
        stock.quotas = {**stock.quotas, name: [limit, used + units, at, born]}
        stock.aside -= units


def unused(stock: Stock, ticket: str | None) -> int:
    """Units left of a quota, 0 without one."""
    found = _entry(stock, ticket)
    return found[1][0] - found[1][1] if found is not None else 0


def put(stock: Stock, quota: str, limit: int | None, at: int) -> str | None:
    """Set a quota, or remove it (None). Answers why not, if so."""
    _, used, last, born = stock.quotas.get(quota, [0, 0, at, at])
    if at < last:
        return "a quota older than the one in force"
    if limit is None:
        stock.quotas = {name: entry for name, entry in stock.quotas.items() if name != quota}
    elif limit < used:
        return f"a quota of {limit} below the {used} units used"
    else:
        stock.quotas = {**stock.quotas, quota: [limit, used, at, born]}
    before, stock.aside = stock.aside, quota_aside(stock.quotas)
    return f"quotas of more than {MOST_SUM} units" if stock.aside > max(MOST_SUM, before) else None


def running(stock: Stock, activity: str | None, at: int) -> str | None:
    """The activity an order may name at this time: one that is set and does not run counts as none; one that was never
    set is taken at its word, for a quota may name it.
    """
    entry = stock.activities.get(activity) if activity else None
    if entry is not None and not entry[0] <= at < entry[1]:
        return None
    return activity or None


def to_freeze(stock: Stock, activity: str | None, units: int) -> int:
    """INV-04: reserved units to be frozen with so many units of a running activity, rounded up."""
    entry = stock.activities.get(activity) if activity else None
    return -(-units * entry[2] // 1_000) if entry is not None else 0


def begin(stock: Stock, activity: str, entry: list[int]) -> str | None:
    """Set an activity. Answers why not, if so."""
    before = stock.activities.get(activity)
    if before is not None and entry[4] < before[4]:
        return "an activity older than the one in force"
    stock.activities = {**stock.activities, activity: entry}
    return None


def end(stock: Stock, activity: str) -> None:
    """The activity is over, and with it its quotas."""
    stock.activities = {name: entry for name, entry in stock.activities.items() if name != activity}
    stock.quotas = {name: entry for name, entry in stock.quotas.items() if named(name)[1] != activity}
    stock.aside = quota_aside(stock.quotas)
