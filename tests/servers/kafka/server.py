"""One Kafka node (KRaft, broker and controller in one process) that a test starts, kills and restarts."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from streams.tether import free_ports, spawn
from tests.servers.kafka.install import HERE, classpath, java
from tests.servers.server import Server, tail_of

READY = b"Kafka Server started"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
CLUSTER_ID = "b21zLXN0cmVhbXMtdGVzdA"

# A stock broker but for what one node and a small machine need. Semantics (transaction timeouts, isolation,
# coordinator behaviour) stay as they ship: what the tests prove must hold on a broker nobody tuned.
SETTINGS: dict[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "num.partitions": "8",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # How long the controller takes a killed broker for alive and refuses its successor: 9 s by default.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "group.min.session.timeout.ms": "1000",
    # KIP-848 groups take their timeouts from the broker.
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1500",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",  # 128 MB of heap by default, for compaction
    "socket.send.buffer.bytes": "1048576",
    "socket.receive.buffer.bytes": "1048576",
}


class KafkaServer(Server):
    """A broker on free loopback ports with its own data folder, removed at the end unless it was given.

    The data outlive `kill` and `stop`, so `restart` brings the same broker back on the same port.
    """

    def __init__(
        self, data_dir: Path | None = None, port: int = 0, heap: str = "768m", settings: Mapping[str, str] | None = None
    ) -> None:
        self._own_dir = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="oms-kafka-"))
        self.data_dir.mkdir(parents=True, exist_ok=True)
        picked, controller = free_ports(2)
        self.port = port or picked
        self._controller_port = controller
        self._heap = heap
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def bootstrap(self) -> str:
        """host:port, for librdkafka."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """kafka://host:port, for OMS_BROKER."""
        return f"kafka://{self.bootstrap}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        return self.data_dir / f"broker-{self._starts}.log"

    def start(self) -> KafkaServer:
        """Starts the broker and waits until it serves; formats the data folder on the first start."""
        if self.running:
            return self
        properties = self._write_properties()
        run = [java(), "-Xms256m", f"-Xmx{self._heap}", "-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true",
               f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", "-cp", classpath()]  # fmt: skip
        if not (self.data_dir / "log" / "meta.properties").exists():
            self._format([*run, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)])
        self._starts += 1
        with open(self.log, "wb") as log:
            self._process = spawn([*run, "kafka.Kafka", str(properties)], cwd=self.data_dir, log=log)
        deadline = time.monotonic() + START_SECONDS
        while READY not in self.log.read_bytes():
            if self._process.poll() is not None:
                raise RuntimeError(f"the broker ended with {self._process.returncode} at start:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the broker was not ready after {START_SECONDS:.0f} s:\n{self.log_tail()}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Clean shutdown; killed if it takes too long."""
        if self.running and self._process:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL: the broker dies as a machine does, with whatever the page cache holds."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def restart(self, *, hard: bool = False) -> None:
        """Stops (or kills) and starts again on the same port with the same data."""
        self.kill() if hard else self.stop()
        self.start()

    def close(self) -> None:
        """Ends the broker at once (nobody needs its data any more) and removes its own data folder."""
        self.kill()
        if self._own_dir:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def log_tail(self, lines: int = 30) -> str:
        return tail_of(self.log, lines)

    def _write_properties(self) -> Path:
        path = self.data_dir / "server.properties"
        settings = SETTINGS | {
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": str(self.data_dir / "log"),
        } | self._settings  # fmt: skip
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path

    @staticmethod
    def _format(command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"formatting the broker's folder failed:\n{done.stdout}{done.stderr}")
