"""What is counted of all orders together: when and where paid orders are cancelled again (RSK-09), how many abnormal
orders were warned of before (RSK-12).

Each row is one day, month or watch, on the partition of its key; only orders that are cancelled, in trouble or fail to
pay send it anything. A day's report is made when its last order can have been cancelled, a month's a day after its end;
what is told later makes the report once more. `tally_kept_ms` after its report a row goes; what is told of its day or
month after that counts no more, or it would take the place of the whole report.

    pattern/DAY     {"cells": {"HH TIER": orders}, "out"}     hour of the payment, tier of the city
    capture/MONTH   {"abnormal", "early", "out"}
    popups          {"hours": [[hour, failed payments]], "raised": hour}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from streams.domain import calendar
from streams.domain.report.record import record_of
from streams.domain.risk.outcome import ALERTS, REPORT, REPORT_FACTS, SERIES, TALLIES, Get, Message, Outcome, Row
from streams.domain.risk.settings import Limits

PATTERN: Final = "pattern"
CAPTURE: Final = "capture"
POPUPS: Final = "popups"
_POPUP_ALERT: Final = "RSK-09/popups"
_HOURS: Final = 24


def pattern_key(at: int) -> str:
    return f"{PATTERN}/{calendar.compact_date(at)}"


def capture_key(at: int) -> str:
    return f"{CAPTURE}/{calendar.compact_date(at)[:6]}"


def step(get: Get, key: str, message: Message, limits: Limits, now: int) -> Outcome:
    """One message at its row; `now`: stream time, ms."""
    out = Outcome()
    row: Row | None = get(TALLIES, key)
    if message["do"] == "popup":
        _popup(out, row or {"hours": [], "raised": None}, message, limits)
        return out
    if row is None and _due(key, limits) + limits.tally_kept_ms < now:
        return out
    new = _counted(row, message)
    out.writes.append((TALLIES, key, new))
    if row is None:
        out.timers.append((REPORT, key, _due(key, limits)))
    elif new["out"]:
        _report(out, key, new, message["at"])
    return out


def due(get: Get, key: str, at: int, limits: Limits) -> Outcome:
    """The report of a row, its end, or the end of an hour of failed payments is due at `at` (ms)."""
    out = Outcome()
    row = get(TALLIES, key)
    if row is None:
        return out
    if key == POPUPS:
        _calmed(out, row, at)
    elif row["out"]:
        out.writes.append((TALLIES, key, None))
    else:
        new = {**row, "out": True}
        out.writes.append((TALLIES, key, new))
        out.timers.append((REPORT, key, max(at, _due(key, limits)) + limits.tally_kept_ms + 1))
        _report(out, key, new, at)
    return out


def _calmed(out: Outcome, row: Row, at: int) -> None:
    """The hour after an alarm is over: if it had been as bad, the alarm would be of that hour."""
    raised = row["raised"]
    if raised is not None and (raised + 2) * calendar.HOUR_MS <= at:
        out.sends.append((ALERTS, _POPUP_ALERT, {"rule": "RSK-09", "at": at, "do": "close"}))
        out.writes.append((TALLIES, POPUPS, {**row, "raised": None}))


def _counted(row: Row | None, message: Message) -> dict[str, Any]:
    if message["do"] == "regret":
        cells = dict((row or {"cells": {}})["cells"])
        cell = f"{message['hour']:02} {message['tier']}"
        cells[cell] = cells.get(cell, 0) + 1
        return {"out": False, **(row or {}), "cells": cells}
    known = row or {"abnormal": 0, "early": 0, "out": False}
    return {**known, "abnormal": known["abnormal"] + 1, "early": known["early"] + message["early"]}


def _due(key: str, limits: Limits) -> int:
    name, _, period = key.partition("/")
    year, month = int(period[:4]), int(period[4:6])
    if name == PATTERN:
        return calendar.at(year, month, int(period[6:])) + calendar.DAY_MS + limits.cancel_window_ms + 1
    return calendar.at(year + month // 12, month % 12 + 1, 1) + calendar.DAY_MS


def _report(out: Outcome, key: str, row: Row, at: int) -> None:
    name, _, period = key.partition("/")
    if name == PATTERN:
        rule, date = "RSK-09", f"{period[:4]}-{period[4:6]}-{period[6:]}"
        rows = [
            {"hour": int(cell[:2]), "city_tier": cell[3:] or None, "orders": row["cells"][cell]}
            for cell in sorted(row["cells"])
        ]
        words = _pattern_words(rows)
    else:
        rule, date = "RSK-12", f"{period[:4]}-{period[4:]}"
        early, abnormal = row["early"], row["abnormal"]
        rows = [{"abnormal": abnormal, "warned_before": early, "capture_percent": round(100 * early / abnormal, 2)}]
        words = f"{early} of {abnormal} abnormal orders had been warned of before"
    report = record_of(rule, date, rows, [words], at)
    out.sends.append((REPORT_FACTS, SERIES, {"series": SERIES, "at": at, "report": report}))


def _pattern_words(rows: Sequence[Row]) -> str:
    """The hour and the city tier with the most of them; of equals the later hour, the higher tier."""
    hours, tiers = Counter[int](), Counter[str]()
    for row in rows:
        hours[row["hour"]] += row["orders"]
        if row["city_tier"]:
            tiers[row["city_tier"]] += row["orders"]
    hour = max(hours, key=lambda name: (hours[name], name))
    words = f"{hours.total()} orders cancelled soon after payment: {hours[hour]} of them paid from {hour:02}:00 on"
    if tiers:
        tier = max(tiers, key=lambda name: (tiers[name], name))
        words += f", {tiers[tier]} of them from cities of tier {tier}"
    return words


def _popup(out: Outcome, row: Row, message: Message, limits: Limits) -> None:
    """RSK-09: an hour with `popup_factor` times the failed payments of a mean hour of the day before it; of those hours
    that are known, or an even rate would be an alarm on the first day."""
    at, hour = message["at"], message["at"] // calendar.HOUR_MS
    counts = dict(row["hours"])
    counts[hour] = counts.get(hour, 0) + 1
    before = sum(count for when, count in counts.items() if hour - _HOURS <= when < hour)
    known = min(_HOURS, hour - min(counts))
    raised = row["raised"]
    finding: dict[str, Any] = {"rule": "RSK-09", "at": at}
    if (
        before
        and counts[hour] >= limits.popup_least
        and counts[hour] * known >= limits.popup_factor * before
        and raised != hour
    ):
        title = "payments fail far more often than usual"
        detail = f"{counts[hour]} failed payments within the hour, {before} in the {known} hours before"
        out.sends.append((ALERTS, _POPUP_ALERT, {**finding, "do": "open", "title": title, "detail": detail}))
        raised = hour
        out.timers.append((REPORT, POPUPS, (hour + 2) * calendar.HOUR_MS))
    elif raised is not None and hour > raised:
        out.sends.append((ALERTS, _POPUP_ALERT, {**finding, "do": "close"}))
        raised = None
    newest = max(counts)
    hours = [[when, counts[when]] for when in sorted(counts) if when >= newest - 2 * _HOURS]
    out.writes.append((TALLIES, POPUPS, {"hours": hours, "raised": raised}))
