"""One registry that a test starts; its schemas are gone when it ends."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from streams.java import java
from streams.tether import free_ports, spawn
from tests.servers.apicurio.install import jar
from tests.servers.server import Server, wait_answers

START_SECONDS = 60.0
# Small, and quick to start: it serves a few dozen requests and never gets warm.
JAVA_OPTIONS = ["-Xms64m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class ApicurioServer(Server):
    """A registry on a free loopback port. `url` is for OMS_REGISTRY."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._home = Path(tempfile.mkdtemp(prefix="oms-apicurio-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def start(self) -> ApicurioServer:
        """Start and wait until it answers. RuntimeError with the log's end if it does not."""
        settings = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": str(self.port),
            "quarkus.http.access-log.enabled": "false",
        }
        options = [*JAVA_OPTIONS, *(f"-D{name}={value}" for name, value in settings.items())]
        log = self._home / "registry.log"
        with log.open("wb") as out:
            self._process = spawn([java(), *options, "-jar", str(jar())], cwd=self._home, log=out)
        wait_answers("the registry", self._process, self._answers, log, START_SECONDS)
        return self

    def close(self) -> None:
        """End it at once and remove its folder."""
        if self._process:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/subjects", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False
