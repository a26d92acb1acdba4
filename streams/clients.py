"""Kafka clients of the commands: quiet ones, whose troubles become one clear line instead of librdkafka's log."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata

from streams.config import Settings
from streams.errors import BrokerUnreachableError, OmsError

BROKER_WAIT_S = 10.0


def _quiet_logger() -> logging.Logger:
    logger = logging.getLogger("librdkafka")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    return logger


@dataclass(slots=True)
class LastError:
    """What a client complained of last; given to the person when a wait ends in vain."""

    text: str = field(default="")
    refused: bool = False
    """The broker answered and did not accept the credentials."""

    def __call__(self, error: KafkaError) -> None:
        # "All brokers down" follows every real cause and would hide it.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.text = str(error.str())
            self.refused = error.code() == KafkaError._AUTHENTICATION


def _make(kind: Any, settings: Settings, more: dict[str, Any]) -> Any:
    try:
        return kind(settings.client_config(**more), logger=_quiet_logger())
    except KafkaException as error:
        # Librdkafka names the key, and for a few keys the value: only the key may be shown.
        text = str(error.args[0].str())
        key = next((key for key in settings.kafka if key in text), None)
        if key is None:
            raise OmsError(f"Kafka client: {text}") from None
        variable = "OMS_KAFKA_" + key.upper().replace(".", "_")
        why = "no such librdkafka setting" if "No such configuration" in text else "not accepted by librdkafka"
        raise OmsError(f"{variable}: {why} ({key})") from None


def admin(settings: Settings, **more: Any) -> AdminClient:
    return _make(AdminClient, settings, more)


def producer(settings: Settings, **more: Any) -> Producer:
    """An idempotent producer that batches well. Raises OmsError for a setting librdkafka refuses."""
    tuned = {"enable.idempotence": True, "linger.ms": 5, "queue.buffering.max.messages": 200_000}
    return _make(Producer, settings, tuned | more)


def consumer(settings: Settings, **more: Any) -> Consumer:
    """A reader outside any group's offsets: read_committed, from the earliest record, with end-of-partition events."""
    tuned = {
        "group.id": "oms-cli",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,
    }
    return _make(Consumer, settings, tuned | more)


def require_broker(settings: Settings, wait_s: float = BROKER_WAIT_S) -> ClusterMetadata:
    """The cluster's metadata; waits up to `wait_s` seconds. Raises BrokerUnreachableError with the last cause seen, or
    OmsError if the broker refuses the credentials."""
    last = LastError()
    client = admin(settings, error_cb=last)
    try:
        return client.list_topics(timeout=wait_s)
    except KafkaException as error:
        client.poll(0)
        cause = last.text or str(error.args[0].str())
        if last.refused:
            raise OmsError(f"broker {settings.broker}: {cause}; see OMS_KAFKA_SASL_*") from None
        raise BrokerUnreachableError(
            f"no broker at {settings.broker} within {wait_s:g} s ({cause}); set OMS_BROKER or --broker"
        ) from None


def require_topics(settings: Settings, names: list[str], wait_s: float = BROKER_WAIT_S) -> ClusterMetadata:
    """Metadata of a broker that has all these topics. Raises OmsError naming the ones it lacks."""
    metadata = require_broker(settings, wait_s)
    missing = [name for name in names if name not in metadata.topics]
    if missing:
        raise OmsError(f"the broker has no topic {', '.join(missing)}: run `oms topics apply`")
    return metadata
