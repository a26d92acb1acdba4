"""One message or timer of one SKU: which rule it is for, what it may read, and what comes of it.

stock-commands (by sku) -> skus, holds, vouchers, seen -> stock-ledger, inventory-states, oversell-breaks,
                                                         replies on order-facts, findings on alert-facts
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from . import breaker, holds, messages, place, quotas, reserve, settle, vouchers, warehouse
from .change import ACTIVITY, FORGET, HOLD, HOLDS, SEEN, SKUS, VOUCHER, VOUCHERS, Change
from .settings import Settings
from .stock import Stock

Message = Mapping[str, Any]
Get = Callable[[str, str], Any]
"""(table, key) -> value or None."""

_NOTHING: Final = Stock()
"""Of a SKU nobody has told anything about; never changed."""


def time_of(message: Message) -> int:
    """Event time, ms."""
    time: int = message["at"] if "do" in message else message["event_time"]
    return time


def step(get: Get, message: Message, settings: Settings, now: int | None = None) -> Change:
    """One message at the row of its SKU, heard of at `now` (ms; default: its own time)."""
    do = message.get("do")
    return _fact(get, message, settings, now) if do is None else _command(get, do, message, settings)


def _command(get: Get, do: str, command: Message, settings: Settings) -> Change:
    sku, guid, at = command["sku"], command["order_guid"], command["at"]
    number = command.get("round") or 0
    change = Change(sku, get(SKUS, sku) or _NOTHING, at, f"{guid}/{do}/{number}", guid)
    if not command["lines"]:
        return change.refuse(f"{do} without lines")
    hold = get(HOLDS, holds.key(sku, guid))
    change.first = hold is None
    if do == messages.RESERVE:
        customer = command.get("customer_id")
        voucher = None
        if customer is not None and change.stock.vouchers:
            voucher = get(VOUCHERS, vouchers.voucher_key(sku, customer))
        return reserve.reserve(change, hold, voucher, command, settings)
    if do == messages.CONFIRM:
        return settle.confirm(change, hold, command, settings)
    if do == messages.RELEASE or do == messages.RETURN:
        return settle.release(change, hold, command, settings)
    if do == messages.PLACE:
        return place.place(change, hold, command, settings)
    if do == messages.VIRTUAL:
        return settle.virtual(change, hold, command, settings)
    return change.refuse("no such command")


# -- facts ------------------------------------------------------------------------------------------------------------


def _fact(get: Get, fact: Message, settings: Settings, now: int | None) -> Change:
    kind, at = fact["event_type"], fact["event_time"]
    sku = fact["target"] if kind == "manual_command" else fact["sku"]
    event = f"{fact['topic']}/{fact['source']}/{fact['event_id']}"
    change = Change(sku, get(SKUS, sku) or _NOTHING, at, event, told=now)
    if kind == "reference_set":
        return _reference(change, fact, settings)
    name = f"{sku}\0{fact['source']}\0{fact['event_id']}"
    seen, digest = get(SEEN, name), fact.get("digest") or 0
    if seen is not None:
        other = isinstance(seen, list) and seen[1] != digest  # rows of older versions hold the time alone
        return change.refuse("event id reused with other content") if other else change
    if kind == "cart_added":
        customer = fact.get("customer_id")
        voucher = None if customer is None else get(VOUCHERS, vouchers.voucher_key(sku, customer))
        vouchers.add(change, voucher, fact, settings)
    elif kind == "manual_command":
        breaker.release(change, fact)
    elif kind in _PLAIN:
        _PLAIN[kind](change, fact, settings)
    else:
        return change.refuse("no such fact about stock")
    if change.refusal is None and change.writes:
        change.writes.append((SEEN, name, [at, digest]))
        change.timers.append((FORGET, sku, at + settings.seen_ms))
    return change


def _reference(change: Change, fact: Message, settings: Settings) -> Change:
    """What holds from now on and since when: it knows by its time whether it was told before."""
    figure, at = fact["set"], change.at
    kind = figure["kind"]
    if kind == "stock":
        return warehouse.told(change, figure, settings)
    stock = change.stock
    if kind == "alternative":
        if stock.alternatives is not None and at < stock.alternatives["at"]:
            return change.refuse("alternatives older than the ones in force")
        kept = {name: value for name, value in figure.items() if name not in ("kind", "sku")}
        if stock.alternatives == {**kept, "at": at}:
            return change  # told again
        change.touch().alternatives = {**kept, "at": at}
    elif kind == "channel_stock":
        channel = figure["channel"]
        known = stock.channel_stock.get(channel, [0, 0])
        if at < known[1]:
            return change.refuse("a channel's stock older than the one known")
        if known[:2] == [figure["quantity"], at]:
            return change  # told again: what has been sold since is still no difference
        ours = max(0, stock.available)  # kept beside it: what is sold later is no difference (INV-13)
        change.touch().channel_stock = {**stock.channel_stock, channel: [figure["quantity"], at, ours]}
    else:
        return change.refuse("no such reference about stock")
    return change.finish()


def _quota(change: Change, fact: Message, settings: Settings) -> Change:
    told = fact["set"]
    name = quotas.key(told.get("channel"), told.get("activity"), told.get("warehouse"))
    wrong = quotas.put(change.touch(), name, told["quota"], change.at)
    return change.finish() if wrong is None else change.refuse(wrong)


def _activity(change: Change, fact: Message, settings: Settings) -> Change:
    told = fact["set"]
    entry = [told["starts_at"], told["ends_at"], told["freeze_per_1000"], int(told["flash"]), change.at]
    wrong = quotas.begin(change.touch(), told["activity"], entry)
    if wrong is not None:
        return change.refuse(wrong)
    change.timers.append((ACTIVITY, f"{change.sku}\0{told['activity']}", told["ends_at"]))
    return change.finish()


_PLAIN: Final = {
    "stock_received": warehouse.received,
    "stock_moved": warehouse.moved,
    "stock_snapshot": warehouse.counted,
    "quota_set": _quota,
    "activity_set": _activity,
}


# -- timers -----------------------------------------------------------------------------------------------------------


def due(get: Get, kind: str, key: str, at: int, settings: Settings) -> Change | None:
    """A timer of this agent other than FORGET. None: it is about something that is gone."""
    sku, _, rest = key.partition("\0")
    stock = get(SKUS, sku)
    if stock is None:
        return None
    if kind == HOLD:
        hold = get(HOLDS, key)
        if hold is None:
            return None
        return settle.expire(Change(sku, stock, at, f"{rest}/expire/{at}", rest), hold, settings)
    if kind == VOUCHER:
        voucher = get(VOUCHERS, key)
        if voucher is None:
            return None
        change = Change(sku, stock, at, voucher.event_id)
        vouchers.expire(change, voucher)
        change.writes.append((VOUCHERS, key, None))
        return change.finish()
    if kind == ACTIVITY:
        change = Change(sku, stock, at, None)
        quotas.end(change.touch(), rest)
        return change.finish()
    raise ValueError(f"inventory knows no timer {kind!r}")
