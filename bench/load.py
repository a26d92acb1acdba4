"""Load for the pipeline: contract events on the input topics, at full speed or at a steady rate."""

from __future__ import annotations

import hashlib
import random
import time
from array import array
from collections.abc import Iterable, Iterator

from confluent_kafka import Producer

from bench.gen_olist import FIRST_TIME_MS, Template, _filled, _long, templates
from streams.topology import Topology

Record = tuple[str, bytes, bytes]
"""Topic, key, Avro value."""


def send(bootstrap: str, records: Iterable[Record]) -> int:
    """Writes the records as fast as they come; how many there were."""
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "linger.ms": 20,
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": 1_000_000,
        "enable.idempotence": True,  # else what is sent again after an error of the broker comes behind its successors
    })  # fmt: skip
    count = 0
    for topic, key, value in records:
        while True:
            try:
                producer.produce(topic, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        if count % 1_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError("the broker did not take all events")
    return count


def send_steadily(bootstrap: str, records: Iterable[Record], per_second: float) -> list[float]:
    """Writes one record every 1/``per_second`` s, at once when due; when each was handed over, epoch seconds."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "partitioner": "murmur2_random"})
    started = time.perf_counter()
    sent: list[float] = []
    for topic, key, value in records:
        wait = started + len(sent) / per_second - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        sent.append(time.time())
        producer.produce(topic, key=key, value=value)
        producer.poll(0)
    if producer.flush(30):
        raise RuntimeError("the broker did not take all events")
    return sent


def findable(records: Iterable[Record], codecs: Topology) -> int:
    """How many of the events can be brought to an order: it was created, and a waybill alone was once named with it.

    The rest are parked at the end of a load, by right: what they wait for was not made any more. Which events belong
    together is told by their ids, which the system under test does not look at.
    """
    decoders = {topic: codecs.decoder(topic, drop_nulls=True) for topic in ("orders", "payments", "couriers")}
    named: dict[str, int] = {}  # order: events that name it
    by_waybill: dict[str, int] = {}  # order: events with nothing but its waybill
    created: set[str] = set()
    bound: set[str] = set()
    for topic, _, value in records:
        event = decoders[topic](value)
        order = event["event_id"].partition("-")[0]
        if event["event_type"] == "order_created":
            created.add(order)
        if "order_no" in event:
            named[order] = named.get(order, 0) + 1
            if "waybill_no" in event:
                bound.add(order)
        else:
            by_waybill[order] = by_waybill.get(order, 0) + 1
    return sum(named.get(order, 0) + (by_waybill.get(order, 0) if order in bound else 0) for order in created)


class OpenOrders:
    """Any number of open orders, somewhere in their lives, and events that concern each of them equally often.

    Orders of the sample whose events came in another order than told are left out: every event can be brought to its
    order at once, so what is decided is what was sent. Event times rise from ``start_ms`` by ``step_ms``; two seeds
    give other orders.
    """

    def __init__(self, codecs: Topology, seed: int, start_ms: int, step_ms: float) -> None:
        self._kinds = [kind for kind in templates(codecs) if len(kind) > 1 and _told_in_order(kind, codecs)]
        self._rng = random.Random(seed)
        self._seed = seed
        self._start_ms, self._step_ms = start_ms, step_ms
        self._events = 0
        self._open = array("I")  # numbers of the open orders
        self._next = bytearray()  # by order: which of its events comes next

    def begin(self, orders: int) -> Iterator[Record]:
        """The events that bring ``orders`` new orders to a random point before their last event."""
        first = len(self._next)
        goals = bytearray()
        for number in range(first, first + orders):
            self._open.append(number)
            self._next.append(0)
            goals.append(self._rng.randrange(1, len(self._kind(number))))
        for stage in range(max(goals, default=0)):
            for at, goal in enumerate(goals):
                if stage < goal:
                    yield self._event(first + at)

    def go_on(self, events: int) -> Iterator[Record]:
        """The next ``events``: of open orders, chosen at random; an order that is through gives way to a new one."""
        for _ in range(events):
            slot = self._rng.randrange(len(self._open))
            number = self._open[slot]
            yield self._event(number)
            if self._next[number] == len(self._kind(number)):
                self._open[slot] = len(self._next)
                self._next.append(0)

    def now_ms(self) -> int:
        """The event time of the next event."""
        return self._start_ms + int(self._events * self._step_ms)

    def _kind(self, number: int) -> tuple[Template, ...]:
        return self._kinds[number % len(self._kinds)]

    def _event(self, number: int) -> Record:
        at = self._next[number]
        self._next[number] = at + 1
        order_id = hashlib.md5(f"{self._seed}/{number}".encode(), usedforsecurity=False).hexdigest().encode()
        moment = _long(self.now_ms())
        self._events += 1
        return _filled(self._kind(number)[at], order_id, moment)


def _told_in_order(kind: tuple[Template, ...], codecs: Topology) -> bool:
    """Whether each event of the order can be brought to it by those before."""
    events = [_filled(template, b"0" * 32, _long(FIRST_TIME_MS)) for template in kind]
    return all(findable(events[:count], codecs) == count for count in range(1, len(events) + 1))
