"""The Connect worker's process: its properties, its environment and its life."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from streams.config import ConfigError, Settings
from streams.connect import security
from streams.connect.settings import ConnectSettings, registry_of
from streams.java import java
from streams.tether import spawn

GROUP: Final = "oms-connect"
STOP_S: Final = 20.0
HERE: Final = Path(__file__).parent
_CLIENTS: Final = ("", "consumer.", "producer.", "admin.")
_PKCS1: Final = re.compile(r"-----BEGIN (RSA|EC|DSA) PRIVATE KEY-----")


def properties(settings: Settings, connect: ConnectSettings, home: Path, copies: int) -> dict[str, str]:
    """The worker's properties; `copies`: of the topics it keeps its own affairs in. Raises ConfigError."""
    address = urlsplit(connect.url)
    found = {
        "bootstrap.servers": settings.broker,
        "group.id": GROUP,
        "listeners": connect.url,
        "rest.advertised.host.name": str(address.hostname),
        "rest.advertised.port": str(address.port),
        "config.storage.topic": f"{GROUP}-configs",
        "offset.storage.topic": f"{GROUP}-offsets",
        "status.storage.topic": f"{GROUP}-status",
        "config.storage.replication.factor": str(copies),
        "offset.storage.replication.factor": str(copies),
        "status.storage.replication.factor": str(copies),
        "offset.storage.partitions": "4",
        "status.storage.partitions": "2",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        "plugin.path": str(home / "plugins"),
        "plugin.discovery": "service_load",
        "offset.flush.interval.ms": "5000",
        "consumer.isolation.level": "read_committed",
        "consumer.auto.offset.reset": "earliest",
        "connector.client.config.override.policy": "All",
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        "config.providers.env.param.allowlist.pattern": "OMS_CONNECT_.*",
        # A worker that was killed is out of the group after this; the one that comes after it waits for that.
        "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "2000",
        "scheduled.rebalance.max.delay.ms": "0",
    }
    for key, value in security.of_broker(settings.kafka).properties.items():
        found |= {f"{client}{key}": value for client in _CLIENTS}
    return found


def environment(settings: Settings, connect: ConnectSettings) -> dict[str, str]:
    """What the worker's process finds in its environment. Secrets stand there: its properties, and the configurations
    that it keeps in a topic, name them. Raises ConfigError."""
    database = connect.needed_database
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMS_")}
    kept |= {
        # Java reads its variables and paths in the locale's character set, and that of C has ASCII alone.
        "LC_ALL": "C.UTF-8",
        "OMS_CONNECT_DB_URL": database.jdbc,
        "OMS_CONNECT_DB_USER": database.user,
        "OMS_CONNECT_DB_PASSWORD": database.password.reveal,
        "OMS_CONNECT_REGISTRY_URL": registry_of(settings.registry.url),
    }
    for each in (security.of_broker(settings.kafka), security.of_registry(settings.registry)):
        kept |= each.variables | {variable: _pem(path) for variable, path in each.files.items()}
    _check(settings, kept)
    return kept


def _pem(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as PEM ({getattr(error, 'strerror', 'not text')})") from None


def _check(settings: Settings, kept: dict[str, str]) -> None:
    """What librdkafka and OpenSSL take and Java does not, or not as a whole. ConfigError."""
    ca = settings.kafka.get("ssl.ca.location")
    if ca and Path(ca).is_dir():
        raise ConfigError("OMS_KAFKA_SSL_CA_LOCATION: Connect needs a file of certificates, not a folder")
    if _PKCS1.search(kept.get("OMS_CONNECT_SSL_KEY", "")):
        raise ConfigError("OMS_KAFKA_SSL_KEY_LOCATION: Connect needs the key as PKCS#8; see `openssl pkcs8 -topk8`")
    registry = kept.get("OMS_CONNECT_REGISTRY_CA")
    if registry and _pem(registry).count("-----BEGIN CERTIFICATE-----") != 1:
        raise ConfigError("OMS_REGISTRY_CA: Connect's converter takes exactly one certificate of a file")


class Worker:
    """The worker's process; it dies with this one. Its log is `log`, rolled at 20 MB."""

    def __init__(self, settings: Settings, connect: ConnectSettings, home: Path, copies: int) -> None:
        self.folder = settings.data_dir
        self.log = self.folder / "worker.log"
        self._out = self.folder / "worker.out"
        self._environment = environment(settings, connect)
        self._properties = properties(settings, connect, home, copies)
        self._command = [
            java(), *connect.java,
            # The sink writes times in the JVM's zone into columns that have none.
            "-Duser.timezone=UTC",
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", f"-Doms.log={self.log}",
            "-cp", str(home / "libs" / "*"), "org.apache.kafka.connect.cli.ConnectDistributed",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; ready it is when it answers. From the main thread."""
        path = self.folder / "worker.properties"
        # As in JSON: backslashes doubled, and nothing but ASCII, for Java reads Latin-1.
        lines = (f"{name}={json.dumps(value)[1:-1]}\n" for name, value in self._properties.items())
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)  # one of before may have been open to others
            file.writelines(lines)
        with self._out.open("wb") as out:
            self._process = spawn([*self._command, str(path)], cwd=self.folder, log=out, env=self._environment)

    def ended(self) -> int | None:
        """Its exit code once it has ended."""
        return None if self._process is None else self._process.poll()

    def last_words(self) -> str:
        """The last error line of its log, or what it said outside it."""
        for path in (self.log, self._out):
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-200:]
                told = [line for line in lines if " ERROR " in line or "Exception" in line or path == self._out]
                if told:
                    return told[-1].strip()[:300]
        return "it said nothing"

    def stop(self) -> None:
        """End it: offsets are committed, its place in the group is given up. Killed if that takes too long."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
