"""`oms notify` on the real broker: committed alerts only, read on where it stopped, its lag to be seen by the group."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams import topology
from streams.config import Settings
from streams.domain.rules import data
from streams.notify.metrics import NotifyMetrics
from streams.notify.outbox import Outbox
from streams.notify.service import Notifier
from streams.outlet.reader import TopicReader
from streams.outlet.records import wall_ms
from tests.servers.kafka import KafkaServer
from tests.support.progress import wait_until
from tests.support.records import create_topics
from tests.unit.notify.desk import Hand, alert, robot, settings

pytestmark = pytest.mark.integration


class Topic:
    """Alerts written in transactions, as the agent does."""

    def __init__(self, broker: str) -> None:
        self.name = f"alerts-{uuid.uuid4().hex[:8]}"
        create_topics(broker, {self.name: 3})
        self._encode = topology.load().encoder("alerts")
        self._producer = Producer({"bootstrap.servers": broker, "transactional.id": self.name})
        self._producer.init_transactions(30)

    def say(self, *alerts: dict[str, Any], commit: bool = True) -> None:
        self._producer.begin_transaction()
        for each in alerts:
            self._producer.produce(self.name, self._encode(each), each["alert_key"])
        self._producer.flush(10)
        if commit:
            self._producer.commit_transaction(30)
        else:
            self._producer.abort_transaction(30)


def test_committed_alerts_are_told_once_over_restarts(kafka: KafkaServer, tmp_path: Path) -> None:
    topic, hand = Topic(kafka.bootstrap), Hand()
    worker = Settings(broker=kafka.bootstrap)
    group = f"{topic.name}-notify"

    def drain() -> NotifyMetrics:
        reader = TopicReader(worker, topology.load().decoder("alerts"), topic.name, group)
        outbox, metrics = Outbox(tmp_path / "outbox", wall_ms()), NotifyMetrics()
        try:
            notifier = Notifier(
                settings({"g": robot(per_minute=1000)}), data.alert_policies(), reader, outbox, hand, metrics
            )
            assert notifier.run(once=True, wait_s=30) == 0
            notifier.sample()
            return metrics
        finally:
            reader.close()
            outbox.close()

    topic.say(*[alert(f"k{number}") for number in range(20)])
    topic.say(alert("never"), commit=False)
    metrics = drain()
    assert sorted(hand.told("g")) == sorted(("open", f"k{number}") for number in range(20))
    assert metrics.registry.get_sample_value("oms_notify_lag_records") is not None
    drain()
    topic.say(alert("k3", status="closed"), alert("k21"))
    drain()
    assert len(hand.told("g")) == 22
    assert {*hand.told("g")[20:]} == {("closed", "k3"), ("open", "k21")}

    watcher = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    try:
        places = [TopicPartition(topic.name, number) for number in range(3)]

        def lag() -> int:
            ends = [watcher.get_watermark_offsets(place, timeout=10)[1] for place in places]
            return sum(
                end - place.offset for end, place in zip(ends, watcher.committed(places, timeout=10), strict=True)
            )

        # The end of a transaction takes a place too, and so does an aborted record.
        wait_until(lambda: lag() <= 9, 10, "offsets of the group near the end")
    finally:
        watcher.close()
