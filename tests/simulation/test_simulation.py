"""Thousands of seeded schedules of faults, each compared record by record with an unbroken run.

``SIMULATION_SCHEDULES`` sets how many (2,000 in a common run); ``SIMULATION_SEED`` runs one alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from streams.engine.rocks import RocksStore
from streams.engine.store import Store
from tests.simulation import pipeline
from tests.simulation.pipeline import LATEST, PARTITIONS, STATELESS, STEPS, Input
from tests.simulation.schedule import AFTER_COMMIT, BEFORE_COMMIT, Mismatch, Plan, Simulation, same

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "2000"))
ONLY = os.environ.get("SIMULATION_SEED")
PARTS = 20
STORIES = 25
"""Inputs; an unbroken run of each is made once per batch size."""


def plan_of(seed: int) -> tuple[Plan, int]:
    """The schedule of a seed and the story it is told with."""
    shuffled = seed % 4 == 3
    batch = (1, 50)[seed // 4 % 2] if shuffled else (1, 2, 5, 50)[seed // 4 % 4]
    return Plan.of(seed, batch, shuffled), seed % STORIES


@cache
def unbroken(story: int, batch: int, together: bool) -> Simulation:
    plan = Plan(story, workers=1, batch=batch, rate=0, shuffled=False, twice=False)
    told = Input.of(story, together)
    simulation = Simulation(pipeline.agents(), pipeline.Topics(), PARTITIONS, plan, broken=False)
    simulation.tell(told.chunks, told.end)
    return simulation


def run(seed: int, store: Callable[[], Store] | None = None) -> Simulation:
    """Play a schedule; Mismatch if it ends otherwise than the unbroken run."""
    plan, story = plan_of(seed)
    told = Input.of(story, plan.shuffled)
    broken = Simulation(pipeline.agents(), pipeline.Topics(), PARTITIONS, plan, broken=True, store=store)
    should = unbroken(story, plan.batch, plan.shuffled)
    try:
        broken.tell(told.chunks, told.end)
        compare(broken, should)
    except Exception as error:
        assert broken.faults is not None
        did = "\n  ".join(broken.faults.did)
        raise Mismatch(f"SIMULATION_SEED={seed} {plan}: {type(error).__name__}: {error}\nfaults:\n  {did}") from error
    return broken


def compare(broken: Simulation, should: Simulation) -> None:
    plan = broken.plan
    if plan.shuffled:
        for topic in ("steps", *(() if plan.twice else ("facts",))):
            same(topic, broken.by_key(topic), should.by_key(topic))
    else:
        for topic in STEPS:
            same(topic, broken.records(topic), should.records(topic))
    for topic in LATEST:
        same(topic, broken.last(topic), should.last(topic))
    if not plan.shuffled and not plan.twice:
        for topic in (*STATELESS, "dead-letters"):
            same(topic, broken.records(topic), should.records(topic))
    for topic in STATELESS:
        same(topic, broken.values(topic), should.values(topic))
    ends_alike(broken, should)


def ends_alike(broken: Simulation, should: Simulation) -> None:
    """Dead letters and states, at times also those restored from nothing and from old stores."""
    same("dead letters", letters(broken), letters(should))
    states(broken, should)
    if broken.plan.seed % 5 == 0:
        broken.lose_everything()
        states(broken, should)
        for worker in range(broken.plan.workers):
            broken.take_up_old_stores(worker)
            states(broken, should)


def states(broken: Simulation, should: Simulation) -> None:
    """Tables and timers; what is counted of deliveries is the same too, for duplicates are no deliveries."""
    is_now, as_it_should = broken.tables(), should.tables()
    for name, rows in as_it_should.items():
        same(name, is_now[name], rows)
    same("timers", broken.timers(), should.timers())


def letters(simulation: Simulation) -> list[tuple[str, str, str]]:
    """Dead letters without their positions and times, and without repetitions if senders repeat themselves."""
    found = [
        (value["topic"], value["stage"], value["key"] + value["value"])
        for _, value in simulation.runner.output("dead-letters")
    ]
    return sorted(set(found))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_schedule_ends_as_the_unbroken_run(part: int) -> None:
    if ONLY is not None:
        if part == 0:
            run(int(ONLY))
        return
    for seed in range(part, SCHEDULES, PARTS):
        run(seed)


def test_the_schedules_are_nasty_and_the_stories_have_everything() -> None:
    """Of nothing comes no proof: every fault happens at every step of every agent, and every poison is met."""
    did: Counter[tuple[str, str, str]] = Counter()
    for seed in range(200):
        faults = run(seed).faults
        assert faults is not None
        did.update(_kind(what) for what in faults.did)
    for agent in ("sort", "keys", "groups"):
        for step in (*BEFORE_COMMIT, *AFTER_COMMIT):
            assert did["crash", step, agent] >= 2
            assert did["move", step, agent] >= 2
        for step in BEFORE_COMMIT:
            assert did["abort", step, agent] >= 2
    for what in ("move", "kill", "offsets"):
        assert did[what, "between", "turns"] >= 20
    reasons: Counter[tuple[str, str, str]] = Counter()
    fired: Counter[str] = Counter()
    for story in range(STORIES):
        runner = unbroken(story, 1, False).runner
        for _, letter in runner.output("dead-letters"):
            why = "no JSON" if letter["stage"] == "decode" else letter["error"]
            reasons[letter["stage"], letter["topic"].split(":")[0], why] += 1
        fired.update(value["timer"] for _, value in runner.output("steps") if "timer" in value)
    for expected in (
        ("contract", "raw", "a negative number"),
        ("decode", "raw", "no JSON"),
        ("rule", "raw", "Poison: sort"),
        ("rule", "facts", "Poison: keys"),
        ("rule", "group-facts", "Poison: groups"),
        ("rule", "keys", "Poison: timer"),
    ):
        assert reasons[expected] >= 5, (expected, reasons)
    assert fired["idle"] >= 50
    assert fired["wake"] >= 50


def test_schedules_end_the_same_on_rocksdb(tmp_path: Path) -> None:
    stores: list[RocksStore] = []
    numbers = count()

    def new() -> Store:
        stores.append(RocksStore(tmp_path / str(next(numbers))))
        return stores[-1]

    for seed in range(8):
        run(seed, new)
        while stores:
            stores.pop().close()
    assert len(list(tmp_path.iterdir())) >= 10


def _kind(what: str) -> tuple[str, str, str]:
    kind, place = what.split(" ", 1)
    words = place.split()
    return (kind, words[1], words[3]) if words[0] == "at" else (kind, "between", "turns")
