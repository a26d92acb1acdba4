"""A restore on a real broker whose last stable offset is behind what was committed."""

from __future__ import annotations

import threading
import uuid

import pytest
from confluent_kafka import Producer

from streams.engine.restore import Restoring, restore
from streams.engine.store import Change, MemoryStore
from streams.engine.task import MARK, _pair
from tests.servers.kafka import KafkaServer
from tests.support.records import create_topics

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("kept", [True, False])
def test_a_turn_that_moved_no_offsets_is_restored_though_it_is_not_stable_yet(kafka: KafkaServer, kept: bool) -> None:
    """An open transaction of somebody else stands for a commit marker on its way: it holds the reader back as well."""
    log, timer, marker = uuid.uuid4().hex[:8], b"\1timer\0late", (MARK + b"in", _pair.pack(7, 0))
    create_topics(kafka.bootstrap, {log: 1})
    conf = {"bootstrap.servers": kafka.bootstrap}

    def producer(name: str) -> Producer:
        one = Producer({**conf, "transactional.id": f"{log}-{name}"})
        one.init_transactions(20)
        return one

    def turn(one: Producer, *rows: Change) -> None:
        one.begin_transaction()
        for key, value in rows:
            one.produce(log, value, key)
        one.flush(20)

    worker, other = producer("worker"), producer("other")
    turn(worker, (timer, b"due"), marker)
    worker.commit_transaction(20)
    turn(other, (b"between", b"1"))
    turn(worker, (timer, None), marker)
    worker.commit_transaction(20)
    end = threading.Timer(2, other.commit_transaction if kept else other.abort_transaction, (20,))
    end.start()
    store = MemoryStore()
    restore(conf, log, {0: Restoring(store, {"in": 7})}, lambda records, left: None)
    end.join()
    assert store.get(timer) is None
    assert store.get(b"between") == (b"1" if kept else None)
