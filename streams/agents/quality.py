"""`quality`: what systems say about orders, compared day by day (`streams.domain.quality`).

    order-facts (by order_guid)   every fact of an order, read in a group of its own -> parts on report-facts

At the hour of the reports each partition looks through the orders of the day before, in steps, and tells its part; a
day of which something came late is told again.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from streams.agents.beside import FOR_THE_ORDER
from streams.domain import calendar
from streams.domain.order.meanings import CONFIRM_TIMEOUT
from streams.domain.quality import look as looks
from streams.domain.quality import row as rows
from streams.domain.report import lineage
from streams.domain.rules import data
from streams.engine import Agent, Clock, Context

quality: Final = Agent(
    "quality",
    sources=("order-facts",),
    writes=(looks.FACTS,),
    skips=FOR_THE_ORDER,
    aside=True,
    clock=Clock.EVENTS,  # a backlog is counted into its days before they are told
)
_KEPT: Final = {rows.ORDERS: 0.5, looks.STATE: 1.0}
TABLES: Final = {name: quality.table(name, kept=_KEPT.get(name, 0.0)) for name in looks.TABLES}

HOUR, LATE, STEP = "hour", "late", "step"
"""Kinds of timers: the hour of a day's reports (by number of the day), days to be told again, the next step."""
LOOK, NEWEST = "look", "newest"
"""Rows of the table `state`: the look in hand; the number of the last day told."""
_SETTINGS: Final = data.quality_reports()


@quality.time_of
def time_of(fact: dict[str, Any]) -> int:
    at: int = fact["event_time"]
    return at


@quality.fold
def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
    if not rows.concerns(fact):
        return
    guid, orders = fact["order_guid"], ctx[TABLES[rows.ORDERS]]
    before = orders.get(guid)
    # When it reached this system: by the broker's clock, which a backlog does not move; a replay has the stream's.
    taken_in = ctx.appended_at or ctx.now
    seen = rows.observe(before, fact, taken_in, ctx[TABLES[rows.CODES]].__contains__, _SETTINGS)
    if fact["event_type"] != CONFIRM_TIMEOUT:
        day = calendar.day_number(fact["event_time"])
        joined, name = ctx[TABLES[rows.SOURCES]], lineage.key(day, fact["source"])
        joined[name] = joined.get(name, 0) + 1
        seen.days.append(day)  # DQ-15: it counts even if it says nothing new of its order
    if seen.row is not before:
        orders[guid] = seen.row
    for table, name, value in seen.writes:
        if value is None:
            del ctx[TABLES[table]][name]
        else:
            ctx[TABLES[table]][name] = value
    if seen.days:
        _await(ctx, seen)


@quality.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    state = ctx[TABLES[looks.STATE]]
    hand = state.get(LOOK)
    if kind == STEP:
        _look(ctx, hand)
        return
    if kind == HOUR:
        ctx.memo.pop(int(key), None)
        ctx[TABLES[looks.PLAN]][key] = 1
    if hand is not None:
        ctx.timers.set(LATE, looks.NOBODY, ctx.now + _SETTINGS.late_ms)
        return
    newest = state.get(NEWEST, 0)
    planned = [int(name) for name, _ in [*ctx[TABLES[looks.PLAN]].scan()]]
    for day in planned:
        del ctx[TABLES[looks.PLAN]][str(day)]
    days = sorted(day for day in planned if day > max(newest, *planned) - _SETTINGS.kept_days)
    if days:
        state[NEWEST] = max(newest, *days)
        _look(ctx, looks.begin(days, newest, _SETTINGS))


def _await(ctx: Context, seen: rows.Seen) -> None:
    """See to it that the days are told: at their hour, or, if that is over, again."""
    late: Iterable[int] = ()
    for day in seen.days:
        if day in ctx.memo:
            continue
        hour = _SETTINGS.due(day)
        if hour > ctx.now:
            if ctx.timers.due(HOUR, str(day)) is None:
                ctx.timers.set(HOUR, str(day), hour)
            ctx.memo[day] = True
        else:
            late = (*late, day)
    if seen.on is not None and _SETTINGS.due(seen.on) <= ctx.now:
        last = _SETTINGS.first_day(ctx.now + 1) - 1
        late = {*late, *range(max(seen.on, last - _SETTINGS.kept_days), last + 1)}
    if late:
        newest = ctx[TABLES[looks.STATE]].get(NEWEST, 0)
        late = [day for day in late if day > newest - _SETTINGS.kept_days]
    for day in late:
        ctx[TABLES[looks.PLAN]][str(day)] = 1
    if late and ctx.timers.due(LATE, looks.NOBODY) is None:
        ctx.timers.set(LATE, looks.NOBODY, ctx.now + _SETTINGS.late_ms)


def _look(ctx: Context, hand: looks.Look) -> None:
    """The next rows of a look; the last ones end it."""
    order, room = ctx[TABLES[rows.ORDERS]].get, _SETTINGS.rows_per_step
    while hand["tasks"] and room > 0:
        table, low, high = looks.following(hand)
        few = [*islice(ctx[TABLES[table]].range(low, high), room)]
        hand, gone = looks.step(hand, few, len(few) == room, order, _SETTINGS)
        for table, name in gone:
            del ctx[TABLES[table]][name]
        room -= len(few)
    state = ctx[TABLES[looks.STATE]]
    if hand["tasks"]:
        state[LOOK] = hand
        ctx.timers.set(STEP, looks.NOBODY, ctx.now + 1)  # in the next turn: others are waiting
        return
    state.pop(LOOK)
    for part in looks.parts(hand, ctx.partition, ctx.now, _SETTINGS):
        ctx.emit(looks.FACTS, part["series"], part)
    newest = max(map(int, hand["parts"]))
    if hand["parts"][str(newest)]["open"] and newest == state.get(NEWEST):
        # Nobody needs to say anything for an order to grow older.
        following = str(newest + 1)
        if ctx.timers.due(HOUR, following) is None:
            ctx.timers.set(HOUR, following, _SETTINGS.due(newest + 1))
