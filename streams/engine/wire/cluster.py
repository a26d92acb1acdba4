"""Brokers, who leads which partition, and coordinators; one connection to each broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from streams.engine.wire import protocol
from streams.engine.wire.connection import Connection
from streams.engine.wire.security import Security

RETRY_SECONDS: Final = 0.02
FRESH_SECONDS: Final = 300.0
"""What is known of a topic's partitions is asked anew after this long, as librdkafka does."""
COMES_BACK: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.CONCURRENT_TRANSACTIONS,
    }
)
"""Errors that pass by themselves: asked again until the time is over."""
OUT_OF_ORDER: Final = KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
OVER: Final = frozenset(
    {
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.INVALID_TXN_STATE,
        KafkaError.UNKNOWN_PRODUCER_ID,
        OUT_OF_ORDER,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
"""Another producer has this id, or the broker has lost ours: fatal, only a new one can go on."""
MOVED: Final = frozenset({KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR})


class Cluster:
    """For one thread. Everything raises KafkaException; ``deadline`` is of `time.monotonic`."""

    def __init__(self, bootstrap: Sequence[protocol.Node], security: Security, client: str, seconds: float) -> None:
        self._bootstrap = bootstrap
        self._security = security
        self._client = client
        self._seconds = seconds
        self._open: dict[protocol.Node, Connection] = {}
        self._nodes: dict[int, protocol.Node] = {}
        self._leaders: dict[str, dict[int, int]] = {}
        self._learnt_at: dict[str, float] = {}
        self._coordinators: dict[tuple[str, int], protocol.Node] = {}

    def connection(self, node: protocol.Node) -> Connection:
        found = self._open.get(node)
        if found is None:
            found = self._open[node] = Connection(node, self._security, self._client, self._seconds)
        return found

    def any(self) -> Connection:
        """An open connection, or one to the first broker that can be reached."""
        if self._open:
            return next(iter(self._open.values()))
        nodes = [*self._bootstrap, *(node for node in self._nodes.values() if node not in self._bootstrap)]
        for node in nodes[:-1]:
            try:
                return self.connection(node)
            except KafkaException as error:
                if error.args[0].code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
                    raise
        return self.connection(nodes[-1])

    def partitions(self, topic: str, deadline: float) -> int:
        """How many it has."""
        return len(self._of(topic, deadline))

    def leader(self, topic: str, partition: int, deadline: float) -> protocol.Node:
        leader = self._of(topic, deadline).get(partition, -1)
        while leader not in self._nodes:
            self._pause(KafkaError.LEADER_NOT_AVAILABLE, f"{topic}/{partition}", deadline)
            self._learn(topic, deadline)
            leader = self._leaders[topic].get(partition, -1)
        return self._nodes[leader]

    def coordinator(self, key: str, kind: int, deadline: float) -> Connection:
        """Of a group (0) or a transaction (1)."""
        node = self._coordinators.get((key, kind))
        while node is None:
            error, found = protocol.read_coordinator(
                self.any().ask(protocol.FIND_COORDINATOR, protocol.find_coordinator(key, kind))
            )
            if error == 0:
                node = self._coordinators[key, kind] = found
            else:
                self._pause(error, "its coordinator", deadline)
        return self.connection(node)

    def retried(self, key: str, kind: int, call: Callable[[Connection], int], deadline: float) -> None:
        """Calls with the coordinator until the error it answers is 0; one that stays is raised."""
        while True:
            error = call(self.coordinator(key, kind, deadline))
            if error == 0:
                return
            if error in MOVED:
                self._coordinators.pop((key, kind), None)
            self._pause(error, key, deadline)

    def forget(self) -> None:
        """After an error: close all connections, ask everything anew."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()
        self._leaders.clear()
        self._learnt_at.clear()
        self._coordinators.clear()

    def fresh(self) -> bool:
        """Between transactions: no broker has hung up, and no topic was asked about long ago."""
        oldest = min(self._learnt_at.values(), default=time.monotonic())
        return time.monotonic() - oldest < FRESH_SECONDS and all(one.alive() for one in self._open.values())

    def _of(self, topic: str, deadline: float) -> dict[int, int]:
        if topic not in self._leaders:
            self._learn(topic, deadline)
        return self._leaders[topic]

    def _learn(self, topic: str, deadline: float) -> None:
        while True:
            nodes, found = protocol.read_metadata(self.any().ask(protocol.METADATA, protocol.metadata((topic,))))
            self._nodes.update(nodes)
            error, leaders = found[topic]
            if error == 0:
                self._leaders[topic], self._learnt_at[topic] = leaders, time.monotonic()
                return
            self._pause(error, topic, deadline)

    def _pause(self, error: int, what: str, deadline: float) -> None:
        """Wait before another try, or raise the error: it does not pass, or not in time."""
        if error not in COMES_BACK or time.monotonic() >= deadline:
            raise refused(error, what)
        time.sleep(RETRY_SECONDS)


def refused(error: int, what: str) -> KafkaException:
    """What is raised of an error that a broker answered."""
    return KafkaException(KafkaError(error, f"{KafkaError(error).str()} ({what})", fatal=error in OVER))


def nodes_of(bootstrap: str) -> list[protocol.Node]:
    """``host:port,...`` as librdkafka takes it, a scheme before the host included; port 9092 where none is named."""
    nodes = []
    for part in bootstrap.split(","):
        name = part.strip().rpartition("://")[2]
        host, colon, port = name.rpartition(":")
        if colon and port.isdigit():
            nodes.append((host.strip("[]"), int(port)))
        elif name:
            nodes.append((name.strip("[]"), 9092))
    return nodes
