"""The project's own agents under the same schedules: real orders and the failure cases, whatever dies meanwhile."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from functools import cache
from itertools import chain
from random import Random
from typing import Any

import pytest

from streams import agents, data, topology
from streams.engine.table import Table
from tests.scenarios.play import Record, records
from tests.simulation.invoices import with_invoices
from tests.simulation.schedule import Mismatch, Plan, Simulation, same
from tests.support.effort import SOAK

SCHEDULES = max(1, int(os.environ.get("SIMULATION_SCHEDULES", "2000")) // 160)
ONLY = os.environ.get("SIMULATION_SEED")
PARTS = 4
PARTITIONS = 4
STEPS = (
    "order-facts", "order-events", "audit-log", "ledger-entries", "stock-commands", "channel-facts", "dead-letters",
    "invoice-facts", "tax-requests", "invoices",
)  # fmt: skip
LATEST = ("order-states", "alerts")


@pytest.fixture(autouse=True, scope="module")
def estimates_by_default() -> Iterator[None]:
    """An estimate follows from the parcels told of before, which another schedule has tell in another order: here all
    are by default, and what is counted of lanes is compared."""
    module = sys.modules["streams.agents.estimates"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SETTINGS", dataclasses.replace(module._SETTINGS, enough=10**9))
        yield


@cache
def stages() -> tuple[tuple[Record, ...], ...]:
    """All of the small cases, some of the large ones, and the first of the real orders, in order of arrival; some of
    them want invoices, and what comes of that follows when the rest is dealt with."""
    found: list[Record] = []
    for path in data.cases():
        found += records(path)[:60]
    return with_invoices((*found, *records(data.SAMPLE)[:250]))


def story() -> tuple[Record, ...]:
    return tuple(chain.from_iterable(stages()))


def chunks(parts: tuple[tuple[Record, ...], ...], seed: int) -> list[list[Record]]:
    """A few events at a time: the next ones come when these have been dealt with."""
    random, made = Random(f"chunks {seed}"), []
    for events in parts:
        at = 0
        while at < len(events):
            size = random.randint(1, 25)
            made.append(list(events[at : at + size]))
            at += size
    return made


@cache
def unbroken(number: int, batch: int, whole: bool = False) -> Simulation:
    plan = Plan(number, workers=1, batch=batch, rate=0, shuffled=False, twice=False)
    simulation = Simulation(agents.ALL, topology.load(), PARTITIONS, plan, broken=False)
    simulation.tell(chunks(records_of(whole), number), None)
    return simulation


def records_of(whole: bool) -> tuple[tuple[Record, ...], ...]:
    return (tuple(records(data.SAMPLE)),) if whole else stages()


def run(seed: int, whole: bool = False) -> None:
    batch = (1, 7, 100)[seed % 3]
    plan = Plan.of(seed, batch)
    number = seed % 2
    broken = Simulation(agents.ALL, topology.load(), PARTITIONS, plan, broken=True)
    should = unbroken(number, batch, whole)
    assert broken.faults is not None
    try:
        broken.tell(chunks(records_of(whole), number), None)
        compare(broken, should)
    except Exception as error:
        did = "\n  ".join(broken.faults.did)
        raise Mismatch(f"SIMULATION_SEED={seed} {plan}: {type(error).__name__}: {error}\nfaults:\n  {did}") from error


def compare(broken: Simulation, should: Simulation) -> None:
    if broken.plan.twice:  # every copy is audited and counted; what an order is stays the same
        same("order-states", final(broken), final(should))
        return
    for topic in STEPS:
        same(topic, broken.records(topic), should.records(topic))
    for topic in LATEST:
        same(topic, broken.last(topic), should.last(topic))
    rows, expected = broken.tables(), should.tables()
    for name in expected:
        if not name.startswith("alerts."):  # intake may say once more that a source is well again
            same(name, rows[name], expected[name])
    same("timers", broken.timers(), should.timers())


def final(simulation: Simulation) -> dict[str, Any]:
    """What the orders are in the end, by guid; ``version`` counts turns as well."""
    states = {}
    for key, value in simulation.runner.output("order-states"):
        assert key is not None
        states[key] = {**value, "version": 0}
    return states


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_agents_end_every_schedule_as_the_unbroken_run(part: int) -> None:
    if ONLY is not None:
        if part == 0:
            run(int(ONLY))
        return
    for seed in range(part, SCHEDULES, PARTS):
        run(seed)


def test_the_reducers_never_change_a_value_they_got(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept decoded from turn to turn is what the store has: else a restart would change an outcome."""
    committed, looked = Table.committed, 0

    def checked(self: Table) -> None:
        nonlocal looked
        committed(self)
        for key, value in self._young.items():
            looked += 1
            assert self._encode(value) == self._store.get(self._prefix + self._key(key)), (self.name, key)

    monkeypatch.setattr(Table, "committed", checked)
    simulation = Simulation(agents.ALL, topology.load(), 1, Plan(0, 1, 5, 0, False, False), broken=False)
    simulation.tell(chunks(stages(), 0), None)
    assert looked > 10_000


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.skipif(not SOAK, reason="a long run: set OMS_SOAK=1")
def test_the_whole_sample_survives_a_schedule() -> None:
    for seed in (1, 2):
        run(seed, whole=True)


def test_the_story_has_what_can_go_wrong() -> None:
    simulation = unbroken(0, 1)
    stages = {letter["stage"] for _, letter in simulation.runner.output("dead-letters")}
    assert stages >= {"decode"}
    assert len(final(simulation)) >= 100
    assert simulation.last("alerts")
    invoices = [value for _, value in simulation.runner.output("invoices")]
    assert {invoice["status"] for invoice in invoices} == {"requested", "issued", "rejected", "partly_red"}
    assert {red["status"] for invoice in invoices for red in invoice["reds"]} == {"requested", "issued", "rejected"}
