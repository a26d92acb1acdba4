"""What librdkafka and the registry's client are told goes to Connect in its own words, or is refused by name."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from streams.config import ConfigError, Settings
from streams.connect import connectors
from streams.connect.security import Security, of_broker, of_registry
from streams.connect.settings import ConnectSettings
from streams.connect.worker import Worker, environment, properties
from streams.engine.codec.access import Access

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
USER = {"sasl.username": "oms", "sasl.password": "hush"}
URL = "https://r:8443/apis/ccompat/v7"
PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


def connect() -> ConnectSettings:
    return ConnectSettings.from_env(
        {"OMS_CONNECT_DB": "postgresql://oms@db:5433/finance", "OMS_CONNECT_DB_PASSWORD": "hush-db"}
    )


@pytest.mark.parametrize(
    ("kafka", "told", "variables"),
    [
        ({}, {}, {}),
        ({"socket.keepalive.enable": "true"}, {}, {}),
        ({"security.protocol": "SSL"}, {"security.protocol": "SSL"}, {}),
        (
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", **USER},
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "PLAIN",
                "sasl.jaas.config": "${env:OMS_CONNECT_SASL}",
            },
            {"OMS_CONNECT_SASL": f'{PLAIN} required username="oms" password="hush";'},
        ),
        *(
            (
                {"sasl.mechanisms": mechanism, **USER},
                {"sasl.mechanism": mechanism, "sasl.jaas.config": "${env:OMS_CONNECT_SASL}"},
                {"OMS_CONNECT_SASL": f'{SCRAM} required username="oms" password="hush";'},
            )
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ),
        (
            {"sasl.mechanism": "PLAIN", "sasl.username": 'o"ms', "sasl.password": 'a\\b"; x="\n'},
            {"sasl.mechanism": "PLAIN", "sasl.jaas.config": "${env:OMS_CONNECT_SASL}"},
            {"OMS_CONNECT_SASL": f'{PLAIN} required username="o\\"ms" password="a\\\\b\\"; x=\\"\\n";'},
        ),
        ({"ssl.ca.location": "/ca"}, {"ssl.truststore.type": "PEM", "ssl.truststore.location": "/ca"}, {}),
        ({"ssl.ca.location": "probe"}, {}, {}),
        (
            {"ssl.ca.pem": PEM},
            {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": "${env:OMS_CONNECT_SSL_CA}"},
            {"OMS_CONNECT_SSL_CA": PEM},
        ),
        (
            {"ssl.certificate.pem": "c", "ssl.key.pem": "k", "ssl.key.password": "hush"},
            {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.certificate.chain": "${env:OMS_CONNECT_SSL_CERTIFICATE}",
                "ssl.keystore.key": "${env:OMS_CONNECT_SSL_KEY}",
                "ssl.key.password": "${env:OMS_CONNECT_SSL_KEY_PASSWORD}",
            },
            {
                "OMS_CONNECT_SSL_CERTIFICATE": "c",
                "OMS_CONNECT_SSL_KEY": "k",
                "OMS_CONNECT_SSL_KEY_PASSWORD": "hush",
            },
        ),
        (
            {"ssl.keystore.location": "/p12", "ssl.keystore.password": "hush"},
            {
                "ssl.keystore.type": "PKCS12",
                "ssl.keystore.location": "/p12",
                "ssl.keystore.password": "${env:OMS_CONNECT_SSL_KEYSTORE_PASSWORD}",
            },
            {"OMS_CONNECT_SSL_KEYSTORE_PASSWORD": "hush"},
        ),
        ({"ssl.endpoint.identification.algorithm": "https"}, {}, {}),
        ({"ssl.endpoint.identification.algorithm": "none"}, {"ssl.endpoint.identification.algorithm": ""}, {}),
        ({"enable.ssl.certificate.verification": "true"}, {}, {}),
    ],
)
def test_librdkafkas_words_become_the_java_clients(
    kafka: dict[str, str], told: dict[str, str], variables: dict[str, str]
) -> None:
    assert of_broker(kafka) == Security(told, variables)


def test_certificate_and_key_are_read_into_variables(tmp_path: Path) -> None:
    found = of_broker({"ssl.certificate.location": "/c.pem", "ssl.key.location": "/k.pem"})
    assert found.properties == {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": "${env:OMS_CONNECT_SSL_CERTIFICATE}",
        "ssl.keystore.key": "${env:OMS_CONNECT_SSL_KEY}",
    }
    assert found.files == {"OMS_CONNECT_SSL_CERTIFICATE": "/c.pem", "OMS_CONNECT_SSL_KEY": "/k.pem"}
    assert found.variables == {}


@pytest.mark.parametrize(
    ("kafka", "says"),
    [
        ({"sasl.mechanism": "OAUTHBEARER"}, "OMS_KAFKA_SASL_MECHANISM: OAUTHBEARER is not carried over"),
        ({"sasl.mechanism": "GSSAPI"}, "OMS_KAFKA_SASL_MECHANISM: GSSAPI is not carried over"),
        ({"security.protocol": "SASL_SSL", **USER}, "OMS_KAFKA_SASL_MECHANISM is not set"),
        ({"sasl.mechanism": "PLAIN", "sasl.username": "oms"}, "OMS_KAFKA_SASL_PASSWORD is not set"),
        ({"sasl.mechanism": "PLAIN", "sasl.password": "hush"}, "OMS_KAFKA_SASL_USERNAME is not set"),
        ({"sasl.kerberos.keytab": "hush"}, "OMS_KAFKA_SASL_KERBEROS_KEYTAB: not carried over"),
        ({"ssl.cipher.suites": "hush"}, "OMS_KAFKA_SSL_CIPHER_SUITES: not carried over"),
        ({"ssl.crl.location": "hush"}, "OMS_KAFKA_SSL_CRL_LOCATION: not carried over"),
        ({"enable.ssl.certificate.verification": "false"}, "OMS_KAFKA_ENABLE_SSL_CERTIFICATE_VERIFICATION: not"),
        ({"ssl.key.location": "/k"}, "OMS_KAFKA_SSL_CERTIFICATE_LOCATION and OMS_KAFKA_SSL_KEY_LOCATION: Connect"),
        ({"ssl.certificate.pem": "hush"}, "OMS_KAFKA_SSL_CERTIFICATE_LOCATION and OMS_KAFKA_SSL_KEY_LOCATION: Connect"),
        ({"ssl.ca.location": "/a", "ssl.ca.pem": "hush"}, "OMS_KAFKA_SSL_CA_LOCATION and ..._PEM are both set"),
        ({"ssl.keystore.location": "/a", "ssl.key.pem": "hush"}, "OMS_KAFKA_SSL_KEYSTORE_LOCATION: not beside"),
    ],
)
def test_what_connect_has_no_words_for_is_refused_by_name(kafka: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as told:
        of_broker(kafka)
    assert str(told.value).startswith(says)
    assert "hush" not in str(told.value)


def test_the_registrys_user_and_authority_go_to_every_converter() -> None:
    found = of_registry(Access(URL, "me", "hush", ca="/ca.pem"))
    assert found.properties == {
        "value.converter.apicurio.auth.username": "${env:OMS_CONNECT_REGISTRY_USER}",
        "value.converter.apicurio.auth.password": "${env:OMS_CONNECT_REGISTRY_PASSWORD}",
        "value.converter.apicurio.rest.request.ssl.ca-bundle.location": "${env:OMS_CONNECT_REGISTRY_CA}",
    }
    assert found.variables == {
        "OMS_CONNECT_REGISTRY_USER": "me",
        "OMS_CONNECT_REGISTRY_PASSWORD": "hush",
        "OMS_CONNECT_REGISTRY_CA": "/ca.pem",
    }
    assert "hush" not in repr(found)
    plain, secured = connectors.load(), connectors.load(also=found.properties)
    assert [one.config for one in secured] == [{**one.config, **found.properties} for one in plain]
    assert of_registry(Access("http://r:8080/apis/ccompat/v7", ca="/ca.pem")) == Security()
    with pytest.raises(ConfigError, match="OMS_REGISTRY_CERT: not carried over"):
        of_registry(Access(URL, cert="/c.pem"))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Everything set that may be."""
    for name in ("ca", "certificate", "key"):
        (tmp_path / f"{name}.pem").write_text(PEM.replace("MA==", f"hush-{name}"))
    return {
        "OMS_DATA_DIR": str(tmp_path / "data"),
        "OMS_WORKER_ID": "connect",
        "OMS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "OMS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "OMS_KAFKA_SASL_USERNAME": "hush-user",
        "OMS_KAFKA_SASL_PASSWORD": "hush-word",
        "OMS_KAFKA_SSL_CA_LOCATION": str(tmp_path / "ca.pem"),
        "OMS_KAFKA_SSL_CERTIFICATE_LOCATION": str(tmp_path / "certificate.pem"),
        "OMS_KAFKA_SSL_KEY_LOCATION": str(tmp_path / "key.pem"),
        "OMS_KAFKA_SSL_KEY_PASSWORD": "hush-key",
        "OMS_REGISTRY": URL,
        "OMS_REGISTRY_USER": "me",
        "OMS_REGISTRY_PASSWORD": "hush-registry",
        "OMS_REGISTRY_CA": str(tmp_path / "ca.pem"),
    }


