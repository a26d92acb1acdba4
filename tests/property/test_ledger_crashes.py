"""The ledger over tables and changelogs, with a worker that dies at random: its books are those of an unbroken run.

What the rules alone do with random money is in test_ledger.py; here rows, timers and outputs go through the engine.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from streams import topology
from streams.agents.intake import _keys
from streams.agents.ledger import ledger
from streams.domain.ledger import periods
from streams.engine.local import Abort, Crash, LocalRunner
from tests.property.ledger_world import FOREVER, MONEY, T0, Fact, balances, moved, orders

CODECS = topology.load()
PARTITIONS = 2
STEPS = ("fold", "collect", "commit", "persist", "done")


class Chaos:
    """Lets the worker die, or the broker abort, at one step in `one_in`."""

    def __init__(self, seed: int, one_in: int) -> None:
        self.chance, self.one_in, self.died = random.Random(seed), one_in, 0

    def __call__(self, agent: str, worker: int, step: str) -> None:
        if self.one_in and self.chance.randrange(self.one_in) == 0:
            self.died += 1
            raise Crash if step in ("persist", "done") or self.chance.random() < 0.5 else Abort


def closings(at: int) -> list[Fact]:
    """The month of the facts is closed at `at`, as every partition is told."""
    fact = {"topic": "finance", "event_type": periods.CLOSED, "period": "2026-01", "source": "f", "event_id": "close"}
    return [{**fact, "event_time": at, "order_guid": key, "digest": 0} for key in _keys(PARTITIONS)]


def run(facts: list[Fact], batch: int, chaos: Chaos, lose: int = 0) -> list[dict[str, Any]]:
    """The entries, in order of emission. `lose`: after so many facts there is a pause, in which a worker that may die
    loses its disk."""
    runner = LocalRunner([ledger], CODECS, partitions=PARTITIONS, batch=batch, fault=chaos)
    for number, fact in enumerate(facts, 1):
        runner.send("order-facts", fact, fact["order_guid"])
        if number == lose:
            persist(runner.run)
            if chaos.one_in:
                runner.crash(0, lose_stores=True)
    persist(runner.run)
    persist(lambda: runner.advance(FOREVER))
    return [value for _, value in runner.output("ledger-entries") if value is not None]


def persist(step: Any) -> None:
    while True:
        try:
            step()
            return
        except (Crash, Abort):
            continue


@pytest.mark.rule("FIN-03", "FIN-06", "FIN-07", "FIN-11")
@settings(max_examples=60, deadline=None)
@given(orders(), some.data())
def test_books_balance_and_are_those_of_an_unbroken_run_whatever_dies(
    told: list[list[Fact]], draws: some.DataObject
) -> None:
    later = [fact for facts in told for fact in facts[1:]]
    repeated = draws.draw(some.lists(some.sampled_from(later), max_size=4)) if later else []
    facts = [facts[0] for facts in told] + draws.draw(some.permutations([*later, *repeated]))
    place = draws.draw(some.integers(0, len(facts)))
    if draws.draw(some.booleans()):
        facts[place:place] = closings(T0 + 24 * 3_600_000)
    batch, seed = draws.draw(some.sampled_from([1, 3, 100])), draws.draw(some.integers(0, 2**16))
    lose = draws.draw(some.integers(0, len(facts)))

    plain = run(facts, batch, Chaos(0, 0), lose)
    assert run(facts, batch, Chaos(0, 0), lose) == plain, "a replay gives the same entries with the same ids"
    broken = run(facts, batch, Chaos(seed, 4), lose)
    assert sorted(map(str, broken)) == sorted(map(str, plain))

    names = Counter(entry["entry_id"] for entry in broken)
    assert not names or max(names.values()) == 1, "nothing is recognised or booked twice"
    in_all = Counter[str]()
    for order in told:
        guid = order[0]["order_guid"]
        account = balances(entry for entry in broken if entry["order_guid"] == guid)
        paid, refunded, fees = moved(order)
        assert account["cash"] == paid - refunded - fees
        sold = -account["revenue"] - account["discounts"] - account["refunds"]
        assert -account["customer_advances"] + sold == paid - refunded
        in_all.update({"cash": account["cash"], "moved": paid - refunded - fees})
    assert balances(broken)["cash"] == in_all["cash"] == in_all["moved"]
    assert sum(balances(broken).values()) == 0


def test_the_chaos_kills() -> None:
    """Else the test above would be one of an unbroken run."""
    created = {"topic": "orders", "event_type": "order_created", "channel": "tmall", "lines": [], "total_minor": 300}
    paid = {"topic": "payments", "event_type": MONEY[0], "amount_minor": 300, "currency": "CNY"}
    named = {"source": "s", "digest": 0, "event_time": T0}
    facts = [
        {**kind, **named, "order_guid": f"G{n}", "event_id": f"{kind['event_type']}-{n}"}
        for n in range(20)
        for kind in (created, paid)
    ]
    chaos = Chaos(1, 4)
    assert len(run(facts, 3, chaos, 10)) == 20
    assert chaos.died > 5
