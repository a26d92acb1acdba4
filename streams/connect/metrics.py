"""Prometheus metrics of `oms connect up`: every name in one place, base units, labelled by connector only."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ConnectMetrics:
    """The metrics of one Connect worker, seen from outside."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        connector = ["connector"]
        self.up = Gauge("oms_connect_up", "1 while the Connect worker answers", registry=registry)
        self.failed = Gauge("oms_connect_failed_tasks", "Tasks that do not run", connector, registry=registry)
        self.restarts = Counter("oms_connect_restarts_total", "Starts after a failure", connector, registry=registry)
        self.lag = Gauge("oms_connect_lag_records", "Committed records not yet written", connector, registry=registry)
        self.dead = Gauge(
            "oms_connect_dead_letter_records", "Records ever written to connect-dead-letters", registry=registry
        )
