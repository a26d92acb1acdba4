"""`invoices`: orders that somebody wants an invoice for, and what the tax service says (`streams.domain.tax`).

invoice-facts (by customer) -> invoices, tax-requests, alert-facts, report-facts
                            -> order-facts: how far the invoice of an order is
                            -> invoice-facts: to the SKU, the place, the interface, and back
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

from streams.agents.outcome import apply
from streams.domain.outcome import Get
from streams.domain.rules import data
from streams.domain.tax import desk, report, steps
from streams.engine import Agent, Clock, Context

invoices: Final = Agent(
    "invoices",
    sources=(desk.FACTS,),
    writes=(desk.FACTS, desk.ORDER_FACTS, desk.RECORDS, desk.ASKS, desk.ALERTS, report.FACTS),
    aside=True,
    clock=Clock.EVENTS,  # in a backlog, what an order waits for stands behind it
)
TABLES: Final = {name: invoices.table(name, kept=0.2) for name in desk.TABLES}
PAGE: Final = "page"
"""Timer kind: the next page of the deduction list of a run."""
_SETTINGS: Final = data.tax()
_LETTERS: Final = frozenset("0123456789ABCDEFGHJKLMNPQRTUWXY")
"""Of a unified social credit code: none that are taken for others."""


def wrong_number(number: str) -> str | None:
    """What is wrong with a unified social credit code (统一社会信用代码) of 18 characters; it is read, never changed.

    Who registered whom, its first two characters, may be a letter (GB 32100: Y others, N agriculture, A army); uscc
    takes only digits there, so that no more than its check digit is asked for. A natural person, and who trades as one,
    has the number of the identity card (GB 11643) instead."""
    if _is_of_a_person(number):
        return None
    if not {*number} <= _LETTERS or not number[2:8].isdigit():
        return "is no unified social credit code: InvalidFormat"
    if uscc.calc_check_digit(number) != number[-1]:
        return "is no unified social credit code: InvalidChecksum"
    return None


def _is_of_a_person(number: str) -> bool:
    """Where the person was first registered may be a place that no list has any more, so it is not asked for."""
    if not number[:17].isdigit() or number[6:8] not in ("19", "20") or ric.calc_check_digit(number) != number[-1]:
        return False
    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    return True


@invoices.time_of
def time_of(message: dict[str, Any]) -> int:
    at: int = message["at"]
    return at


@invoices.fold
def fold(ctx: Context, key: bytes | None, message: dict[str, Any]) -> None:
    _apply(ctx, steps.step(_get(ctx), message, ctx.now, _SETTINGS, wrong_number))


@invoices.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    if kind in (desk.RUN, PAGE):
        run, _, page = key.partition("/")
        _tell(ctx, int(run), int(page or 0))
        return
    _apply(ctx, steps.due(_get(ctx), kind, key, due, _SETTINGS, wrong_number))


def _apply(ctx: Context, step: steps.Step) -> None:
    if step.refusal is not None:
        ctx.refuse(step.refusal, stage="rule")
    apply(ctx, step.outcome, TABLES, ())
    for month in step.months:
        run = report.run_of(month, _SETTINGS)
        if not report.is_whole(month, ctx.now, _SETTINGS):
            continue
        if run > ctx.now:
            ctx.timers.set(desk.RUN, str(run), run)
        elif ctx.timers.due(desk.RUN, str(run)) is None:
            ctx.timers.set(desk.RUN, str(run), ctx.now + _SETTINGS.late_ms)


def _tell(ctx: Context, run: int, page: int) -> None:
    """TAX-13 to TAX-15: a page of what this partition has to say of a month."""
    month = report.month_of(run)
    prefix, size = f"{month}\0", _SETTINGS.page
    rows = list(islice((row for _, row in ctx[TABLES[desk.ISSUED]].scan(prefix)), page * size, (page + 1) * size))
    unmatched: Sequence[Any] = ()
    stale: Sequence[Any] = ()
    if page == 0:
        most = _SETTINGS.listed
        unmatched = [row for _, row in islice(ctx[TABLES[desk.UNMATCHED]].scan(prefix), most)]
        old = ctx[TABLES[desk.USED]].range("", f"{report.stale_before(run, _SETTINGS):06d}")
        stale = [report.stale_row(key) for key, _ in islice(old, most)]
        for _ in ctx[TABLES[desk.USED]].scan():  # while there are profiles, each month is looked at
            following = report.run_of(report.month_before(max(run, ctx.now), _SETTINGS), _SETTINGS)
            ctx.timers.set(desk.RUN, str(following), following)
            break
    if rows or page == 0:
        part = report.part(run, f"{invoices.name}/{ctx.partition}", page, unmatched, stale, rows)
        ctx.emit(report.FACTS, report.SERIES, part)
    if len(rows) == size:
        ctx.timers.set(PAGE, f"{run}/{page + 1}", ctx.now + 1)  # in a turn of its own


def _get(ctx: Context) -> Get:
    return lambda table, key: ctx[TABLES[table]].get(key)
