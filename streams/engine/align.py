"""Brings the topics of one agent into step: records are handed out by the time they were written.

A consumer hands out what was fetched, a megabyte of one topic after a megabyte of another. Of a backlog, an agent of
several topics would so read most payments long before their orders, and whoever joins them would have to park them
all. Here records wait, a bounded number of them, until it is their turn; nobody waits for a topic that has nothing.
Kafka Streams does the same (KIP-353).
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heapreplace
from typing import Any, Final

HELD_BATCHES: Final = 4
"""Batches of records held at most, over all places."""
STRIDE: Final = 50
"""Records taken from a place at a time: looking at the time of each one would cost more than it gains."""

Grouped = dict[int, dict[str, list[Any]]]
"""Kafka messages by partition and topic."""
Place = tuple[str, int]
"""(topic, partition)"""


class Aligner:
    """What is held back, in order of offset by place."""

    def __init__(self) -> None:
        self.size = 0
        self._held: dict[Place, list[Any]] = {}

    def put(self, grouped: Mapping[int, Mapping[str, list[Any]]]) -> None:
        """Add what was consumed."""
        for partition, topics in grouped.items():
            for topic, messages in topics.items():
                self._held.setdefault((topic, partition), []).extend(messages)
                self.size += len(messages)

    def take(self, count: int) -> Grouped:
        """About ``count`` records, the oldest by their time of writing; each place's in order of offset."""
        heap = [(held[0].timestamp()[1], place) for place, held in self._held.items()]
        heapify(heap)
        taken: Grouped = {}
        while heap and count > 0:
            topic, partition = place = heap[0][1]
            held = self._held[place]
            part = held[:STRIDE]
            del held[:STRIDE]
            count -= len(part)
            self.size -= len(part)
            taken.setdefault(partition, {}).setdefault(topic, []).extend(part)
            if held:
                heapreplace(heap, (held[0].timestamp()[1], place))
            else:
                heappop(heap)
                del self._held[place]
        return taken

    def sizes(self) -> dict[Place, int]:
        """Records held by place; places without any are left out."""
        return {place: len(held) for place, held in self._held.items()}

    def drop(self, place: Place) -> None:
        """Forget a place that was taken away."""
        self.size -= len(self._held.pop(place, ()))

    def clear(self) -> None:
        self._held.clear()
        self.size = 0
