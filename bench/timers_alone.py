"""CPU of firing timers without a broker: where it goes, and what a change to the engine or to a rule is worth.

    python -m bench.timers_alone [PARCELS] [--due N] [--profile]

The joined agent of logistics over RocksDB stores in a temporary folder, as many parcels on their way as are asked for,
each with a timer for its next probe, and ``N`` of them due at once. Turns are the engine's own, and what they write
becomes record batches; only the broker is missing. The parcels were stored by the turns before, so their rows come
from the store and not from memory.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from time import process_time

from bench import load, timers
from bench.pipeline import PARTITIONS
from streams import topology
from streams.agents.facets import facets
from streams.engine.agent import changelog_topic
from streams.engine.align import Place
from streams.engine.context import Sink
from streams.engine.joint import task_of
from streams.engine.partitioner import partition_of
from streams.engine.process import settle
from streams.engine.record import LocalRecord
from streams.engine.rocks import RocksStore
from streams.engine.store import Change
from streams.engine.turn import Batch, Part, Report, Turn
from streams.engine.wire._batch import Batches

LOT = 4_000
"""Records of a turn while the parcels are stored."""


class Unsent:
    """A transaction whose record batches are made and thrown away."""

    fatal: tuple[type[BaseException], ...] = ()

    def __init__(self) -> None:
        self._batches = Batches(self.partitions, self._take, 1 << 20, 900_000)
        self.bytes = 0
        self.ends: dict[Place, int] = {}

    @property
    def sink(self) -> Sink:
        append: Sink = self._batches.append
        return append

    def begin(self) -> None:
        self._batches.clear()

    def partitions(self, topic: str) -> int:
        return PARTITIONS

    def place(self, topic: str, key: bytes) -> int:
        raise AssertionError("one agent hands nothing over")

    def forward(self, *_: object) -> None:
        raise AssertionError("one agent hands nothing over")

    def changelog(self, topic: str, partition: int, changes: Sequence[Change]) -> None:
        self._batches.extend(topic, changes, partition)

    def commit(self, offsets: Mapping[Place, int], meanwhile: Callable[[], None] | None = None) -> Mapping[Place, int]:
        self._take()
        if meanwhile is not None:
            meanwhile()
        return {(changelog_topic(facets), number): 0 for number in range(PARTITIONS)}

    def abort(self) -> None:
        self._batches.clear()

    def _take(self) -> None:
        self.bytes += sum(len(batch[-1]) for batch in self._batches.take(1, 0, 0))


class Stage:
    """The tasks, and the turns over them."""

    def __init__(self, folder: Path) -> None:
        codecs = topology.load()
        self.now = timers.START_MS
        self.transaction = Unsent()
        self.tasks = [
            task_of(facets, number, RocksStore(folder / str(number)), codecs, kept_rows=3_000)
            for number in range(PARTITIONS)
        ]
        self._turn = Turn(facets.name, self.transaction, lambda: self.now)
        self._offset = 0

    def fold(self, records: Sequence[load.Record]) -> None:
        parts: list[list[LocalRecord]] = [[] for _ in self.tasks]
        for topic, key, value in records:
            number = partition_of(key or b"", PARTITIONS)
            self._offset += 1
            parts[number].append(LocalRecord(topic, number, self._offset, key, value))
        named: list[Part] = [(task, {timers.FACTS: part}) for task, part in zip(self.tasks, parts, strict=True) if part]
        self._turn.run(Batch(named, len(records)))

    def fire(self) -> Report:
        """One turn without records."""
        return self._turn.run(Batch([(task, {}) for task in self.tasks if task.is_due(self.now)]))


def run(sizes: timers.Sizes, profile: cProfile.Profile | None) -> Iterator[str]:
    """Lines of the report."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        parcels = timers.parcels(sizes)
        while lot := [*islice(parcels, LOT)]:
            stage.fold(lot)
        for number in (0, 1):
            # A record in each partition: event time is the same in all of them, and a second before the last timer.
            begin = timers.burst_ms(number) - 1
            stage.fold([timers.fact(timers.SIGNED + 64 * number + i, "signed", begin) for i in range(64)])
            stage.now += 1000
            fired, sent, seconds, steps, turns = 0, stage.transaction.bytes, 0.0, dict[str, float](), 0
            while any(task.is_due(stage.now) for task in stage.tasks):
                if profile is not None:
                    profile.enable()
                began = process_time()
                report = stage.fire()
                seconds += process_time() - began
                if profile is not None:
                    profile.disable()
                turns += 1
                fired += report.timers
                for step, took in report.seconds.items():
                    steps[step] = steps.get(step, 0.0) + took
            shown = ", ".join(f"{step} {took * 1e6 / fired:.1f}" for step, took in steps.items())
            size = (stage.transaction.bytes - sent) / fired
            yield f"{fired:,} timers in {turns} turns: {seconds * 1e6 / fired:.1f} us each ({shown}), {size:.0f} bytes"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.timers_alone", description=__doc__)
    parser.add_argument("parcels", type=int, nargs="?", default=200_000)
    parser.add_argument("--due", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    settle()
    profile = cProfile.Profile() if options.profile else None
    for line in run(timers.Sizes(options.parcels, options.due), profile):
        print(line)
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
