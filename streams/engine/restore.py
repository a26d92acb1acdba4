"""Brings the stores of newly assigned tasks up to date from the changelog.

Read with read_committed from each store's own position to the end. "The end" needs care: when a worker takes over right
after its predecessor's commit, the group's offsets may already be visible while the commit marker has not reached the
changelog partition, so its last stable offset still hides that turn. The end is therefore where the marker row has
caught up with the group's committed offsets - or, where those were moved by hand, the high watermark.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.errors import Unreachable
from streams.engine.store import Change, Store
from streams.engine.task import MARK, POSITION, _pair
from streams.engine.transaction import TRANSACTION_TIMEOUT_MS, failure

log = logging.getLogger(__name__)

BATCH: Final = 10_000
REPORT_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 30.0
"""Without a record or an end for this long the broker is taken to be unusable."""
STALE_MS: Final = 5 * 86_400_000
"""A store not written for this long is rebuilt: tombstones it missed may have been compacted away (changelogs keep
them for seven days)."""


@dataclass(slots=True)
class Restoring:
    """One partition on its way: its store, the group's committed offsets by topic, whose marker rows lie in it
    (`joint.scopes`), records so far."""

    store: Store
    committed: Mapping[str, int]
    scopes: Sequence[bytes] = (b"",)
    records: int = 0
    position: int = 0
    high: int | None = None
    done: bool = False


Progress = Callable[[int, int], None]
"""(records restored, partitions left)."""


def restore(conf: Mapping[str, Any], topic: str, stores: Mapping[int, Restoring], progress: Progress) -> int:
    """Bring every store to the end of its changelog partition; answers the number of records read."""
    consumer = Consumer(
        {
            **conf,
            "group.id": f"{topic}-restore",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 20,
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": 32_768,
        }
    )
    try:
        places = []
        for partition, restoring in stores.items():
            restoring.position = _start(consumer, topic, partition, restoring.store)
            places.append(TopicPartition(topic, partition, restoring.position))
        consumer.assign(places)
        return _read(conf, consumer, topic, stores, progress)
    except KafkaException as error:
        raise failure(f"cannot restore from {topic}", error) from error
    finally:
        consumer.close()


def _start(consumer: Consumer, topic: str, partition: int, store: Store) -> int:
    """Where to read on: the stored position, or the beginning if the store cannot be continued."""
    low: int
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=QUIET_SECONDS)
    stored = store.get(POSITION)
    if stored is None:
        return low
    position, written = _pair.unpack(stored)
    if position > high or position < low or time.time() * 1000 - written > STALE_MS:
        log.warning("%s/%d: the local store cannot be continued; rebuilding it from the changelog", topic, partition)
        store.clear()
        return low
    return int(position)


def _read(
    conf: Mapping[str, Any], consumer: Consumer, topic: str, stores: Mapping[int, Restoring], progress: Progress
) -> int:
    total, left = 0, len(stores)
    started = reported = heard = time.monotonic()
    while left:
        changes: dict[int, list[Change]] = {}
        ends: list[int] = []
        for message in consumer.consume(BATCH, 0.05):
            partition = message.partition()
            error = message.error()
            if error is None:
                try:
                    changes[partition].append((message.key(), message.value()))
                except KeyError:
                    changes[partition] = [(message.key(), message.value())]
                stores[partition].position = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                stores[partition].position = max(stores[partition].position, message.offset())
                ends.append(partition)
            elif not error.retriable():
                raise KafkaException(error)
        now = time.monotonic()
        for partition, rows in changes.items():
            restoring = stores[partition]
            restoring.records += len(rows)
            total += len(rows)
            rows.append((POSITION, _pair.pack(restoring.position, int(time.time() * 1000))))
            restoring.store.write(rows)
        if changes or ends:
            heard = now
        for partition, restoring in stores.items():
            if restoring.done or not (partition in ends or restoring.high is not None):
                continue
            if _at_end(conf, topic, partition, restoring):
                restoring.done = True
                left -= 1
        if now - reported > REPORT_SECONDS:
            reported = now
            rate = total / max(now - started, 0.001)
            log.info("restoring %s: %d records, %.0f/s, %d partitions left", topic, total, rate, left)
        progress(total, left)
        if now - heard > QUIET_SECONDS + TRANSACTION_TIMEOUT_MS / 1000:
            raise Unreachable(f"restoring {topic}: nothing heard from the broker for {now - heard:.0f} s")
    return total


def _at_end(conf: Mapping[str, Any], topic: str, partition: int, restoring: Restoring) -> bool:
    if all(
        committed <= (0 if row is None else _pair.unpack(row)[0])
        for source, committed in restoring.committed.items()
        for row in (restoring.store.get(scope + MARK + source.encode()) for scope in restoring.scopes)
    ):
        return True
    if restoring.high is None:
        restoring.high = _high_watermark(conf, topic, partition)
    if restoring.position >= restoring.high:
        log.warning("%s/%d: the group's offsets are beyond the state's own position, which rules", topic, partition)
        return True
    return False


def _high_watermark(conf: Mapping[str, Any], topic: str, partition: int) -> int:
    """End of the log whatever transactions are open: a read_uncommitted client's view."""
    probe = Consumer({**conf, "group.id": f"{topic}-probe", "isolation.level": "read_uncommitted"})
    try:
        return int(probe.get_watermark_offsets(TopicPartition(topic, partition), timeout=QUIET_SECONDS)[1])
    finally:
        probe.close()
