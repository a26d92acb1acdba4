"""Prometheus metrics of `oms tax run`: every name in one place, labelled by interface only."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class TaxMetrics:
    """The metrics of one adapter."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.calls = Counter("oms_tax_calls_total", "Calls of the interface", ["interface"], registry=registry)
        self.answered = Counter(
            "oms_tax_answered_total", "Requests answered: issued, rejected", ["interface", "how"], registry=registry
        )
        self.failed = Counter("oms_tax_failed_total", "Attempts that failed", ["interface"], registry=registry)
        self.unreadable = Counter("oms_tax_unreadable_total", "Records that cannot be read", registry=registry)
        self.waiting = Gauge("oms_tax_waiting_requests", "Requests not answered yet", ["interface"], registry=registry)
        self.lag = Gauge("oms_tax_lag_records", "Records of tax-requests not read yet", registry=registry)
