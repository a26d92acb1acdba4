"""Hands records from agent to agent of one worker within the turn that made them: the agents of a chain.

A record for a partition that this worker owns need not go through the broker to come back a transaction later. It is
folded in the same turn, so outputs, rows and offsets of all agents it passed commit together or not at all. What goes
to another worker's partition, and what others read too, is in its topic as ever:

    folded here, read by nobody else     in no topic
    folded here, read by others          in its topic with a header by which its own reader knows it as folded: it can
                                         be read only if the transaction committed, and then the fold has, too; the
                                         header's value is where in the topic the reader stood
    not folded here                      in its topic

The order of a partition's records is kept: a record is handed over only where the reader has come to the end of all
that was written before (`Receiver`), and one that is not is the last to be handed over until it has been read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from streams.engine.agent import folded_header
from streams.engine.align import Place
from streams.engine.context import Header, Sink
from streams.engine.record import LocalRecord

MOST_ROUNDS: Final = 1_000
"""Of one turn; agents that answer each other for ever go on by way of their topics."""
_CREATE_TIME: Final = 1


class HandedRecord(LocalRecord):
    """Of no offset (-1); written when its turn began, ms."""

    __slots__ = ("_at",)

    def __init__(self, topic: str, partition: int, key: bytes | None, value: bytes | None, at: int) -> None:
        super().__init__(topic, partition, -1, key, value)
        self._at = at

    def timestamp(self) -> tuple[int, int]:
        return _CREATE_TIME, self._at


class Forwarding(Protocol):
    """What it needs of a transaction."""

    @property
    def sink(self) -> Sink: ...

    def place(self, topic: str, key: bytes) -> int:
        """The partition of a key."""
        ...

    def forward(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, header: Header | None = None
    ) -> None:
        """As the sink, to this partition; of one without a header `ends` will tell where it ended up."""
        ...


Receiver = Callable[[str, int], Any]
"""(topic, partition): its task, if this worker has it and it has read all that was written there before; else None."""
Handed = tuple[Any, str, Sequence[HandedRecord]]
"""Task, topic, records."""


class Handover:
    """Of one chain. ``readers``: the agent that reads a topic, in the order of the flow; ``shared``: topics that others
    read as well. ``receiver`` see `Receiver`."""

    def __init__(self, readers: Mapping[str, str], shared: Collection[str], receiver: Receiver) -> None:
        self._receiver = receiver
        ranks = list(dict.fromkeys(readers.values()))
        self._rank = {topic: ranks.index(agent) for topic, agent in readers.items()}
        self._header = {topic: folded_header(agent) for topic, agent in readers.items() if topic in shared}
        self._inbox: dict[Place, tuple[Any, list[HandedRecord]]] = {}
        self._closed: set[Place] = set()
        self._forward: Callable[..., None] = _closed
        self._rounds = 0

    def begin(self, transaction: Forwarding, at: int) -> Sink:
        """Start a turn at ``at``, ms; answers the way out of all its tasks."""
        inbox, closed = self._inbox, self._closed
        inbox.clear()
        closed.clear()
        self._forward, self._rounds = transaction.forward, 0
        ranks, append, place, receiver = self._rank, transaction.sink, transaction.place, self._receiver
        forward = self._forward

        def hand(topic: str, value: bytes | None, key: str | bytes | None) -> None:
            if topic not in ranks or key is None:
                append(topic, value, key)
                return
            name = key if isinstance(key, bytes) else key.encode()
            number = place(topic, name)
            waiting = inbox.get((topic, number))
            if waiting is None:
                task = None if (topic, number) in closed else receiver(topic, number)
                if task is None:
                    closed.add((topic, number))
                    forward(topic, value, name, number)
                    return
                waiting = inbox[topic, number] = task, []
            waiting[1].append(HandedRecord(topic, number, name, value, at))

        return hand

    def take(self) -> list[Handed]:
        """What waits for the first agent of the flow that something waits for."""
        if not self._inbox or self._rounds >= MOST_ROUNDS:
            return []
        self._rounds += 1
        first = min(self._rank[topic] for topic, _ in self._inbox)
        places = [place for place in self._inbox if self._rank[place[0]] == first]
        return [(task, topic, records) for topic, _, (task, records) in ((*at, self._inbox.pop(at)) for at in places)]

    def folded(self, task: Any, topic: str, records: Sequence[HandedRecord], count: int) -> None:
        """So many of what was taken are folded; the rest goes by its topic, and what follows it, too."""
        name = self._header.get(topic)
        if name is not None and count:
            header = name, str(task.next.get(topic, 0)).encode()
            for record in records[:count]:
                self._forward(topic, record.value(), record.key(), record.partition(), header)
        for record in records[count:]:
            self._closed.add((topic, record.partition()))
            self._forward(topic, record.value(), record.key(), record.partition())

    def rest(self) -> None:
        """The turn folds no more: what still waits goes by its topic."""
        for (topic, _), (task, records) in self._inbox.items():
            self.folded(task, topic, records, 0)
        self._inbox.clear()


def _closed(*_: Any) -> None:
    raise AssertionError("no turn has begun")
