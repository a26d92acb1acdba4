"""Try (INV-06): hold the units of an order until it is paid. The path of a refusal copies and stores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import messages, quotas
from .change import VOUCHERS, Change
from .holds import HELD, OUTCOMES, Hold, Line, key, next_due
from .options import options
from .settings import Settings
from .stock import RESERVED, Stock
from .vouchers import Voucher, own, spend, voucher_key

Lines = list[list[Any]]


def reserve(
    change: Change, hold: Hold | None, voucher: Voucher | None, command: Mapping[str, Any], settings: Settings
) -> Change:
    """Answer every line as held or refused."""
    number: int = command.get("round") or 0
    lines: Lines = command["lines"]
    if len(lines) > settings.lines:
        return change.refuse_lines(command, messages.TOO_MANY_LINES)
    if not change.stock.warehouses:
        change.reply(messages.RESERVE, number, [[line[0], messages.UNMANAGED, None] for line in lines])
        return change
    at = change.at
    channel, warehouse = command.get("channel"), command.get("warehouse")
    activity = quotas.running(change.stock, command.get("activity"), at)
    quota = quotas.of(change.stock, channel, activity, warehouse)
    mine = own(change.stock, voucher) if voucher is not None and at < voucher.until else None
    new: Hold | None = None
    answers: Lines = []
    until = at + (settings.deposit_hold_ms if command.get("keep") else settings.hold_for(channel))
    for line_no, units in lines:
        known = (new or hold).lines.get(line_no) if new or hold else None  # type: ignore[union-attr]
        if known is not None and known.phase == HELD and known.until < until and command.get("keep"):
            assert hold is not None
            new = new or hold.copy()
            new.lines[line_no] = replace(known, until=until, number=max(known.number, number))
        if known is not None and (known.phase < 2 or number <= known.number):
            answers.append([line_no, OUTCOMES[known.phase], None])
            continue
        if not settings.is_quantity(units):
            answers.append([line_no, messages.REFUSED, messages.BAD_QUANTITY])
            continue
        freeze = quotas.to_freeze(change.stock, activity, units)
        reason = _refusal(change.stock, quota, units, mine, freeze)
        if reason is not None:
            answer = [line_no, messages.REFUSED, reason]
            if reason == messages.OUT_OF_STOCK:
                answer.append(options(change.stock))
            answers.append(answer)
            continue
        if new is None:
            new = hold.copy() if hold is not None else Hold()
        if mine is not None and mine.quantity:
            mine = spend(change, mine, units, quota)
        change.hold(units, "reserved", line_no)
        stock = change.touch()
        stock.frozen += freeze
        quotas.use(stock, quota, units)
        new.lines[line_no] = Line(units, HELD, at, until, number, warehouse, quota, freeze)
        answers.append([line_no, messages.HELD, None])
    if new is not None:
        assert change.order_guid is not None
        due = next_due(new, settings.ended_kept_ms, settings.confirmed_kept_ms)
        change.keep_hold(key(change.sku, change.order_guid), new, due)
        if mine is not None:
            left = mine if mine.quantity else None
            change.writes.append((VOUCHERS, voucher_key(change.sku, command["customer_id"]), left))
    change.reply(messages.RESERVE, number, answers)
    return change.finish()


def _refusal(stock: Stock, quota: str | None, units: int, mine: Voucher | None, freeze: int) -> str | None:
    """Why these units cannot be held. `mine`: the customer's own voucher, whose units do not stand in their way."""
    if stock.paused:
        return messages.OUT_OF_STOCK
    free = stock.sales - stock.held
    if quota is None:
        if units > free - stock.aside + (mine.shared if mine is not None else 0):
            return messages.OUT_OF_STOCK
    elif units > quotas.unused(stock, quota) + (mine.drawn.get(quota, 0) if mine is not None else 0):
        return messages.QUOTA_SPENT
    elif units > free + (mine.quantity if mine is not None else 0):
        return messages.OUT_OF_STOCK
    if freeze and freeze > stock.total(RESERVED) - stock.frozen:
        return messages.RESERVED_SHORT
    return None
