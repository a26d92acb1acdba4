"""A broker that demands TLS and SASL, and what a client of it needs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from streams.tether import free_ports
from tests.servers.kafka import KafkaServer
from tests.support.process import OMS

USER, PASSWORD = "oms", "correct-horse-7"
STORE_PASSWORD = "changeit"


@dataclass
class SecureBroker:
    """`url` is of the listener that demands both; `plain` of one for the test alone, host:port."""

    url: str
    plain: str
    ca: Path
    home: Path

    def settings(self, password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """What an `oms` command is to be told of it; the password stands in a file."""
        secret = self.home / "password"
        secret.write_text(password)
        env = {
            "OMS_BROKER": self.url,
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

    def env(self, password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """A whole environment."""
        own = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "OMS_DATA_DIR": str(self.home / "data")}
        return {**own, "OMS_PARTITIONS": "1", **self.settings(password, mechanism)}

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*OMS, *arguments], env=self.env(**env), capture_output=True, text=True, timeout=60, check=False
        )


@contextmanager
def secured(home: Path) -> Iterator[SecureBroker]:
    """One that runs, for PLAIN, SCRAM-SHA-512 and OAUTHBEARER; its own certificate is the authority."""
    store, ca = home / "broker.p12", home / "ca.pem"
    keytool = shutil.which("keytool")
    assert keytool is not None, "keytool comes with every JDK"
    common = ["-alias", "broker", "-keystore", str(store), "-storepass", STORE_PASSWORD]
    make = [keytool, "-genkeypair", *common, "-storetype", "PKCS12", "-keyalg", "EC", "-dname", "CN=127.0.0.1"]
    subprocess.run([*make, "-ext", "SAN=ip:127.0.0.1", "-validity", "2"], check=True, capture_output=True)
    subprocess.run([keytool, "-exportcert", *common, "-rfc", "-file", str(ca)], check=True, capture_output=True)
    plain, secure, controller = free_ports(3)
    login = "org.apache.kafka.common.security"
    plain_login = f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure}",
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
        yield SecureBroker(f"kafka://127.0.0.1:{secure}", f"127.0.0.1:{plain}", ca, home)
