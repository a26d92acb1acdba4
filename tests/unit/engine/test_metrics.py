"""What a worker tells Prometheus: one prefix, base units, and no label that grows with the data."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streams.engine import metrics as module
from streams.engine.metrics import Metrics
from streams.engine.store import MemoryStore
from streams.engine.turn import Report

UNITS = ("_seconds", "_bytes", "_records", "_total", "_partitions", "_stopped")
LABELS = {"agent", "topic", "partition", "step", "stage"}


class StandInSource:
    def __init__(self, partitions: tuple[int, ...]) -> None:
        self.tasks = {
            partition: SimpleNamespace(store=MemoryStore(), stream_time=1_000_000) for partition in partitions
        }
        for task in self.tasks.values():
            task.store.write([(b"key", b"value")])

    def lag(self) -> dict[tuple[str, int], int]:
        return {("order-facts", partition): 10 + partition for partition in self.tasks}


def runner(*partitions: int) -> Any:
    return SimpleNamespace(source=StandInSource(partitions))


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The monotonic clock in seconds and the wall clock in ms, moved by hand."""
    hands = SimpleNamespace(monotonic=1000.0, wall=1_005_000)
    monkeypatch.setattr("time.monotonic", lambda: hands.monotonic)
    monkeypatch.setattr(module, "wall_ms", lambda: hands.wall)
    return hands


def used() -> Metrics:
    """Metrics after one of everything."""
    metrics = Metrics()
    seconds = {"fold": 0.01, "collect": 0.002, "commit": 0.004, "persist": 0.001}
    metrics.turn("orders", Report(5, seconds, {"decode": 1, "contract": 0, "rule": 2}, isolated=True, timers=7))
    metrics.aborted("orders")
    metrics.fenced("orders")
    metrics.restoring("orders", 1200, 3)
    metrics.stopped("orders", "10 records in a row failed by rule")
    metrics.alive("orders", runner(0, 1))
    return metrics


def test_every_name_has_the_prefix_and_a_base_unit() -> None:
    families = list(used().registry.collect())
    assert len(families) >= 15
    for family in families:
        assert family.name.startswith("oms_"), family.name
        assert family.documentation
        full = family.name + ("_total" if family.type == "counter" else "")
        assert full.endswith(UNITS), full
        assert not re.search(r"(_ms|_millis|milliseconds|_kb|_mb|percent|_count)(_|$)", family.name), family.name


def test_no_label_grows_with_orders() -> None:
    for (name, labels), _ in samples(used()).items():
        assert {label for label, _ in labels} <= LABELS | {"le"}, name


def test_a_turn_is_counted_by_agent_step_and_stage() -> None:
    found = samples(used())
    agent = ("agent", "orders")
    assert found["oms_records_total", (agent,)] == 5
    assert found["oms_timers_total", (agent,)] == 7
    assert found["oms_turn_seconds_sum", (agent,)] == pytest.approx(0.017)
    assert found["oms_turn_step_seconds_sum", (agent, ("step", "commit"))] == pytest.approx(0.004)
    assert found["oms_batch_records_sum", (agent,)] == 5
    assert found["oms_isolated_turns_total", (agent,)] == 1
    assert found["oms_dead_letters_total", (agent, ("stage", "rule"))] == 2
    assert found["oms_dead_letters_total", (agent, ("stage", "decode"))] == 1
    assert ("oms_dead_letters_total", (agent, ("stage", "contract"))) not in found
    assert found["oms_aborts_total", (agent,)] == 1
    assert found["oms_fences_total", (agent,)] == 1
    assert found["oms_restored_records", (agent,)] == 1200
    assert found["oms_restoring_partitions", (agent,)] == 3
    assert found["oms_agent_stopped", (agent,)] == 1


def test_a_turn_of_timers_alone_is_no_batch() -> None:
    metrics = Metrics()
    metrics.turn("orders", Report(0, {"fold": 0.1}))
    assert ("oms_turn_seconds_count", (("agent", "orders"),)) in samples(metrics)
    assert ("oms_batch_records_count", (("agent", "orders"),)) not in samples(metrics)


def test_lag_delay_and_state_are_sampled_now_and_then(clock: Any) -> None:
    metrics = Metrics()
    metrics.alive("orders", runner(0, 1))
    place = (("agent", "orders"), ("partition", "1"), ("topic", "order-facts"))
    found = samples(metrics)
    assert found["oms_lag_records", place] == 11
    assert found["oms_event_time_delay_seconds", (("agent", "orders"), ("partition", "0"))] == 5.0
    assert found["oms_partitions", (("agent", "orders"),)] == 2
    assert found["oms_state_bytes", (("agent", "orders"),)] == 16
    clock.monotonic += 1
    metrics.alive("orders", runner(0))
    assert samples(metrics) == found, "too soon after the last look"


def test_a_partition_that_went_away_leaves_no_stale_gauge(clock: Any) -> None:
    metrics = Metrics()
    metrics.alive("orders", runner(0, 1))
    metrics.alive("identity", runner(1))
    clock.monotonic += 10
    metrics.alive("orders", runner(0))
    found = samples(metrics)
    for name in ("oms_lag_records", "oms_event_time_delay_seconds"):
        kept = {(dict(labels)["agent"], dict(labels)["partition"]) for own, labels in found if own == name}
        assert kept == {("orders", "0"), ("identity", "1")}, name


def test_a_runner_without_a_consumer_is_no_reason_to_fail() -> None:
    Metrics().alive("orders", SimpleNamespace(source=None))
