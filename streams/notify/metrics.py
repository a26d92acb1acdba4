"""Prometheus metrics of `oms notify`: every name in one place, base units, labelled by target only."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATE_BUCKETS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 7200, 14400, 86400)


class NotifyMetrics:
    """The metrics of one notifier."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        target = ["target"]
        self.delivered = Counter("oms_notify_delivered_total", "Alerts told, in digests too", target, registry=registry)
        self.messages = Counter("oms_notify_messages_total", "Messages taken by the target", target, registry=registry)
        self.failed = Counter("oms_notify_failed_total", "Sendings that failed", ["target", "how"], registry=registry)
        self.held = Counter(
            "oms_notify_held_back_total", "Alerts held back: limit, repeat", ["target", "why"], registry=registry
        )
        self.given_up = Counter("oms_notify_given_up_total", "Alerts refused until given up", target, registry=registry)
        self.unrouted = Counter("oms_notify_unrouted_total", "Alerts that no target takes", registry=registry)
        self.unreadable = Counter("oms_notify_unreadable_total", "Records that cannot be read", registry=registry)
        self.late = Histogram(
            "oms_notify_late_seconds", "From the alert's record to its telling", target, buckets=_LATE_BUCKETS,
            registry=registry,
        )  # fmt: skip
        self.waiting = Gauge("oms_notify_waiting_messages", "Alerts not told yet", target, registry=registry)
        self.up = Gauge("oms_notify_target_up", "0 while the target fails", target, registry=registry)
        self.lag = Gauge("oms_notify_lag_records", "Records of alerts not read yet", registry=registry)
