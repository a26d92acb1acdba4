"""What is kept of an order, and how a fact changes it: by minima, maxima and sets, so that neither the order of arrival
nor a repetition matters. A row is JSON:

    channel   of the order; None until its creation is known
    days      numbers of the days it was touched in, rising
    reached   first time of each state by the word of whoever has the authority for it, by rank, or None
    closed    first time it was said to be closed, or None
    said      {topic NUL source, NUL field where it is one of its own: [first time of each state by rank, its last
              words]}; a last word is [first day whose report sees it, at, rank], one per day, of the last days only
    signed    {waybill: [signed at, taken in at, courier]}

Beside it stand rows of their own, under a day where they belong to one: `days` (touched), `lags` (of signatures),
`codes` (unknown status codes), `open` (delivered and not confirmed, with the times of both), `sources` (how many
records each sent; these alone are counted, not looked at as a set).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.domain import calendar
from streams.domain.order.claims import of_a_field, read, shown
from streams.domain.order.dedup import event_key
from streams.domain.order.meanings import CONFIRM_TIMEOUT
from streams.domain.rules.nodes import CUSTOMER_SIGNED, LOGISTICS_SIGNED, PENDING_PAYMENT, SETTLED, STATES
from streams.domain.status_map import masked

from .settings import QualityReports

Fact = dict[str, Any]
Row = Mapping[str, Any]

ORDERS, DAYS, LAGS, CODES, OPEN, SOURCES = "orders", "days", "lags", "codes", "open", "sources"

CLOSED: Final = "closed"
COURIERS: Final = "couriers"
NEW: Final[Row] = {
    "channel": None,
    "days": [],
    "reached": [None] * len(STATES),
    "closed": None,
    "said": {},
    "signed": {},
}


@dataclass(slots=True)
class Seen:
    """The row after a fact: the same object if it says nothing new. `writes`: (table, key, value or None) of the rows
    beside it; those of `codes` are new at their first telling only. `days` (numbers): what was told about them before
    may be different now; `on`: and so may every day's from this one on.
    """

    row: Row
    writes: list[tuple[str, str, Any]] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    on: int | None = None


def concerns(fact: Fact) -> bool:
    """Whether a fact is what another system said, or that nobody will confirm a delivery any more (LOG-15); other
    answers of this system's own agents are not."""
    return not fact["event_type"].startswith("_") or fact["event_type"] == CONFIRM_TIMEOUT


def key(day: int, *names: str) -> str:
    return "\0".join((f"{day:07d}", *names))


def observe(row: Row | None, fact: Fact, taken_in: int, known: Callable[[str], bool], settings: QualityReports) -> Seen:
    """`taken_in` ms is when the fact came in; the rest goes by event time alone. `known`: whether there is a row of
    `codes` of that key."""
    row = NEW if row is None else row
    at: int = fact["event_time"]
    topic, source, guid = fact["topic"], fact["source"], fact["order_guid"]
    meaning, refusal = read(fact)
    mapped = fact.get("mapped")
    new: dict[str, Any] = {}
    seen = Seen(row)
    day = calendar.day_number(at)
    if day not in row["days"] and fact["event_type"] != CONFIRM_TIMEOUT:
        new["days"] = sorted([*row["days"], day])
        seen.writes.append((DAYS, key(day, guid), 1))
    rank = meaning.rank if refusal is None else -1
    if row["channel"] is None and fact["event_type"] == "order_created":
        new["channel"] = fact["channel"]
        if rank != PENDING_PAYMENT:  # it exists, whatever its status says (ST-01)
            new["reached"] = _earliest(row["reached"], PENDING_PAYMENT, at)
    if rank >= 0:
        reached: list[int | None] = new.get("reached") or row["reached"]
        first = reached[rank]
        if first is None or at < first:
            new["reached"] = _with(reached, rank, at)
            if rank == LOGISTICS_SIGNED and row["channel"] in settings.auto_complete:  # LOG-13
                new["reached"] = _earliest(new["reached"], CUSTOMER_SIGNED, at)
    closes = (meaning.mark == CLOSED and refusal is None) or (mapped is not None and CLOSED in mapped["flags"])
    if closes and (row["closed"] is None or at < row["closed"]):
        new["closed"] = at
    if (meaning.claims or of_a_field(fact)) and (shows := shown(fact, meaning)) >= 0:
        speaker = f"{topic}\0{source}\0{mapped['field']}" if mapped and "field" in mapped else f"{topic}\0{source}"
        said = _said(row["said"].get(speaker), shows, at, settings)
        if said is not None:
            new["said"] = {**row["said"], speaker: said}
    if mapped is not None and not mapped["known"]:
        name = key(day, guid, event_key(source, fact["event_id"]).hex())
        if not known(name):
            seen.writes.append((CODES, name, _unknown(fact)))
            seen.days.append(day)
    if rank == LOGISTICS_SIGNED and topic == COURIERS:
        signed = _signed(row["signed"], fact, taken_in, seen)
        if signed is not None:
            new["signed"] = signed
    if new:
        seen.row = {**row, **new}
        moved = "reached" in new or "closed" in new or "channel" in new
        before, after = (waiting(row), waiting(seen.row)) if moved else (None, None)
        since = at
        if "channel" in new:  # what came before its creation counts from now on
            since = min(time for time in seen.row["reached"] if time is not None)
        first_day = settings.first_day(since)
        if before != after:
            seen.writes.append((OPEN, guid, after))
            delivered = min(entry[1] for entry in (before, after) if entry is not None)
            seen.on = max(first_day, settings.first_day(delivered))
            seen.days.append(seen.on)  # told of, whether or not anything else was said that day
        seen.days += [other for other in seen.row["days"] if other >= first_day or "channel" in new]
    return seen


