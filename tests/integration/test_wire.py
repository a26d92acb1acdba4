"""Our transactional producer on a real broker: what readers see, fencing, librdkafka's producer before or after."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.engine.transaction import KafkaTransaction, is_fatal
from streams.engine.wire.producer import WireTransaction, open_transaction
from tests.servers.kafka import KafkaServer
from tests.support.progress import wait_until
from tests.support.records import create_topics, read

pytestmark = pytest.mark.integration
PARTITIONS = 3
Made = WireTransaction | KafkaTransaction


class Topics:
    """Topics of one test, a consumer of ``source`` in a group, and producers that are closed at the end."""

    def __init__(self, bootstrap: str) -> None:
        name = uuid.uuid4().hex[:8]
        self.conf = {"bootstrap.servers": bootstrap}
        self.name, self.source, self.out, self.log = (f"{name}{end}" for end in ("", "-in", "-out", "-log"))
        create_topics(bootstrap, dict.fromkeys((self.source, self.out, self.log), PARTITIONS))
        self.consumer = self.joined()
        # Known to lead a partition, a busy broker may not take records of it yet.
        places = [TopicPartition(topic, number) for topic in (self.out, self.log) for number in range(PARTITIONS)]
        wait_until(lambda: all(map(self.led, places)), 20, "the broker leads its partitions")
        self.made: list[Made] = []

    def led(self, place: TopicPartition) -> bool:
        try:
            self.consumer.get_watermark_offsets(place, 20)
        except KafkaException:
            return False
        return True

    def joined(self) -> Consumer:
        """A member of the group, with its partitions."""
        one = Consumer(
            {**self.conf, "group.id": self.name, "group.instance.id": self.name, "isolation.level": "read_committed"}
        )
        one.subscribe([self.source])
        while not one.assignment():
            one.poll(0.1)
        return one

    def producer(self, which: str = "auto") -> Made:
        one, why = open_transaction(self.conf, self.name, lambda topic: self.consumer.consumer_group_metadata(), which)
        assert why == ("" if which == "auto" else "by setting")
        self.made.append(one)
        return one

    def read(self) -> list[tuple[bytes | None, bytes | None]]:
        """What a read_committed reader finds in ``out``."""
        return [(record.key, record.value) for record in read(self.conf["bootstrap.servers"], self.out)]

    def offset(self) -> int:
        [place] = self.consumer.committed([TopicPartition(self.source, 0)], 20)
        offset: int = place.offset
        return offset


@pytest.fixture
def topics(kafka: KafkaServer) -> Iterator[Topics]:
    one = Topics(kafka.bootstrap)
    yield one
    for made in one.made:
        made.close()
    one.consumer.close()


def written(one: Made, topics: Topics, value: str, offset: int) -> dict[tuple[str, int], int]:
    one.begin()
    for number in range(5):
        one.sink(topics.out, value.encode(), str(number))
    one.changelog(topics.log, 1, [(b"a", value.encode()), (b"b", None)])
    return dict(one.commit({(topics.source, 0): offset}))


def test_the_broker_of_these_tests_takes_it(topics: Topics) -> None:
    assert isinstance(topics.producer(), WireTransaction)


def test_committed_records_are_read_once_aborted_ones_never_and_the_position_is_known(topics: Topics) -> None:
    one = topics.producer()
    first = written(one, topics, "first", 1)
    one.begin()
    one.sink(topics.out, b"lost" * 300_000, "0")  # so much that some of it was sent
    one.abort()
    second = written(one, topics, "second", 2)
    assert sorted(topics.read()) == sorted((str(n).encode(), v) for n in range(5) for v in (b"first", b"second"))
    assert topics.offset() == 2
    assert first == {(topics.log, 1): 2}
    assert second == {(topics.log, 1): 5}, "two records, a marker, two records"


@pytest.mark.parametrize("successor", ["auto", "librdkafka"])
@pytest.mark.parametrize("predecessor", ["auto", "librdkafka"])
def test_a_successor_ends_what_was_left_open_and_its_predecessor_can_do_no_more(
    topics: Topics, predecessor: str, successor: str
) -> None:
    """As after a change of OMS_PRODUCER, too."""
    old = topics.producer(predecessor)
    written(old, topics, "old", 1)
    old.begin()
    for _ in range(20):
        old.sink(topics.out, b"open" * 50_000, "0")
    new = topics.producer(successor)
    written(new, topics, "new", 2)
    with pytest.raises(KafkaException) as raised:
        old.commit({(topics.source, 0): 9})
    old.abort()
    assert is_fatal(raised.value) or old.broken
    written(new, topics, "more", 3)
    assert sorted(topics.read()) == sorted((str(n).encode(), v) for n in range(5) for v in (b"old", b"new", b"more"))
    assert topics.offset() == 3


def test_offsets_of_a_generation_that_is_over_are_refused_and_nothing_of_the_turn_is_seen(topics: Topics) -> None:
    kept = topics.consumer.consumer_group_metadata()
    topics.consumer.close()
    topics.consumer = topics.joined()
    late, _ = open_transaction(topics.conf, topics.name, lambda topic: kept)
    topics.made.append(late)
    with pytest.raises(KafkaException):
        written(late, topics, "late", 7)
    late.abort()
    assert topics.read() == []
    assert topics.offset() < 0
