"""Waiting for things to happen on a broker, and seeing how far a group has come."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

QUIET = logging.getLogger("tests.librdkafka")
QUIET.addHandler(logging.NullHandler())
QUIET.setLevel(logging.CRITICAL)
QUIET.propagate = False

Place = tuple[str, str, int]
"""(group, topic, partition)"""


def wait_until(true: Callable[[], bool], seconds: float, what: str, every: float = 0.1) -> float:
    """Polls until `true()`; answers the seconds it took, fails with `what` when time is up."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(every)
    return time.monotonic() - start


class Groups:
    """Committed offsets of groups over the topics they read.

    By consumers that never join: an AdminClient can lose a coordinator that went away for good (librdkafka#5511), and
    to destroy it then brings the process down.
    """

    def __init__(self, broker: str, sources: Mapping[str, Iterable[str]]) -> None:
        self._broker = broker
        self._sources = {group: list(topics) for group, topics in sources.items()}
        self._clients: dict[str, Consumer] = {}
        self._places: dict[str, list[TopicPartition]] = {}

    def committed(self, names: Iterable[str] | None = None) -> dict[Place, int]:
        """Next offset by place, as far as transactions have committed; open ones are not waited for."""
        out: dict[Place, int] = {}
        for group in self._sources if names is None else names:
            for place in self._asked(group):
                if place.error is None and place.offset >= 0:
                    out[group, place.topic, place.partition] = place.offset
        return out

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _asked(self, group: str) -> list[TopicPartition]:
        client = self._client(group)
        for attempt in range(20):  # a broker that was just started loads its groups first
            try:
                if group not in self._places:
                    self._places[group] = [
                        TopicPartition(topic, number)
                        for topic in self._sources[group]
                        for number in client.list_topics(topic, timeout=5).topics[topic].partitions
                    ]
                return client.committed(self._places[group], 5)  # type: ignore[no-any-return]
            except KafkaException:
                if attempt == 19:
                    raise
                time.sleep(0.5)
        raise AssertionError

    def _client(self, group: str) -> Consumer:
        if group not in self._clients:
            conf = {"bootstrap.servers": self._broker, "group.id": group, "isolation.level": "read_uncommitted",
                    "enable.auto.commit": False}  # fmt: skip
            self._clients[group] = Consumer(conf, logger=QUIET)
        return self._clients[group]
