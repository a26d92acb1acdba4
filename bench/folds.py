"""CPU of each agent alone, without a broker: where the time of the pipeline goes, and what a change to a fold is worth.

    python -m bench.folds [EVENTS] [--profile AGENT]

The same Olist-shaped events as the pipeline's go through the tasks in turns of 2,000 records per partition, over
RocksDB stores in a temporary folder; what an agent writes is the next one's input. Produce and consume are missing,
all else is there.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any

from bench.gen_olist import events
from streams import topology
from streams.agents import ALL
from streams.engine.agent import Agent
from streams.engine.joint import AnyTask, task_of
from streams.engine.partitioner import partition_of
from streams.engine.process import settle
from streams.engine.record import LocalRecord
from streams.engine.rocks import RocksStore
from streams.engine.store import Change, MemoryStore
from streams.engine.task import POSITION, _pair

PARTITIONS = 8
TURN = 2_000
STEPS = ("fold", "collect", "rows", "store")


class Stage:
    """The tasks of one agent and what its turns cost."""

    def __init__(self, agent: Agent, codecs: topology.Topology, folder: Path) -> None:
        self.agent = agent
        self.seconds = dict.fromkeys(STEPS, 0.0)
        self.records = self.rows = self.row_bytes = 0
        self.sent: dict[str, list[tuple[str | bytes | None, bytes | None]]] = defaultdict(list)
        self.tasks = [
            task_of(agent, number, RocksStore(folder / agent.name / str(number)) if agent.stateful else MemoryStore(),
                 codecs, kept_rows=3_000)
            for number in range(PARTITIONS)
        ]  # fmt: skip
        self._offset = 0

    def turn(self, topic: str, records: Sequence[tuple[str | bytes | None, bytes | None]], now: int) -> None:
        """One turn over records of one source."""
        for task, part in zip(self.tasks, self._parts(topic, records), strict=True):
            if part:
                self._fold(task, topic, part, now)

    def _parts(self, topic: str, records: Sequence[tuple[str | bytes | None, bytes | None]]) -> list[list[LocalRecord]]:
        parts: list[list[LocalRecord]] = [[] for _ in range(PARTITIONS)]
        for key, value in records:
            name = key.encode() if isinstance(key, str) else key
            number = partition_of(name or b"", PARTITIONS)
            self._offset += 1
            parts[number].append(LocalRecord(topic, number, self._offset, name, value))
        return parts

    def _fold(self, task: AnyTask, topic: str, part: list[LocalRecord], now: int) -> None:
        sent = self.sent
        self.records += len(part)
        clocks = [process_time()]
        task.begin(lambda topic, value, key: sent[topic].append((key, value)), now, now)
        task.fire()
        task.fold(topic, part)
        clocks.append(process_time())
        task.collect()
        clocks.append(process_time())
        changes = task.changes()
        clocks.append(process_time())
        if changes:
            last: Change = (POSITION, _pair.pack(self._offset, now))
            task.store.write([last], task.store.prepare(changes))
        task.committed()
        clocks.append(process_time())
        self.rows += len(changes)
        self.row_bytes += sum(len(key) + len(value or b"") for key, value in changes)
        for step, begun, ended in zip(STEPS, clocks, clocks[1:], strict=False):
            self.seconds[step] += ended - begun


def run(count: int, profiled: str | None = None) -> Iterator[str]:
    """Lines of the report."""
    codecs = topology.load()
    now = time.time_ns() // 1_000_000
    batch = [*events(count, codecs=codecs, start_ms=now - 60_000 - count)]
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        stages = {agent.name: Stage(agent, codecs, Path(folder)) for agent in ALL}
        for begun in range(0, count, TURN * PARTITIONS):
            arrived: dict[str, list[Any]] = defaultdict(list)
            for topic, key, value in batch[begun : begun + TURN * PARTITIONS]:
                arrived[topic].append((key, value))
            _flow(stages, arrived, now, profile, profiled)
    yield f"{count:,} input events; CPU us per input event"
    steps = " ".join(f"{step:>8}" for step in STEPS)
    yield f"{'agent':10} {'records':>8} {steps} {'all':>8} {'rows':>6} {'bytes':>6}"
    for stage in stages.values():
        costs = [stage.seconds[step] * 1e6 / count for step in STEPS]
        shown = " ".join(f"{cost:8.1f}" for cost in costs)
        rows = f"{stage.rows / count:6.2f} {stage.row_bytes / count:6.0f}"
        yield f"{stage.agent.name:10} {stage.records / count:8.2f} {shown} {sum(costs):8.1f} {rows}"
    yield f"{'all':10} {'':8} {'':35} {sum(sum(s.seconds.values()) for s in stages.values()) * 1e6 / count:8.1f}"
    if profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def _flow(
    stages: dict[str, Stage], arrived: dict[str, list[Any]], now: int, profile: cProfile.Profile, profiled: str | None
) -> None:
    """One lot through all agents, until nothing is left to read."""
    while arrived:
        topic, records = next(iter(arrived.items()))
        del arrived[topic]
        for stage in stages.values():
            if topic in stage.agent.sources:
                if stage.agent.name == profiled:
                    profile.enable()
                stage.turn(topic, records, now)
                profile.disable()
                for name, sent in stage.sent.items():
                    arrived.setdefault(name, []).extend(sent)
                stage.sent.clear()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.folds", description=__doc__)
    parser.add_argument("events", type=int, nargs="?", default=100_000)
    parser.add_argument("--profile", metavar="AGENT", help="profile this agent's turns")
    options = parser.parse_args()
    settle()
    for line in run(options.events, options.profile):
        print(line)


if __name__ == "__main__":
    main()