def test_every_client_of_the_worker_is_told_and_secrets_stand_in_its_environment_alone(
    env: dict[str, str], tmp_path: Path
) -> None:
    own = Settings.from_env(env)
    found, inside = properties(own, connect(), tmp_path, 3), environment(own, connect())
    told = of_broker(own.kafka).properties
    assert len(told) == 9
    for client in ("", "consumer.", "producer.", "admin."):
        assert {key: found[f"{client}{key}"] for key in told} == told
    assert (found["listeners"], found["config.storage.replication.factor"]) == ("http://127.0.0.1:8083", "3")
    assert "hush" not in repr(found) + repr(own)
    assert inside["OMS_CONNECT_SSL_KEY"] == (tmp_path / "key.pem").read_text()
    assert inside["OMS_CONNECT_REGISTRY_PASSWORD"] == "hush-registry"
    assert inside["OMS_CONNECT_DB_PASSWORD"] == "hush-db"
    assert inside["LC_ALL"] == "C.UTF-8"
    named = {text[6:-1] for text in (*found.values(), *of_registry(own.registry).properties.values()) if "${" in text}
    assert named <= inside.keys(), "a variable that is named and not there stays as it is written"
    assert not [name for name in inside if name.startswith("OMS_") and not name.startswith("OMS_CONNECT_")]


