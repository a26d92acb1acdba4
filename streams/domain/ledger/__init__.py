"""The money of an order: what a fact about it, or its timer, leads to in `ledger-entries`.

    row        what is known: price by line, money that moved, what revenue waits for
    recognise  FIN-01, FIN-02, ST-05 e: when revenue is recognised, by channel (`rules/recognition.json`)
    entries    FIN-03, FIN-06, FIN-07: the postings and their ids
    apportion  FIN-06: an amount over lines, by largest remainder
    periods    FIN-11: months and their lock
    findings   what does not add up, as alerts
    view       FIN-13: one answer for people; FIN-08: what lies between GMV and what is booked
    settings   every number

`now` is stream time: the window of a cancel mark is over when it has passed for all that came in on the partition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from streams.domain.ledger import findings
from streams.domain.ledger.entries import Book, Entry
from streams.domain.ledger.findings import ALERTS, Send
from streams.domain.ledger.periods import CLOSED, STATED
from streams.domain.ledger.recognise import held_open, verdict
from streams.domain.ledger.row import Fact, Row, concerns, observe
from streams.domain.ledger.settings import LedgerError, Settings
from streams.domain.ledger.view import bridge, of_entries, view, waits_for

__all__ = [
    "ALERTS",
    "CLOSED",
    "ENTRIES",
    "STATED",
    "LedgerError",
    "Outcome",
    "Settings",
    "bridge",
    "concerns",
    "due",
    "held_open",
    "of_entries",
    "step",
    "view",
    "waits_for",
]

ENTRIES: Final = "ledger-entries"


@dataclass(slots=True)
class Outcome:
    """`row` is the object given if there is nothing to store. Its `due` is when the order's timer has to fire."""

    row: Row | None
    entries: list[Entry] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)


def step(row: Row | None, fact: Fact, now: int, locked: int, settings: Settings) -> Outcome:
    """One fact about the order. `now` in ms, `locked` as in periods."""
    new, refused = observe(row, fact, settings)
    if new is row or new is None:
        return Outcome(row)
    guid, at = fact["order_guid"], fact["event_time"]
    out = Outcome(new)
    if refused is not None:
        out.sends.append(findings.refused(guid, new, fact, refused))
    if row is None and "unexplained" in new:
        out.sends.append(findings.unexplained(guid, new, at))
    if row is not None and "done" in row and len(new.get("triggers", ())) > max(1, len(row.get("triggers", ()))):
        out.sends.append(findings.twice(guid, new, fact))
    _settle(out, guid, row, new, at, now, locked, settings)
    return out


def due(guid: str, row: Row, at: int, locked: int, settings: Settings) -> Outcome:
    """The order's timer fires: all that is due by `at` (ms)."""
    out = Outcome(row)
    waiting = {name: value for name, value in row.items() if name != "due"}
    _settle(out, guid, row, waiting, at, at, locked, settings, fired=True)
    return out


def _settle(
    out: Outcome,
    guid: str,
    before: Row | None,
    new: Row,
    at: int,
    now: int,
    locked: int,
    settings: Settings,
    fired: bool = False,
) -> None:
    if not new.get("money") and new.get("total") != 0:
        return  # most facts of most orders: nothing moved, nothing is to be told
    book = Book(guid, new, locked)
    known = {} if before is None else before.get("money", {})
    added = [key for key in new.get("money", {}) if key not in known]
    for key in added:
        book.money(key)
    found, done = verdict(new, settings), new.get("done")
    wake = None
    if found.at is None:
        if done is not None:
            assert before is not None
            book.reverse(before, at)
            new = {name: value for name, value in new.items() if name not in ("done", "shares")}
            new["gen"] = new.get("gen", 0) + 1
    elif done is not None:
        if added:
            assert before is not None
            book.give_back(before, at)
            new = book.row
    elif found.at <= now:
        book.recognise(found.at)
        new = {**new, "done": found.at}
    else:
        wake = found.at
    timer = new.get("due")
    if added or fired:
        new, told = findings.settle(guid, new, at, now, settings, bool(added), out.sends)
        if told is not None:
            wake = told if wake is None else min(wake, told)
    if wake is not None and (timer is None or wake < timer):
        # One that is put off or has lost its cause stays where it is: it will find nothing due.
        new = {**new, "due": wake}
    out.row, out.entries = new, book.entries
