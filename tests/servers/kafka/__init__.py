"""A real Apache Kafka broker for tests and benchmarks: one node, KRaft, loopback only, its own data folder."""

from tests.servers.kafka.install import Missing, missing
from tests.servers.kafka.server import KafkaServer

__all__ = ["KafkaServer", "Missing", "missing"]
