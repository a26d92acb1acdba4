"""A transaction over our own connection: three requests where the broker knows transaction version 2 (KIP-890).

    produce   the record batches of all partitions of a broker; it enters them into the transaction itself
    offsets   the sources' next offsets with the group's generation (KIP-447); of each group that reads for it
    end       commits or aborts; the answer brings the next transaction's epoch

As the epoch is another in every transaction, sequence numbers begin at 0 in each, and what a dead or stopped producer
still sends belongs to a transaction that is over: it is refused. Nothing is sent twice: what fails is aborted as a
whole, and the runner reads its records again. An end that was sent and never answered leaves open what became of it:
the producer is `broken` then, and the next one learns it from the changelog.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from streams.engine import transaction as clients
from streams.engine.align import Place
from streams.engine.context import Header, Sink
from streams.engine.store import Change
from streams.engine.wire import protocol
from streams.engine.wire.cluster import OUT_OF_ORDER, RETRY_SECONDS, Cluster, nodes_of, refused
from streams.engine.wire.connection import Connection
from streams.engine.wire.security import Security

try:
    from streams.engine.wire._batch import Batches

    BUILT = True
except ImportError:  # no C compiler or no headers when this was installed
    BUILT = False

FEATURE: Final = "transaction.version"
NEEDED: Final = (protocol.PRODUCE, protocol.TXN_OFFSET_COMMIT, protocol.END_TXN, protocol.INIT_PRODUCER_ID)
BATCH_BYTES: Final = 900_000
"""Of a record batch of several records: a broker takes 1 MiB unless it is told otherwise."""
FULL_BYTES: Final = 1 << 20
"""So much goes out while the turn still folds."""
_LOST: Final = frozenset({KafkaError._TIMED_OUT, KafkaError._TRANSPORT})
_UNUSABLE: Final = _LOST | {KafkaError._AUTHENTICATION, KafkaError._SSL}
"""What became of a request is not known, and there is no connection to abort over."""
TRANSACTION, GROUP = 1, 0


class Unsupported(Exception):
    """This broker has no transactions of version 2: the text says what it has."""


def reason_against(conf: Mapping[str, Any]) -> str | Security:
    """Why a configuration is left to librdkafka's producer; else the security of the connections."""
    if not BUILT:
        return "the C extension was not built"
    codec = str(conf.get("compression.type") or conf.get("compression.codec") or "none")
    if codec != "none":
        return f"compression {codec}"
    return Security.of(conf)


