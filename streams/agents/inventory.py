"""`inventory`: folds everything that concerns one SKU into its stock (`streams.domain.inventory`).

    stock-commands (by sku) -> inventory-states (compacted), stock-ledger, oversell-breaks, replies on order-facts

At the hour of the stock reports each partition looks through its SKUs and tells its part on report-facts.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any, Final

import orjson

from streams.domain import inventory as rules
from streams.domain.inventory import change, holds, messages, reconcile, stock, vouchers
from streams.domain.inventory.view import record
from streams.domain.report.stock import SERIES
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

inventory: Final = Agent(
    "inventory",
    sources=(messages.COMMANDS,),
    writes=(
        messages.REPLIES,
        messages.STATES,
        messages.LEDGER,
        messages.BREAKS,
        messages.ALERTS,
        reconcile.FACTS,
    ),
    clock=Clock.EVENTS,  # a payment made in time finds its hold, also out of a backlog
)
TABLES: Final = {
    change.SKUS: inventory.table(
        change.SKUS,
        encode=lambda value: orjson.dumps(stock.to_row(value)),
        decode=lambda row: stock.from_row(orjson.loads(row)),
    ),
    change.HOLDS: inventory.table(
        change.HOLDS,
        encode=lambda value: orjson.dumps(holds.to_row(value)),
        decode=lambda row: holds.from_row(orjson.loads(row)),
    ),
    change.VOUCHERS: inventory.table(
        change.VOUCHERS,
        encode=lambda value: orjson.dumps(vouchers.to_row(value)),
        decode=lambda row: vouchers.from_row(orjson.loads(row)),
        kept=0.25,
    ),
    change.SEEN: inventory.table(change.SEEN, kept=0.0),
}
LOOK: Final = inventory.table(reconcile.TABLE)
_SETTINGS: Final = data.inventory()
_REPORTS: Final = data.stock_reports()


@inventory.time_of
def time_of(message: dict[str, Any]) -> int:
    return rules.time_of(message)


@inventory.fold
def fold(ctx: Context, key: bytes | None, message: dict[str, Any]) -> None:
    done = rules.step(lambda table, name: ctx[TABLES[table]].get(name), message, _SETTINGS, ctx.now)
    if done.refusal is not None:
        ctx.refuse(done.refusal, stage="rule")
    else:
        _apply(ctx, done)


@inventory.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    if kind == change.FORGET:
        _forget(ctx, key, due)
        return
    if kind == reconcile.HOUR or kind == reconcile.STEP:
        _look(ctx, kind, due)
        return
    done = rules.due(lambda table, name: ctx[TABLES[table]].get(name), kind, key, due, _SETTINGS)
    if done is not None:
        _apply(ctx, done)


def _apply(ctx: Context, done: change.Change) -> None:
    for topic, key, value in done.sends:
        ctx.emit(topic, key, value)
    for name, key, value in done.writes:
        if value is None:
            del ctx[TABLES[name]][key]
        else:
            ctx[TABLES[name]][key] = value
    for kind, key, at in done.timers:
        # Of a SKU's events the first to be forgotten says when to look.
        if kind != change.FORGET or ctx.timers.due(kind, key) is None:
            ctx.timers.set(kind, key, at, new=done.first and kind == change.HOLD)
    if done.changed:
        ctx.emit_latest(messages.STATES, done.sku, partial(record, done.sku, done.stock))
        if reconcile.HOUR not in ctx.memo:
            _await_hour(ctx)


def _await_hour(ctx: Context) -> None:
    """There is something new to report. A partition where nothing happens sets no timer, however long it waits."""
    ctx.memo[reconcile.HOUR] = True
    if ctx.timers.due(reconcile.HOUR, reconcile.NOBODY) is None:
        ctx.timers.set(reconcile.HOUR, reconcile.NOBODY, _REPORTS.next_due(ctx.now))


def _look(ctx: Context, kind: str, due: int) -> None:
    """The next SKUs of a look; the last ones end it."""
    if kind == reconcile.HOUR:
        ctx.memo.pop(reconcile.HOUR, None)
        look = reconcile.begin(due)
    else:
        look = ctx[LOOK][reconcile.NOBODY]
    rows = ctx[TABLES[change.SKUS]].range(*reconcile.following(look))
    few = [*islice(rows, _REPORTS.skus_per_step)]
    look = reconcile.step(look, few, _REPORTS)
    if len(few) == _REPORTS.skus_per_step:
        ctx[LOOK][reconcile.NOBODY] = look
        ctx.timers.set(reconcile.STEP, reconcile.NOBODY, ctx.now + 1)  # in the next turn: others are waiting
        return
    ctx[LOOK].pop(reconcile.NOBODY)
    ctx.emit(reconcile.FACTS, SERIES, reconcile.part(look, ctx.partition, ctx.now))


def _forget(ctx: Context, sku: str, now: int) -> None:
    """Forget the events of a SKU that are older than the memory, and look again when the next one is, at most daily."""
    seen, oldest = ctx[TABLES[change.SEEN]], None
    for name, row in list(seen.scan(f"{sku}\0")):
        at = row if isinstance(row, int) else row[0]
        if at + _SETTINGS.seen_ms <= now:
            del seen[name]
        else:
            oldest = at if oldest is None else min(at, oldest)
    if oldest is not None:
        ctx.timers.set(change.FORGET, sku, max(oldest + _SETTINGS.seen_ms, now + _SETTINGS.forget_every_ms))
