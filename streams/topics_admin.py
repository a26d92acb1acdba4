"""Brings a broker to topics.yaml, says where it differs, and reads topics as JSON-able records.

What cannot be mended without harm is said and left alone: a partition count, because keys would move to other
partitions and away from the state that belongs to them.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams.engine.codec import json as json_codec
from streams.engine.codec.errors import DecodeError
from streams.errors import BrokerUnreachableError, OmsError
from streams.topology import Topic, Topology

WAIT_S: Final = 30.0
# Copies of each partition where the cluster has that many brokers, and how many must have a record before it counts.
REPLICAS: Final = 3
IN_SYNC: Final = 2
_BATCH: Final = 1000
_LOG: Final = logging.getLogger("librdkafka")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as topics.yaml says; `mendable` if `apply` mends it. `str()` is the line to show."""

    topic: str
    text: str
    mendable: bool = True

    def __str__(self) -> str:
        return f"{self.topic}: {self.text}"


@dataclass(frozen=True, slots=True)
class _State:
    missing: list[Topic]
    settings: dict[str, dict[str, str]]
    found: list[Difference]


def wanted(topology: Topology, agents: Iterable[str] = ()) -> list[Topic]:
    """Every topic the broker should have: those listed, and the changelogs of these agents (the ones with tables)."""
    return [*topology.topics.values(), *(topology.changelog(agent, topology.partitions) for agent in agents)]


def diff(conf: Mapping[str, Any], topology: Topology, agents: Iterable[str] = ()) -> list[Difference]:
    """Where the broker of `conf` (librdkafka keys) differs; empty if nowhere. Raises OmsError."""
    client = AdminClient(dict(conf), logger=_LOG)
    return _inspect(client, _metadata(client), wanted(topology, agents)).found


def apply(conf: Mapping[str, Any], topology: Topology, agents: Iterable[str] = ()) -> list[Difference]:
    """Create missing topics and mend settings; returns what was different. Safe to repeat, and from several places.

    The ones that are not `mendable` are still there afterwards. Raises OmsError if the broker refuses.
    """
    client = AdminClient(dict(conf), logger=_LOG)
    metadata = _metadata(client)
    state = _inspect(client, metadata, wanted(topology, agents))
    if state.missing:
        copies = min(REPLICAS, len(metadata.brokers))
        durable = {"min.insync.replicas": str(IN_SYNC)} if copies > IN_SYNC else {}
        new = [
            NewTopic(topic.name, topic.partitions, copies, config={**topic.config, **durable})
            for topic in state.missing
        ]
        _settle(client.create_topics(new, operation_timeout=WAIT_S), "create", allowed=KafkaError.TOPIC_ALREADY_EXISTS)
        _await_leaders(client, state.missing)
    if state.settings:
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                name,
                incremental_configs=[
                    ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                    for key, value in settings.items()
                ],
            )
            for name, settings in state.settings.items()
        ]
        futures = client.incremental_alter_configs(resources)
        _settle({resource.name: future for resource, future in futures.items()}, "alter")
    return state.found


def _inspect(client: AdminClient, metadata: ClusterMetadata, topics: list[Topic]) -> _State:
    state = _State([], {}, [])
    present = [topic for topic in topics if topic.name in metadata.topics]
    configs = _configs(client, present)
    for topic in topics:
        if topic not in present:
            state.missing.append(topic)
            state.found.append(Difference(topic.name, f"missing, to be made with {topic.partitions} partitions"))
            continue
        have = len(metadata.topics[topic.name].partitions)
        if have != topic.partitions:
            text = (
                f"has {have} partitions, topics.yaml wants {topic.partitions}: not changed, state would be torn apart"
            )
            state.found.append(Difference(topic.name, text, mendable=False))
        actual = configs.get(topic.name, {})
        wrong = {key: value for key, value in topic.config.items() if key in actual and actual[key] != value}
        for key, value in wrong.items():
            state.found.append(Difference(topic.name, f"{key} is {actual[key]}, topics.yaml wants {value}"))
        if wrong:
            state.settings[topic.name] = wrong
    return state


