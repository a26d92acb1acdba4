"""`ledger`: the money of every order as double entry (`streams.domain.ledger`).

It reads the facts of the orders in a group of its own, so that the orders agent gets no slower.
"""

from __future__ import annotations

from operator import add
from typing import Any, Final

from streams.agents.beside import FOR_THE_ORDER
from streams.domain import calendar
from streams.domain import ledger as rules
from streams.domain.currencies import code_of
from streams.domain.ledger import periods
from streams.domain.report import assembly, balance, health, unconfirmed, variance
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context
from streams.engine.agent import TableSpec

FACTS: Final = "order-facts"

ledger = Agent(
    "ledger",
    sources=(FACTS,),
    writes=(rules.ENTRIES, rules.ALERTS, unconfirmed.FACTS),
    aside=True,
    clock=Clock.EVENTS,
    skips=FOR_THE_ORDER,
)
ORDERS = ledger.table("orders")
CLOSED = ledger.table("closed")
OPEN = ledger.table("open", kept=0.0)
OPEN_DAYS = ledger.table("open_days")
BOOKS = ledger.table("books")
STATED = ledger.table("stated")

HEALTH: Final = ledger.table("health")
SUMS: Final = ledger.table("sums")

TIMER, BOOK, MONTH, LOCK = "order", "book", "month", "lock"
"""Kinds of timers: an order's, a part about a total that is told again, about the channels' month, about a month that a
configured date locks."""
LAST: Final = "last"
"""Key of the last month that was closed."""
_SETTINGS = data.ledger()
_UNCONFIRMED: Final = data.unconfirmed_reports()
_HEALTH: Final = data.health_reports()
_VARIANCE: Final = data.variance_reports()


@ledger.fold
def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
    if _SETTINGS.locks and LOCK not in ctx.memo:
        _await_locks(ctx)
    if rules.concerns(fact):
        guid = fact["order_guid"]
        before = ctx[ORDERS].get(guid)
        outcome = rules.step(before, fact, ctx.now, _locked(ctx), _SETTINGS)
        if outcome.row is not before:
            _apply(ctx, guid, before, outcome, None if before is None else before.get("due"))
            assert outcome.row is not None
            _hold_open(ctx, guid, before, outcome.row)
    elif fact["event_type"] == rules.CLOSED:
        month = periods.month_of(fact["period"])
        last = _closed(ctx)
        if month is not None and month > last:
            ctx[CLOSED][LAST] = ctx.memo[LAST] = month
            open_, days, at = ctx[OPEN].scan(), ctx[OPEN_DAYS].scan(), fact["event_time"]
            part = unconfirmed.part(open_, days, fact["period"], ctx.partition, at, _UNCONFIRMED)
            ctx.emit(unconfirmed.FACTS, unconfirmed.SERIES, _of_all(ctx, part))
            _archive(ctx, last, month, at)
    elif fact["event_type"] == rules.STATED:
        _compare(ctx, fact)


@ledger.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    if kind == BOOK:
        _tell(ctx, key)
        return
    if kind == MONTH:
        _tell_health(ctx, key, due)
        return
    if kind == LOCK:
        month = periods.month_of(key)
        if month is not None and month > _closed(ctx):
            before = (other for _, other in _SETTINGS.locks if other < month)
            _archive(ctx, max([_closed(ctx), *before]), month, due)
        return
    row = ctx[ORDERS].get(key)
    if row is not None:
        _apply(ctx, key, row, rules.due(key, row, due, _locked(ctx), _SETTINGS), None)


@ledger.time_of
def time_of(fact: dict[str, Any]) -> int:
    at: int = fact["event_time"]
    return at


def _apply(ctx: Context, guid: str, before: dict[str, Any] | None, outcome: rules.Outcome, timer: int | None) -> None:
    """`timer`: when the order's timer fires so far, ms."""
    assert outcome.row is not None
    row = ctx[ORDERS][guid] = outcome.row
    if before is None or any(before.get(name) is not row.get(name) for name in health.LOOKED_AT):
        _count(ctx, before, row)
    if outcome.entries:
        for entry in outcome.entries:
            ctx.emit(rules.ENTRIES, entry["entry_id"], entry)
        for name, more in balance.added(outcome.entries).items():
            _add(ctx, SUMS, name, more)
    for topic, name, value in outcome.sends:
        ctx.emit(topic, name, value)
    wake = outcome.row.get("due")
    if wake is not None and wake != timer:
        ctx.timers.set(TIMER, guid, wake)


def _add(ctx: Context, spec: TableSpec, key: str, more: list[int]) -> None:
    """To the sums of a row."""
    table = ctx[spec]
    known = table.get(key)
    table[key] = more if known is None else [*map(add, known, more)]


def _count(ctx: Context, before: dict[str, Any] | None, row: dict[str, Any]) -> None:
    """The order counts differently in the books of its day (FIN-08) and in the health of its channel (FIN-09)."""
    adds = variance.changed(before, row)
    if adds is not None:
        _add(ctx, BOOKS, variance.book_key(row), adds)
        _tell_again(ctx, row)
    adds = health.changed(before, row, _SETTINGS.rounding_minor)
    if adds is not None:
        _weigh(ctx, row, adds)


