"""What must happen to a waybill by when, and what is done if it does not (LOG-01 to LOG-03, LOG-06, LOG-11).

`due` is a function of the row, so a timer is set to its earliest time after each change, and `fire` does all that has
come due. An alert closes as soon as the row says that its cause is gone.
"""

from __future__ import annotations

from typing import Any, Final

from ..alert import FORGOTTEN
from .settings import Settings
from .waybill import PROBED, Row, asked_of, goes_out, is_back, moved_at, rests

Send = tuple[str, str, dict[str, Any]]
"""(topic, key, value)."""

ALERTS: Final = "alert-facts"
CALLS: Final = "courier-facts"
NOBODY: Final = "-"
"""Key of what concerns a courier that is not known yet."""

PUSH, PROBE, REFRESH, FORGET = "push", "probe", "refresh", "forget"
_TIMES: Final = ("created", "accepted", "shipped", "moved", "returned", "ended", "foreign")
_NEVER: Final = (0,) * len(_TIMES)

UNACCEPTED, UNPICKED, SLOW, STALLED, COMPLAINED = "LOG-01", "LOG-02", "LOG-03/slow", "LOG-03", "LOG-11"
"""Alerts, by the beginning of their keys."""
_WATCHED: Final = [UNACCEPTED, UNPICKED, SLOW, STALLED]
"""Those that the watch closes; an investigation (LOG-11) is ended by a person."""


def due(row: Row, settings: Settings) -> list[tuple[int, str]]:
    """(when, what) may come next, in no order; of a waybill that has arrived, or is back, only that it is forgotten."""
    found = [(max(map(row.get, _TIMES, _NEVER)) + settings.kept_ms, FORGET)]
    if "ended" in row or not goes_out(row) or is_back(row):
        return found
    raised = row.get("raised", ())
    if "accepted" not in row and (pushed := row.get("pushed", 0)) < settings.pushes:
        found.append((row["created"] + settings.accept_ms * (pushed + 1) + 1, PUSH))
    if "shipped" in row and "picked" not in row and UNPICKED not in raised:
        found.append((row["shipped"] + settings.pickup_ms + 1, UNPICKED))
    # Who carries it may not be known before anybody answers: then a probe is all there is to find out by (LOG-02).
    courier = row.get("courier", PROBED)
    if courier not in settings.couriers and courier != PROBED:
        return found
    moved = moved_at(row)
    if moved is not None and courier in settings.couriers and not rests(row):
        if SLOW not in raised and STALLED not in raised:
            found.append((moved + settings.stall_ms + 1, SLOW))
        if STALLED not in raised:
            found.append((moved + settings.stalled_ms + 1, STALLED))
    still = row.get("shipped", row.get("accepted")) if moved is None else moved
    if still is not None:
        probe = max(still, row.get("probed", 0)) + settings.probe_ms
        unnamed = courier == PROBED and row.get("carrier") not in settings.couriers
        if probe <= still + (settings.probe_unnamed_ms if unnamed else settings.probe_for_ms):
            found.append((probe, PROBE))
    return found


def next_due(row: Row, settings: Settings) -> int:
    """The earliest of it, ms."""
    return min(due(row, settings))[0]


def fire(guid: str, number: str, row: Row, now: int, settings: Settings) -> tuple[Row | None, list[Send], int]:
    """The row (None: forgotten) and what is sent after all that was due by `now`, and what `next_due` says then.

    After a time in which nobody worked, what was missed is done once, not once for each time it was due.
    """
    sends: list[Send] = []
    while True:
        at, what = min(due(row, settings))
        if at > now:
            return row, sends, at
        if what == FORGET:
            _close(guid, number, row, _WATCHED, now, sends, by=FORGOTTEN)
            return None, sends, at
        row = _do(guid, number, row, what, now, settings, sends)


