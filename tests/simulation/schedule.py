"""One seeded schedule: the story of the input, with workers that crash, move, lose disks and are lied to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from streams.engine import Agent, Codecs
from streams.engine.local import Abort, Crash, LocalRunner
from streams.engine.store import Change, MemoryStore, Store

BEFORE_COMMIT: Final = ("fold", "collect", "commit")
AFTER_COMMIT: Final = ("persist", "done")
MOST_FAULTS: Final = 25
MOST_STEPS: Final = 100_000
"""Steps of turns within which a chunk must come to rest; a common one takes a tenth."""


class Mismatch(AssertionError):
    """A broken run ended otherwise than the unbroken one."""


class UnloggedStore(MemoryStore):
    """What RocksDB without a write-ahead log is after a kill: some prefix of the writes."""

    def __init__(self) -> None:
        super().__init__()
        self._writes: list[list[Change]] = []
        self._flushed = 0

    def write(self, changes: Iterable[Change], prepared: None = None) -> None:
        rows = list(changes)
        self._writes.append(rows)
        super().write(rows)

    def kill(self, random: Random) -> None:
        """Keep what was flushed, and of the rest as many writes as chance has it."""
        self._flushed = random.randint(self._flushed, len(self._writes))
        kept = self._writes[: self._flushed]
        self.clear()
        self._writes = []
        for rows in kept:
            self.write(rows)


@dataclass(frozen=True)
class Plan:
    """What may happen in a schedule. All of it follows from the seed."""

    seed: int
    workers: int
    batch: int
    rate: float
    """Chance of a fault at a step of a turn."""
    shuffled: bool
    """Turns of the tasks in any order, not in the flow's."""
    twice: bool
    """Senders deliver twice, and offsets of agents without state are set back: they read and send again."""

    @classmethod
    def of(cls, seed: int, batch: int, shuffled: bool = False) -> Plan:
        random = Random(f"plan {seed}")
        return cls(
            seed,
            workers=random.randint(1, 3),
            batch=batch,
            rate=random.choice((0.005, 0.03, 0.1)),
            shuffled=shuffled,
            twice=batch == 1 and random.random() < 0.4,
        )


@dataclass
class Faults:
    """Decides at every step of every turn what happens there."""

    random: Random
    plan: Plan
    runner: LocalRunner | None = None
    left: int = MOST_FAULTS
    steps: int = 0
    did: list[str] = field(default_factory=list)

    def __call__(self, agent: str, worker: int, step: str) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Mismatch("does not come to rest")
        if self.left <= 0 or self.random.random() >= self.plan.rate:
            return
        self.left -= 1
        assert self.runner is not None
        what = self.random.choice(("crash", "crash", "abort", "move"))
        self.did.append(f"{what} at {step} of {agent} on {worker}")
        if what == "move":  # the turn in hand becomes a zombie's
            self.runner.rebalance(self.somewhere())
        elif what == "abort" and step in BEFORE_COMMIT:
            raise Abort
        else:
            raise Crash

    def somewhere(self) -> dict[int, int]:
        assert self.runner is not None
        partitions = range(self.runner.log.partitions)
        return {partition: self.random.randrange(self.plan.workers) for partition in partitions}


