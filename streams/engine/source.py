"""The Kafka consumer of one agent: owns its tasks, hands out batches, follows the group's assignment.

Everything here runs on the agent's own thread, callbacks included (they are called from within ``poll``), so a
partition is never taken away in the middle of a turn.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.agent import Agent, Codecs, changelog_topic, folded_header
from streams.engine.align import HELD_BATCHES, Aligner, Grouped, Place
from streams.engine.ends import Ends
from streams.engine.errors import EngineError, Unreachable
from streams.engine.joint import AnyTask, scopes, task_of
from streams.engine.restore import Restoring, restore
from streams.engine.rocks import RocksStore
from streams.engine.store import MemoryStore, Store
from streams.engine.takeover import fence_dead_owners
from streams.engine.task import OnOutcome
from streams.engine.transaction import KafkaTransaction, reason
from streams.engine.turn import Batch, Part

log = logging.getLogger(__name__)

KEPT_ROWS_PER_WORKER: Final = 24_000
"""Decoded rows kept per table and generation over all tasks of an agent in this worker: at some 2-4 kB each the
kept rows stay within 200 MB however many partitions a worker owns."""
POLL_INTERVAL_MS: Final = 900_000
"""Longest time between two polls: a restore runs inside a rebalance callback."""
COMMITTED_SECONDS: Final = 30.0
NOTED_SECONDS: Final = 0.5
"""So long records that were folded already may have been passed over without a turn that commits it."""
HEARD_SECONDS: Final = 2.0
"""Longest wait of a backlog for the topics of an agent that have not been heard of since they were assigned. The
client hands out what it fetched topic by topic: of 100,000 events, 24,000 payments and parcels were read before the
first order, and the payments' 60 s (BRK-01) were over before the last of these orders was."""
JOIN_SECONDS: Final = 60.0
"""Longest wait for an assignment, be it of nothing, after joining or a revocation. A coordinator that came to itself
while a member's session ran out may leave that member's successor without an answer for `max.poll.interval.ms`."""

_DEFAULTS: Final[dict[str, Any]] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 100,  # data are sent at once; this is how often an idle consumer asks again
    "fetch.queue.backoff.ms": 10,
    # Of what is read ahead a worker holds that of a dozen consumers: a batch is some 4 MB, in portions by partition.
    "fetch.message.max.bytes": 262_144,
    "queued.max.messages.kbytes": 4_096,
}
_ALIGNED: Final[dict[str, Any]] = {
    "fetch.message.max.bytes": 131_072,
    "fetch.min.bytes": 262_144,
    "fetch.wait.max.ms": 8,
}
"""Several topics: small portions of each. A fetch names all their partitions every time (librdkafka has no fetch
sessions), so it collects for a moment: there were 350 of them a second at 500 events/s, with 72 partitions each. The
moment is part of every event's way: 20 ms of it were 12 ms of the median."""