def test_the_workers_properties_are_nobody_elses_to_read(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.connect.worker.java", lambda: "java")
    monkeypatch.setattr("streams.connect.worker.spawn", lambda *_, **__: None)
    authority = tmp_path / "证书.pem"
    authority.write_text(PEM)
    own = Settings.from_env(env | {"OMS_KAFKA_SSL_CA_LOCATION": str(authority)})
    own.data_dir.mkdir(parents=True)
    path = own.data_dir / "worker.properties"
    for before in (None, 0o644):
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_text("x" * 10_000)
            path.chmod(before)
        old = os.umask(0)
        try:
            Worker(own, connect(), tmp_path, 1).start()
        finally:
            os.umask(old)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_text(encoding="ascii")
        assert f"admin.ssl.truststore.location={tmp_path}/\\u8bc1\\u4e66.pem\n" in text, "Java reads Latin-1"
        assert "consumer.sasl.jaas.config=${env:OMS_CONNECT_SASL}\n" in text
        assert "xx" not in text
        assert "hush" not in text


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("key", "-----BEGIN RSA PRIVATE KEY-----\nhush", "OMS_KAFKA_SSL_KEY_LOCATION: Connect needs the key as PKCS#8"),
        ("key", "-----BEGIN EC PRIVATE KEY-----\nhush", "OMS_KAFKA_SSL_KEY_LOCATION: Connect needs the key as PKCS#8"),
        ("key", b"\xff\xfe", "cannot be read as PEM (not text)"),
        ("ca", PEM + PEM, "OMS_REGISTRY_CA: Connect's converter takes exactly one certificate"),
        ("ca", "", "OMS_REGISTRY_CA: Connect's converter takes exactly one certificate"),
        ("ca", None, "OMS_KAFKA_SSL_CA_LOCATION: Connect needs a file of certificates, not a folder"),
    ],
)
def test_files_that_java_cannot_use_are_told_before_it_starts(
    env: dict[str, str], tmp_path: Path, file: str, text: Any, says: str
) -> None:
    path = tmp_path / f"{file}.pem"
    if text is None:
        env["OMS_KAFKA_SSL_CA_LOCATION"] = str(tmp_path)
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as told:
        environment(Settings.from_env(env), connect())
    assert says in str(told.value)
    assert "hush" not in str(told.value)