class WireTransaction:
    """See the module; the same contract as `KafkaTransaction`. Raises `Unsupported`, `InfrastructureError`."""

    fatal: tuple[type[BaseException], ...] = (KafkaException, BufferError)

    def __init__(
        self,
        conf: Mapping[str, Any],
        security: Security,
        transactional_id: str,
        group_metadata: Callable[[str], bytes],
    ) -> None:
        self._id = transactional_id
        self._group_metadata = group_metadata
        self._cluster = Cluster(
            nodes_of(str(conf["bootstrap.servers"])),
            security,
            str(conf.get("client.id", transactional_id)),
            clients.COMMIT_SECONDS,
        )
        self._batches = Batches(self.partitions, self._send, FULL_BYTES, BATCH_BYTES)
        self._producer = 0, 0
        self._sent: list[tuple[Connection, int, Sequence[protocol.Batch]]] = []
        self._offsets_at: list[tuple[Connection, int]] = []
        self._changelogs: set[Place] = set()
        self._forwarded: set[Place] = set()
        self.ends: dict[Place, int] = {}
        self._open = self._touched = self._stale = False
        self.broken = False
        """The producer cannot be used any more; only a new one can."""
        timeout_ms = int(conf.get("transaction.timeout.ms", clients.TRANSACTION_TIMEOUT_MS))
        try:
            self._begin_life(timeout_ms)
        except KafkaException as error:
            self._cluster.forget()
            raise clients.failure(f"cannot start transactions as {transactional_id}", error) from error
        except BaseException:
            self._cluster.forget()
            raise

    def _begin_life(self, timeout_ms: int) -> None:
        """Fence whoever had this id before, and have what it left open ended."""
        deadline = time.monotonic() + clients.INIT_SECONDS
        body = protocol.init_producer_id(self._id, timeout_ms)

        def init(connection: Connection) -> int:
            error, self._producer = protocol.read_init_producer_id(connection.ask(protocol.INIT_PRODUCER_ID, body))
            return error

        while True:
            try:
                _check(self._cluster.any())
                self._cluster.retried(self._id, TRANSACTION, init, deadline)
                return
            except KafkaException as error:
                if error.args[0].code() not in _LOST or time.monotonic() >= deadline:
                    raise
                self._cluster.forget()
                time.sleep(RETRY_SECONDS * 5)

    @property
    def sink(self) -> Sink:
        append: Sink = self._batches.append
        return append

    def partitions(self, topic: str) -> int:
        return self._cluster.partitions(topic, time.monotonic() + clients.METADATA_SECONDS)

    def place(self, topic: str, key: bytes) -> int:
        return self._batches.place(topic, key)

    def begin(self) -> None:
        self._batches.clear()
        if self._stale or not self._cluster.fresh():
            self._cluster.forget()
            self._batches.forget()
            self._stale = False
        self._sent, self._offsets_at = [], []
        self._changelogs, self._forwarded, self.ends = set(), set(), {}
        self._open, self._touched = True, False

    def changelog(self, topic: str, partition: int, changes: Sequence[Change]) -> None:
        self._changelogs.add((topic, partition))
        self._batches.extend(topic, changes, partition)

    def forward(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, header: Header | None = None
    ) -> None:
        if header is None:
            self._forwarded.add((topic, partition))
        self._batches.append(topic, value, key, partition, header)

    def commit(self, offsets: Mapping[Place, int], meanwhile: Callable[[], None] | None = None) -> Mapping[Place, int]:
        deadline = time.monotonic() + clients.COMMIT_SECONDS
        try:
            self._send()
            commits = self._offset_commits(offsets)
            for group, commit in commits:
                at = self._cluster.coordinator(group, GROUP, deadline)
                self._touched = True
                self._offsets_at.append((at, at.send(protocol.TXN_OFFSET_COMMIT, commit)))
            if meanwhile is not None:
                meanwhile()
            positions = self._produced(deadline)
            for (group, commit), sent in zip(commits, [*self._offsets_at], strict=True):
                self._offsets_taken(group, commit, sent, deadline)
            if self._touched:
                self._end(True, deadline)
        except KafkaException as error:
            self._stale = True
            if error.args[0].code() in _UNUSABLE:
                self._give_up()
            raise
        self._open = False
        return positions

    def abort(self) -> None:
        """Abort what is open. Never raises: a producer that cannot even abort is ``broken``."""
        if not self._open:
            return
        self._open = False
        self._batches.clear()
        if not self._touched:
            return
        try:
            for connection, *_ in self._sent:
                connection.drain()
            for connection, _ in self._offsets_at:
                connection.drain()
            self._end(False, time.monotonic() + clients.COMMIT_SECONDS)
        except KafkaException:
            self._give_up()

    def close(self) -> None:
        """Drop the producer. A transaction that cannot be aborted is left to the next producer of this id."""
        if not self.broken:
            self.abort()
        self._cluster.forget()

    # -- the requests -----------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Send what waits."""
        self._post(self._batches.take(*self._producer, time.time_ns() // 1_000_000))

    def _post(self, batches: Sequence[protocol.Batch]) -> None:
        """In as many requests as a partition has batches: a request holds one of each."""
        deadline = time.monotonic() + clients.COMMIT_SECONDS
        nth: dict[Place, int] = {}
        requests: dict[tuple[int, protocol.Node], list[protocol.Batch]] = {}
        for batch in batches:
            place = batch[0], batch[1]
            number = nth[place] = nth.get(place, -1) + 1
            requests.setdefault((number, self._cluster.leader(*place, deadline)), []).append(batch)
        for number, node in sorted(requests):
            one = requests[number, node]
            connection = self._cluster.connection(node)
            self._touched = True
            body = protocol.produce(self._id, int(clients.COMMIT_SECONDS * 1000), one)
            self._sent.append((connection, connection.send(protocol.PRODUCE, body), one))

    def _produced(self, deadline: float) -> dict[Place, int]:
        """Wait for all batches to be written; the next offset by changelog partition. Raises the first error.

        A broker that has not written all markers of the transaction before refuses the first batches of this one, for
        some hundred ms at most; and those behind them, whose sequence numbers are too high then. They are sent again.
        """
        positions: dict[Place, int] = {}
        while True:
            again = self._answered(positions)
            if not again:
                return positions
            if time.monotonic() >= deadline:
                raise refused(KafkaError.CONCURRENT_TRANSACTIONS, self._id)
            time.sleep(RETRY_SECONDS)
            self._post(again)

    def _answered(self, positions: dict[Place, int]) -> list[protocol.Batch]:
        """Read what became of what was sent; the batches to send again, in order."""
        again: list[protocol.Batch] = []
        early: set[Place] = set()
        wrong: tuple[str, int, int, str] | None = None
        while self._sent:
            connection, number, batches = self._sent.pop(0)
            sent = {(batch[0], batch[1]): batch for batch in batches}
            for topic, partition, error, offset, text in protocol.read_produce(connection.receive(number)):
                place = topic, partition
                if error == KafkaError.CONCURRENT_TRANSACTIONS or (error == OUT_OF_ORDER and place in early):
                    early.add(place)
                    again.append(sent[place])
                elif error:
                    wrong = wrong or (topic, partition, error, text)
                elif place in self._changelogs:
                    positions[place] = offset + sent[place][3]
                elif place in self._forwarded:
                    self.ends[place] = offset + sent[place][3]
        if wrong is not None:
            topic, partition, code, text = wrong
            raise refused(code, f"{topic}/{partition}{': ' if text else ''}{text}")
        return again

    def _offset_commits(self, offsets: Mapping[Place, int]) -> list[tuple[str, bytes]]:
        """The request of each group."""
        requests = []
        for metadata, group in clients.by_member(offsets, self._group_metadata).items():
            member = protocol.Member.of(metadata)
            # Who committed: a successor looks for what this worker may have left open.
            request = protocol.txn_offset_commit(self._id, self._producer, member, group, self._id)
            requests.append((member.group, request))
        return requests

    def _offsets_taken(self, group: str, commit: bytes, sent: tuple[Connection, int], deadline: float) -> None:
        first = [sent]

        def answered(connection: Connection) -> int:
            if first:  # it was sent behind the batches already
                sender, number = first.pop()
                return protocol.read_txn_offset_commit(sender.receive(number))
            return protocol.read_txn_offset_commit(connection.ask(protocol.TXN_OFFSET_COMMIT, commit))

        self._cluster.retried(group, GROUP, answered, deadline)

    def _end(self, committed: bool, deadline: float) -> None:
        body = protocol.end_txn(self._id, self._producer, committed)
        following = self._producer

        def end(connection: Connection) -> int:
            nonlocal following
            error, following = protocol.read_end_txn(connection.ask(protocol.END_TXN, body))
            return error

        self._cluster.retried(self._id, TRANSACTION, end, deadline)
        self._producer = following
        self._touched = False

    def _give_up(self) -> None:
        self._open = False
        self.broken = True
        self._cluster.forget()


def _check(connection: Connection) -> None:
    level = connection.features.get(FEATURE, 0)
    if level < 2:
        raise Unsupported(f"the broker has {FEATURE} {level}")
    for api in NEEDED:
        least, most = connection.apis.get(api, (0, -1))
        if not least <= protocol.VERSIONS[api] <= most:
            raise Unsupported(f"the broker has versions {least} to {most} of API {api}, not {protocol.VERSIONS[api]}")


def open_transaction(
    conf: Mapping[str, Any],
    name: str,
    group_metadata: Callable[[str], Any],
    producer: str = "auto",
) -> tuple[WireTransaction | clients.KafkaTransaction, str]:
    """The producer of an agent or a chain, and why it is not ours (empty if it is). ``producer``: `auto` or
    `librdkafka`; ``group_metadata`` of the consumer that reads a topic."""
    security = "by setting" if producer == "librdkafka" else reason_against(conf)
    if isinstance(security, Security):
        try:
            return WireTransaction(conf, security, name, group_metadata), ""
        except Unsupported as error:
            security = str(error)
    return clients.KafkaTransaction(conf, name, group_metadata), security
