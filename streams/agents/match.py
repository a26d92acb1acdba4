"""`match`: sales, shipment and receipt of every order, compared (`streams.domain.match`).

order-facts (by order_guid)   every fact of an order, read in a group of its own -> alert-facts, report-facts
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from streams.agents.beside import FOR_THE_ORDER
from streams.domain.ledger import periods
from streams.domain.match import compare, report
from streams.domain.match import row as rows
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

match: Final = Agent(
    "match",
    sources=("order-facts",),
    writes=(report.ALERTS, report.FACTS),
    skips=FOR_THE_ORDER,
    aside=True,
    clock=Clock.EVENTS,  # in a backlog, what an order waits for stands behind it
)
ORDERS: Final = match.table("orders", kept=0.5)
OPEN: Final = match.table("open", kept=0.0)
COUNTS: Final = match.table("counts")
MONTHS: Final = match.table("months")
FRESH: Final = match.table("fresh", kept=0.0)
MADE: Final = match.table("made", kept=0.0)
READY: Final = match.table("ready", kept=0.0)

LOOK, RUN, STEP = "look", "run", "step"
"""Kinds of timers, by the time of a run: orders may be complete by then, which makes it a run if they are; a run; its
next step. An order has none of its own: what it is found to be matters from the next run on, so it waits in a row."""
_SETTINGS: Final = data.match_reports()
_AUDIT: Final = data.audit_reports()


@match.time_of
def time_of(fact: dict[str, Any]) -> int:
    at: int = fact["event_time"]
    return at


@match.fold
def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
    if fact["event_type"] == periods.CLOSED:
        ctx.emit(report.FACTS, report.SERIES, report.closing(fact))
        return
    if not rows.concerns(fact):
        return
    guid = fact["order_guid"]
    before = ctx[ORDERS].get(guid)
    after = compare.step(before, fact, ctx.now, _SETTINGS)
    if after is not None and after is not before:
        _keep(ctx, guid, before or {}, after)
        if (before or {}).get("found") != after.get("found"):
            run = _SETTINGS.next_run(ctx.now)
            _at(ctx, RUN, run)
            _also(ctx, run, after)


@match.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    run = int(key)
    ctx.memo.pop((kind, run), None)
    if kind == LOOK:
        changed, more = _compare(ctx, run)
        if changed:
            ctx.timers.set(RUN, key, run)
        elif more:
            ctx.timers.set(LOOK, key, ctx.now + 1)
    else:
        _run(ctx, run)


def _keep(ctx: Context, guid: str, before: rows.Row, after: rows.Row) -> None:
    ctx[ORDERS][guid] = after
    if not before:
        ctx[MADE].add(report.made_key(after["at"], guid), 1)
    old, new = before.get("due"), after.get("due")
    if old != new:
        if old is not None:
            del ctx[READY][report.ready_key(old, guid)]
        if new is not None:
            ctx[READY].add(report.ready_key(new, guid), 1)
            _at(ctx, LOOK, _SETTINGS.next_run(new))
    if before.get("found") != after.get("found"):
        _index(ctx, guid, before, after)


def _at(ctx: Context, kind: str, run: int) -> None:
    if (kind, run) not in ctx.memo:
        ctx.timers.set(kind, str(run), run)
        ctx.memo[kind, run] = True


def _also(ctx: Context, run: int, row: rows.Row) -> None:
    """The month of the order is watched and audited too: without news it is looked at all the same before it closes."""
    for at in (report.watch_from(row, _SETTINGS), report.audit_at(run - 1)):
        if at > run:
            _at(ctx, RUN, at)


def _compare(ctx: Context, run: int) -> tuple[bool, bool]:
    """Compare orders that are complete by the time of the run, a step of them; whether one of them counts differently
    now, and whether there may be more."""
    # What lies before the last run was compared then; a scan would have to step over what was deleted.
    low, high = ctx.memo.get(READY, ""), report.ready_key(run, "")
    names = [name for name, _ in islice(ctx[READY].range(low, high), _SETTINGS.rows_per_step)]
    changed = False
    for name in names:
        guid = report.guid_of(name)
        before = ctx[ORDERS][guid]
        after = compare.due(before, run, _SETTINGS)
        _keep(ctx, guid, before, after)
        if before.get("found") != after.get("found"):
            _also(ctx, run, after)
            changed = True
    more = len(names) == _SETTINGS.rows_per_step
    if not more:
        ctx.memo[READY] = max(low, high)
    return changed, more


def _index(ctx: Context, guid: str, before: rows.Row, after: rows.Row) -> None:
    """Keep what the next run has to say."""
    old, new = before.get("found"), after.get("found")
    counts = ctx[COUNTS].get(after.get("channel") or "", (0, 0))
    for found, sign in ((old, -1), (new, 1)):
        if found is None or found["level"] == compare.FITS:
            continue
        if sign > 0:
            ctx[OPEN][report.open_key(guid, found)] = report.listed(guid, after, found)
        else:
            del ctx[OPEN][report.open_key(guid, found)]
        over = found["level"] == compare.OVER
        counts = [counts[0] + sign * over, counts[1] + sign * (not over)]
    _count(ctx, after.get("channel") or "", counts)
    month, was, adds = report.month_key(after), report.totals(old), report.totals(new)
    sums = ctx[MONTHS].get(month, [0] * len(adds))
    ctx[MONTHS][month] = [sum_ - gone + added for sum_, gone, added in zip(sums, was, adds, strict=True)]
    if report.to_tell(after) != after.get("told"):
        ctx[FRESH][guid] = 1
    elif report.to_tell(before) != before.get("told"):
        del ctx[FRESH][guid]


def _count(ctx: Context, channel: str, counts: Any) -> None:
    if any(counts):
        ctx[COUNTS][channel] = counts
    elif channel in ctx[COUNTS]:
        del ctx[COUNTS][channel]


def _forget(ctx: Context, due: int) -> bool:
    """Forget orders that nobody will look at again; whether there are more of them."""
    names = [
        name for name, _ in islice(ctx[MADE].range("", report.forget_until(due, _SETTINGS)), _SETTINGS.rows_per_step)
    ]
    for name in names:
        del ctx[MADE][name]
        guid = name.partition("\0")[2]
        row = ctx[ORDERS].get(guid)
        until = None if row is None else report.kept_until(row, due, _SETTINGS)
        if until is not None:
            ctx[MADE].add(report.made_key(until, guid), 1)
        elif row is not None:
            del ctx[ORDERS][guid]
    return len(names) == _SETTINGS.rows_per_step


def _run(ctx: Context, due: int) -> None:
    """The next step of a run: orders that are to be compared by now, then alerts; when there are no more, its part."""
    if _compare(ctx, due)[1]:
        ctx.timers.set(STEP, str(due), ctx.now + 1)  # in the next turn: others are waiting
        return
    guids = [guid for guid, _ in islice(ctx[FRESH].scan(), _SETTINGS.rows_per_step)]
    for guid in guids:
        row = ctx[ORDERS][guid]
        ctx.emit(*report.finding(guid, row, due, _SETTINGS))
        new = {name: value for name, value in row.items() if name != "told"}
        said = report.to_tell(row)
        ctx[ORDERS][guid] = new if said is None else {**new, "told": said}
        del ctx[FRESH][guid]
    if len(guids) == _SETTINGS.rows_per_step or _forget(ctx, due):
        ctx.timers.set(STEP, str(due), ctx.now + 1)  # in the next turn: others are waiting
        return
    open_ = (entry for _, entry in islice(ctx[OPEN].scan(), _SETTINGS.listed))
    months = ctx[MONTHS].scan(f"{report.month_of(due)}\0")
    told = report.part(due, ctx.partition, open_, ctx[COUNTS].scan(), months, _SETTINGS)
    ctx.emit(report.FACTS, report.SERIES, told)
    if due == report.audit_at(due - 1):
        part = report.audit_part(due, ctx.partition, (entry for _, entry in ctx[OPEN].scan()), _AUDIT)
        ctx.emit(report.FACTS, report.AUDITS, part)
        if told["open"]:  # so is the next, if something is still open
            following = report.audit_at(due)
            ctx.timers.set(RUN, str(following), following)