class Simulation:
    """Runs agents under a plan; without ``faults`` it is the unbroken run."""

    def __init__(
        self,
        agents: Sequence[Agent],
        codecs: Codecs,
        partitions: int,
        plan: Plan,
        broken: bool,
        store: Callable[[], Store] | None = None,
        **options: Any,
    ) -> None:
        """``options`` are the runner's."""
        new = store or (UnloggedStore if broken else MemoryStore)
        self.plan = plan
        self.random = Random(f"schedule {plan.seed}")
        self.faults = Faults(self.random, plan) if broken else None
        kind = Shuffled if plan.shuffled and broken else LocalRunner
        self.runner = kind(
            agents,
            codecs,
            partitions,
            batch=plan.batch,
            workers=plan.workers if broken else 1,
            fault=self.faults,
            store=lambda agent, partition, worker: new(),
            **options,
        )
        if isinstance(self.runner, Shuffled):
            self.runner.random = self.random
        if self.faults is not None:
            self.faults.runner = self.runner

    def tell(self, chunks: Iterable[Iterable[tuple[str, bytes, str | None]]], end: int | None) -> None:
        """Send chunk by chunk, each run to quiescence, then let time go on to ``end``."""
        sent: list[tuple[str, bytes, str | None]] = []
        for chunk in chunks:
            for topic, payload, key in chunk:
                self.runner.send_bytes(topic, payload, key)
                sent.append((topic, payload, key))
                if self.faults is not None and self.plan.twice and self.random.random() < 0.1:
                    self.runner.send_bytes(*self.random.choice(sent))
            self.between()
            if self.faults is not None:
                self.faults.steps = 0
            self.whatever(self.runner.run)
        if end is not None:
            self.whatever(lambda: self.runner.advance(end))

    def whatever(self, go: Callable[[], None]) -> None:
        """Go on until it is done, whoever dies."""
        while True:
            try:
                return go()
            except Crash:
                self.killed(self.runner._worker)

    def killed(self, worker: int) -> None:
        """The worker starts again with what its disk has, if it has a disk."""
        lost = self.random.random() < 0.2
        for (_, _, owner), store in self.runner._stores.items():
            if owner == worker and isinstance(store, UnloggedStore):
                store.kill(self.random)
        self.runner.crash(worker, lose_stores=lost)
        if self.random.random() < 0.3:
            assert self.faults is not None
            self.runner.rebalance(self.faults.somewhere())

    def between(self) -> None:
        """What may happen while nothing runs."""
        if self.faults is None or self.random.random() > 10 * self.plan.rate:
            return
        what = self.random.choice(("move", "kill", "offsets"))
        self.faults.did.append(f"{what} between turns")
        if what == "move":
            self.runner.rebalance(self.faults.somewhere())
        elif what == "kill":
            self.killed(self.random.randrange(self.plan.workers))
        else:
            self.set_offsets()

    def set_offsets(self) -> None:
        """Set a group's offsets back, or on: where there is state, nothing must come of it."""
        agent = self.random.choice(self.runner.agents)
        if not agent.stateful and not self.plan.twice:
            return
        topic = self.random.choice(agent.sources)
        partition = self.random.randrange(self.runner.log.partitions)
        end = len(self.runner.log.partition(topic, partition))
        if not agent.stateful:
            end = min(end, self.runner.committed.get((agent.name, topic, partition), 0))
        self.runner.redeliver(agent.name, topic, partition, self.random.randint(0, end))

    # -- what came of it ------------------------------------------------------------------------------------------

    def records(self, topic: str) -> list[list[tuple[bytes | None, bytes | None]]]:
        """Key and value of every record, by partition."""
        partitions = range(self.runner.log.partitions)
        return [[(r.key(), r.value()) for r in self.runner.log.partition(topic, number)] for number in partitions]

    def by_key(self, topic: str) -> dict[bytes | None, list[bytes | None]]:
        found: dict[bytes | None, list[bytes | None]] = {}
        for records in self.records(topic):
            for key, value in records:
                found.setdefault(key, []).append(value)
        return found

    def last(self, topic: str) -> dict[bytes | None, bytes | None]:
        return {key: values[-1] for key, values in self.by_key(topic).items()}

    def values(self, topic: str) -> set[bytes | None]:
        return {value for records in self.records(topic) for _, value in records}

    def tables(self) -> dict[str, dict[Any, Any]]:
        return {
            f"{agent.name}.{name}": self.runner.table(agent.name, name)
            for whole in self.runner.agents
            for agent in whole.parts or (whole,)
            for name in agent.tables
        }

    def timers(self) -> dict[str, list[Any]]:
        """What is still due, by agent."""
        found: dict[str, list[Any]] = {}
        for whole in self.runner._tasks.values():
            for task in whole.tasks:
                found.setdefault(task.agent.name, []).extend(task.timers.by_due)
        return {name: sorted(rows) for name, rows in found.items()}

    def lose_everything(self) -> None:
        """All disks are gone: what the changelogs say is all there is."""
        for worker in range(self.plan.workers):
            self.runner.crash(worker, lose_stores=True)

    def take_up_old_stores(self, worker: int) -> None:
        """Everything moves to one worker, which has the stores it once left behind."""
        self.runner.rebalance(dict.fromkeys(range(self.runner.log.partitions), worker))


class Shuffled(LocalRunner):
    """Picks any task that has something to do, not the first of the flow, and often several for one turn."""

    random: Random

    def run(self) -> None:
        while self._ready or self._fire_next(self.time):
            if not self._ready:
                continue
            index, partition = place = self.random.choice(sorted(self._ready))
            if self.random.random() < 0.5 and self._together(index, self._owner[partition]):
                continue
            if not self._turn(*place):
                self._ready.remove(place)
                self._queued.discard(place)
                self._ready.sort()

    def _together(self, index: int, worker: int) -> bool:
        """One turn over all partitions of an agent that its worker owns, as it is on Kafka."""
        places = [place for place in sorted(self._ready) if place[0] == index and self._owner[place[1]] == worker]
        tasks = [self._task(*place) for place in places]
        for task in tasks:
            for topic, records in self._waiting(task).items():
                if task.agent._time_of is not None:
                    self._until(task, topic, records[0])
        if any(self._tasks[place] is not task for place, task in zip(places, tasks, strict=True)):
            return True
        parts = [(task, sources) for task in tasks if (sources := self._waiting(task))]
        if parts:
            self._run(index, parts)
        return bool(parts)


def same(what: str, broken: Mapping[Any, Any] | Any, unbroken: Any) -> None:
    """Raises Mismatch with the first difference."""
    if broken == unbroken:
        return
    if isinstance(broken, Mapping) and isinstance(unbroken, Mapping):
        for key in sorted({*broken, *unbroken}, key=str):
            if broken.get(key) != unbroken.get(key):
                raise Mismatch(f"{what}, {key!r}:\n  is        {broken.get(key)}\n  should be {unbroken.get(key)}")
    if isinstance(broken, list) and isinstance(unbroken, list):
        for number, (one, other) in enumerate(zip(broken, unbroken, strict=False)):
            if one != other:
                same(f"{what}[{number}]", one, other)
        raise Mismatch(f"{what}: {len(broken)} instead of {len(unbroken)}")
    raise Mismatch(f"{what}:\n  is        {broken}\n  should be {unbroken}")
