"""Confirm and Cancel (INV-07, INV-08): what is held is sold, given back or expires; what is sold may come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import breaker, messages, quotas
from .change import HOLDS, Change
from .holds import CONFIRMED, EXPIRED, HELD, OUTCOMES, RELEASED, RETURNED, Hold, Line, key, next_due
from .options import options
from .settings import Settings
from .stock import MOST_SUM, SALES, debtor, deduction

Lines = list[list[Any]]


def confirm(change: Change, hold: Hold | None, command: Mapping[str, Any], settings: Settings) -> Change:
    """The order is paid: every line is sold, from its hold if that is valid at the time of the payment, else from what
    is available, and if there is not enough all the same: as oversold.
    """
    number: int = command.get("round") or 0
    if len(command["lines"]) > settings.lines:
        return change.refuse_lines(command, messages.TOO_MANY_LINES)
    if not change.stock.warehouses:
        if not command.get("quiet"):
            change.reply(messages.CONFIRM, number, [[line[0], messages.UNMANAGED, None] for line in command["lines"]])
        return change
    at = change.at
    new = hold.copy() if hold is not None else Hold()
    answers: Lines = []
    missing, longest, touched = 0, None, False
    for line_no, units in command["lines"]:
        line = new.lines.get(line_no)
        if line is not None and (line.phase == CONFIRMED or (line.phase == RETURNED and number <= line.number)):
            answers.append(_sold(change, line_no, line))
            continue
        if line is None and not settings.is_quantity(units):
            answers.append([line_no, messages.REFUSED, messages.BAD_QUANTITY])
            continue
        if line is not None and line.phase == HELD and at >= line.until:
            line = _end(change, line_no, line, EXPIRED)
        if line is not None and line.phase == HELD:
            held_ms = max(0, at - line.since)
            longest = max(held_ms, longest or 0)
            line = _confirm_held(change, line_no, _sent_from(line, command), held_ms)
        else:
            line = line or Line(units, EXPIRED, at, at)
            line = _confirm_late(change, line_no, _sent_from(line, command))
        line.number = max(line.number, number)
        touched = True
        new.lines[line_no] = line
        if line.missing:
            missing += line.missing
            breaker.oversold(change, line_no, line.missing)
        answers.append(_sold(change, line_no, line))
    if change.too_much:
        return change.refuse_lines(command, messages.TOO_MANY_UNITS)
    if missing:
        breaker.count(change, missing, settings)
    if touched:
        keep(change, new, settings)
    change.reply(messages.CONFIRM, number, answers, longest)
    return change.finish()


def _sold(change: Change, line_no: int, line: Line) -> list[Any]:
    if line.phase == CONFIRMED and line.missing:
        return [line_no, messages.OVERSOLD, None, options(change.stock)]
    return [line_no, OUTCOMES[line.phase], None]


def _confirm_held(change: Change, line_no: int, line: Line, held_ms: int) -> Line:
    change.hold(-line.quantity, messages.CONFIRMED, line_no, held_ms)
    stock = change.touch()
    stock.frozen -= line.frozen
    # A hold is a promise of units that are there, unless stock was lost since: a count, goods moved away.
    missing = min(line.quantity, max(0, line.quantity - stock.sales - stock.owed))
    stock.owed += missing
    sold = line.ended(CONFIRMED, change.at)
    sold.taken, sold.missing = _take(change, line_no, line.quantity, line.warehouse), missing
    return sold


def _sent_from(line: Line, command: Mapping[str, Any]) -> Line:
    """The line with the warehouse that has the order by now: it may be another one than the order named."""
    warehouse = command.get("warehouse")
    return line if warehouse in (None, line.warehouse) else replace(line, warehouse=warehouse)


def _confirm_late(change: Change, line_no: int, line: Line) -> Line:
    """INV-08: no valid hold any more, or none ever."""
    stock = change.touch()
    kept = line.taken  # of a line returned in part: what stayed sold
    units = line.quantity - sum(part for _, part in kept)
    covered = min(units, max(0, stock.available))
    missing = units - covered
    quota = line.quota if quotas.unused(stock, line.quota) >= units else None
    quotas.use(stock, quota, units)
    sold = line.ended(CONFIRMED, change.at)
    sold.quota, sold.missing = quota, missing
    taken = _take(change, line_no, covered, line.warehouse) if covered else []
    if missing:
        change.stock.owed += missing
        name = debtor(change.stock, line.warehouse)
        change.sell(name, missing, line_no)
        taken.append([name, missing])
    sold.taken = [*kept, *taken]  # in the order of taking: what was taken last comes back first
    return sold


def _take(change: Change, line_no: int, units: int, warehouse: str | None) -> list[list[Any]]:
    taken = deduction(change.stock, units, warehouse)
    for name, part in taken:
        change.sell(name, part, line_no)
    return [[name, part] for name, part in taken]


def release(change: Change, hold: Hold | None, command: Mapping[str, Any], settings: Settings) -> Change:
    """The order is cancelled, refused or refunded: units held are free again, units sold come back."""
    number: int = command.get("round") or 0
    new = hold.copy() if hold is not None else Hold()
    answers: Lines = []
    longest, touched, owed = None, False, _is_owed(new)
    for line_no, units in command["lines"]:
        line = new.lines.get(line_no)
        if line is None and command.get("sold") and change.stock.warehouses and settings.is_quantity(units):
            line = _forgotten(change, units, command.get("warehouse"))
        if line is None or line.phase in (RELEASED, EXPIRED):
            answers.append([line_no, messages.RELEASED, None])
            continue
        if line.phase == HELD:
            longest = max(change.at - line.since, longest or 0)
            new.lines[line_no] = _end(change, line_no, line, RELEASED)
            touched = True
        elif line.phase == CONFIRMED:
            new.lines[line_no] = _return(change, line_no, line, units, number)
            touched = True
        answers.append([line_no, OUTCOMES[new.lines[line_no].phase], None])
    if change.too_much:
        return change.refuse_lines(command, messages.TOO_MANY_UNITS)
    if touched:
        keep(change, new, settings)
    if owed and not _is_owed(new):
        _calm(change)
    change.reply(command["do"], number, answers, longest)
    return change.finish()


def _forgotten(change: Change, units: int, warehouse: str | None) -> Line:
    """A line that was sold so long ago that nobody knows from where. Whether it was oversold is not known either, so an
    alert about that ends in any case."""
    _calm(change)
    taken = [[debtor(change.stock, warehouse), units]]
    return Line(units, CONFIRMED, change.at, change.at, warehouse=warehouse, taken=taken)


def _calm(change: Change) -> None:
    """Nobody need call the customer about oversold units any more (INV-08)."""
    if change.order_guid in change.stock.short:
        change.touch().short = [guid for guid in change.stock.short if guid != change.order_guid]
    change.alert(f"INV-08/{change.sku}/{change.order_guid}", {"do": "close", "rule": "INV-08"})


def _is_owed(hold: Hold) -> bool:
    """Whether the order was sold units beyond what there was, and has not given all of them back."""
    return any(line.missing for line in hold.lines.values())


def _end(change: Change, line_no: int, line: Line, phase: int) -> Line:
    """A hold ends unsold."""
    until = min(change.at, line.until) if phase == EXPIRED else change.at
    change.hold(-line.quantity, OUTCOMES[phase], line_no, max(0, until - line.since))
    stock = change.touch()
    stock.frozen -= line.frozen
    quotas.use(stock, line.quota, -line.quantity)
    return line.ended(phase, change.at)


def _return(change: Change, line_no: int, line: Line, units: int, number: int) -> Line:
    """Units go back where they were taken from, the last ones taken first; of a line returned in part the rest stays
    sold.
    """
    left = min(line.quantity, units) if type(units) is int and units > 0 else line.quantity
    quotas.use(change.touch(), line.quota, -left)
    sold: list[list[Any]] = []
    for name, part in reversed(line.taken):
        back = min(part, left)
        if back:
            change.shift(name, SALES, back, messages.RETURNED, line_no)
            left -= back
        if part > back:
            sold.insert(0, [name, part - back])
    returned = line.ended(RETURNED, change.at)
    returned.taken, returned.missing, returned.number = sold, 0, max(line.number, number)
    return returned


def expire(change: Change, hold: Hold, settings: Settings) -> Change:
    """A timer is due: holds whose time is up end, and what ended long ago is forgotten."""
    at = change.at
    ended = [number for number, line in hold.lines.items() if line.phase == HELD and line.until <= at]
    if not ended:
        if at >= next_due(hold, settings.ended_kept_ms, settings.confirmed_kept_ms) and not hold.virtual:
            assert change.order_guid is not None
            change.writes.append((HOLDS, key(change.sku, change.order_guid), None))
        else:
            keep(change, hold, settings)
        return change
    new = hold.copy()
    longest = max(at - new.lines[number].since for number in ended)
    number = max(new.lines[number].number for number in ended)
    for line_no in ended:
        new.lines[line_no] = _end(change, line_no, new.lines[line_no], EXPIRED)
    keep(change, new, settings)
    change.reply(messages.EXPIRE, number, [[line_no, messages.EXPIRED, None] for line_no in ended], longest)
    return change.finish()


def virtual(change: Change, hold: Hold | None, command: Mapping[str, Any], settings: Settings) -> Change:
    """INV-14: units of an order awaiting confirmation are counted apart. They are sold: neither available nor held."""
    if not change.stock.warehouses:
        return change
    new = hold.copy() if hold is not None else Hold()
    for line_no, units in command["lines"]:
        before = new.virtual.pop(line_no, 0)
        after = units if command["enter"] and settings.is_quantity(units) else 0
        if after:
            new.virtual[line_no] = after
        if after != before:
            change.touch().virtual += after - before
    if command["enter"] and change.stock.virtual > MOST_SUM:
        return change.refuse(f"more than {MOST_SUM} units await confirmation")
    if change.changed:
        keep(change, new, settings)
    return change.finish()


def keep(change: Change, hold: Hold, settings: Settings) -> None:
    """Store the order's lines until they may be forgotten."""
    assert change.order_guid is not None
    due = next_due(hold, settings.ended_kept_ms, settings.confirmed_kept_ms)
    if due <= change.at:
        due = change.at + settings.confirmed_kept_ms
    change.keep_hold(key(change.sku, change.order_guid), hold, due)