def _configs(client: AdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    """Topic -> its settings. A setting the broker does not tell (the embedded one tells few) is not compared."""
    if not topics:
        return {}
    futures = client.describe_configs([ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics])
    found = {}
    for resource, future in futures.items():
        try:
            found[resource.name] = {key: entry.value for key, entry in future.result(WAIT_S).items()}
        except KafkaException as error:
            raise OmsError(f"cannot read the settings of topic {resource.name}: {_text(error)}") from None
    return found


def _metadata(client: AdminClient) -> ClusterMetadata:
    try:
        return client.list_topics(timeout=WAIT_S)
    except KafkaException as error:
        raise BrokerUnreachableError(f"the broker does not answer: {_text(error)}") from None


def _settle(futures: Mapping[str, Future[Any]], verb: str, allowed: int | None = None) -> None:
    """Wait for all; one OmsError for the first refusal that is not `allowed`."""
    for name, future in futures.items():
        try:
            future.result(WAIT_S)
        except KafkaException as error:
            if error.args[0].code() != allowed:
                raise OmsError(f"cannot {verb} topic {name}: {_text(error)}") from None


def _await_leaders(client: AdminClient, topics: list[Topic]) -> None:
    """A topic just made has no leaders for a moment, and a client that comes then would see an unknown topic."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        known = _metadata(client).topics
        if all(
            topic.name in known
            and len(known[topic.name].partitions) >= 1
            and all(partition.leader >= 0 for partition in known[topic.name].partitions.values())
            for topic in topics
        ):
            return
        time.sleep(0.05)
    raise OmsError(f"topics were made but have no leader after {WAIT_S:g} s")


def _text(error: KafkaException) -> str:
    return str(error.args[0].str())


def read_topic(
    conf: Mapping[str, Any], topology: Topology, name: str, *, last: bool = False, follow: bool = False
) -> Iterator[dict[str, Any]]:
    """Records of a topic as `{"key": ..., "value": {...}}`, committed ones only, ready for JSON.

    Ends at the end that each partition has when the reader gets there, unless `follow`. `last` gives only the newest
    value of each key, oldest first, without deleted keys. A tombstone's value is None. Bytes are shown by the rule of
    `codec.json.readable`. A value that cannot be decoded gives `value` None and `error`, `partition`, `offset`.
    Changelogs, which no schema describes, are shown as bytes. Raises OmsError.
    """
    decode = bytes if name not in topology.topics and topology.is_changelog(name) else topology.decoder(name)
    newest: dict[bytes | None, Message] = {}
    for message in _messages(conf, name, follow):
        if message is None:
            # The end of all partitions: what was collected is complete, what comes is new.
            yield from (_shown(kept, decode) for kept in newest.values())
            newest.clear()
            last = False
        elif not last:
            yield _shown(message, decode)
        else:
            newest.pop(message.key(), None)
            if message.value() is not None:
                newest[message.key()] = message


def _shown(message: Message, decode: Any) -> dict[str, Any]:
    key, value = message.key(), message.value()
    shown = {"key": json_codec.readable(key), "value": None}
    if value is not None:
        try:
            shown["value"] = json_codec.readable(decode(value))
        except DecodeError as error:
            shown |= {"error": str(error), "partition": message.partition(), "offset": message.offset()}
    return shown


def _messages(conf: Mapping[str, Any], name: str, follow: bool) -> Iterator[Message | None]:
    """The messages of a topic from the first, None at the end of all partitions, and more if `follow`."""
    client = Consumer(
        {
            **conf,
            "group.id": "oms-read",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        },
        logger=_LOG,
    )
    try:
        known = client.list_topics(name, timeout=WAIT_S).topics[name]
        if known.error is not None:
            raise OmsError(f"the broker has no topic {name}: run `oms topics apply`")
        client.assign([TopicPartition(name, number, 0) for number in known.partitions])
        left = set(known.partitions)
        heard = time.monotonic()
        while left or follow:
            for message in client.consume(_BATCH, 0.2):
                heard = time.monotonic()
                error = message.error()
                if error is None:
                    if follow or message.partition() in left:
                        yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    if left == {message.partition()}:
                        yield None
                    left.discard(message.partition())
                elif not error.retriable():
                    raise OmsError(f"reading {name}: {error.str()}")
            if left and time.monotonic() - heard > WAIT_S:
                raise OmsError(f"the broker gave nothing for {WAIT_S:g} s while reading {name}")
    except KafkaException as error:
        raise BrokerUnreachableError(f"reading {name}: {_text(error)}") from None
    finally:
        client.close()
