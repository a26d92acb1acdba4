"""Two workers under load, killed, paused and cut off from the broker at random: every output exactly once.

An independent reader recomputes what each agent had to send from what lies in its source topics, and compares it with
what lies in its output topics, record by record. Short by default; OMS_CHAOS=long plays 20 kills, OMS_CHAOS_SEED
repeats a run, OMS_CHAOS_FAULTS="kill broker" plays these.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams import catalogue, topics_admin, topology
from streams.domain.match.report import AUDITS
from streams.domain.match.report import SERIES as MATCH
from streams.domain.quality.look import SERIES as QUALITY
from streams.domain.risk.outcome import RISK_FACT, SERIES
from streams.engine import Agent
from streams.engine.agent import consumer_group
from streams.topology import Topology
from tests.chaos.driver import RECOVERY_SECONDS, Chaos, Encoded, Load
from tests.chaos.load import inputs
from tests.servers.kafka import KafkaServer
from tests.support.compare import differences
from tests.support.oracle import recompute
from tests.support.process import OMS, WorkerProcess
from tests.support.progress import Groups, Place
from tests.support.records import Record, in_order_of_folding, last_offsets, read

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1800)]

LONG = os.environ.get("OMS_CHAOS") == "long"
KILLS = 20 if LONG else 1
OTHERS = ["broker", "crash", "pause", "pause"] if LONG else ["crash", "pause"]
RATE = 400.0 if LONG else 100.0
# Told to the alerts agent again after a start (it does no harm twice), so their number is not fixed; and what the
# channels and logistics tell at times of the wall clock, which no later reader knows.
HINTS = {"alert-facts", "channel-breaks", "courier-facts"}
TICKING = {"alerts", "calls"}
"""What they read goes on coming as time passes: a waybill that nobody accepts is pushed again, and told."""


@pytest.fixture
def broker() -> Iterator[KafkaServer]:
    """A broker of its own: it is restarted."""
    with KafkaServer() as server:
        yield server


def encoded(codecs: Topology, seed: int) -> Iterator[Encoded]:
    encoders = {topic: codecs.encoder(topic) for topic in ("orders", "payments", "wms", "couriers", "ops")}
    for topic, key, event in inputs(seed, int(time.time() * 1000)):
        yield topic, key, event if isinstance(event, bytes) else encoders[topic](event)


def test_every_output_is_there_exactly_once_whatever_dies(broker: KafkaServer, tmp_path: Path) -> None:
    seed = int(os.environ.get("OMS_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"\nOMS_CHAOS_SEED={seed}", flush=True)
    codecs, agents = topology.load(), catalogue.choose(None)
    topics_admin.apply({"bootstrap.servers": broker.bootstrap}, codecs, [one.name for one in agents if one.stateful])
    # What is handed over within a turn is kept in the topics, else nobody could recompute from them what came of it. A
    # worker that hands nothing over knows what another has.
    modes = {"w1": "kept", "w2": ("kept", "off")[seed % 2]}
    workers = [
        WorkerProcess(name, tmp_path, broker.url, [*OMS, "worker"], {"OMS_HANDOVER": mode})
        for name, mode in modes.items()
    ]
    load = Load(broker.bootstrap, encoded(codecs, seed), RATE)
    chaos = Chaos(broker, workers, seed, agents)
    faults = [*chaos.chance.choices(["kill", "lose"], weights=[2, 1], k=KILLS), *OTHERS]
    chaos.chance.shuffle(faults)
    faults = os.environ.get("OMS_CHAOS_FAULTS", " ".join(faults)).split()
    try:
        for worker in workers:
            worker.start()
        load.start()
        chaos.play(faults)
        sent = load.stop()
        drain(broker.bootstrap, agents, chaos.groups)
        for worker in workers:
            assert worker.stop() == 0, worker.tail()
    except BaseException:
        print("\n".join(f"--- {worker.name}\n{worker.tail()}" for worker in workers), "\n--- broker")
        print(broker.log_tail(100))
        raise
    findings, counts = check(broker.bootstrap, agents, codecs, chaos.groups)
    print(f"{sent} inputs, " + ", ".join(f"{count} {topic}" for topic, count in counts.items()), flush=True)
    assert counts["dead-letters"] > 0
    assert not findings, f"seed {seed}:\n" + "\n".join(findings)
    report(chaos)


def drain(broker: str, agents: list[Agent], groups: Groups) -> None:
    """Until every agent has read its sources to the last record, those apart whose sources grow by themselves. However
    long a backlog takes on a slow machine: only a stand-still is a failure."""
    ending = [agent for agent in agents if agent.name not in TICKING]
    names = {consumer_group(agent) for agent in ending}
    stand: dict[Place, int] = {}
    moved_at = time.monotonic()
    while True:
        before, stand = stand, {place: at for place, at in groups.committed().items() if place[0] in names}
        if stand != before:
            moved_at = time.monotonic()
            time.sleep(1.5)
            continue
        last = {
            topic: last_offsets(broker, topic) for topic in sorted({name for one in ending for name in one.sources})
        }
        unread = {
            place: (stand.get(place, 0), offset + 1)
            for agent in ending
            for topic in agent.sources
            for part, offset in last[topic].items()
            if stand.get(place := (consumer_group(agent), topic, part), 0) <= offset
        }
        if not unread:
            return
        assert time.monotonic() - moved_at < 60, f"nothing moves any more and this is not read (stand, end): {unread}"
        time.sleep(1.0)


def check(broker: str, agents: list[Agent], codecs: Topology, groups: Groups) -> tuple[list[str], dict[str, int]]:
    """Findings over all topics the agents write, and the number of records in each. An agent had to send what follows
    from the records it has committed to have read, and from those handed to it."""
    written = sorted({topic for agent in agents for topic in agent.writes} | {"dead-letters"})
    sources = sorted({topic for agent in agents for topic in agent.sources})
    records: dict[str, list[Record]] = {topic: read(broker, topic) for topic in {*written, *sources}}
    taken = groups.committed()

    def read_by(agent: Agent) -> dict[str, list[Record]]:
        ends = {(topic, part): end for (group, topic, part), end in taken.items() if group == consumer_group(agent)}

        def is_read(one: Record) -> bool:
            handed = one.folded is not None and one.folded[0] == agent.name
            return handed or one.offset < ends.get((one.topic, one.partition), 0)

        return {topic: in_order_of_folding(filter(is_read, records[topic]), agent.name) for topic in agent.sources}

    known_agents = [(part, agent) for agent in agents for part in agent.parts or (agent,) if _known(part)]
    sent = [one for part, agent in known_agents for one in recompute(part, codecs, read_by(agent))]
    # What the others say of their own depends on the order of their sources; all else must be as it should be.
    known = {"dead-letters"}.union(*(part.writes for part, _ in known_agents))
    written = [topic for topic in written if topic in known]
    for topic in ("order-facts", "report-facts", "risk-facts"):
        records[topic] = [one for one in records[topic] if not _said_by_others(one)]
    by_topic = defaultdict(list)
    for one in sent:
        by_topic[one.topic].append(one)
    findings = [
        text
        for topic in written
        if topic not in HINTS
        for text in differences(topic, records[topic], by_topic[topic], codecs.decoder(topic))
    ]
    findings += versions(records["order-states"], codecs)
    return findings, {topic: len(records[topic]) for topic in written}


def _known(agent: Agent) -> bool:
    """Whether what the agent had to send follows from its sources: one source, or no state. What quality tells at its
    hour hangs on when the broker took its facts in; and an idle worker's time goes on, so it may come to the hour of
    quality and match before a fact that a run without faults has before it."""
    return (len(agent.sources) == 1 or not agent.tables) and agent.name not in (QUALITY, MATCH)


def _said_by_others(record: Record) -> bool:
    said: dict[str, Any] = json.loads(record.value or b"{}")
    if record.topic == "risk-facts":
        return bool(said["do"] != "chat")  # which is intake's; all else is risk's
    return said.get("event_type") == RISK_FACT or said.get("series") in (SERIES, QUALITY, MATCH, AUDITS)


def versions(states: list[Record], codecs: Topology) -> list[str]:
    """The versions of each order only ever rise."""
    decode, findings = codecs.decoder("order-states"), []
    newest: dict[bytes | None, int] = {}
    for record in states:
        version = decode(record.value or b"")["version"]
        if version <= newest.get(record.key, 0):
            findings.append(f"order-states: key {record.key!r}: version {version} after {newest[record.key]}")
        newest[record.key] = version
    return findings[:5]


def report(chaos: Chaos) -> None:
    """What was measured. In the long form a kill must be over within 10 s; the short one runs beside other work on any
    machine, and there only what came out counts (and that everything moves again within a minute)."""
    by_fault = defaultdict(list)
    for fault, seconds in chaos.recoveries:
        by_fault[fault].append(seconds)
    for fault, times in sorted(by_fault.items()):
        times.sort()
        print(f"{fault}: {len(times)} times, median {times[len(times) // 2]:.1f} s, worst {times[-1]:.1f} s")
    worst = max(seconds for fault, seconds in chaos.recoveries if fault in ("kill", "lose"))
    assert not LONG or worst <= RECOVERY_SECONDS, f"seed {chaos.seed}: processing again only after {worst:.1f} s"
