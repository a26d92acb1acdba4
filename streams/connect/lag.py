"""How far the sinks are behind their topics, and how much they could not write."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams import clients
from streams.config import Settings
from streams.connect.connectors import DEAD_LETTERS, Connector
from streams.errors import BrokerUnreachableError

WAIT_S: Final = 10.0


class Lag:
    """Asks the broker by consumers that never join a group."""

    def __init__(self, settings: Settings, connectors: Iterable[Connector]) -> None:
        self._readers: dict[str, tuple[Connector, Consumer]] = {
            each.name: (each, clients.consumer(settings, **{"group.id": each.group})) for each in connectors
        }
        self._dead = clients.consumer(settings)

    def of_all(self) -> dict[str, int]:
        """Connector -> records that readers of committed data can see and that it has not finished with. Offsets of
        transaction marks count too. Raises BrokerUnreachableError."""
        try:
            return {name: _behind(consumer, connector.topic) for name, (connector, consumer) in self._readers.items()}
        except KafkaException as error:
            raise BrokerUnreachableError(f"the broker does not answer: {error.args[0].str()}") from None

    def dead(self) -> int:
        """How many records were ever written to the dead letters."""
        try:
            return sum(end for _, end in _marks(self._dead, DEAD_LETTERS).values())
        except KafkaException as error:
            raise BrokerUnreachableError(f"the broker does not answer: {error.args[0].str()}") from None

    def __enter__(self) -> Lag:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for _, consumer in self._readers.values():
            consumer.close()
        self._dead.close()


def _behind(consumer: Consumer, topic: str) -> int:
    marks = _marks(consumer, topic)
    places = [TopicPartition(topic, number) for number in marks]
    done = {place.partition: place.offset for place in consumer.committed(places, WAIT_S)}
    return sum(max(0, end - max(done[number], begin)) for number, (begin, end) in marks.items())


def _marks(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """Partition -> first offset, and the next that a reader of committed data will see."""
    known = consumer.list_topics(topic, timeout=WAIT_S).topics[topic].partitions
    return {number: consumer.get_watermark_offsets(TopicPartition(topic, number), WAIT_S) for number in known}
