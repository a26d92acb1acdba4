"""Every number of the channel rules; `rules/limits.json` holds those in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .. import calendar
from ..report.health import HealthReports
from ..spelling import bare, beginnings

_HEALTH: Final = HealthReports(day=4, hour=6, grace_ms=600_000, late_ms=3_600_000, kept_days=20)


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in ms, shares in parts of a hundred or a thousand.

    misses            BRK-01: payments without an order in a row that suspend a channel
    payment_orphan_ms ID-08: how long after a payment its order is judged missing
    history_ms        BRK-01: a payment told later than this after it was paid is history
    late_order_ms     how long after an order missed turns out to be late its suspended channel opens by itself
    refused_codes     BRK-01: codes of refused orders that a channel remembers
    drain             how many held orders are let go in one turn at most
    qps               BRK-03: orders a second by channel; a channel that is not here has no limit
    batches           BRK-03: a second's worth of held orders is let go in this many batches
    silence_ms        BRK-02: longer than this without a sign of life is silence
    away_ms           a timer or a fact that comes this late says that the worker was away, not the other side
    backlog_off       BRK-09: more unprocessed orders than this switch the feature off
    backlog_on        BRK-09: fewer than this, for backlog_calm_ms, switch it on again
    feature           BRK-09: what is switched
    slow_ms           BRK-10: p95 above this is slow; window_ms: over this long
    errors_percent    BRK-10: a larger share of errors opens the breaker
    open_ms           BRK-10: from open to half-open; probes: good reports that close it then
    health_per_mille  BRK-12: a smaller share of good calls over health_ms is a warning; kept in steps of health_step_ms
    stock_push_ms     INV-12: a stock push older than this is late
    without_api       INV-12: channels without a live API; `reference_set` adds to them
    depth_every_ms    BRK-06: the depth of a lane that changes is told this often at most
    health            FIN-09: when the month's failures are told
    """

    misses: int = 3
    payment_orphan_ms: int = calendar.MINUTE_MS
    history_ms: int = calendar.HOUR_MS
    late_order_ms: int = 5 * calendar.MINUTE_MS
    refused_codes: int = 256
    drain: int = 1_000
    qps: Mapping[str, int] = field(default_factory=dict)
    batches: int = 10
    silence_ms: int = 3 * calendar.MINUTE_MS
    away_ms: int = 30_000
    backlog_off: int = 500
    backlog_on: int = 400
    backlog_calm_ms: int = 5 * calendar.MINUTE_MS
    feature: str = "coupon_gift"
    slow_ms: int = 1_000
    window_ms: int = 10_000
    errors_percent: int = 20
    open_ms: int = 30_000
    probes: int = 3
    health_per_mille: int = 995
    health_ms: int = calendar.DAY_MS
    health_step_ms: int = 5 * calendar.MINUTE_MS
    stock_push_ms: int = 5 * calendar.MINUTE_MS
    without_api: tuple[str, ...] = ()
    depth_every_ms: int = 10_000
    health: HealthReports = _HEALTH
    _spelled: Mapping[str, int] = field(init=False, repr=False, compare=False)
    """`qps` by the `bare` names of the channels."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_spelled", {bare(name): limit for name, limit in self.qps.items()})

    def limit(self, channel: str) -> int:
        """BRK-03: orders a second of a channel under any of its names, in whichever spelling, or of a shop of it, which
        then has a bucket of its own; 0: no limit."""
        limit = self.qps.get(channel)
        if limit is None:
            spelled = self._spelled
            limit = next((spelled[name] for name in beginnings(channel) if name in spelled), 0)
        return limit
