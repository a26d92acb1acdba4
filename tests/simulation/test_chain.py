"""The same schedules for agents in a chain: however they hand records over, and whoever dies meanwhile, all ends as in
the unbroken run of agents that know each other by their topics alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from streams import agents, catalogue, topology
from streams.engine import handover, local, turn
from streams.engine.agent import folded_header
from streams.engine.chain import Chain
from streams.engine.turn import MOST_FIRED
from tests.scenarios.play import Record
from tests.simulation import pipeline
from tests.simulation.pipeline import LATEST, PARTITIONS, STATELESS, Input
from tests.simulation.schedule import Mismatch, Plan, Simulation, same
from tests.simulation.test_agents import final, stages
from tests.simulation.test_simulation import ONLY, SCHEDULES, STORIES, ends_alike, unbroken

PARTS = 10
ENOUGH = 400
"""Schedules within which a broken chain must be caught."""
SHARED = (frozenset[str](), frozenset({"facts"}), frozenset({"facts", "group-facts"}))


def run(seed: int) -> Simulation:
    plan = Plan.of(seed, (1, 50)[seed % 2], shuffled=True)
    story, shared = seed % STORIES, SHARED[seed % len(SHARED)]
    told = Input.of(story, together=True)
    three = pipeline.agents()
    linked = three[seed // 7 % 2 :]  # all, or the last two
    chain = Chain("chain", tuple(linked), shared)
    few = 1 if seed % 5 == 1 else MOST_FIRED
    broken = Simulation(three, pipeline.Topics(), PARTITIONS, plan, broken=True, chain=chain, most_fired=few)
    assert broken.faults is not None
    try:
        with pytest.MonkeyPatch.context() as patch:
            if seed % 5 == 2:
                patch.setattr(handover, "MOST_ROUNDS", 1)
            broken.tell(told.chunks, told.end)
        compare(broken, unbroken(story, plan.batch, True), shared)
    except Exception as error:
        did = "\n  ".join(broken.faults.did)
        raise Mismatch(f"SIMULATION_SEED={seed} {plan}: {type(error).__name__}: {error}\nfaults:\n  {did}") from error
    return broken


def compare(broken: Simulation, should: Simulation, shared: frozenset[str]) -> None:
    plan = broken.plan
    same("steps", broken.by_key("steps"), should.by_key("steps"))
    for topic in STATELESS:
        if topic in shared or topic == "notes":
            same(topic, broken.values(topic), should.values(topic))
            if not plan.twice and topic != "notes":
                same(topic, broken.by_key(topic), should.by_key(topic))
    if "group-facts" in shared:
        same("group-facts", sorted_by_key(broken), sorted_by_key(should))
    for topic in LATEST:
        same(topic, broken.last(topic), should.last(topic))
    ends_alike(broken, should)


def sorted_by_key(simulation: Simulation) -> dict[bytes | None, list[bytes]]:
    return {key: sorted(value or b"" for value in found) for key, found in simulation.by_key("group-facts").items()}


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_schedule_of_a_chain_ends_as_the_unbroken_run_without_one(part: int) -> None:
    if ONLY is not None:
        if part == 0:
            run(int(ONLY))
        return
    for seed in range(part, SCHEDULES // 4, PARTS):
        run(seed)


def test_in_these_schedules_records_go_either_way() -> None:
    """Handed over, and by their topic to another worker or one that is not at its end; each kind in plenty."""
    went: Counter[str] = Counter()
    for seed in range(150):
        runner = run(seed).runner
        for topic, agent in (("facts", "keys"), ("group-facts", "groups")):
            for record in runner.log.order.get(topic, ()):
                handed = record._header == folded_header(agent)
                assert record._header is None or handed
                went[f"{topic} {'handed' if handed else 'by topic'}"] += 1
    assert len(went) == 4
    assert min(went.values()) > 200, went


ALIKE = ("order-events", "ledger-entries", "dead-letters", "tax-requests", "invoices")


def one_by_one() -> list[list[Record]]:
    """Every event when the one before has been dealt with: in a chain it goes all its way at once."""
    return [[event] for stage in stages() for event in stage]


def in_any_order(simulation: Simulation, topic: str) -> dict[bytes | None, list[bytes]]:
    return {key: sorted(value or b"" for value in found) for key, found in simulation.by_key(topic).items()}


@pytest.mark.timeout(0)
def test_the_agents_on_the_way_end_as_they_do_without_a_chain_whoever_dies() -> None:
    """What differs is when a timer of an agent aside looks: a record that is handed over moves no clock but its own."""
    codecs = topology.load()
    chain = catalogue.chained(agents.ALL, codecs.topics)[0]
    assert isinstance(chain, Chain)
    assert chain.shared == {"order-facts"}
    assert len(chain.readers) == 4
    should = Simulation(agents.ALL, codecs, PARTITIONS, Plan(0, 1, 1, 0, False, False), broken=False)
    should.tell(one_by_one(), None)
    for seed in range(max(2, SCHEDULES // 500)):
        plan = replace(Plan.of(seed, (1, 7)[seed % 2]), twice=False)
        broken = Simulation(agents.ALL, codecs, PARTITIONS, plan, broken=True, chain=chain)
        broken.tell(one_by_one(), None)
        same("order-states", final(broken), final(should))
        for topic in ALIKE:
            same(topic, in_any_order(broken, topic), in_any_order(should, topic))


def loses_what_it_cannot_fold(patch: pytest.MonkeyPatch) -> None:
    folded = handover.Handover.folded
    patch.setattr(handover.Handover, "folded", lambda self, one, at, records, n: folded(self, one, at, records[:n], n))


def hands_over_past_what_waits(patch: pytest.MonkeyPatch) -> None:
    def receiver(self: local.LocalRunner, topic: str, partition: int) -> Any:
        [index] = [n for n in self._readers[topic] if self.agents[n].name in self._chained]
        task = self._task(index, partition)
        self._running.add(task)
        return task if self._owner[partition] == self._worker else None

    patch.setattr(local.LocalRunner, "_receiver", receiver)


def commits_for_its_own_records_only(patch: pytest.MonkeyPatch) -> None:
    collect = turn.Turn._collect

    def without(self: turn.Turn, task: Any, sources: Any) -> None:
        before = dict(self._offsets)
        collect(self, task, sources)
        if not sources:
            self._offsets = before

    patch.setattr(turn.Turn, "_collect", without)


def rolls_back_what_it_polled_only(patch: pytest.MonkeyPatch) -> None:
    hand = turn.Turn._hand

    def forgetful(self: turn.Turn, *args: Any) -> float:
        before = dict(self._begun)
        try:
            return hand(self, *args)
        except BaseException:
            self._begun = before
            raise

    patch.setattr(turn.Turn, "_hand", forgetful)


@pytest.mark.parametrize(
    "broken",
    [
        loses_what_it_cannot_fold,
        hands_over_past_what_waits,
        commits_for_its_own_records_only,
        rolls_back_what_it_polled_only,
    ],
)
def test_a_broken_chain_is_noticed(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(ENOUGH):  # what should be comes from the sound engine
        unbroken(seed % STORIES, Plan.of(seed, (1, 50)[seed % 2], shuffled=True).batch, True)
    broken(monkeypatch)
    with pytest.raises(Mismatch, match="SIMULATION_SEED="):
        any(run(seed) is None for seed in range(ENOUGH))