def _do(guid: str, number: str, row: Row, what: str, now: int, settings: Settings, sends: list[Send]) -> Row:
    if what == PUSH:
        missed = min(settings.pushes, (now - row["created"] - 1) // settings.accept_ms)
        pushed = max(row.get("pushed", 0) + 1, missed)
        sends.append(call(PUSH, guid, number, asked_of(row), now, pushed))
        row = {**row, "pushed": pushed}
        detail = f"not accepted by its courier for more than {settings.accept_ms // 60_000} min; pushed again"
        return _raise(guid, number, row, UNACCEPTED, "waybill not accepted", detail, now, sends)
    if what == PROBE:
        sends.append(call(PROBE, guid, number, asked_of(row), now, 0))
        return {**row, "probed": now}
    if what == UNPICKED:
        detail = f"shipped, and not picked up for more than {settings.pickup_ms // 3_600_000} h"
        return _raise(guid, number, row, UNPICKED, "pickup missing", detail, now, sends)
    courier = row.get("courier")
    hours = (settings.stall_ms if what == SLOW else settings.stalled_ms) // 3_600_000
    detail = f"{courier} has not moved it for more than {hours} h"
    if what == STALLED:
        phone = settings.couriers[str(courier)].phone
        detail += f"; call {phone}, waybill {number}" if phone else f"; waybill {number}"
        detail += f", ticket {STALLED}/{number}/{moved_at(row)}"  # of one stop of the parcel, whenever it is worked out
        row = _close(guid, number, row, [SLOW], now, sends)
    return _raise(guid, number, row, what, "transit stalled" if what == STALLED else "transit slow", detail, now, sends)


def settle(guid: str, number: str, before: Row | None, row: Row, at: int, settings: Settings) -> tuple[Row, list[Send]]:
    """After a fact of `at`: closes alerts whose cause is gone, and opens an investigation after repeated complaints."""
    sends: list[Send] = []
    raised, ended = row.get("raised", ()), "ended" in row
    arrived = ended or is_back(row)
    over = []
    if raised:
        if "accepted" in row or arrived or not goes_out(row):
            over.append(UNACCEPTED)
        if "picked" in row or arrived:
            over.append(UNPICKED)
        if arrived or rests(row) or moved_at(row) != moved_at(before or {}):
            over += [SLOW, STALLED]
        row = _close(guid, number, row, over, at, sends)
    if ended and (complaints := row.get("complaints")):
        row = _complained(guid, number, row, complaints, at, settings, sends)
    return row, sends


def _complained(
    guid: str, number: str, row: Row, complaints: list[list[Any]], at: int, settings: Settings, sends: list[Send]
) -> Row:
    """Each complaint from the second on is told: it counts into the investigation, or opens it again. Whichever is
    told last, there is no such finding before the second complaint."""
    told = len(complaints)
    for heard in range(max(settings.complaints, row.get("told", 0) + 1), told + 1):
        detail = (
            f"signed according to {row.get('courier')}, and {heard} complaints; waybill {number}: "
            "ask the courier for the proof of delivery"
        )
        since = max(at, complaints[heard - 1][0])
        row = _raise(guid, number, row, COMPLAINED, "signed but not received", detail, since, sends)
        row["told"] = told
    return row


def call(kind: str, guid: str, number: str, courier: str | None, at: int, attempt: int) -> Send:
    wish = {"do": kind, "waybill_no": number, "order_guid": guid, "courier": courier, "attempt": attempt, "at": at}
    return CALLS, courier or NOBODY, wish


def _raise(guid: str, number: str, row: Row, what: str, title: str, detail: str, at: int, sends: list[Send]) -> Row:
    rule = what[:6]
    said = {"do": "open", "rule": rule, "title": title, "detail": detail, "at": at, "order_guid": guid}
    if what == SLOW:
        said |= {"severity": "warning", "targets": []}  # yellow: a sign for the dashboard, nobody is called
    sends.append((ALERTS, f"{what}/{guid}/{number}", said))
    return {**row, "raised": sorted({*row.get("raised", ()), what})}


def _close(guid: str, number: str, row: Row, over: list[str], at: int, sends: list[Send], by: str | None = None) -> Row:
    gone = [what for what in over if what in row.get("raised", ())]
    for what in gone:
        said = {"do": "close", "rule": what[:6], "at": at, "order_guid": guid}
        sends.append((ALERTS, f"{what}/{guid}/{number}", said if by is None else {**said, "by": by}))
    return {**row, "raised": [what for what in row["raised"] if what not in gone]} if gone else row