class KafkaSource:
    """See the module. ``folder`` holds this agent's stores; ``handed``: its tasks may be handed records, see
    `engine.handover`; `written` has to tell it how far each of its `places` is to be read first."""

    def __init__(
        self,
        agent: Agent,
        codecs: Codecs,
        conf: Mapping[str, Any],
        *,
        group: str,
        instance: str,
        folder: Path,
        batch_size: int,
        session_timeout_ms: int,
        group_protocol: str,
        on_outcome: OnOutcome,
        on_restore: Callable[[int, int], None],
        handed: bool = False,
    ) -> None:
        self.agent = agent
        self._folded = folded_header(agent.name) if len(agent.sources) == 1 and not agent.aside else None
        self._ends = Ends() if handed else None
        self.tasks: dict[int, AnyTask] = {}
        self.batch_size = batch_size
        self._codecs = codecs
        self._conf = dict(conf)
        self._group = group
        self._instance = instance
        self._folder = folder
        self._on_outcome = on_outcome
        self._on_restore = on_restore
        self._owned: dict[int, set[str]] = {}
        self._failure: BaseException | None = None
        self.lost = False
        """It will get no partitions any more; only a new one does."""
        self.settled = False
        """It has what the group gave it: nothing is being shared out anew or restored."""
        self.assignments = 0
        """How often it was given partitions."""
        self._waiting_since: float | None = time.monotonic()
        self._aligner = Aligner() if len(agent.sources) > 1 else None
        self._ahead: set[Place] = set()
        self._unheard: set[Place] = set()
        self._unheard_since: float | None = None
        """When a backlog began to wait for them."""
        self._held: Grouped = {}
        self._at_once = False
        self._passed: dict[int, float] = {}
        """Partitions that were moved on past what is folded already, since when: not committed yet."""
        self._after: dict[Place, int] = {}
        """So far places are to be moved on once the records before are folded."""
        self._paused: set[Place] = set()
        self._opened: set[Place] = set()
        """Places that came since a first record was polled."""
        self._incremental = group_protocol == "consumer"
        membership: dict[str, Any] = (
            # Partition p of every source is one task: topics of one agent must be shared out alike.
            {"group.protocol": "consumer", **({"group.remote.assignor": "range"} if self._aligner is not None else {})}
            if self._incremental
            else {
                "partition.assignment.strategy": "range",
                "session.timeout.ms": session_timeout_ms,
                "heartbeat.interval.ms": max(200, session_timeout_ms // 4),
                "group.instance.id": instance,
            }
        )
        fetched = _DEFAULTS if self._aligner is None else {**_DEFAULTS, **_ALIGNED}
        # The client wants it no shorter than the session.
        longest = {"max.poll.interval.ms": max(POLL_INTERVAL_MS, session_timeout_ms)}
        if handed:
            membership["enable.partition.eof"] = True
        self._consumer = Consumer({**fetched, **longest, **self._conf, "group.id": group, **membership})
        self._consumer.subscribe(
            list(agent.sources), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def group_metadata(self) -> Any:
        return self._consumer.consumer_group_metadata()

    def receiver(self, topic: str, partition: int) -> AnyTask | None:
        """The task that may be handed a record of this place, see `engine.handover`."""
        if self._ends is None or partition in self._held or not self._ends.reached((topic, partition)):
            return None
        return self.tasks.get(partition)

    def written(self, place: Place, end: int) -> None:
        """The place was written to, up to ``end``: if it is one of ours, that is to be read before anything is handed
        over again."""
        topic, partition = place
        if self._ends is not None and topic in self._owned.get(partition, ()):
            self._ends.need(place, end)

    @property
    def places(self) -> list[TopicPartition]:
        """Where it may be handed records: what it was given, if it may at all."""
        if self._ends is None:
            return []
        return [TopicPartition(topic, number) for number, topics in self._owned.items() for topic in topics]

    @property
    def behind(self) -> bool:
        """Its partitions are still to come, or something is to be read before all its tasks can be handed records."""
        return self._ends is not None and (self._waiting_since is not None or bool(self._ends.missing))

    # -- poll -------------------------------------------------------------------------------------------------------

    def poll(self, timeout: float, now: int, most: int | None = None) -> Batch:
        """Up to ``batch_size`` records (or ``most``) within ``timeout`` seconds, with the tasks whose timers are due at
        ``now``, the wall clock in ms."""
        size = self.batch_size if most is None else min(most, self.batch_size)
        for place in [*self._after]:
            self._move_on(place)
        if self._held or self._at_once:
            timeout = 0.0
        if self._aligner is None:
            grouped = self._consumed(timeout, size)
        else:
            grouped = self._aligned(self._aligner, timeout, size)
        self._put_held(grouped)
        batch = Batch()
        self._skip_known(grouped)
        for partition, task in self.tasks.items():
            sources = grouped.get(partition)
            if sources:
                batch.records += sum(len(records) for records in sources.values())
                batch.parts.append((task, sources))
            elif task.is_due(now) or self._is_to_be_noted(partition):
                batch.parts.append((task, {}))
            else:
                continue
            self._passed.pop(partition, None)
        return batch

    def hold(self, left: Sequence[Part], more: bool) -> None:
        """After a turn: what it did not come to is first in the next batch, before anything else of its partition;
        ``more``: timers are due, so the next poll must not wait."""
        self._at_once = more
        if left or self._held:
            self._held = {task.partition: {**sources} for task, sources in left}  # type: ignore[dict-item]
            self._pause()

    def _put_held(self, grouped: Grouped) -> None:
        for partition, sources in self._held.items():
            new = grouped.get(partition, {})
            grouped[partition] = {**new, **{name: [*old, *new.get(name, ())] for name, old in sources.items()}}

    def _consumed(self, timeout: float, size: int) -> Grouped:
        """What the consumer has, up to ``size`` records. Assignments and restores happen in here."""
        first = self._consumer.poll(timeout)
        self._opened.clear()
        # Whoever has work in hand gathers no more: each turn of a backlog of timers would begin with that pause.
        gathers = 0.0 if self._held or self._at_once else self.agent.gathers
        messages = [] if first is None else self._consumer.consume(size - 1, gathers)
        # An assignment voids what the client holds of a place, and this it holds no more: it will be read again.
        if first is not None and not (self._opened and (first.topic(), first.partition()) in self._opened):
            messages.insert(0, first)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self.lost = True
            raise failure
        if self._waiting_since is not None and time.monotonic() - self._waiting_since > JOIN_SECONDS:
            self.lost = True
            raise Unreachable(f"no answer from the group coordinator for {JOIN_SECONDS:.0f} s")
        return self._grouped(messages)

    def _aligned(self, aligner: Aligner, timeout: float, size: int) -> Grouped:
        """The oldest records of a window over all topics; a topic that is far ahead is paused meanwhile."""
        room = HELD_BATCHES * self.batch_size
        wait = 0.0 if aligner.size else timeout
        while True:
            before = aligner.size
            aligner.put(self._consumed(wait, self.batch_size))
            wait = 0.0
            if max(1, self.batch_size // 2) <= aligner.size - before and aligner.size < room:
                continue
            sizes = aligner.sizes()
            share = room // max(1, len(sizes))
            ahead = {place for place, size in sizes.items() if size > share}
            behind = {place for place in self._ahead if sizes.get(place, 0) <= share // 2}
            self._ahead = (self._ahead | ahead) - behind
            self._pause()
            if aligner.size < self.batch_size or not self._is_unheard(sizes):
                return aligner.take(size)
            wait = 0.01

    def _is_unheard(self, sizes: Mapping[Place, int]) -> bool:
        """Whether a place of a new assignment may have records and has given none yet."""
        self._unheard = {place for place in self._unheard - sizes.keys() if self._may_have(*place)}
        if not self._unheard:
            return False
        if self._unheard_since is None:
            self._unheard_since = time.monotonic()
        if time.monotonic() - self._unheard_since > HEARD_SECONDS:
            self._unheard.clear()
        return bool(self._unheard)

    def _may_have(self, topic: str, partition: int) -> bool:
        task = self.tasks.get(partition)
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        except KafkaException:
            return True
        return task is not None and (high < 0 or high > task.next.get(topic, 0))

    def _listen(self) -> None:
        """What was assigned is to be heard of once, before a backlog of the rest is handed out."""
        self._unheard = {(topic, number) for number, topics in self._owned.items() for topic in topics}
        self._unheard_since = None

    def _pause(self) -> None:
        """Pausing drops what was fetched beyond the held records; resuming fetches it again."""
        paused = self._ahead | {(topic, partition) for partition, held in self._held.items() for topic in held}
        for change, places in (
            (self._consumer.pause, paused - self._paused),
            (self._consumer.resume, self._paused - paused),
        ):
            if places:
                change([TopicPartition(topic, partition) for topic, partition in sorted(places)])
        self._paused = paused

    def _grouped(self, messages: Sequence[Any]) -> Grouped:
        grouped: Grouped = {}
        only = self.agent.sources[0] if len(self.agent.sources) == 1 else None
        behind = self._ends if self.behind else None
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    assert self._ends is not None
                    self._ends.read((message.topic(), message.partition()), message.offset())
                    continue
                # A fenced static member is told so once, as a message of code _FATAL that does not call itself fatal.
                if error.fatal() or error.code() == KafkaError._FATAL:
                    raise KafkaException(error)
                log.warning("%s: %s", self.agent.name, error.str())
                continue
            partition = message.partition()
            topic = only or message.topic()
            if behind is not None:
                behind.read((topic, partition), message.offset() + 1)
            if self._folded is not None and self._is_folded(message):
                self._pass(topic, partition, message.offset(), grouped)
                continue
            try:
                grouped[partition][topic].append(message)
            except KeyError:
                grouped.setdefault(partition, {})[topic] = [message]
        return grouped

    def _is_folded(self, message: Any) -> bool:
        """Whether it was folded in the transaction that wrote it."""
        headers = message.headers()
        return bool(headers) and any(name == self._folded for name, _ in headers)

    def _pass(self, topic: str, partition: int, offset: int, grouped: Grouped) -> None:
        """It counts as read, once what is before it is folded."""
        self._after[topic, partition] = offset + 1
        if topic not in grouped.get(partition, ()):
            self._move_on((topic, partition))

    def _move_on(self, place: Place) -> None:
        """What the last turn had is folded."""
        topic, partition = place
        if partition in self._held:
            return
        end, task = self._after.pop(place), self.tasks.get(partition)
        if task is not None and end > task.next.get(topic, 0):
            task.next[topic] = end
            self._passed.setdefault(partition, time.monotonic())

    def _is_to_be_noted(self, partition: int) -> bool:
        """It stands still: a turn without records commits where, for whoever looks at the group from outside."""
        since = self._passed.get(partition)
        return since is not None and time.monotonic() - since > NOTED_SECONDS

    def _skip_known(self, grouped: Grouped) -> None:
        """The marker knows better where the state stands than whatever is read: nothing is counted twice."""
        for partition, sources in grouped.items():
            task = self.tasks.get(partition)
            for topic, records in list(sources.items()):
                if task is not None and records[0].offset() < task.next.get(topic, 0):
                    kept = [record for record in records if record.offset() >= task.next[topic]]
                    log.warning(
                        "%s: passes over %d records of %s/%d before its position %d: was the topic made anew?",
                        *(self.agent.name, len(records) - len(kept), topic, partition, task.next[topic]),
                    )
                    if kept:
                        sources[topic] = kept
                    else:
                        del sources[topic]

    def rewind(self) -> None:
        """After an abort: read on from where each task stands."""
        self._forget()
        for partition, task in self.tasks.items():
            for topic in self._owned.get(partition, ()):
                offset = task.next.get(topic, OFFSET_BEGINNING)
                try:
                    self._consumer.seek(TopicPartition(topic, partition, offset))
                except KafkaException as error:  # no longer assigned: the coming assignment seeks by the marker
                    log.info("%s: cannot seek %s/%d: %s", self.agent.name, topic, partition, reason(error))

    def lag(self) -> dict[tuple[str, int], int]:
        """Records behind the last stable offset by (topic, partition), as far as the client has heard."""
        out: dict[tuple[str, int], int] = {}
        for partition, task in self.tasks.items():
            for topic in self._owned.get(partition, ()):
                try:
                    _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                except KafkaException:
                    continue
                if high >= 0:
                    out[topic, partition] = max(0, high - max(0, task.next.get(topic, 0)))
        return out

    def _forget(self) -> None:
        """Drop what is held back: it will be read again."""
        if self._ends is not None:
            self._ends.again()
        if self._aligner is not None:
            self._aligner.clear()
        self._ahead, self._held, self._passed, self._after = set(), {}, {}, {}
        self._listen()
        self._pause()

    # -- assignment -------------------------------------------------------------------------------------------------

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._waiting_since = None
        self.settled = False
        try:
            self._open(consumer, places)
            if self._incremental:
                consumer.incremental_assign(places)
            else:
                consumer.assign(places)
            self.settled = True
            self.assignments += bool(places)
        except (KafkaException, EngineError) as error:
            self._failure = error
            consumer.assign([]) if not self._incremental else consumer.incremental_assign([])

    def _open(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Restore the tasks of these partitions and set the places' offsets to where each task stands."""
        started = time.monotonic()
        if not places:
            return
        if not self._incremental:
            fence_dead_owners(self._conf, self._group, self._instance, places)
        # First the committed offsets: with read_committed this waits for an open transaction of the previous owner.
        answer = consumer.committed([TopicPartition(p.topic, p.partition) for p in places], COMMITTED_SECONDS)
        committed: dict[int, dict[str, int]] = {}
        for place in answer:
            if place.error is not None:
                raise KafkaException(place.error)
            committed.setdefault(place.partition, {})[place.topic] = max(0, place.offset)
        stores: dict[int, Store] = {}
        records = 0
        try:
            for partition in committed:
                if partition not in self.tasks:
                    stores[partition] = self._store(partition)
            if self.agent.stateful and stores:
                restoring = {
                    partition: Restoring(store, committed[partition], scopes(self.agent))
                    for partition, store in stores.items()
                }
                records = restore(self._conf, changelog_topic(self.agent), restoring, self._on_restore)
        except BaseException:
            for store in stores.values():  # the next try opens them anew, and a store is opened once
                store.close()
            raise
        kept = max(256, KEPT_ROWS_PER_WORKER // max(1, len(stores) + len(self.tasks)))
        for partition, store in stores.items():
            self.tasks[partition] = task_of(
                self.agent,
                partition,
                store,
                self._codecs,
                kept_rows=kept,
                fatal=KafkaTransaction.fatal,
                on_outcome=self._on_outcome,
            )
        for place in places:
            task = self.tasks[place.partition]
            self._opened.add((place.topic, place.partition))
            self._owned.setdefault(place.partition, set()).add(place.topic)
            if self._ends is not None:
                self._ends.need((place.topic, place.partition), 0)
            if self._aligner is not None:  # what came in while the place was being taken away
                self._aligner.drop((place.topic, place.partition))
            if place.topic not in task.next:
                task.start_at(place.topic, committed[place.partition][place.topic] if not self.agent.stateful else 0)
            place.offset = task.next[place.topic] or OFFSET_BEGINNING
        self._listen()
        log.info(
            "%s: assigned %s, restored %d records in %.1f s",
            self.agent.name,
            sorted({place.partition for place in places}),
            records,
            time.monotonic() - started,
        )

    def _store(self, partition: int) -> Store:
        if not self.agent.stateful:
            return MemoryStore()
        return RocksStore(self._folder / str(partition))

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        log.info("%s: revoked %s", self.agent.name, sorted({place.partition for place in places}))
        # A place stays paused in the client when it goes, and would be when it comes back (librdkafka #1849).
        paused = [place for place in places if (place.topic, place.partition) in self._paused]
        if paused:
            consumer.resume(paused)
        for place in places:
            if self._aligner is not None:
                self._aligner.drop((place.topic, place.partition))
            self._held.pop(place.partition, None)
            self._passed.pop(place.partition, None)
            self._after.pop((place.topic, place.partition), None)
            self._ahead.discard((place.topic, place.partition))
            if self._ends is not None:
                self._ends.drop((place.topic, place.partition))
            self._paused.discard((place.topic, place.partition))
            topics = self._owned.get(place.partition, set())
            topics.discard(place.topic)
            if not topics:
                self._owned.pop(place.partition, None)
                task = self.tasks.pop(place.partition, None)
                if task is not None:
                    task.close()
        if self._incremental:
            consumer.incremental_unassign(places)
        else:
            consumer.unassign()
            self._waiting_since = time.monotonic()
            self.settled = False

    def close(self) -> None:
        """Leave the group and close the stores."""
        self._consumer.close()
        for task in self.tasks.values():
            task.close()
        self.tasks.clear()