def _with(times: list[int | None], rank: int, at: int) -> list[int | None]:
    return [*times[:rank], at, *times[rank + 1 :]]


def _earliest(times: list[int | None], rank: int, at: int) -> list[int | None]:
    known = times[rank]
    return _with(times, rank, at if known is None else min(at, known))


def _said(before: list[Any] | None, rank: int, at: int, settings: QualityReports) -> list[Any] | None:
    """What a source has said, with one word more; None if that says nothing new."""
    if before is None:
        return [_with([None] * len(STATES), rank, at), [[settings.first_day(at), at, rank]]]
    firsts, last = before
    first = firsts[rank]
    changed = first is None or at < first
    if changed:
        firsts = _with(firsts, rank, at)
    day = settings.first_day(at)
    told = next((word for word in last if word[0] == day), None)
    if told is None or [at, rank] > told[1:]:
        last = sorted([*(word for word in last if word is not told), [day, at, rank]])[-settings.kept_days - 1 :]
        changed |= last != before[1]
    return [firsts, last] if changed else None


def _unknown(fact: Fact) -> list[Any]:
    speaker = fact.get("courier") if fact["topic"] == COURIERS else fact.get("channel")
    said = masked(fact.get("raw_status") or "")
    return [fact["event_time"], [fact["topic"], fact["source"], speaker, fact.get("raw_field"), said]]


def _signed(before: Mapping[str, list[Any]], fact: Fact, taken_in: int, seen: Seen) -> dict[str, Any] | None:
    """LOG-12: a waybill is signed at its first signature, and known from the first time that one was told."""
    at, waybill = fact["event_time"], fact.get("waybill_no") or ""
    courier = fact.get("courier") or fact["source"]
    old = before.get(waybill)
    if old is None:
        entry = [at, taken_in, courier]
    else:
        entry = [min(at, old[0]), *min(old[1:], [taken_in, courier])]
        if entry == old:
            return None
        seen.writes.append((LAGS, key(calendar.day_number(old[1]), fact["order_guid"], waybill), None))
        seen.days.append(calendar.day_number(old[1]))
    day = calendar.day_number(entry[1])
    seen.writes.append((LAGS, key(day, fact["order_guid"], waybill), [entry[2], max(0, entry[1] - entry[0])]))
    seen.days.append(day)
    return {**before, waybill: entry}


def waiting(row: Row) -> list[Any] | None:
    """[channel, delivered at, over at or None] of an order that waited for its customer, else None (LOG-13)."""
    reached = row["reached"]
    delivered = reached[LOGISTICS_SIGNED]
    if delivered is None or row["channel"] is None:
        return None
    over = [at for at in (reached[CUSTOMER_SIGNED], reached[SETTLED], row["closed"]) if at is not None]
    ended = min(over) if over else None
    return None if ended is not None and ended <= delivered else [row["channel"], delivered, ended]
