"""Reading topics from the first record to the end, committed records only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from streams.errors import OmsError

if TYPE_CHECKING:
    from confluent_kafka import Message

    from streams.config import Settings

STALL_S = 30.0


def read_to_end(
    settings: Settings, topics: list[str], *, key: str | None = None, newest: int | None = None
) -> Iterator[Message]:
    """Every committed record of the topics up to their present ends. Raises OmsError if the broker falls silent.

    `key`: only the partitions this key goes to; `newest`: not more than about so many records of each partition.
    """
    from confluent_kafka import KafkaError, TopicPartition

    from streams.clients import consumer, require_topics
    from streams.engine.partitioner import partition_of

    metadata = require_topics(settings, topics)
    counts = {name: len(metadata.topics[name].partitions) for name in topics}
    places = [
        TopicPartition(name, number, 0)
        for name, count in counts.items()
        for number in (range(count) if key is None else [partition_of(key.encode(), count)])
    ]
    client = consumer(settings)
    try:
        if newest is not None:
            for place in places:
                low, high = client.get_watermark_offsets(place, timeout=STALL_S)
                place.offset = max(low, high - newest)
        client.assign(places)
        open_places = {(place.topic, place.partition) for place in places}
        heard = time.monotonic()
        while open_places:
            messages = client.consume(1000, 0.2)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > STALL_S:
                raise OmsError(f"the broker gave nothing for {STALL_S:g} s while reading {', '.join(topics)}")
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_places.discard((message.topic(), message.partition()))
                else:
                    raise OmsError(f"reading {message.topic()}: {error.str()}")
    finally:
        client.close()
