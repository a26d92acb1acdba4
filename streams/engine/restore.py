"""Brings the stores of newly assigned tasks up to date from the changelog.

Read with read_committed from each store's own position to the end: the high watermark as it was once the group's
offsets were known. Not the last stable offset: when a worker takes over right after its predecessor's commit, the
commit marker may not have reached the changelog partition, so that still hides the last turn. Nor is it enough that the
marker row has caught up with the group's offsets: a turn that only fired timers moves none (KAFKA-10167).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
"""Without a record or an end for this long, and the time that a transaction may stay open, the broker is taken to be
unusable."""
STALE_MS: Final = 5 * 86_400_000
"""A store not written for this long is rebuilt: tombstones it missed may have been compacted away (changelogs keep
them for seven days)."""


@dataclass(slots=True)
class Restoring:
    """One partition on its way: its store, the group's committed offsets by topic, whose marker rows lie in it
    (`joint.scopes`), records so far, where it stands and has to come."""

    store: Store
    committed: Mapping[str, int]
    scopes: Sequence[bytes] = (b"",)
    records: int = 0
    position: int = 0
    end: int = 0
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
        bounds = _bounds(conf, topic, stores)
        for partition, restoring in stores.items():
            low, restoring.end = bounds[partition]
            restoring.position = _start(f"{topic}/{partition}", restoring.store, low, restoring.end)
        consumer.assign([TopicPartition(topic, partition, one.position) for partition, one in stores.items()])
        return _read(consumer, topic, stores, progress)
    except KafkaException as error:
        raise failure(f"cannot restore from {topic}", error) from error
    finally:
        consumer.close()


def _bounds(conf: Mapping[str, Any], topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Begin and end of the log by partition, whatever transactions are open: a read_uncommitted client's view."""
    probe = Consumer({**conf, "group.id": f"{topic}-probe", "isolation.level": "read_uncommitted"})
    try:
        return {
            partition: probe.get_watermark_offsets(TopicPartition(topic, partition), timeout=QUIET_SECONDS)
            for partition in partitions
        }
    finally:
        probe.close()


def _start(place: str, store: Store, low: int, end: int) -> int:
    """Where to read on: the stored position, or the beginning if the store cannot be continued."""
    stored = store.get(POSITION)
    if stored is None:
        return low
    position, written = _pair.unpack(stored)
    if position > end or position < low or time.time() * 1000 - written > STALE_MS:
        log.warning("%s: the local store cannot be continued; rebuilding it from the changelog", place)
        store.clear()
        return low
    return int(position)


def _read(consumer: Consumer, topic: str, stores: Mapping[int, Restoring], progress: Progress) -> int:
    total, left = 0, len(stores)
    started = reported = heard = time.monotonic()
    while left:
        changes: dict[int, list[Change]] = {}
        ended = False
        for message in consumer.consume(BATCH, 0.05):
            partition = message.partition()
            error = message.error()
            if error is None:
                try:
                    changes[partition].append((message.key(), message.value()))
                except KeyError:
                    changes[partition] = [(message.key(), message.value())]
                stores[partition].position = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # of what is stable; beyond commit and abort markers
                stores[partition].position = max(stores[partition].position, message.offset())
                ended = True
            elif not error.retriable():
                raise KafkaException(error)
        now = time.monotonic()
        for partition, rows in changes.items():
            restoring = stores[partition]
            restoring.records += len(rows)
            total += len(rows)
            rows.append((POSITION, _pair.pack(restoring.position, int(time.time() * 1000))))
            restoring.store.write(rows)
        if changes or ended:
            heard = now
        for partition, restoring in stores.items():
            if not restoring.done and restoring.position >= restoring.end:
                restoring.done = True
                left -= 1
                _compare(f"{topic}/{partition}", restoring)
        if now - reported > REPORT_SECONDS:
            reported = now
            rate = total / max(now - started, 0.001)
            log.info("restoring %s: %d records, %.0f/s, %d partitions left", topic, total, rate, left)
        progress(total, left)
        if now - heard > QUIET_SECONDS + TRANSACTION_TIMEOUT_MS / 1000:
            raise Unreachable(f"restoring {topic}: nothing heard from the broker for {now - heard:.0f} s")
    return total


def _compare(place: str, restoring: Restoring) -> None:
    """The group's offsets may have been moved by hand."""
    for scope in restoring.scopes:
        for source, committed in restoring.committed.items():
            row = restoring.store.get(scope + MARK + source.encode())
            if committed > (0 if row is None else _pair.unpack(row)[0]):
                log.warning("%s: the group's offsets are beyond the state's own position, which rules", place)
                return
