"""/healthz tells progress, not only that the process is up."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.health import STUCK_SECONDS, Health, Observers
from streams.engine.turn import Report

RUNNER: Any = SimpleNamespace(source=None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    hands = SimpleNamespace(now=time.monotonic())
    monkeypatch.setattr("time.monotonic", lambda: hands.now)
    return hands


@pytest.fixture
def health(clock: Any) -> Health:
    return Health(("intake", "orders"))


def states(health: Health) -> dict[str, str]:
    return {name: agent["state"] for name, agent in health.report()[1].items()}


def test_a_worker_that_has_just_started_is_given_time(health: Health) -> None:
    assert health.report()[0]
    assert states(health) == {"intake": "starting", "orders": "starting"}


def test_an_agent_that_never_gets_going_is_stuck(health: Health, clock: Any) -> None:
    clock.now += STUCK_SECONDS + 1
    assert not health.report()[0]
    assert states(health) == {"intake": "stuck", "orders": "stuck"}


def test_an_idle_agent_is_healthy_as_long_as_its_loop_comes_round(health: Health, clock: Any) -> None:
    for _ in range(5):
        clock.now += STUCK_SECONDS - 1
        health.alive("intake", RUNNER)
        health.alive("orders", RUNNER)
    assert health.report()[0]
    assert states(health) == {"intake": "running", "orders": "running"}


def test_one_stuck_agent_makes_the_worker_unhealthy(health: Health, clock: Any) -> None:
    health.alive("intake", RUNNER)
    health.alive("orders", RUNNER)
    clock.now += STUCK_SECONDS
    health.alive("intake", RUNNER)
    healthy, agents = health.report()
    assert not healthy
    assert (agents["intake"]["state"], agents["orders"]["state"]) == ("running", "stuck")
    assert agents["orders"]["seconds_since_progress"] == STUCK_SECONDS
    health.alive("orders", RUNNER)
    assert health.report()[0], "it may come round again"


def test_a_long_restore_is_healthy_as_long_as_it_reads(health: Health, clock: Any) -> None:
    health.alive("intake", RUNNER)
    for records in range(0, 10_000, 1000):
        clock.now += STUCK_SECONDS / 2
        health.alive("intake", RUNNER)
        health.restoring("orders", records, 4)
        assert health.report()[0]
        assert states(health)["orders"] == "restoring"
    clock.now += STUCK_SECONDS
    health.alive("intake", RUNNER)
    assert not health.report()[0]
    assert states(health)["orders"] == "stuck"


def test_a_stopped_agent_is_unhealthy_and_says_why(health: Health, clock: Any) -> None:
    health.alive("intake", RUNNER)
    health.alive("orders", RUNNER)
    health.stopped("orders", "agent orders stopped reading order-facts: 10 records in a row failed by rule")
    healthy, agents = health.report()
    assert not healthy
    assert agents["orders"]["state"] == "stopped"
    assert "10 records in a row" in agents["orders"]["why"]
    assert "why" not in agents["intake"]
    clock.now += STUCK_SECONDS
    assert states(health)["orders"] == "stopped", "the reason is not hidden by the time that went by"


def test_it_tells_turns_and_records(health: Health, clock: Any) -> None:
    assert health.report()[1]["orders"]["seconds_since_turn"] is None
    health.turn("orders", Report(records=3))
    health.turn("orders", Report(records=4))
    clock.now += 2.5
    agent = health.report()[1]["orders"]
    assert (agent["records"], agent["seconds_since_turn"]) == (7, 2.5)


def test_observers_tell_all_of_them_everything() -> None:
    told: list[tuple[int, str, tuple[Any, ...]]] = []

    class Noted:
        def __init__(self, number: int) -> None:
            self.number = number

        def __getattr__(self, name: str) -> Any:
            return lambda *args: told.append((self.number, name, args))

    both = Observers(Noted(1), Noted(2))  # type: ignore[arg-type]
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("turn", ("orders", Report())),
        ("aborted", ("orders",)),
        ("fenced", ("orders",)),
        ("restoring", ("orders", 5, 1)),
        ("alive", ("orders", RUNNER)),
        ("stopped", ("orders", "why")),
    ]
    for name, args in calls:
        getattr(both, name)(*args)
    assert told == [(number, name, args) for name, args in calls for number in (1, 2)]
