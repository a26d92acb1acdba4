"""What Connect's Java clients are told of the broker's and the registry's security. No I/O.

librdkafka's words (OMS_KAFKA_*) and those of OMS_REGISTRY_* become the Java clients' and the converter's. What these
have no words for is refused by name: a worker that is less strict than was asked for would be worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.config import ConfigError
from streams.engine.codec.access import Access

SASL: Final = "OMS_CONNECT_SASL"
_LOGINS: Final = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_SECURITY: Final = ("security.", "ssl.", "sasl.", "enable.ssl.", "enable.sasl.", "https.")
# What stands in a variable: librdkafka's key, the Java client's, and the variable.
_HIDDEN: Final = (
    ("ssl.ca.pem", "ssl.truststore.certificates", "OMS_CONNECT_SSL_CA"),
    ("ssl.certificate.pem", "ssl.keystore.certificate.chain", "OMS_CONNECT_SSL_CERTIFICATE"),
    ("ssl.key.pem", "ssl.keystore.key", "OMS_CONNECT_SSL_KEY"),
    ("ssl.key.password", "ssl.key.password", "OMS_CONNECT_SSL_KEY_PASSWORD"),
    ("ssl.keystore.password", "ssl.keystore.password", "OMS_CONNECT_SSL_KEYSTORE_PASSWORD"),
)
_CONVERTER: Final = "value.converter.apicurio."


@dataclass(frozen=True, slots=True)
class Security:
    """`properties` name the variables in which secrets stand: `variables` with their text, `files` with the file whose
    text belongs there. So nothing secret is in a file of ours, in Connect's topics or in what it answers."""

    properties: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    files: dict[str, str] = field(default_factory=dict)

    def name(self, property: str, variable: str) -> None:
        self.properties[property] = f"${{env:{variable}}}"


def of_broker(kafka: Mapping[str, str]) -> Security:
    """For every client of the worker, from librdkafka's keys. What is no security is tuning, and left out.

    Raises ConfigError.
    """
    left = {key: value for key, value in kafka.items() if key.startswith(_SECURITY)}
    found = Security()
    if protocol := left.pop("security.protocol", ""):
        found.properties["security.protocol"] = protocol
    _sasl(left, found, needed=protocol.startswith("SASL"))
    _tls(left, found)
    for key in sorted(left):
        raise ConfigError(f"{_variable(key)}: not carried over to Connect, whose clients have no such setting")
    return found


def of_registry(access: Access) -> Security:
    """For the converter of every connector. Raises ConfigError."""
    found = Security()
    if access.user:
        found.name(f"{_CONVERTER}auth.username", "OMS_CONNECT_REGISTRY_USER")
        found.name(f"{_CONVERTER}auth.password", "OMS_CONNECT_REGISTRY_PASSWORD")
        found.variables["OMS_CONNECT_REGISTRY_USER"] = access.user
        found.variables["OMS_CONNECT_REGISTRY_PASSWORD"] = access.password
    if access.tls and access.cert:
        raise ConfigError("OMS_REGISTRY_CERT: not carried over to Connect, whose converter reads no PEM key")
    if access.tls and access.ca:
        # Not `apicurio.registry.request.ssl...`: its client mixes up two of those names.
        found.name(f"{_CONVERTER}rest.request.ssl.ca-bundle.location", "OMS_CONNECT_REGISTRY_CA")
        found.variables["OMS_CONNECT_REGISTRY_CA"] = access.ca
    return found


def _sasl(left: dict[str, str], found: Security, *, needed: bool) -> None:
    mechanism, other = left.pop("sasl.mechanism", ""), left.pop("sasl.mechanisms", "")
    mechanism = mechanism or other
    if needed and not mechanism:
        raise ConfigError("OMS_KAFKA_SASL_MECHANISM is not set: librdkafka's choice, GSSAPI, does not go to Connect")
    if not mechanism:
        left.pop("sasl.username", "")
        left.pop("sasl.password", "")
        return
    if mechanism not in _LOGINS:
        raise ConfigError(f"OMS_KAFKA_SASL_MECHANISM: {mechanism} is not carried over to Connect")
    for key in ("sasl.username", "sasl.password"):
        if not left.get(key):
            raise ConfigError(f"{_variable(key)} is not set: Connect needs it for {mechanism}")
    user, password = (_quoted(left.pop(key)) for key in ("sasl.username", "sasl.password"))
    found.properties["sasl.mechanism"] = mechanism
    found.name("sasl.jaas.config", SASL)
    found.variables[SASL] = f"{_LOGINS[mechanism]} required username={user} password={password};"


def _tls(left: dict[str, str], found: Security) -> None:
    for what in ("ca", "certificate", "key"):
        if left.get(f"ssl.{what}.location") and left.get(f"ssl.{what}.pem"):
            raise ConfigError(f"{_variable(f'ssl.{what}.location')} and ..._PEM are both set: keep one")
    ca = left.pop("ssl.ca.location", "")
    if ca and ca != "probe":  # that is to look where the system keeps its own, as Java does anyway
        found.properties["ssl.truststore.location"] = ca
    if ca not in ("", "probe") or left.get("ssl.ca.pem"):
        found.properties["ssl.truststore.type"] = "PEM"
    _own_certificate(left, found)
    for key, property, variable in _HIDDEN:
        if text := left.pop(key, ""):
            found.name(property, variable)
            found.variables[variable] = text
    if (algorithm := left.pop("ssl.endpoint.identification.algorithm", "https")) != "https":
        found.properties["ssl.endpoint.identification.algorithm"] = "" if algorithm == "none" else algorithm
    if left.get("enable.ssl.certificate.verification", "").lower() in ("true", "1", "yes", "t"):
        left.pop("enable.ssl.certificate.verification")


def _own_certificate(left: dict[str, str], found: Security) -> None:
    """The client's: certificate and key as PEM, or a PKCS#12 file with both."""
    has = {what for what in ("certificate", "key") if left.get(f"ssl.{what}.location") or left.get(f"ssl.{what}.pem")}
    store = left.pop("ssl.keystore.location", "")
    if store and has:
        raise ConfigError("OMS_KAFKA_SSL_KEYSTORE_LOCATION: not beside a certificate or key of its own: keep one")
    if len(has) == 1:
        raise ConfigError("OMS_KAFKA_SSL_CERTIFICATE_LOCATION and OMS_KAFKA_SSL_KEY_LOCATION: Connect needs both")
    if store:
        found.properties.update({"ssl.keystore.type": "PKCS12", "ssl.keystore.location": store})
    if has:
        found.properties["ssl.keystore.type"] = "PEM"
        for key, property, variable in _HIDDEN:
            if key.endswith(".pem") and (path := left.pop(key.replace(".pem", ".location"), "")):
                found.name(property, variable)
                found.files[variable] = path


def _quoted(text: str) -> str:
    """A word of a JAAS line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _variable(key: str) -> str:
    return f"OMS_KAFKA_{key.upper().replace('.', '_')}"
