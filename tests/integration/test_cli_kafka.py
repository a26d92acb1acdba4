"""Commands that need what only the real broker has."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import NewTopic

from streams.clients import admin
from streams.commands.order_workers import member_urls
from streams.config import Settings
from tests.servers.kafka import KafkaServer

pytestmark = pytest.mark.integration


def test_workers_are_found_by_the_client_ids_of_their_groups(kafka: KafkaServer) -> None:
    settings = Settings(broker=kafka.bootstrap)
    topic = "cli-members"
    maker = admin(settings)
    maker.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    client = Consumer(settings.client_config(**{"group.id": "oms-alerts", "client.id": "oms-w.1@10.0.0.5:8080"}))
    try:
        client.subscribe([topic])
        deadline = time.monotonic() + 20
        while not client.assignment() and time.monotonic() < deadline:
            client.poll(0.1)
        assert "http://10.0.0.5:8080" in member_urls(settings)
    finally:
        client.close()
