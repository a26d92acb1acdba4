"""Fills the source topic: about five events per order, 20,000 orders open at a time, the same for every run."""

import random
import sys
import time
from collections.abc import Iterator

from confluent_kafka import Producer

from bench.job import EVENT_HEADER, STATUSES, encode_event

OPEN_ORDERS = 20_000
NEW_ORDER_CHANCE = 0.3
FIRST_TIME_MS = 1_769_200_000_000
AMOUNT_MINOR = 9_900
PAYLOAD = "x" * 60
CHECKED = 200  # how many of the fast encodings are compared with fastavro's, at each start


def events(count: int, seed: int = 7) -> Iterator[tuple[bytes, bytes]]:
    """``count`` pairs of (key, Avro value), the same for the same seed."""
    rng = random.Random(seed)
    open_orders: list[list[int]] = []  # [order number, rank of its next event]
    orders = 0
    tail = _text("douyin") + _varint(AMOUNT_MINOR) + _varint(1) + _text(PAYLOAD)
    ranks = [_varint(rank) for rank in range(len(STATUSES))]
    for number in range(count):
        if (len(open_orders) < OPEN_ORDERS and rng.random() < NEW_ORDER_CHANCE) or not open_orders:
            open_orders.append([orders, 0])
            orders += 1
        slot = rng.randrange(len(open_orders))
        order, rank = open_orders[slot]
        guid = b"DB20260124%012d" % order
        value = b"".join((
            EVENT_HEADER, b"\x1ae%012d" % number, b"\x2c", guid, ranks[rank], _varint(FIRST_TIME_MS + number), tail,
        ))  # fmt: skip
        if number < CHECKED:
            _check(value, number, guid, rank)
        yield guid, value
        if rank + 1 < len(STATUSES):
            open_orders[slot][1] = rank + 1
        else:
            open_orders[slot] = open_orders[-1]
            open_orders.pop()


def fill(bootstrap: str, topic: str, count: int) -> None:
    """Writes ``count`` events to ``topic``, which must exist; keys go to the partitions Java clients would choose."""
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "linger.ms": 20,
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": 1_000_000,
    })  # fmt: skip
    for number, (key, value) in enumerate(events(count), start=1):
        while True:
            try:
                producer.produce(topic, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError(f"the broker did not take all events of {topic}")


def _varint(number: int) -> bytes:
    """Avro's zigzag varint of a number that is not negative."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(text: str) -> bytes:
    return _varint(len(text)) + text.encode("ascii")


def _check(value: bytes, number: int, guid: bytes, rank: int) -> None:
    event = {
        "event_id": f"e{number:012d}",
        "order_guid": guid.decode(),
        "type": STATUSES[rank],
        "occurred_at": FIRST_TIME_MS + number,
        "source": "douyin",
        "amount": AMOUNT_MINOR,
        "payload": PAYLOAD,
    }
    if value != encode_event(event):
        raise AssertionError(f"event {number} is not what fastavro would write")


if __name__ == "__main__":
    started = time.perf_counter()
    fill(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(f"{sys.argv[3]} events in {time.perf_counter() - started:.1f} s")
