"""Mutated payloads through intake: it never fails, and every record is either sent on or a dead letter, not both."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest

from streams import agents, topology
from streams.agents.intake import intake
from streams.engine.local import LocalRunner
from tests.property.mutate import Record, mutations
from tests.support.effort import SOAK, tries

NORMAL, LONG = 5_000, 200_000
TOGETHER = 2_500
RECEIVED_AT = 1_800_000_000_000
LIKELY_TO_PASS = ("values", "bit flips", "spliced", "untouched", "topic mixed up")
SENT_ON = ("identity-facts", "stock-commands", "channel-facts", "invoice-facts")


class Accounts:
    """What became of each record. One runner takes many records in a row, so that one cannot spoil the next."""

    def __init__(self, codecs: topology.Topology) -> None:
        self._runner = LocalRunner([intake], codecs, partitions=1, received_at=RECEIVED_AT)
        self._order = self._runner.log.order
        self._decode = codecs.decoder("dead-letters")

    def enter(self, record: Record) -> str:
        """`accepted`, or the stage the record was refused at."""
        topic, payload, key = record
        before, dead = {name: self._count(name) for name in SENT_ON}, self._count("dead-letters")
        self._runner.send_bytes(topic, payload, key)
        self._runner.run()
        told = [record for name in SENT_ON for record in self._order.get(name, ())[before[name] :]]
        # That a new order came and was refused is told to its channel; the order itself is not sent on.
        sent_on = sum(b'"_order_refused"' not in (record.value() or b"") for record in told)
        dead = self._count("dead-letters") - dead
        assert (sent_on > 0) + dead == 1, f"{topic}: sent on {sent_on} times, {dead} dead letters"
        if not dead:
            return "accepted"
        letter = self._decode(self._order["dead-letters"][-1].value() or b"")
        assert (letter["topic"], letter["value"]) == (topic, payload)
        assert letter["error"]
        assert "\n" not in letter["error"]
        return str(letter["stage"])

    def _count(self, topic: str) -> int:
        return len(self._order.get(topic, ()))


def fuzz(count: int, seed: int) -> Counter[tuple[str, str]]:
    codecs = topology.load()
    seen = Counter[tuple[str, str]]()
    for number, (kind, record) in enumerate(islice(mutations(codecs, seed), count)):
        if number % TOGETHER == 0:
            accounts = Accounts(codecs)
        seen[kind, accounts.enter(record)] += 1
    return seen


def check(seen: Counter[tuple[str, str]], count: int) -> None:
    stages = Counter[str]()
    for (_, stage), times in seen.items():
        stages[stage] += times
    print(f"\n{dict(stages)}")
    assert sum(stages.values()) == count
    assert set(stages) <= {"accepted", "decode", "contract"}, "a rule failed on bad input"
    assert seen["untouched", "accepted"] > 0
    assert seen["values", "contract"] > 0
    for kind in ("unknown schema", "wrong magic byte", "nothing", "JSON"):
        assert seen[kind, "accepted"] == 0, kind


def test_mutated_payloads_are_accepted_or_refused_and_nothing_else() -> None:
    check(fuzz(NORMAL, seed=3), NORMAL)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_passes_intake_never_fails_in_the_agents_behind_it(seed: int) -> None:
    codecs = topology.load()
    runner = LocalRunner(agents.ALL, codecs, partitions=2, received_at=RECEIVED_AT)
    likely = (record for kind, record in mutations(codecs, seed) if kind in LIKELY_TO_PASS)
    for topic, payload, key in islice(likely, tries(NORMAL)):
        runner.send_bytes(topic, payload, key)
        runner.run()
    runner.advance(2 * RECEIVED_AT)
    letters = [letter for _, letter in runner.output("dead-letters")]
    assert {letter["stage"] for letter in letters} <= {"decode", "contract", "rule"}
    assert not [letter["error"] for letter in letters if re.search(r"\.py:\d+\)", letter["error"])], "a reducer failed"
    assert {row["decision"] for _, row in runner.output("audit-log")} >= {"accepted", "refused", "duplicate"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not SOAK, reason="a long run: set OMS_SOAK=1")
def test_two_hundred_thousand_mutated_payloads_are_accounted_for() -> None:
    check(fuzz(LONG, seed=5), LONG)
