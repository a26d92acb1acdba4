"""The oracle and the in-process runner agree on the whole pipeline over the chaos tests' own load."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import islice

from streams import catalogue, topology
from streams.agents.orders import make
from streams.domain.order import OrderSettings, StockRules
from streams.domain.tax.standing import TOLD
from streams.engine.local import LocalRunner
from tests.chaos.load import inputs
from tests.support.compare import differences
from tests.support.oracle import Sent, recompute
from tests.support.records import Record

NOW_MS = 1_790_000_000_000


def test_the_oracle_and_the_runner_agree_on_every_topic() -> None:
    # All is sent at once, so the orders hear of all events before any answer: how long they wait is not the point.
    patient = make(settings=OrderSettings(stock=StockRules(branch_ms=10**9, deduct_ms=10**9, stage_ms=10**9)))
    # The oracle knows no order across two sources, so an agent with tables and two of them (risk) is not recomputed.
    chosen = [agent for agent in catalogue.choose(None) if len(agent.sources) == 1 or not agent.tables]
    codecs, agents = topology.load(), [patient if a.name == patient.name else a for a in chosen]
    runner = LocalRunner(agents, codecs, partitions=1, received_at=NOW_MS)
    for topic, key, event in islice(inputs(seed=1, now=NOW_MS), 1000):
        name = None if key is None else key.decode()
        if isinstance(event, bytes):
            runner.send_bytes(topic, event, name)
        else:
            runner.send(topic, event, name)
    runner.run()
    records: dict[str, list[Record]] = defaultdict(list)
    for topic, (log,) in runner.log.topics.items():
        records[topic] = [Record(topic, one.partition(), one.offset(), one.key(), one.value()) for one in log]
    sent: dict[str, list[Sent]] = defaultdict(list)
    for agent in [part for whole in agents for part in whole.parts or (whole,)]:
        for output in recompute(agent, codecs, records, received_at=NOW_MS):
            sent[output.topic].append(output)
    assert len(records["audit-log"]) > 700
    assert records["dead-letters"]
    told = [json.loads(record.value or b"{}") for record in records["order-facts"]]
    assert {fact["status"] for fact in told if fact["event_type"] == TOLD} == {"accepted", "blocked"}
    found = [text for topic in sent for text in differences(topic, records[topic], sent[topic], codecs.decoder(topic))]
    assert found == []
