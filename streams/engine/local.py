"""The in-process runner: the same agents, tables, timers and codecs over in-memory partitions, without a broker.

Event time only and always in the same order: the same input gives the same bytes. Each record is a turn of its own and
is followed to quiescence; when a record is later than all before it, every timer due by then fires first, in order of
due time, whichever partition it is on - as a live worker's clock would have it.

For simulations it plays several workers, with a chain of agents or without (`engine.handover`), and can be told to
crash, rebalance, deliver again or abort: see ``Fault``, ``crash``, ``rebalance`` and ``redeliver``. A worker's stores
stay behind when its tasks move, as folders on disk would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from streams.engine.agent import Agent, Codecs, changelog_topic, folded_header
from streams.engine.align import Place
from streams.engine.chain import Chain
from streams.engine.context import Header, Sink
from streams.engine.handover import Handover
from streams.engine.joint import AnyTask, task_of
from streams.engine.partitioner import partition_of
from streams.engine.record import LocalRecord
from streams.engine.store import Change, MemoryStore, Store
from streams.engine.task import POSITION, _pair
from streams.engine.timers import NEVER
from streams.engine.turn import MOST_FIRED, Batch, Part, Turn

KEPT_ROWS = 512
"""Decoded rows kept per table, task and generation: few, since the store is in memory anyway."""


class Crash(Exception):
    """The worker dies here: nothing of it survives but its stores and what was committed."""


class Abort(Exception):
    """The transaction coordinator aborts the transaction here; the worker goes on."""


Fault = Callable[[str, int, str], None]
"""(agent, worker, step) with step one of fold, collect, commit, persist, done; may raise Crash, and up to the commit
Abort. It may also move partitions (``LocalRunner.rebalance``): the turn in hand is then a zombie's."""


class LocalLog:
    """Topics of in-memory partitions. ``order`` keeps each topic's records in order of arrival over all partitions."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.topics: dict[str, list[list[LocalRecord]]] = {}
        self.order: dict[str, list[LocalRecord]] = {}
        self._turn = 0

    def partition(self, topic: str, number: int) -> list[LocalRecord]:
        return self.topics.setdefault(topic, [[] for _ in range(self.partitions)])[number]

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        header: str | None = None,
    ) -> LocalRecord:
        if partition is None:
            if key is None:
                self._turn += 1
                partition = self._turn % self.partitions
            else:
                partition = partition_of(key, self.partitions)
        log = self.partition(topic, partition)
        record = LocalRecord(topic, partition, len(log), key, value, header)
        log.append(record)
        self.order.setdefault(topic, []).append(record)
        return record


class LocalTransaction:
    """Holds a turn's records back until ``commit``."""

    fatal: tuple[type[BaseException], ...] = (Crash, Abort)

    def __init__(self, runner: LocalRunner) -> None:
        self._runner = runner
        self._held: list[tuple[str, bytes | None, bytes | None, int | None, Header | None]] = []
        self._changelogs: set[Place] = set()
        self.ends: dict[Place, int] = {}

    def begin(self) -> None:
        self._held = []
        self._changelogs = set()

    @property
    def sink(self) -> Sink:
        held = self._held

        def send(topic: str, value: bytes | None, key: str | bytes | None) -> None:
            held.append((topic, key if key is None or isinstance(key, bytes) else key.encode(), value, None, None))

        return send

    def partitions(self, topic: str) -> int:
        return self._runner.log.partitions

    def place(self, topic: str, key: bytes) -> int:
        return partition_of(key, self._runner.log.partitions)

    def forward(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, header: Header | None = None
    ) -> None:
        self._held.append((topic, key, value, partition, header))

    def changelog(self, topic: str, partition: int, changes: Sequence[Change]) -> None:
        self._changelogs.add((topic, partition))
        self._held += [(topic, key, value, partition, None) for key, value in changes]

    def commit(self, offsets: Mapping[Place, int], meanwhile: Callable[[], None] | None = None) -> Mapping[Place, int]:
        runner = self._runner
        if meanwhile is not None:
            meanwhile()
        now = set(runner._tasks.values())
        for task in runner._running - now:
            if any((topic, task.partition) in offsets for topic in task.agent.sources):
                raise Abort("fenced: the partition has moved")  # the offsets carry the group's generation (KIP-447)
        for topic, key, value, partition, header in self._held:
            runner._appended(runner.log.append(topic, key, value, partition, header and header[0]))
        for (topic, partition), offset in offsets.items():
            for agent in runner._ran:
                if topic in agent.sources:
                    runner.committed[agent.name, topic, partition] = offset
        self._held = []
        return {(topic, number): len(runner.log.partition(topic, number)) for topic, number in self._changelogs}

    def abort(self) -> None:
        self._held = []


