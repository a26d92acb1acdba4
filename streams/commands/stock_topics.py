"""The stock topics, out of a replay's folder or off the broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.errors import OmsError, UsageError

if TYPE_CHECKING:
    from confluent_kafka import Message

    from streams.config import Settings

LEDGER, STATES, ORDERS = "stock-ledger", "inventory-states", "order-states"
STALL_S = 30.0


def find(settings: Settings, folder: Path | None, sku: str) -> dict[str, Any] | None:
    """One SKU as {"sku", "state", "held_for", "vouchers", "changes"}, or None if neither topic knows it.

    `held_for`: what the ledger holds by order, oldest first; `vouchers`: units held in carts, by no order yet;
    `changes`: all its ledger rows in order.
    """
    state: dict[str, Any] | None = None
    changes: list[dict[str, Any]] = []
    for topic, key, value in _of_sku(settings, folder, sku):
        if key != sku:
            continue
        if topic == STATES:
            state = value
        elif value is not None:
            changes.append(value)
    if state is None and not changes:
        return None
    held: dict[tuple[str, int | None], list[int]] = {}
    vouchers = 0
    for row in changes:
        if row["pool"] != "held":
            continue
        if row["order_guid"] is None:
            vouchers += row["delta"]
            continue
        units, since = held.get((row["order_guid"], row["line_no"]), [0, row["at"]])
        held[row["order_guid"], row["line_no"]] = [units + row["delta"], since if units else row["at"]]
    held_for = [
        {"order_guid": guid, "line_no": line, "units": units, "since": since}
        for (guid, line), (units, since) in held.items()
        if units
    ]
    return {"sku": sku, "state": state, "held_for": held_for, "vouchers": vouchers, "changes": changes}


def _of_sku(settings: Settings, folder: Path | None, sku: str) -> Iterator[tuple[str, str | None, Any]]:
    """(topic, key, value) of what may concern a SKU; ledger and states each in order."""
    if folder is not None:
        require_folder(folder)
        from streams.commands.order_files import rows

        for topic in (STATES, LEDGER):
            for key, value in rows(folder, topic, [sku]):
                yield topic, key, value
        return
    from streams import topology
    from streams.commands.tail import read_to_end

    registry = topology.load(registry=settings.registry)
    decoders = {topic: registry.decoder(topic) for topic in (STATES, LEDGER)}
    wanted = sku.encode()
    for message in read_to_end(settings, [*decoders], key=sku):
        if message.key() == wanted:
            topic, value = str(message.topic()), message.value()
            yield topic, sku, None if value is None else decoders[topic](value)


def require_folder(folder: Path) -> None:
    """UsageError unless the folder holds a replay with stock topics."""
    missing = [topic for topic in (STATES, LEDGER) if not (folder / f"{topic}.jsonl").is_file()]
    if missing:
        raise UsageError(f"{folder} is no folder of `oms replay`: it has no {missing[0]}.jsonl")


def lines(folder: Path, topic: str) -> Iterator[tuple[str, Any]]:
    """(key, value) of every line of DIR/TOPIC.jsonl; none if there is no such file."""
    from streams.commands import order_files

    for _, key, value in order_files.lines(folder, topic):
        yield key, value


class Follower:
    """Committed records of some topics from the first on, to the present end, and on from there when asked again."""

    def __init__(self, settings: Settings, topics: list[str]) -> None:
        from confluent_kafka import TopicPartition

        from streams.clients import consumer, require_topics

        metadata = require_topics(settings, topics)
        self._client = consumer(settings)
        self._places = [TopicPartition(name, part, 0) for name in topics for part in metadata.topics[name].partitions]
        self._open = {(place.topic, place.partition) for place in self._places}
        self.first = {
            (place.topic, place.partition): self._client.get_watermark_offsets(place, timeout=STALL_S)[0]
            for place in self._places
        }
        self._client.assign(self._places)

    def to_end(self) -> Iterator[Message]:
        """Up to the end each partition has when it is reached. OmsError if the broker falls silent."""
        heard = time.monotonic()
        while self._open:
            for message in self._messages(0.2):
                heard = time.monotonic()
                if message is not None:
                    yield message
            if time.monotonic() - heard > STALL_S:
                raise OmsError(f"the broker gave nothing for {STALL_S:g} s while reading the stock topics")

    def on(self, seconds: float) -> Iterator[Message]:
        """What comes within the next seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for message in self._messages(min(left, 0.2)):
                if message is not None:
                    yield message

    def _messages(self, wait: float) -> Iterator[Message | None]:
        """Records, and None for other signs of life."""
        from confluent_kafka import KafkaError

        for message in self._client.consume(1000, wait):
            error = message.error()
            if error is None:
                yield message
                continue
            if error.code() != KafkaError._PARTITION_EOF:
                raise OmsError(f"reading {message.topic()}: {error.str()}")
            self._open.discard((message.topic(), message.partition()))
            yield None

    def close(self) -> None:
        self._client.close()
