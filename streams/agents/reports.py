"""`reports`: parts of reports in, finished reports out (`streams.domain.report`), and to people what they must see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from streams.domain import calendar
from streams.domain.match import report as match
from streams.domain.quality import look as quality
from streams.domain.quality import record as quality_record
from streams.domain.report import assembly, balance, health, lineage, repair, stock, unconfirmed, variance
from streams.domain.risk.outcome import SERIES
from streams.domain.rules import data
from streams.domain.tax import report as invoices
from streams.engine import Agent, Context

reports: Final = Agent("reports", sources=("report-facts",), writes=("reports", "alert-facts"), aside=True)
INDEX: Final = reports.table("index")
PARTS: Final = reports.table("parts", kept=0.1)
TOLD: Final = reports.table("told")

GRACE, END = "grace", "end"
"""Kinds of timers: the parts of a report are waited for no longer; what is kept of a report in _ALONE ends."""
Records = Callable[[assembly.Outcome, str, int, Any], list[dict[str, Any]]]
_SERIES: Final[Mapping[str, tuple[Any, Records]]] = {
    stock.SERIES: (data.stock_reports(), stock.records),
    repair.SERIES: (data.repair_reports(), repair.records),
    quality.SERIES: (data.quality_reports(), quality_record.records),
    lineage.SERIES: (data.quality_reports(), lineage.records),
    unconfirmed.SERIES: (data.unconfirmed_reports(), unconfirmed.records),
    variance.SERIES: (data.variance_reports(), variance.records),
    balance.SERIES: (data.balance_reports(), balance.records),
    health.SERIES: (data.health_reports(), health.records),
    match.SERIES: (data.match_reports(), match.records),
    match.AUDITS: (data.audit_reports(), match.audits),
    invoices.SERIES: (data.tax(), invoices.records),
}
"""Series -> its settings, and what makes its records."""
_ALONE: Final = frozenset(
    {
        variance.SERIES,
        health.SERIES,
        balance.SERIES,
        unconfirmed.SERIES,
        invoices.SERIES,
        match.AUDITS,
        repair.SERIES,
    }
)
"""Series in which no other period stands in for a silent partition: each report has an index of its own. So none is too
old beside another, however far apart the partitions are that come to them in a backlog."""
_COUNTED: Final = frozenset({quality.SERIES, lineage.SERIES})
"""Series whose parts count what happened in their period; of the others the last word of a partition says it all."""
_MEMORY_MS: Final = data.report_memory_days() * calendar.DAY_MS
"""How long a report in _ALONE is kept."""
_TELL: Final[Mapping[str, Callable[..., Any]]] = {
    quality.SERIES: quality_record.tell,
    variance.SERIES: variance.tell,
    match.SERIES: match.tell,
}
"""Series -> whom its records are brought to, after what was told before."""


@reports.fold
def fold(ctx: Context, key: bytes | None, part: dict[str, Any]) -> None:
    series = part["series"]
    if series == SERIES:  # counted in one place: the part is the report
        ctx.emit_latest("reports", part["report"]["report_id"], part["report"])
        return
    if series == match.SERIES and match.CLOSED in part:
        before = ctx[TOLD].get(series)
        _tell(ctx, series, before, *match.closed(before, part[match.CLOSED], part["at"]))
        return
    if series not in _SERIES:
        ctx.refuse(f"no report is made of parts of {str(series)[:100]!r}", stage="rule")
        return
    period = part["period"]
    index = ctx[INDEX].get(_index(series, period), assembly.EMPTY)
    outcome = assembly.step(index, _get(ctx, series), part, _SERIES[series][0], series in _COUNTED)
    _apply(ctx, series, period, part["at"], outcome)
    if series in _ALONE and ctx.timers.due(END, f"{series}\0{period}") is None:
        ctx.timers.set(END, f"{series}\0{period}", ctx.now + _MEMORY_MS)


@reports.on_timer
def due(ctx: Context, kind: str, key: str, due: int) -> None:
    series, _, period = key.partition("\0")
    index = ctx[INDEX].get(_index(series, period), assembly.EMPTY)
    if kind == END:
        for place in index["places"]:
            del ctx[PARTS][f"{series}\0{assembly.row_key(period, place)}"]
        del ctx[INDEX][_index(series, period)]
        return
    outcome = assembly.waited(index, _get(ctx, series), period)
    if outcome is not None:
        _apply(ctx, series, period, due, outcome)


@reports.time_of
def time_of(part: dict[str, Any]) -> int:
    at: int = part["at"]
    return at


def _index(series: str, period: str) -> str:
    """Key of the index that a report is in."""
    return f"{series}\0{period}" if series in _ALONE else series


def _get(ctx: Context, series: str) -> assembly.Get:
    return lambda name: ctx[PARTS].get(f"{series}\0{name}")


def _apply(ctx: Context, series: str, period: str, at: int, outcome: assembly.Outcome) -> None:
    ctx[INDEX][_index(series, period)] = outcome.index
    for name, part in outcome.writes:
        if part is None:
            del ctx[PARTS][f"{series}\0{name}"]
        else:
            ctx[PARTS][f"{series}\0{name}"] = part
    timer = f"{series}\0{period}"
    if outcome.grace_over is not None:
        ctx.timers.set(GRACE, timer, outcome.grace_over)
    if outcome.again is not None:  # in the next turn: in a backlog many such words come together
        other, grace_over = outcome.again
        ctx.timers.set(GRACE, f"{series}\0{other}", max(grace_over, ctx.now + 1))
    if outcome.out:
        ctx.timers.cancel(GRACE, timer)
        settings, records = _SERIES[series]
        found = records(outcome, period, at, settings)
        lost = [] if outcome.lost is None else [assembly.sentence(outcome.lost, settings)]
        for record in found:
            ctx.emit_latest("reports", record["report_id"], {**record, "highlights": [*record["highlights"], *lost]})
        if series in _TELL:
            before = ctx[TOLD].get(series)
            _tell(ctx, series, before, *_TELL[series](found, before, settings))


def _tell(ctx: Context, series: str, before: Any, sends: Sequence[match.Send], told: Any) -> None:
    """`before`, `told`: what people were told of the series by then, and are now."""
    if told != before:
        ctx[TOLD][series] = told
    for topic, key, finding in sends:
        ctx.emit(topic, key, finding)