class LocalRunner:
    """See the module. ``agents`` in the order of the flow; ``batch`` records at most per turn; ``chain``: of which
    agents to have turns together."""

    def __init__(
        self,
        agents: Sequence[Agent],
        codecs: Codecs,
        partitions: int = 8,
        *,
        batch: int = 1,
        workers: int = 1,
        received_at: int | Callable[[], int | None] | None = None,
        fault: Fault | None = None,
        chain: Chain | None = None,
        most_fired: int = MOST_FIRED,
        store: Callable[[str, int, int], Store] | None = None,
    ) -> None:
        self.agents = list(agents)
        self.codecs = codecs
        self.log = LocalLog(partitions)
        self.committed: dict[tuple[str, str, int], int] = {}
        self.time = 0
        self.workers = workers
        self._batch = batch
        self._fault = fault
        self._readers: dict[str, list[int]] = {}
        for index, agent in enumerate(self.agents):
            for topic in agent.sources:
                self._readers.setdefault(topic, []).append(index)
        self._ready: list[tuple[int, int]] = []
        self._queued: set[tuple[int, int]] = set()
        self._make_store = store or (lambda agent, partition, worker: MemoryStore())
        self._stores: dict[tuple[str, int, int], Store] = {}
        self._tasks: dict[tuple[int, int], AnyTask] = {}
        self._owner = {partition: partition % workers for partition in range(partitions)}
        self._encoders: dict[str, Callable[[Any], bytes]] = {}
        self._chained = frozenset(agent.name for agent in chain.agents) if chain else frozenset[str]()

        def turn(agents: Sequence[Agent], handover: Handover | None = None) -> Turn:
            return Turn(
                agents[0].name,
                LocalTransaction(self),
                lambda: self.time,
                live=False,
                received_at=received_at,
                at_step=partial(self._at_step, agents[0]) if fault else None,
                most_fired=most_fired,
                handover=handover,
            )

        together = chain and turn(chain.agents, Handover(chain.readers, chain.shared, self._receiver))
        self._turns = [together if together and agent.name in self._chained else turn([agent]) for agent in self.agents]
        self._worker = 0
        self._running: set[AnyTask] = set()
        self._ran: Sequence[Agent] = ()

    # -- in and out -------------------------------------------------------------------------------------------------

    def send(self, topic: str, value: Any, key: str | None = None) -> None:
        """Append an event, encoded by the topic's codec (may raise its EncodeError)."""
        encode = self._encoders.get(topic)
        if encode is None:
            encode = self._encoders[topic] = self.codecs.encoder(topic)
        self.send_bytes(topic, encode(value), key)

    def send_bytes(self, topic: str, value: bytes | None, key: str | None = None) -> None:
        """Append a payload as it is."""
        self._appended(self.log.append(topic, None if key is None else key.encode(), value))

    def output(self, topic: str) -> list[tuple[str | None, Any]]:
        """All committed records of a topic in order of emission, decoded."""
        decode = self.codecs.decoder(topic)
        return [
            (None if key is None else key.decode(), None if value is None else decode(value))
            for key, value in ((record.key(), record.value()) for record in self.log.order.get(topic, ()))
        ]

    def table(self, agent: str, table: str) -> dict[Any, Any]:
        """All rows of a table over all partitions."""
        rows: dict[Any, Any] = {}
        for index in range(len(self.agents)):
            for partition in range(self.log.partitions):
                whole = self._tasks.get((index, partition))
                for task in whole.tasks if whole is not None else ():
                    if task.agent.name == agent:
                        rows.update(task.tables[task.agent.tables[table]].scan())
        return rows

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Process everything to quiescence. A ``Crash`` from the fault hook passes through; call again to go on."""
        while self._ready or self._fire_next(self.time):
            if not self._ready:
                continue
            index, partition = self._ready[0]
            if not self._turn(index, partition):
                heappop(self._ready)
                self._queued.discard((index, partition))

    def advance(self, until: int) -> None:
        """Move event time on to ``until`` (ms) with every timer due by then, and on to quiescence."""
        self.run()
        while self._fire_next(until):
            self.run()
        self.time = max(self.time, until)

    def crash(self, worker: int, lose_stores: bool = False) -> None:
        """Kill a worker: its tasks start again from its stores (or, if lost, from the changelog alone)."""
        if lose_stores:
            self._stores = {key: store for key, store in self._stores.items() if key[2] != worker}
        self._reopen([place for place in self._tasks if self._owner[place[1]] == worker])

    def restart(self, agents: Sequence[Agent]) -> None:
        """Stop all workers and start them with another program: each agent in place of the one of its name."""
        named = {agent.name: agent for agent in agents}
        for index, agent in enumerate(self.agents):
            new = named.get(agent.name, agent)
            self.agents[index] = new
        self._reopen(list(self._tasks))

    def rebalance(self, owner: Mapping[int, int]) -> None:
        """Give partitions to other workers: partition -> worker."""
        moved = {partition for partition, worker in owner.items() if self._owner[partition] != worker}
        self._owner.update(owner)
        self._reopen([place for place in self._tasks if place[1] in moved])

    def redeliver(self, agent: str, topic: str, partition: int, offset: int) -> None:
        """Set the group's committed offset back, as an operator might. Only an agent without tables reads again."""
        self.committed[agent, topic, partition] = offset
        self._reopen([place for place in self._tasks if place[1] == partition and self.agents[place[0]].name == agent])

    # -- inside -----------------------------------------------------------------------------------------------------

    def _reopen(self, places: Sequence[tuple[int, int]]) -> None:
        """Start tasks again, at once: their timers must not be overlooked."""
        for place in places:
            self._tasks[place] = self._open(*place)
            self._queue(*place)

    def _queue(self, index: int, partition: int) -> None:
        if (index, partition) not in self._queued:
            self._queued.add((index, partition))
            heappush(self._ready, (index, partition))

    def _appended(self, record: LocalRecord) -> None:
        for index in self._readers.get(record._topic, ()):
            self._queue(index, record._partition)

    def _at_step(self, agent: Agent, step: str) -> None:
        assert self._fault is not None
        self._fault(agent.name, self._worker, step)

    def _task(self, index: int, partition: int) -> AnyTask:
        task = self._tasks.get((index, partition))
        if task is None:
            task = self._tasks[index, partition] = self._open(index, partition)
        return task

    def _open(self, index: int, partition: int) -> AnyTask:
        """Restore the store from its position to the end of the changelog, then take the marker as position."""
        agent, worker = self.agents[index], self._owner[partition]
        store = self._stores.get((agent.name, partition, worker))
        if store is None:
            store = self._stores[agent.name, partition, worker] = self._make_store(agent.name, partition, worker)
        if agent.stateful:
            stored = store.get(POSITION)
            position = 0 if stored is None else _pair.unpack(stored)[0]
            rows = self.log.partition(changelog_topic(agent), partition)[position:]
            if rows:
                changes: list[Change] = [(row.key() or b"", row.value()) for row in rows]
                store.write([*changes, (POSITION, _pair.pack(position + len(rows), 0))])
        task = task_of(agent, partition, store, self.codecs, kept_rows=KEPT_ROWS, fatal=LocalTransaction.fatal)
        self.time = max(self.time, task.stream_time)  # a worker may have died between its commit and this
        for topic in agent.sources:
            if topic not in task.next:
                start = 0 if agent.stateful else self.committed.get((agent.name, topic, partition), 0)
                task.start_at(topic, start)
        return task

    def _turn(self, index: int, partition: int) -> bool:
        """One turn of one task; False when it has nothing to read."""
        task = self._task(index, partition)
        sources = self._waiting(task)
        if not sources:
            if not task.starting:
                return False
            self._run(index, [(task, {})])
            return True
        if task.agent._time_of is not None:
            # Only up to the first record of each source: the turn itself fires what is due between its records.
            for topic, records in sources.items():
                self._until(task, topic, records[0])
            if self._tasks[index, partition] is not task:  # it moved while timers fired
                return True
        self._run(index, [(task, sources)])
        return True

    def _waiting(self, task: AnyTask) -> dict[str, Sequence[LocalRecord]]:
        """The next records of a task, a batch at most."""
        sources: dict[str, Sequence[LocalRecord]] = {}
        left = self._batch
        for topic in task.agent.sources:
            start = task.next[topic]
            log = self.log.topics.get(topic)
            rest = log[task.partition] if log else []
            folded = folded_header(task.agent.name)
            while start < len(rest) and rest[start]._header == folded:
                start += 1
            task.next[topic] = start
            found = [record for record in rest[start : start + left] if record._header != folded]
            if found:
                sources[topic] = found
                left -= len(found)
                if not left:
                    break
        return sources

    def _receiver(self, topic: str, partition: int) -> AnyTask | None:
        """The task that may be handed a record of the place, see `engine.handover`."""
        [index] = [number for number in self._readers[topic] if self.agents[number].name in self._chained]
        if self._owner[partition] != self._worker:
            return None
        task = self._task(index, partition)
        if self._waiting(task):
            return None
        self._running.add(task)
        return task

    def _until(self, task: AnyTask, topic: str, record: LocalRecord) -> None:
        """Event time moves to the record's time: first whatever is due by then, wherever it is."""
        try:
            time = task.time_of(topic, record)
        except Exception:  # the turn will bury the record
            return
        until = max(time, self.time)
        while self._fire_next(until):
            pass
        self.time = until

    def _fire_next(self, until: int) -> bool:
        """Fire the earliest timers of all tasks, if due by ``until``."""
        while True:
            due, place = NEVER, None
            for at, task in self._tasks.items():
                if task.timers.next_due < due:
                    due, place = task.timers.next_due, at
            if place is None or due > until:
                return False
            timers = self._tasks[place].timers
            timers.refresh()
            if timers.next_due == due:  # else that timer was cancelled or moved
                break
        self.time = max(self.time, due)
        self._run(place[0], [(self._tasks[place], {})])
        return True

    def _run(self, index: int, parts: Sequence[Part]) -> None:
        """One turn over parts of one agent and one worker."""
        tasks = [task for task, _ in parts]
        self._worker, self._running = self._owner[tasks[0].partition], set(tasks)
        alone = self.agents[index].name not in self._chained
        self._ran = [one for one in self.agents if one.name in self._chained] if not alone else [self.agents[index]]
        count = sum(len(records) for _, sources in parts for records in sources.values())
        try:
            self._turns[index].run(Batch(list(parts), count))
        except Abort:
            for task in tasks:
                self._queue(index, task.partition)
        except Crash:
            self.crash(self._worker)
            raise
        self.time = max(self.time, *(task.stream_time for task in self._running))
