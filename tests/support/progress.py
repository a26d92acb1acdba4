"""Waiting for things to happen on a broker, and seeing how far a group has come."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

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
    """Committed offsets of all groups whose name begins with `prefix`."""

    def __init__(self, broker: str, prefix: str = "oms-") -> None:
        self._broker = broker
        self._admin = AdminClient({"bootstrap.servers": broker}, logger=QUIET)
        self._prefix = prefix

    def names(self) -> list[str]:
        found = self._admin.list_consumer_groups(request_timeout=10).result(15)
        return sorted(one.group_id for one in found.valid if one.group_id.startswith(self._prefix))

    def committed(self, names: list[str] | None = None) -> dict[Place, int]:
        """Next offset by place, as far as transactions have committed; open ones are not waited for."""
        for attempt in range(20):  # a broker that was just started loads its groups first
            try:
                return self._committed(self.names() if names is None else names)
            except KafkaException:
                if attempt == 19:
                    raise
                time.sleep(0.5)
                # A client that lost its coordinator may wait for it for ever (librdkafka#5511).
                self._admin = AdminClient({"bootstrap.servers": self._broker}, logger=QUIET)
        raise AssertionError

    def _committed(self, names: list[str]) -> dict[Place, int]:
        out: dict[Place, int] = {}
        for name in names:
            asked = [ConsumerGroupTopicPartitions(name)]
            for future in self._admin.list_consumer_group_offsets(asked, request_timeout=3).values():
                for place in future.result(15).topic_partitions:
                    if place.offset >= 0:
                        out[name, place.topic, place.partition] = place.offset
        return out