def _compare(ctx: Context, fact: dict[str, Any]) -> None:
    """FIN-08: a BI system has told a total; of the many copies of it the first that comes to this partition counts."""
    fact = {**fact, "currency": code_of(fact["currency"])}
    key = variance.stated_key(fact["channel"], fact["period"], fact["currency"])
    known = ctx[STATED].get(key)
    if known is None or variance.version(fact) > variance.version(known):
        ctx[STATED][key] = variance.stated(fact)
        _stated(ctx).add(key)
        _tell(ctx, key)


def _tell(ctx: Context, key: str) -> None:
    fact = ctx[STATED][key]
    part = variance.part(fact, variance.rows(fact, ctx[BOOKS].range), ctx.partition, ctx.now)
    ctx.emit(variance.FACTS, variance.SERIES, _of_all(ctx, part))


def _of_all(ctx: Context, part: dict[str, Any]) -> dict[str, Any]:
    """A part that each partition tells, for all were asked."""
    count = ctx.partitions(FACTS)
    return part if count is None else {**part, assembly.OF: count}


def _tell_again(ctx: Context, row: dict[str, Any]) -> None:
    """The books of the order's day are others now: so may be the reports about it."""
    known = _stated(ctx)
    if not known:
        return
    for key in variance.concerned(row):
        if key in known and ctx.timers.due(BOOK, key) is None:
            at = variance.tells_again_at(ctx[STATED][key], ctx.now, _VARIANCE)
            if at is not None:
                ctx.timers.set(BOOK, key, at)


def _weigh(ctx: Context, row: dict[str, Any], adds: list[int]) -> None:
    """FIN-09: an order counts differently in its month and channel, which are told when the month is over."""
    key = health.key(row)
    _add(ctx, HEALTH, key, adds)
    month = key[:7]
    if ctx.memo.get(month, 0) > ctx.now:
        return
    at = ctx.timers.due(MONTH, month)
    if at is None:
        at = _HEALTH.tells_at(month, ctx.now)
        if at is not None:
            ctx.timers.set(MONTH, month, at)
    ctx.memo[month] = health.NEVER if at is None else at


def _tell_health(ctx: Context, month: str, due: int) -> None:
    counts = health.of_rows(ctx[HEALTH].scan(f"{month}\0"))
    ctx.emit(
        health.FACTS, health.SERIES, health.part(month, f"ledger/{ctx.partition}", counts, due, _HEALTH.due(month))
    )
    over = health.month_of(due - 2 * _HEALTH.kept_days * calendar.DAY_MS)
    for key, _ in [*ctx[HEALTH].range("", over)]:
        del ctx[HEALTH][key]


def _stated(ctx: Context) -> set[str]:
    """Keys of the totals that were told: few, and asked for at every change of an order."""
    known: set[str] | None = ctx.memo.get(STATED)
    if known is None:
        known = ctx.memo[STATED] = {key for key, _ in ctx[STATED].scan()}
    return known


def _hold_open(ctx: Context, guid: str, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    """FIN-14: keep the list of the orders that wait for the customer's word alone."""
    if "signed" not in after or (before is not None and "confirmed" in before):
        return  # not delivered yet, or confirmed by then: nothing takes that back
    old = None if before is None else rules.held_open(before, _SETTINGS)
    new = rules.held_open(after, _SETTINGS)
    if old == new:
        return
    for row, since, sign in ((before, old, -1), (after, new, 1)):
        if row is None or since is None:
            continue
        key, day = unconfirmed.index_key(since, guid), unconfirmed.day_key(since, row["currency"])
        if sign > 0:
            ctx[OPEN].add(key, [row.get("channel"), row["currency"], row["total"]])
        else:
            del ctx[OPEN][key]
        orders, amount = ctx[OPEN_DAYS].get(day, (0, 0))
        if orders + sign:
            ctx[OPEN_DAYS][day] = [orders + sign, amount + sign * row["total"]]
        else:
            del ctx[OPEN_DAYS][day]


def _archive(ctx: Context, last: int, month: int, at: int) -> None:
    """FIN-11: tell what was posted in the months behind `last` up to `month`, which are locked at `at` (ms)."""
    sums = ctx[SUMS].range(*balance.span(last, month))
    for told in balance.parts(periods.label_of(month), ctx.partition, sums, at):
        ctx.emit(balance.FACTS, balance.SERIES, told)


def _await_locks(ctx: Context) -> None:
    """Months that configured dates will lock are archived then, not only when their closing is told."""
    closed = _closed(ctx)
    for since, month in _SETTINGS.locks:
        if month > closed and since > ctx.now:
            ctx.timers.set(LOCK, periods.label_of(month), since)
    ctx.memo[LOCK] = True


def _locked(ctx: Context) -> int:
    """FIN-11: the last month that is locked, by a closing that was told or by a date that was configured."""
    closed = _closed(ctx)
    return max(closed, periods.scheduled(_SETTINGS.locks, ctx.now)) if _SETTINGS.locks else closed


def _closed(ctx: Context) -> int:
    month: int | None = ctx.memo.get(LAST)
    if month is None:
        month = ctx.memo[LAST] = ctx[CLOSED].get(LAST, periods.NONE)
    return month
