"""The parts of the facets agent share each event they read: none of them changes it."""

from __future__ import annotations

from itertools import islice

import pytest

from streams import catalogue, topology
from streams.agents.facets import facets
from streams.engine.joint import SharedCodecs
from streams.engine.local import LocalRunner
from streams.errors import UsageError
from tests.chaos.load import inputs

NOW_MS = 1_790_000_000_000


def test_no_part_changes_an_event_that_the_next_one_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    codecs, compared = topology.load(), 0
    decode = codecs.decoder("order-facts")

    def compare(self: SharedCodecs) -> None:
        nonlocal compared
        for data, event in self._events.items():
            assert decode(data) == event
            compared += 1
        self._events.clear()

    monkeypatch.setattr(SharedCodecs, "forget", compare)
    runner = LocalRunner(catalogue.choose(None), codecs, partitions=2, received_at=NOW_MS)
    for topic, key, event in islice(inputs(seed=3, now=NOW_MS), 1500):
        if isinstance(event, dict):
            runner.send(topic, event, None if key is None else key.decode())
    runner.run()
    assert compared > 1000


def test_parts_are_chosen_by_name_and_run_in_the_group_of_the_whole() -> None:
    assert catalogue.choose(["facets"]) == catalogue.choose(["ledger", "logistics", "match", "quality"]) == [facets]
    [some] = catalogue.choose(["match", "ledger"])
    assert (some.name, str(some)) == ("facets", "facets (ledger, match)")
    assert some.parts == facets.parts[:2]
    with pytest.raises(UsageError, match=r"no agent money; there are alerts, .*facets.* ledger"):
        catalogue.choose(["money"])


def test_every_agent_is_on_the_way_or_aside_and_either_group_has_a_name() -> None:
    way, aside = catalogue.choose(["way"]), catalogue.choose(["aside"])
    assert [agent.name for agent in way] == ["intake", "channels", "identity", "orders", "inventory"]
    assert facets in aside
    assert [agent.name for agent in catalogue.choose(["aside", "way"])] == [
        agent.name for agent in catalogue.choose(None)
    ]
