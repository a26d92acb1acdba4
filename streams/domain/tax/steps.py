"""One message of `invoice-facts`, or one timer: what it leads to.

order     from orders: see orders.take              profile  from intake      set  from intake: {ref, value}
answer    from intake: an event of the topic `tax`
ask       an order to a SKU or place: {ref, to, guid}              told   its answer: {ref, to, guid, value, wrong}
count     to an interface: {interface, error}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.domain.outcome import Get, Message, Outcome

from . import answers, closing, codes, ending, orders, profiles, rate
from .buyer import WrongNumber
from .desk import COUNTS, DAY, END, FACTS, GROUP, REFS, SLA, Desk, Row
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Step:
    """What a message leads to; `refusal`: why it is a dead letter; `months` that are to be reported (again)."""

    outcome: Outcome
    refusal: str | None
    months: list[str]


def step(get: Get, message: Message, now: int, settings: Settings, wrong: WrongNumber) -> Step:
    """`now`: stream time, ms; `wrong`: the check digit of tax numbers, from the edge. Raises ValueError for a message
    that is none."""
    desk = Desk(get, message["at"], now, settings, wrong)
    do = _DOES.get(message["do"])
    if do is None:
        raise ValueError(f"invoices know no message {message['do']!r}")
    do(desk, message)
    return Step(desk.done(), desk.refusal, sorted(desk.months))


def due(get: Get, kind: str, key: str, at: int, settings: Settings, wrong: WrongNumber) -> Step:
    """A timer of a group, an order or an interface, due `at` ms."""
    desk = Desk(get, at, at, settings, wrong)
    if kind == GROUP:
        closing.close(desk, key)
    elif kind == SLA:
        orders.late(desk, key)
    elif kind == END:
        ending.end(desk, key)
    elif kind == DAY:
        row = desk.row(COUNTS, key)
        if row is not None and rate.ends_at(row) <= at:
            _found(desk, key, *rate.over(row, at, settings))
    return Step(desk.done(), desk.refusal, sorted(desk.months))


def _set(desk: Desk, message: Row) -> None:
    """What is set of a SKU or place; whoever waits for it is answered."""
    ref = message["ref"]
    row = desk.row(REFS, ref) or {"at": None, "value": None, "waits": 0}
    if row["at"] is not None and row["at"] > message["at"]:
        return
    value = message["value"]
    fault = codes.mismatch(ref, value, desk.settings)
    waits = row["waits"]
    if fault is None:
        for number in range(waits):
            name = _waiting(ref, number)
            to, guid = desk.row(REFS, name)
            _tell(desk, ref, to, guid, value, None)
            desk.put(REFS, name, None)
        if waits:
            desk.alert("TAX-05", ref, do="close")
        waits = 0
    elif waits:
        _block(desk, ref, fault)
    desk.put(REFS, ref, {"at": message["at"], "value": value, "waits": waits})


def _ask(desk: Desk, message: Row) -> None:
    ref, to, guid = message["ref"], message["to"], message["guid"]
    row = desk.row(REFS, ref) or {"at": None, "value": None, "waits": 0}
    fault = codes.mismatch(ref, row["value"], desk.settings)
    if fault is not None:
        desk.put(REFS, _waiting(ref, row["waits"]), [to, guid])
        desk.put(REFS, ref, {**row, "waits": row["waits"] + 1})
        _block(desk, ref, fault)
    _tell(desk, ref, to, guid, row["value"], fault)


def _tell(desk: Desk, ref: str, to: str, guid: str, value: Row | None, fault: str | None) -> None:
    said = {"do": "told", "at": desk.at, "ref": ref, "to": to, "guid": guid, "value": value, "wrong": fault}
    desk.send(FACTS, to, said)


def _block(desk: Desk, ref: str, fault: str) -> None:
    desk.alert("TAX-05", ref, do="open", title="tax code missing or wrong", detail=f"{fault}: its invoices wait")


def _waiting(ref: str, number: int) -> str:
    return f"{ref}\0{number:08x}"


def _count(desk: Desk, message: Row) -> None:
    name = message["interface"]
    row, found = rate.count(desk.row(COUNTS, name), message["at"], message["error"], desk.settings)
    _found(desk, name, row, found)


def _found(desk: Desk, name: str, row: Row, found: list[rate.Finding]) -> None:
    for alert, said in found:
        desk.alert(rate.RULE, f"{name}/{alert}", **{**said, "source": name})
    desk.put(COUNTS, name, row)
    if row["attempts"] or row["raised"]:
        desk.timers.append((DAY, name, rate.ends_at(row)))


_DOES: Final = {
    "order": orders.take,
    "profile": profiles.take,
    "set": _set,
    "answer": answers.take,
    "ask": _ask,
    "told": orders.told,
    "count": _count,
}
