"""Prometheus metrics of a worker: every name in one place, base units, one prefix, no label that grows with orders.

The agents' threads report through ``Metrics`` (an ``Observer``); the web server renders ``registry``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams.engine.runner import Observer, Seat, wall_ms
from streams.engine.turn import Report

SAMPLE_SECONDS: Final = 5.0
"""Gauges that cost a look at client or store are refreshed at this pace."""
_TURN_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH_BUCKETS: Final = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000)


class Metrics(Observer):
    """The metrics of one worker process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        agent = ["agent"]
        place = ["agent", "topic", "partition"]
        self.records = Counter("oms_records_total", "Records folded and committed", agent, registry=registry)
        self.timers = Counter("oms_timers_total", "Timers fired and committed", agent, registry=registry)
        self.turns = Histogram("oms_turn_seconds", "Seconds per turn", agent, buckets=_TURN_BUCKETS, registry=registry)
        self.steps = Histogram(
            "oms_turn_step_seconds",
            "Seconds per step of a turn",
            ["agent", "step"],
            buckets=_TURN_BUCKETS,
            registry=registry,
        )
        self.batches = Histogram(
            "oms_batch_records", "Records per turn", agent, buckets=_BATCH_BUCKETS, registry=registry
        )
        self.isolated = Counter("oms_isolated_turns_total", "Turns run record by record", agent, registry=registry)
        self.dead = Counter(
            "oms_dead_letters_total", "Records sent to dead-letters by stage", ["agent", "stage"], registry=registry
        )
        self.aborts = Counter("oms_aborts_total", "Transactions aborted", agent, registry=registry)
        self.stood = Counter(
            "oms_stood_back_seconds_total",
            "Seconds an agent aside left the core to those on the way of an order",
            agent,
            registry=registry,
        )
        self.fences = Counter("oms_fences_total", "Times fenced or opened anew", agent, registry=registry)
        self.lag = Gauge("oms_lag_records", "Records not yet folded, per source partition", place, registry=registry)
        self.delay = Gauge(
            "oms_event_time_delay_seconds", "Wall clock minus stream time", ["agent", "partition"], registry=registry
        )
        self.owned = Gauge("oms_partitions", "Partitions this worker owns", agent, registry=registry)
        self.state = Gauge("oms_state_bytes", "Bytes of local state, approximate", agent, registry=registry)
        self.restored = Gauge("oms_restored_records", "Records of the latest restore", agent, registry=registry)
        self.restoring_left = Gauge(
            "oms_restoring_partitions", "Partitions still being restored", agent, registry=registry
        )
        self.stopped_agents = Gauge("oms_agent_stopped", "1 if the agent stopped its source", agent, registry=registry)
        self._sampled: dict[str, float] = {}
        self._shown: dict[tuple[Gauge, str], set[tuple[str, ...]]] = {}

    def turn(self, agent: str, report: Report) -> None:
        self.records.labels(agent).inc(report.records)
        self.timers.labels(agent).inc(report.timers)
        self.turns.labels(agent).observe(sum(report.seconds.values()))
        for step, seconds in report.seconds.items():
            self.steps.labels(agent, step).observe(seconds)
        if report.records:
            self.batches.labels(agent).observe(report.records)
        if report.isolated:
            self.isolated.labels(agent).inc()
        for stage, count in report.dead.items():
            if count:
                self.dead.labels(agent, stage).inc(count)

    def aborted(self, agent: str) -> None:
        self.aborts.labels(agent).inc()

    def stood_back(self, agent: str, seconds: float) -> None:
        self.stood.labels(agent).inc(seconds)

    def fenced(self, agent: str) -> None:
        self.fences.labels(agent).inc()

    def restoring(self, agent: str, records: int, partitions_left: int) -> None:
        self.restored.labels(agent).set(records)
        self.restoring_left.labels(agent).set(partitions_left)

    def stopped(self, agent: str, why: str) -> None:
        self.stopped_agents.labels(agent).set(1)

    def alive(self, agent: str, seat: Seat) -> None:
        now = time.monotonic()
        if now - self._sampled.get(agent, 0.0) < SAMPLE_SECONDS or seat.source is None:
            return
        self._sampled[agent] = now
        tasks = seat.source.tasks
        self.owned.labels(agent).set(len(tasks))
        self.state.labels(agent).set(sum(task.store.size_bytes() for task in tasks.values()))
        lag = seat.source.lag()
        self._show(self.lag, agent, {(agent, topic, str(number)): left for (topic, number), left in lag.items()})
        wall = wall_ms()
        delays: dict[tuple[str, ...], float] = {
            (agent, str(partition)): max(0, wall - task.stream_time) / 1000
            for partition, task in tasks.items()
            if task.stream_time
        }
        self._show(self.delay, agent, delays)

    def _show(self, gauge: Gauge, agent: str, values: Mapping[tuple[str, ...], float]) -> None:
        """Set the gauge by labels and take back those of places this worker does not own any more."""
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        for gone in self._shown.get((gauge, agent), set()) - values.keys():
            gauge.remove(*gone)
        self._shown[gauge, agent] = set(values)
