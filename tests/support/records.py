"""Topics of a test broker: made, filled and read to the end, each record once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.engine.agent import folded_header


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in its topic; `at` is its timestamp in ms, `folded` who folded it in the transaction that
    wrote it, and where in the topic that reader stood then."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    at: int = 0
    folded: tuple[str, int] | None = None


def create_topics(broker: str, topics: Mapping[str, int], config: Mapping[str, str] | None = None) -> None:
    """Makes the topics (name to partitions) and waits until the broker knows them."""
    admin = AdminClient({"bootstrap.servers": broker})
    wanted = [NewTopic(name, count, 1, config=dict(config or {})) for name, count in topics.items()]
    for future in admin.create_topics(wanted, operation_timeout=20).values():
        future.result(30)
    deadline = time.monotonic() + 10
    while not set(topics) <= set(admin.list_topics(timeout=10).topics):  # made is not yet known everywhere
        assert time.monotonic() < deadline, "topics were made and are not listed"
        time.sleep(0.05)


def partitions(broker: str, topic: str) -> list[int]:
    metadata = AdminClient({"bootstrap.servers": broker}).list_topics(topic, timeout=10)
    return sorted(metadata.topics[topic].partitions)


def read(broker: str, topic: str, *, committed: bool = True, wait: float = 60.0) -> list[Record]:
    """Every record from the beginning to the end as it is now, partition by partition in offset order."""
    consumer = _reader(broker, committed=committed)
    try:
        places = [TopicPartition(topic, number, 0) for number in partitions(broker, topic)]
        found: dict[int, list[Record]] = defaultdict(list)
        for message in _to_the_end(consumer, places, wait):
            found[message.partition()].append(
                Record(topic, message.partition(), message.offset(), message.key(), message.value(),
                       message.timestamp()[1], _folded(message.headers()))
            )  # fmt: skip
        return [record for number in sorted(found) for record in found[number]]
    finally:
        consumer.close()


def _folded(headers: Sequence[tuple[str, bytes | None]] | None) -> tuple[str, int] | None:
    for name, value in headers or ():
        agent = name.removeprefix(folded_header(""))
        if agent != name:
            return agent, int(value or b"")
    return None


def in_order_of_folding(records: Iterable[Record], agent: str) -> list[Record]:
    """As the agent has folded them: what was handed to it, where its reader stood then."""

    def moment(record: Record) -> tuple[int, bool, int]:
        if record.folded is None or record.folded[0] != agent:
            return record.offset, False, 0
        return record.folded[1] - 1, True, record.offset

    return sorted(records, key=lambda record: (record.topic, record.partition, moment(record)))


def _reader(broker: str, *, committed: bool) -> Consumer:
    return Consumer({
        "bootstrap.servers": broker, "group.id": "test-reader", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 50,
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    })  # fmt: skip


def _to_the_end(consumer: Consumer, places: list[TopicPartition], wait: float) -> Iterator[Any]:
    """The messages from these places on, to the end of each as it is now."""
    left = {place.partition for place in places}
    consumer.assign(places)
    deadline = time.monotonic() + wait
    while left:
        topic = places[0].topic
        assert time.monotonic() < deadline, f"{topic}: partitions {sorted(left)} not read to the end in {wait} s"
        for message in consumer.consume(5000, 0.2):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
            elif error.fatal():
                raise AssertionError(str(error))


def produce(broker: str, records: Iterable[tuple[str, bytes | None, bytes | None]]) -> int:
    """Sends (topic, key, value) and waits until all are acknowledged; answers how many."""
    producer = Producer({"bootstrap.servers": broker, "enable.idempotence": True, "linger.ms": 5})
    count = 0
    for topic, key, value in records:
        producer.produce(topic, value, key)
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0, "the broker did not acknowledge everything"
    return count


def last_offsets(broker: str, topic: str) -> dict[int, int]:
    """The offset of the last committed record of each partition that has one, found without reading the topic from its
    beginning: behind it lie only control records and what was aborted."""
    consumer = _reader(broker, committed=True)
    try:
        return {
            number: last
            for number in partitions(broker, topic)
            if (last := _last_record(consumer, topic, number)) is not None
        }
    finally:
        consumer.close()


def _last_record(consumer: Consumer, topic: str, number: int) -> int | None:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
    start, back, found = high, 64, None
    while start > low and found is None:
        start, back = max(low, high - back), back * 16
        for message in _to_the_end(consumer, [TopicPartition(topic, number, start)], 30.0):
            found = message.offset()
    return found


def ends(broker: str, topic: str) -> dict[int, int]:
    """The next offset of each partition for a read_committed reader (control records count as offsets)."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "test-ends", "isolation.level": "read_committed"})
    try:
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
            for number in partitions(broker, topic)
        }
    finally:
        consumer.close()
