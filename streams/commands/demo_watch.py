"""What the demo watches while the worker works: every output as it is committed, and whether all input is through."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from streams.errors import OmsError

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message
    from confluent_kafka.admin import AdminClient

    from streams.config import Settings

Place = tuple[str, int]
# Nothing new for this long, with nothing left to read, is the end: the last turn's outputs are on their way until then.
QUIET_S = 0.7


class Watch:
    """Reads all output and internal topics from the start, read_committed. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        from streams import catalogue, topology

        self._settings = settings
        self._registry = topology.load(registry=settings.registry)
        self._agents = catalogue.choose(None)
        self._outputs = [topic.name for topic in self._registry.topics.values() if topic.is_output]
        self._inputs = [topic.name for topic in self._registry.topics.values() if topic.is_input]
        self._internal = sorted({name for agent in self._agents for name in agent.sources} - set(self._inputs))
        self._rows = self._registry.changelog_topic("identity")
        self._reader: Consumer | None = None
        self._admin: AdminClient | None = None
        self._groups: dict[str, Consumer] = {}
        self._ends: dict[Place, int] = defaultdict(int)
        self._read_to: dict[Place, int] = {}
        self._heard = time.monotonic()
        self.began: float | None = None
        self.last_output: float | None = None
        self.records: dict[str, list[tuple[str | None, Any]]] = {name: [] for name in self._outputs}
        self._parked: set[bytes] = set()
        """Rows of events that wait for their order, as the changelog of identity has them."""

    def __enter__(self) -> Watch:
        from confluent_kafka import TopicPartition

        from streams.clients import admin, consumer, require_topics
        from streams.engine.agent import consumer_group

        topics = [*self._outputs, *self._internal, self._rows]
        metadata = require_topics(self._settings, topics)
        places = [TopicPartition(topic, number, 0) for topic in topics for number in metadata.topics[topic].partitions]
        self._read_to = {(place.topic, place.partition): 0 for place in places}
        self._admin = admin(self._settings)
        self._reader = consumer(self._settings)
        self._reader.assign(places)
        for agent in self._agents:
            self._groups[agent.name] = consumer(self._settings, **{"group.id": consumer_group(agent)})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for client in (self._reader, *self._groups.values()):
            if client is not None:
                client.close()

    def poll(self, wait_s: float) -> None:
        """Take in what has been committed since the last call."""
        from confluent_kafka import KafkaError

        assert self._reader is not None
        for message in self._reader.consume(2000, wait_s):
            error = message.error()
            if error is None:
                self._take(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._read_to[message.topic(), message.partition()] = message.offset()
            elif not error.retriable():
                raise OmsError(f"reading the outputs: {error.str()}")

    def _take(self, message: Message) -> None:
        topic, partition, value = str(message.topic()), int(message.partition() or 0), message.value()
        self._heard = time.monotonic()
        self.began = self.began or self._heard
        self._ends[topic, partition] = int(message.offset() or 0) + 1
        key = message.key()
        if topic in self.records:
            decoded = None if value is None else self._registry.decoder(topic)(value)
            self.records[topic].append((None if key is None else key.decode(), decoded))
            self.last_output = self._heard
        elif topic == self._rows and key is not None and key.startswith(b"parked\0"):
            (self._parked.discard if value is None else self._parked.add)(key)

    def taken_in(self) -> int:
        """Input events that the first agent has committed."""
        first = self._agents[0]
        return sum(self._committed(first.name, first.sources).values())

    def settled(self) -> bool:
        """Whether every agent has committed what its sources hold, and all that came out has been read. To be asked
        once `taken_in` has counted all events: the embedded broker may answer an old end of a partition.

        Offsets can be seen before the records of the same transaction. So what agents have read must have been read
        here too, and only if nothing came while the offsets were asked for is nothing left on its way.
        """
        if time.monotonic() - self._heard < QUIET_S or not self._caught_up():
            return False
        seen = dict(self._ends)
        for agent in self._agents:
            committed = self._committed(agent.name, agent.sources)
            inputs = self._input_ends(agent.sources)
            if any(committed[place] < end for place, end in inputs.items()):
                return False
            if any(end != seen.get(place, 0) for place, end in committed.items() if place not in inputs):
                return False
        self.poll(QUIET_S)
        return self._caught_up() and self._ends == seen

    def _caught_up(self) -> bool:
        return all(self._read_to[place] >= end for place, end in self._high(list(self._read_to)).items())

    def _high(self, places: list[Place]) -> dict[Place, int]:
        """The ends of these partitions, asked for in one request: one each would wait behind a fetch each."""
        from confluent_kafka import TopicPartition
        from confluent_kafka.admin import OffsetSpec

        assert self._admin is not None
        asked = self._admin.list_offsets(
            {TopicPartition(*place): OffsetSpec.latest() for place in places}, request_timeout=10
        )
        return {(place.topic, place.partition): int(answer.result().offset) for place, answer in asked.items()}

    def _places(self, topics: tuple[str, ...]) -> list[Place]:
        assert self._reader is not None
        known = self._reader.list_topics(timeout=10).topics
        return [(topic, partition) for topic in topics for partition in known[topic].partitions]

    def _committed(self, agent: str, topics: tuple[str, ...]) -> dict[Place, int]:
        from confluent_kafka import TopicPartition

        asked = [TopicPartition(topic, partition) for topic, partition in self._places(topics)]
        return {(each.topic, each.partition): max(each.offset, 0) for each in self._groups[agent].committed(asked, 10)}

    def _input_ends(self, topics: tuple[str, ...]) -> dict[Place, int]:
        """Ends of external topics. Those of transactional ones count markers that no reader ever sees: see _take."""
        return self._high(self._places(tuple(topic for topic in topics if topic in self._inputs)))

    def newest(self, topic: str) -> dict[str, Any]:
        """The newest value of each key of a compacted topic."""
        return {key: value for key, value in self.records[topic] if key is not None and value is not None}

    def summary(self, cases: list[Path]) -> dict[str, Any]:
        """Counts of what came out, in all and for the orders of each of these event files."""
        orders = list(self.newest("order-states").values())
        alerts = list(self.newest("alerts").values())
        audit = [value for _, value in self.records["audit-log"]]
        return {
            "orders": len(orders),
            "cases": {path.name.partition(".")[0]: _case(path, orders) for path in cases},
            "states": dict(Counter(order["state"] for order in orders)),
            "flags": dict(Counter(flag for order in orders for flag in order["flags"])),
            "atomic_events": dict(Counter(value["event"] for _, value in self.records["order-events"])),
            "decisions": dict(Counter(row["decision"] for row in audit)),
            "parked": len(self._parked),
            "dead": dict(Counter(value["stage"] for _, value in self.records["dead-letters"])),
            "alerts": [
                {name: alert[name] for name in ("alert_key", "rule", "severity", "status", "title", "count")}
                for alert in alerts
                if alert["status"] != "closed"
            ],
            "examples": _examples(orders),
        }

    def save(self, folder: Path) -> None:
        """One TOPIC.jsonl per output topic, like `oms replay`."""
        from streams.engine.codec.json import line

        for topic, records in self.records.items():
            (folder / f"{topic}.jsonl").write_bytes(b"".join(line(key, value) for key, value in records))


def _case(path: Path, orders: list[dict[str, Any]]) -> dict[str, Any]:
    """States and flags of the orders that an event file creates."""
    from streams.lines import Line, read_lines

    values = [line.value for line in read_lines([path]) if isinstance(line, Line)]
    names = {(value.get("channel"), value.get("order_no")) for value in values if value.get("order_no")}
    mine = [order for order in orders if (order["channel"], order["order_no"]) in names]
    counts = Counter(order["state"] for order in mine) + Counter(flag for order in mine for flag in order["flags"])
    return {"orders": len(mine), "found": dict(counts)}


def _examples(orders: list[dict[str, Any]]) -> list[str]:
    """Orders worth a look: one per flag, and the one that changed most."""
    found: dict[str, None] = {}
    for flag in ("conflict", "gap", "refunded", "partially_refunded", "closed"):
        order = next((order for order in orders if flag in order["flags"]), None)
        if order is not None:
            found[order["order_guid"]] = None
    if orders:
        found[max(orders, key=lambda order: order["version"])["order_guid"]] = None
    return list(found)[:3]
