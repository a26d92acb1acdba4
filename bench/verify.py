"""Expected outputs, by a fold of the source that shares nothing with the runners, and the check of what they wrote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bench.job import decode_event, encode_state, fold
from bench.observe import Failed

BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Digest:
    """Of an output topic: how many records and keys, a checksum of all records and one of the last record per key.

    Both checksums are sums, so the order between partitions does not matter; which value is a key's last one does.
    """

    records: int
    keys: int
    all_records: int
    last_values: int


def expected(bootstrap: str, source: str) -> Digest:
    """The digest of the right output for ``source``."""
    states: dict[bytes, dict[str, object]] = {}
    last: dict[bytes, bytes] = {}
    records = total = 0
    for message in read(bootstrap, source):
        key, value = _pair(message)
        states[key], merged = fold(states.get(key), decode_event(value))
        if merged is not None:
            payload = encode_state(merged)
            last[key] = payload
            total += crc32(payload, crc32(key))
            records += 1
    return _digest(records, total, last)


def written(bootstrap: str, topic: str, partitions: int) -> tuple[Digest, tuple[int, ...]]:
    """The digest of what a read_committed reader finds in ``topic``, and the last offset of each partition (or -1)."""
    last: dict[bytes, bytes] = {}
    offsets = [-1] * partitions
    records = total = 0
    for message in read(bootstrap, topic):
        key, value = _pair(message)
        last[key] = value
        total += crc32(value, crc32(key))
        offsets[message.partition() or 0] = message.offset() or 0
        records += 1
    return _digest(records, total, last), tuple(offsets)


def check(found: Digest, wanted: Digest) -> None:
    """Raises Failed with what differs."""
    if found == wanted:
        return
    if found.records != wanted.records:
        raise Failed(f"wrote {found.records:,} records, {wanted.records:,} are right")
    if found.last_values != wanted.last_values:
        raise Failed("the last state of at least one order is wrong")
    raise Failed("at least one record differs from what the fold gives")


def read(bootstrap: str, topic: str, starts: Sequence[int] | None = None) -> Iterator[Message]:
    """All committed records of ``topic`` (from ``starts``), each partition in order, to its present end."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "bench-reader",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    })  # fmt: skip
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, starts[number] if starts else 0) for number in partitions])
        open_partitions = set(partitions)
        while open_partitions:
            for message in consumer.consume(BATCH, 1.0):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


def _pair(message: Message) -> tuple[bytes, bytes]:
    key, value = message.key(), message.value()
    if key is None or value is None:
        raise Failed("a record without key or value")
    return key, value


def _digest(records: int, total: int, last: dict[bytes, bytes]) -> Digest:
    return Digest(records, len(last), total, sum(crc32(value, crc32(key)) for key, value in last.items()))
