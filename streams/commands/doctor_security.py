"""What `oms doctor` says of the security settings of broker, registry and Connect: whether they fit together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.config import Settings

_SASL = ("sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password")


def summary(settings: Settings) -> str:
    """How one gets in at broker and registry, without a secret."""
    kafka, registry = settings.kafka, settings.registry
    protocol = kafka.get("security.protocol", "PLAINTEXT")
    mechanism = kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms"))
    broker = f"{protocol} with {mechanism}" if mechanism and protocol.startswith("SASL") else protocol
    return f"broker {broker}, registry {registry.url.partition(':')[0]}" + (" with a user" if registry.user else "")


def mismatches(settings: Settings) -> Iterator[str]:
    """Settings without effect because another one is not as they need it, and passwords that anybody may read on
    their way."""
    kafka, registry = settings.kafka, settings.registry
    protocol = kafka.get("security.protocol", "PLAINTEXT")
    if not protocol.startswith("SASL") and any(key in kafka for key in _SASL):
        yield f"OMS_KAFKA_SASL_* has no effect: OMS_KAFKA_SECURITY_PROTOCOL is {protocol}"
    if not protocol.endswith("SSL") and any(key.startswith("ssl.") for key in kafka):
        yield f"OMS_KAFKA_SSL_* has no effect: OMS_KAFKA_SECURITY_PROTOCOL is {protocol}"
    if protocol == "SASL_PLAINTEXT" and "PLAIN" in (kafka.get("sasl.mechanism"), kafka.get("sasl.mechanisms")):
        yield "the broker's password goes unencrypted: OMS_KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT"
    files = any((registry.ca, registry.cert))
    if registry.url.startswith("file:"):
        if registry.user or files:
            yield "OMS_REGISTRY_* has no effect: OMS_REGISTRY is a lock file"
    elif not registry.tls:
        if files:
            yield "OMS_REGISTRY_CA and OMS_REGISTRY_CERT have no effect: OMS_REGISTRY is not https"
        if registry.user:
            yield "the registry's password goes unencrypted: OMS_REGISTRY is not https"


def connect(settings: Settings) -> str:
    """What Connect is given, once all of it can be. Raises ConfigError."""
    from streams.connect.settings import ConnectSettings
    from streams.connect.worker import environment

    found = ConnectSettings.from_env()
    environment(settings, found)
    return f"{found.needed_database}; security of broker and registry goes over to it"
