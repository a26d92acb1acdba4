"""A broker that demands TLS and SASL: the settings go through to every client, and secrets never come out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.tether import free_ports
from tests.servers.kafka import KafkaServer
from tests.support.process import OMS
from tests.support.progress import wait_until

pytestmark = pytest.mark.integration

USER, PASSWORD = "oms", "correct-horse-7"
STORE_PASSWORD = "changeit"
AGENTS = "intake,channels,identity,orders,inventory"
EVENT = {
    "event_id": "s-1",
    "event_type": "order_created",
    "event_time": 1769220000000,
    "source": "douyin",
    "channel": "douyin",
    "order_no": "S1",
    "total_minor": 9900,
    "currency": "CNY",
    "lines": [{"line_no": 1, "sku": "BAG", "name": None, "quantity": 1, "unit_price_minor": 9900, "is_gift": False}],
}


@dataclass
class SecureBroker:
    url: str
    ca: Path
    home: Path

    def env(self, password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        secret = self.home / "password"
        secret.write_text(password)
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "OMS_BROKER": self.url,
            "OMS_DATA_DIR": str(self.home / "data"),
            "OMS_PARTITIONS": "1",
            "OMS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "OMS_KAFKA_SSL_CA_LOCATION": str(self.ca),
            "OMS_KAFKA_SASL_MECHANISM": mechanism,
        }
        if mechanism == "OAUTHBEARER":
            env["OMS_KAFKA_ENABLE_SASL_OAUTHBEARER_UNSECURE_JWT"] = "true"
            env["OMS_KAFKA_SASL_OAUTHBEARER_CONFIG"] = f"principal={USER}"
        else:
            env["OMS_KAFKA_SASL_USERNAME"] = USER
            env["OMS_KAFKA_SASL_PASSWORD_FILE"] = str(secret)
        return env

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*OMS, *arguments], env=self.env(**env), capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    home = tmp_path_factory.mktemp("secure")
    store, ca = home / "broker.p12", home / "ca.pem"
    keytool = shutil.which("keytool")
    assert keytool is not None, "keytool comes with every JDK"
    common = ["-alias", "broker", "-keystore", str(store), "-storepass", STORE_PASSWORD]
    make = [keytool, "-genkeypair", *common, "-storetype", "PKCS12", "-keyalg", "EC", "-dname", "CN=127.0.0.1"]
    subprocess.run([*make, "-ext", "SAN=ip:127.0.0.1", "-validity", "2"], check=True, capture_output=True)
    subprocess.run([keytool, "-exportcert", *common, "-rfc", "-file", str(ca)], check=True, capture_output=True)
    plain, secured, controller = free_ports(3)
    login = "org.apache.kafka.common.security"
    plain_login = f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secured},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secured}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(store),
        "ssl.keystore.password": STORE_PASSWORD,
        "listener.name.secure.plain.sasl.jaas.config": plain_login,
        "listener.name.secure.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "listener.name.secure.oauthbearer.sasl.jaas.config": f"{login}.oauthbearer.OAuthBearerLoginModule required;",
    }
    with KafkaServer(port=plain, settings=settings):
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{plain}"})
        user = UserScramCredentialUpsertion(
            USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode()
        )
        for done in admin.alter_user_scram_credentials([user]).values():
            done.result(timeout=30)
        broker = SecureBroker(f"kafka://127.0.0.1:{secured}", ca, home)
        applied = broker.run("topics", "apply")
        assert applied.returncode == 0, applied.stderr
        yield broker


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_every_mechanism_reaches_the_broker_over_tls(secure: SecureBroker, mechanism: str) -> None:
    compared = secure.run("topics", "diff", mechanism=mechanism)

    assert compared.returncode == 0, compared.stderr


@pytest.mark.parametrize(
    ("mechanism", "number", "said"),
    [("PLAIN", "S1", 0), ("SCRAM-SHA-512", "S2", 0), ("OAUTHBEARER", "S3", 2)],
)
def test_a_worker_processes_over_tls_and_sasl(
    secure: SecureBroker, tmp_path: Path, mechanism: str, number: str, said: int
) -> None:
    """By our own producer where it knows the mechanism, else by librdkafka's, and the log says so for each agent."""
    events = tmp_path / "events.jsonl"
    event = {**EVENT, "order_no": number, "event_id": f"event-{number}"}
    events.write_bytes(orjson.dumps({"topic": "orders", "value": event}) + b"\n")
    assert secure.run("publish", str(events)).returncode == 0
    log = tmp_path / "worker.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*OMS, "worker", "--agents", AGENTS], env=secure.env(mechanism=mechanism), stdout=out, stderr=out
        ) as worker,
    ):
        try:
            wait_until(
                lambda: f'"order_no":"{number}"' in secure.run("topics", "read", "order-states", "--last").stdout,
                60,
                f"the state of order {number}",
            )
        finally:
            worker.terminate()
    assert worker.returncode == 0
    text = log.read_text()
    assert PASSWORD not in text
    assert text.count(f"librdkafka's producer: SASL mechanism {mechanism}") >= said
    assert said or "librdkafka's producer" not in text


def test_a_wrong_password_is_one_clear_line_without_the_password(secure: SecureBroker) -> None:
    refused = secure.run("worker", password="wrong-horse-8")

    assert refused.returncode == 1
    assert "wrong-horse-8" not in refused.stdout + refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr
