"""A transaction of librdkafka's producer, where our own (`streams.engine.wire`) cannot be used: then it is the only way
out of an agent, and the only place that commits.

Delivery errors need no callback: librdkafka fails the commit if any record of the transaction could not be written.
Only the last changelog record of a partition has one, and what a reader here has to come to, to learn the offset.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streams.engine.align import Place
from streams.engine.context import Header, Sink
from streams.engine.errors import InfrastructureError, Misconfigured, Unreachable
from streams.engine.one_thread import OneThread
from streams.engine.partitioner import partition_of
from streams.engine.store import Change

TRANSACTION_TIMEOUT_MS: Final = 10_000
"""The broker aborts a transaction older than this: how long a stopped worker can hold up the readers behind it."""
RETRY_BACKOFF_MS: Final = 5
"""librdkafka waits this long between the steps of a transaction. Its default of 100 made a commit take 25-100 ms
instead of 3-8."""
INIT_SECONDS: Final = 30.0
METADATA_SECONDS: Final = 5.0
COMMIT_SECONDS: Final = 5.0
"""Longest wait for a commit, a thousand times what one takes. That it is given up too early does no harm, whatever the
broker makes of it later: the new producer's ``init_transactions`` waits for its end or fences it, and then the restore
finds in the changelog what was committed. It only costs the second or two of opening anew."""
STUCK_SECONDS: Final = 1.0
"""A commit that is not over this long after its deadline never will be."""

_DEFAULTS: Final[dict[str, Any]] = {
    "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
    "retry.backoff.ms": RETRY_BACKOFF_MS,
    "retry.backoff.max.ms": 50,
    "linger.ms": 100,  # a commit flushes at once whatever this says; until then, full batches cost everybody less
    "partitioner": "murmur2_random",  # the same partition for a key as Java clients choose
    "message.max.bytes": 8_000_000,  # a dead letter holds a record of up to 4 MiB, the largest that topics.yaml allows
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}


class KafkaTransaction:
    """See the module. ``group_metadata`` answers the current group metadata of a source topic's consumer (KIP-447)."""

    fatal: tuple[type[BaseException], ...] = (KafkaException, BufferError)

    def __init__(self, conf: Mapping[str, Any], transactional_id: str, group_metadata: Callable[[str], Any]) -> None:
        self._group_metadata = group_metadata
        self._name = transactional_id
        self._positions: dict[Place, int] = {}
        self.ends: dict[Place, int] = {}
        self._counts: dict[str, int] = {}
        self._open = False
        self.broken = False
        """The producer cannot be used any more; only a new one can."""
        self._producer = Producer({**_DEFAULTS, **conf, "transactional.id": transactional_id})
        try:
            self._producer.init_transactions(INIT_SECONDS)
        except KafkaException as error:
            raise failure(f"cannot start transactions as {transactional_id}", error) from error
        self._thread = OneThread(transactional_id)

    @property
    def sink(self) -> Sink:
        produce: Sink = self._producer.produce
        return produce

    def partitions(self, topic: str) -> int:
        if topic not in self._counts:
            found = self._producer.list_topics(topic, METADATA_SECONDS).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            self._counts[topic] = len(found.partitions)
        return self._counts[topic]

    def place(self, topic: str, key: bytes) -> int:
        return partition_of(key, self.partitions(topic))

    def begin(self) -> None:
        self._positions, self.ends = {}, {}
        self._producer.begin_transaction()
        self._open = True

    def changelog(self, topic: str, partition: int, changes: Sequence[Change]) -> None:
        produce = self._producer.produce
        for key, value in changes[:-1]:
            produce(topic, value, key, partition)
        key, value = changes[-1]
        produce(topic, value, key, partition, self._into(self._positions))

    def forward(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, header: Header | None = None
    ) -> None:
        if header is None:
            self._producer.produce(topic, value, key, partition, self._into(self.ends))
        else:
            self._producer.produce(topic, value, key, partition, headers=[header])

    def _into(self, ends: dict[Place, int]) -> Callable[[KafkaError | None, Any], None]:
        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:
                place = message.topic(), message.partition()
                ends[place] = max(ends.get(place, 0), message.offset() + 1)

        return delivered

    def commit(self, offsets: Mapping[Place, int], meanwhile: Callable[[], None] | None = None) -> Mapping[Place, int]:
        # Past its timeout librdkafka can wait for ever for a group coordinator that is gone. The thread that waits is
        # then left behind; a new producer of this id fences whatever it may still do.
        try:
            self._thread.start(lambda: self._commit(offsets))
            try:
                if meanwhile is not None:
                    meanwhile()
            finally:
                self._thread.wait(COMMIT_SECONDS + STUCK_SECONDS)
        except TimeoutError:
            self._give_up()
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the commit is stuck in the client")) from None
        except KafkaException as error:
            if is_timeout(error):  # an abort would wait as long for the same coordinator
                self._give_up()
            raise
        self._open = False
        return self._positions

    def _commit(self, offsets: Mapping[Place, int]) -> None:
        deadline = time.monotonic() + COMMIT_SECONDS
        for metadata, group in by_member(offsets, self._group_metadata).items():
            # Who committed: a successor looks for what this worker may have left open.
            places = [TopicPartition(*place, offset, self._name) for place, offset in group.items()]
            self._send_offsets(places, metadata, deadline)
        _retried(self._producer.commit_transaction, deadline)

    def _send_offsets(self, places: list[TopicPartition], metadata: Any, deadline: float) -> None:
        _retried(lambda left: self._producer.send_offsets_to_transaction(places, metadata, left), deadline)

    def _give_up(self) -> None:
        self._open = False
        self.broken = True

    def abort(self) -> None:
        """Abort what is open. Never raises: a producer that cannot even abort is ``broken``."""
        if not self._open:
            return
        self._open = False
        try:
            _retried(self._producer.abort_transaction, time.monotonic() + COMMIT_SECONDS)
        except KafkaException:
            self.broken = True

    def close(self) -> None:
        """Drop the producer. An open transaction is left to the next ``init_transactions`` of this id."""
        self.abort()
        self._producer.purge()
        self._thread.end()


def by_member(offsets: Mapping[Place, int], group_metadata: Callable[[str], Any]) -> dict[Any, dict[Place, int]]:
    """The offsets by the group metadata of the consumer that reads their topic."""
    members: dict[str, Any] = {}
    out: dict[Any, dict[Place, int]] = {}
    for (topic, partition), offset in offsets.items():
        if topic not in members:
            members[topic] = group_metadata(topic)
        out.setdefault(members[topic], {})[topic, partition] = offset
    return out


def _retried(call: Callable[[float], Any], deadline: float) -> None:
    while True:
        try:
            call(max(0.1, deadline - time.monotonic()))
            return
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() >= deadline:
                raise


def reason(error: BaseException) -> str:
    """One line of a client error."""
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else " ".join(str(first).split())[:300]


_REFUSALS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)


def failure(what: str, error: BaseException) -> InfrastructureError:
    """The error that stops a worker, in one line: `Misconfigured` where the broker answered and will not have us."""
    first = error.args[0] if error.args else None
    refused = isinstance(first, KafkaError) and first.code() in _REFUSALS
    return (Misconfigured if refused else Unreachable)(f"{what}: {reason(error)}")


def is_timeout(error: BaseException) -> bool:
    first = error.args[0] if error.args else None
    return isinstance(first, KafkaError) and first.code() == KafkaError._TIMED_OUT


def is_fatal(error: BaseException) -> bool:
    """The client that raised this cannot go on (fenced, or in an error state)."""
    first = error.args[0] if error.args else None
    return isinstance(first, KafkaError) and first.fatal()
