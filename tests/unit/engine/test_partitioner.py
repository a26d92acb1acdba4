"""The partition of a key is the one Java clients choose."""

from __future__ import annotations

import pytest

from streams.engine.partitioner import murmur2, partition_of

# From the Java client's UtilsTest.testMurmur2; signed there.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "hashed"), VECTORS.items())
def test_murmur2_gives_the_java_client_s_hashes(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


@pytest.mark.parametrize("key", VECTORS)
def test_the_partition_is_the_positive_hash_modulo_their_number(key: bytes) -> None:
    for partitions in (1, 7, 8, 50):
        assert partition_of(key, partitions) == (VECTORS[key] & 0x7FFFFFFF) % partitions


def test_every_length_of_key_has_a_partition() -> None:
    found = {partition_of(bytes(range(length)), 8) for length in range(64)}
    assert found == set(range(8))


def test_librdkafka_chooses_the_same_partitions() -> None:
    """The live producer's partitioner is librdkafka's murmur2_random; its mock broker shows what it chooses."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "partitioner": "murmur2_random"})
    chosen: dict[bytes, int] = {}
    for key in [*VECTORS, "订单-1".encode(), b"\xff\x00"]:
        producer.produce(
            "topic", b"", key, on_delivery=lambda error, message: chosen.__setitem__(message.key(), message.partition())
        )
    assert producer.flush(20) == 0
    count = len(producer.list_topics("topic", 10).topics["topic"].partitions)
    assert count > 1
    assert chosen == {key: partition_of(key, count) for key in chosen}
    assert len(chosen) == len(VECTORS) + 2
