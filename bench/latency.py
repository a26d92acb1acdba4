"""From produce to a read_committed order-states, event by event.

Every event of the load has its own event time, and one that is accepted moves its order's `updated_at` to it, so a
state says which event it shows. Not seen are the events that the rules refuse (some 5 % of this load: status words of a
source without authority for them) and, where two events of one order fall into one turn, the earlier (order-states is
compacted: one state per key and turn). The share of events seen is reported.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Hashable, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from streams import topology

TOPIC = "order-states"
Seen = dict[Hashable, float]
"""What a record shows (see ``newest_event``): when the first such record arrived, epoch seconds."""
Shows = Callable[[dict[str, Any]], Hashable]


def newest_event(state: dict[str, Any]) -> Hashable:
    """The event time (ms) of a state's newest event."""
    at: int = state["updated_at"]
    return at


def answered_order(state: dict[str, Any]) -> Hashable:
    """The number of an order whose every line has been answered by the stock, else None."""
    stock = state["stock"]
    return state["order_no"] if stock and all(line["outcome"] for line in stock) else None


def reply(fact: dict[str, Any]) -> Hashable:
    """The guid of the order whose reservation a fact on order-facts replies to, else None."""
    return fact["order_guid"] if fact["event_type"] == "_stock" and fact["do"] == "reserve" else None


class Reader:
    """A read_committed reader of order-states (or another topic) in a process of its own, from now on."""

    def __init__(self, bootstrap: str, shows: Shows = newest_event, topic: str = TOPIC) -> None:
        self._here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process
        self._process = process(target=_read, args=(bootstrap, there, shows, topic), daemon=True)

    def __enter__(self) -> Reader:
        self._process.start()
        self._here.recv()  # it stands at the end of every partition
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()

    def stop(self) -> Seen:
        """Ends the reader; what it saw."""
        self._here.send(None)
        seen: Seen = self._here.recv()
        return seen


def latencies(sent: Sequence[float], shown: Sequence[Hashable], seen: Seen) -> dict[str, float]:
    """Percentiles in ms of the events whose state was seen. ``sent``: epoch seconds, by event like ``shown``: what the
    state of each event shows."""
    found = [(seen[what] - when) * 1000 for when, what in zip(sent, shown, strict=True) if what in seen]
    if len(found) < 2:
        raise RuntimeError("no state of any event was seen")
    cuts = statistics.quantiles(found, n=1000, method="inclusive")
    return {
        "sent": len(sent),
        "matched": len(found),
        "p50_ms": cuts[499],
        "p95_ms": cuts[949],
        "p99_ms": cuts[989],
        "max_ms": max(found),
    }


def _read(bootstrap: str, pipe: Connection, shows: Shows, topic: str) -> None:
    decode = topology.load().decoder(topic)
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "bench-latency",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    })  # fmt: skip
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in partitions]
    for place in places:
        place.offset = consumer.get_watermark_offsets(place, timeout=10)[1]
    consumer.assign(places)
    consumer.poll(1.0)  # connects
    pipe.send(None)
    seen: Seen = {}
    while not pipe.poll():
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            now = time.time()
            seen.setdefault(shows(decode(message.value())), now)
    consumer.close()
    pipe.send(seen)
