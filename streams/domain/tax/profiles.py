"""TAX-02, TAX-12, TAX-14: what is stored of a customer: the profile, past headings, when it was last used.

Row: {"profile": {version, at, type, fields}, "headings": [names, the newest last], "used": ms, "day": of the index,
"altered": 1 while TAX-10 is told of a profile that was refused}.
"""

from __future__ import annotations

from streams.domain import calendar

from . import report
from .buyer import TYPES, clean, wrong_number
from .desk import CUSTOMERS, USED, Desk, Row
from .integrity import ALTERED, INTAKE, NUMBER, SEAL, checked
from .settings import FIELDS


def take(desk: Desk, message: Row) -> None:
    """A profile is set: {to, at, type, ...}. Of several the newest counts, by the time of its event."""
    to, said = message["to"], checked(message, INTAKE)
    row = desk.row(CUSTOMERS, to) or {}
    before = row.get("profile")
    if ALTERED in said:
        desk.refusal = "tax_number_altered: the number is not what was typed"
        desk.alert("TAX-10", to, do="open", title="tax_number_altered", detail=f"profile, by {said[ALTERED]}")
        desk.put(CUSTOMERS, to, {**row, "altered": 1})
        return
    number = said.get(NUMBER)
    if number is not None and (fault := wrong_number(number, desk.settings, desk.wrong_number)):
        desk.refusal = f"the tax number {fault}"
        return
    if before is not None and before["at"] >= message["at"]:
        return
    if "altered" in row:
        desk.alert("TAX-10", to, do="close")
        row = {name: value for name, value in row.items() if name != "altered"}
    profile: Row = {name: said[name] for name in (*FIELDS, SEAL) if said.get(name)}
    profile["name"] = clean(profile["name"], desk.settings.reserved)
    profile |= {"version": (before or {}).get("version", 0) + 1, "at": message["at"], "type": TYPES[said["type"]]}
    _index(desk, to, {**row, "profile": profile}, max(message["at"], row.get("used") or 0))


def used(desk: Desk, to: str, buyer: Row) -> None:
    """An invoice was asked for, for this buyer."""
    row = desk.row(CUSTOMERS, to) or {}
    past = [name for name in row.get("headings", ()) if name != buyer["name"]]
    new = {**row, "headings": [*past, buyer["name"]][-desk.settings.headings :]}
    profile = row.get("profile")
    if profile is not None and profile.get(NUMBER) == buyer.get(NUMBER):
        new["used"] = max(desk.at, row.get("used") or 0)
        _index(desk, to, new, max(new["used"], profile["at"]))
    else:
        desk.put(CUSTOMERS, to, new)


def index_key(day: int, to: str) -> str:
    """Sorts by day."""
    return f"{day:06d}\0{to}"


def _index(desk: Desk, to: str, row: Row, last: int) -> None:
    """Keep profiles listed by the day of their last use."""
    day, old = calendar.day_number(last), row.get("day")
    if old != day:
        if old is not None:
            desk.put(USED, index_key(old, to), None)
        desk.put(USED, index_key(day, to), 1)
    desk.put(CUSTOMERS, to, {**row, "day": day})
    desk.months.add(report.month_before(desk.now, desk.settings))
