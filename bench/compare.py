"""The comparison: all systems on one job and one broker, in interleaved rounds, each run checked for right results."""

import contextlib
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from bench import build, gen
from bench.observe import Ends, Failed, Runner, watch
from bench.runners import FEW_EVENTS, System
from bench.verify import Digest, check, expected, written
from tests.servers.kafka import KafkaServer

PARTITIONS = 4
HEAP = "1g"
# As shipped; test brokers set it to 0. A group that starts at once gets all its members before it gets partitions.
BROKER_SETTINGS = {"group.initial.rebalance.delay.ms": "3000"}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: rates per second, CPU in microseconds per event."""

    system: str
    events: int
    events_per_second: float
    cpu_us: float  # all processes of the runner, from the first event to the last result
    life_cpu_us: float  # the same over the runner's whole life, start-up included
    broker_cpu_us: float


def run(systems: Sequence[System], events: int, rounds: int, say: Say) -> dict[str, Any]:
    """Runs every system ``rounds`` times; the answer is ready for JSON: ``medians`` and all ``runs``."""
    commands = {system.name: system.command() for system in systems}  # builds what is to be built, before any clock
    measured: list[Measured] = []
    failures: dict[str, str] = {}
    with _broker() as broker:
        stage = Stage(broker, say)
        sources = {count: stage.fill(count) for count in sorted({_events(system, events) for system in systems})}
        for number in range(1, rounds + 1):
            for system in systems:
                count = _events(system, events)
                say(f"round {number} of {rounds}: {system.title}, {count:,} events ...")
                try:
                    one = stage.measure(system, commands[system.name], number, count, *sources[count])
                except Failed as error:
                    failures[system.name] = str(error)
                    say(f"  VOID: {error}")
                    continue
                measured.append(one)
                say(
                    f"  {one.events_per_second:,.0f} events/s, {one.cpu_us:.1f} us CPU per event "
                    f"(whole life {one.life_cpu_us:.1f}, broker {one.broker_cpu_us:.1f}); results right"
                )
    return {
        "events": events,
        "rounds": rounds,
        "medians": [_median(system, measured) for system in systems if any(m.system == system.name for m in measured)],
        "runs": [asdict(one) for one in measured],
        "void": failures,
    }


class Stage:
    """The broker with its source topics; every run gets topics and folders of its own, removed afterwards."""

    def __init__(self, broker: KafkaServer, say: Say) -> None:
        self._broker = broker
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 2})
        self._say = say
        self._sources: set[str] = set()

    def fill(self, count: int) -> tuple[str, Digest]:
        """A source topic of ``count`` events and the digest of its right output."""
        topic = f"events-{count}"
        self._sources.add(topic)
        self._create(topic)
        started = time.perf_counter()
        gen.fill(self._broker.bootstrap, topic, count)
        filled = time.perf_counter()
        wanted = expected(self._broker.bootstrap, topic)
        self._say(
            f"{count:,} events written in {filled - started:.0f} s, folded in {time.perf_counter() - filled:.0f} s: "
            f"{wanted.records:,} results of {wanted.keys:,} orders are right"
        )
        return topic, wanted

    def measure(
        self, system: System, command: list[str], number: int, count: int, source: str, wanted: Digest
    ) -> Measured:
        """One run from an empty output topic and an empty state folder to verified results."""
        run_id = f"{system.name}-{number}-{int(time.time())}"
        output = f"states-{run_id}"
        state_dir = build.CACHE / "state" / run_id
        state_dir.mkdir(parents=True)
        self._create(output)
        stable = Ends(self._admin, {output: PARTITIONS})
        stable()  # every partition has its leader
        environment = {
            "BENCH_BROKER": self._broker.bootstrap,
            "BENCH_SOURCE": source,
            "BENCH_OUTPUT": output,
            "BENCH_RUN": run_id,
            "BENCH_STATE_DIR": str(state_dir),
            "BENCH_EVENTS": str(count),
            "BENCH_OPTION": system.option,
        }
        runner = Runner(command, environment, build.CACHE / "logs" / f"{run_id}.log", build.ROOT)
        try:
            assert self._broker.pid
            seen = watch(runner, stable, self._broker.pid, wanted.records, system.settle)
            found, last_offsets = written(self._broker.bootstrap, output, PARTITIONS)
            check(found, wanted)
        finally:
            runner.stop()
            shutil.rmtree(state_dir, ignore_errors=True)
            self._tidy()
        begin, end = seen.begin(), seen.end(last_offsets)
        per_event = 1e6 / count
        return Measured(
            system.name, count, count / (end.at - seen.first), (end.runner_cpu - begin.runner_cpu) * per_event,
            seen.life_cpu * per_event, (end.broker_cpu - begin.broker_cpu) * per_event,
        )  # fmt: skip

    def _create(self, topic: str) -> None:
        self._admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result()

    def _tidy(self) -> None:
        """Removes every topic but the sources, so that no run pays for the disk and the compaction of another."""
        names = [n for n in self._admin.list_topics(timeout=10).topics if not n.startswith("__")]
        names = [name for name in names if name not in self._sources]
        if names:
            for done in self._admin.delete_topics(names).values():
                with contextlib.suppress(KafkaException):
                    done.result()
        time.sleep(2)


def _broker() -> KafkaServer:
    return KafkaServer(heap=HEAP, settings=BROKER_SETTINGS)


def _events(system: System, events: int) -> int:
    return min(FEW_EVENTS, events) if system.few_events else events


def _median(system: System, measured: Sequence[Measured]) -> dict[str, Any]:
    mine = [one for one in measured if one.system == system.name]
    fields = ("events_per_second", "cpu_us", "life_cpu_us", "broker_cpu_us")
    return {
        "name": system.name,
        "title": system.title,
        "guarantee": system.guarantee,
        "events": mine[0].events,
        "runs": len(mine),
        "slowest": min(one.events_per_second for one in mine),
        "fastest": max(one.events_per_second for one in mine),
        **{field: statistics.median(getattr(one, field) for one in mine) for field in fields},
    }
