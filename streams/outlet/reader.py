"""A topic's committed records. The outbox knows how far it was read; the offsets committed to the group are for those
who watch its lag.

All partitions are read by this one process: it keeps what went out to itself, so a second one would know nothing of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streams.clients import LastError, consumer, require_topics
from streams.config import Settings
from streams.engine.codec.errors import DecodeError
from streams.errors import OmsError
from streams.outlet.records import Record

log = logging.getLogger(__name__)
_BATCH: Final = 500


class TopicReader:
    """Raises OmsError where the topic cannot be read; a broker that is away is waited for."""

    def __init__(self, settings: Settings, decode: Callable[[bytes], Any], topic: str, group: str) -> None:
        self._settings = settings
        self._decode = decode
        self._topic, self._group = topic, group
        self._error = LastError()
        self._consumer: Consumer = consumer(settings, **{"group.id": group, "error_cb": self._error})
        self._away = False
        self._at_end: set[int] = set()
        self._partitions: set[int] = set()

    def start(self, offsets: dict[int, int]) -> None:
        known = require_topics(self._settings, [self._topic]).topics[self._topic].partitions
        self._partitions = {*known}
        places = [TopicPartition(self._topic, number, offsets.get(number, OFFSET_BEGINNING)) for number in known]
        self._consumer.assign(places)

    def read(self, timeout_s: float) -> Iterator[Record]:
        try:
            messages = self._consumer.consume(_BATCH, timeout_s)
        except KafkaException as failed:
            raise OmsError(f"reading {self._topic}: {failed.args[0].str()}") from None
        if bool(self._error.text) != self._away:
            self._away = not self._away
            log.warning("the broker is away: %s", self._error.text) if self._away else log.info("the broker is back")
        if messages:
            self._error.text = ""
        for message in messages:
            error: KafkaError | None = message.error()
            if error is None:
                self._at_end.discard(message.partition())
                yield self._record(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at_end.add(message.partition())
            elif not error.retriable():
                raise OmsError(f"reading {self._topic}: {error.str()}")

    def _record(self, message: Any) -> Record:
        key, payload = (message.key() or b"").decode(errors="replace"), message.value()
        place = message.partition(), message.offset(), message.timestamp()[1], key
        if payload is None:
            return Record(*place, None)
        try:
            return Record(*place, self._decode(payload))
        except DecodeError as unreadable:
            log.error("%s, partition %d, offset %d cannot be read: %s", self._topic, place[0], place[1], unreadable)
            return Record(*place, None, readable=False)

    def done(self, offsets: dict[int, int]) -> None:
        """Told to the group without waiting; if that fails only the shown lag is wrong."""
        places = [TopicPartition(self._topic, number, at) for number, at in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            log.info("offsets of %s not committed: %s", self._group, error.args[0].str())

    def at_end(self) -> bool:
        return self._at_end >= self._partitions

    def lag(self) -> int:
        left = 0
        for place in self._consumer.position([TopicPartition(self._topic, number) for number in self._partitions]):
            _, high = self._consumer.get_watermark_offsets(place, cached=True)
            left += max(0, high - place.offset) if place.offset >= 0 else 0
        return left

    def close(self) -> None:
        self._consumer.close()
