"""All that a sink into the database of finance needs: broker, registry, database, and `oms connect up` beside them."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from streams.connect.rest import Rest
from streams.tether import free_ports
from tests.servers.apicurio import ApicurioServer
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer
from tests.servers.postgres.server import PASSWORD
from tests.servers.server import Server
from tests.support.process import OMS, WorkerProcess

READY_SECONDS = 120.0
_PID = re.compile(r"worker started, process (\d+)")


class Finance:
    """The servers, running; `connect` is the process of `oms connect up`, not started yet."""

    def __init__(self, home: Path, *, registry: ApicurioServer | None = None, fast: bool = True) -> None:
        """`registry`: one that runs already; `fast`: a database that a crash of the machine would spoil."""
        self.home = home
        self.kafka = KafkaServer(heap="512m")
        self.registry = registry or ApicurioServer()
        self.postgres = PostgresServer(fast=fast)
        own = [] if registry else [self.registry]
        self._servers: list[Server] = [self.kafka, *own, self.postgres]
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._stack = ExitStack()

    @property
    def env(self) -> dict[str, str]:
        """For every `oms` command, and a worker."""
        return {
            "OMS_BROKER": self.kafka.url,
            "OMS_REGISTRY": self.registry.url,
            "OMS_PARTITIONS": "4",
            "OMS_CONNECT_URL": self.url,
            "OMS_CONNECT_DB": self.postgres.url,
            "OMS_CONNECT_DB_PASSWORD": PASSWORD,
            # It lives for seconds: the slower compiler is not worth its time.
            "OMS_CONNECT_JAVA": "-Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
            "no_proxy": "127.0.0.1",
        }

    def process(self, name: str, *arguments: str, **more: str) -> WorkerProcess:
        """An `oms` command as a process of its own, ended with the servers."""
        return self._stack.enter_context(self.later(name, *arguments, **more))

    def later(self, name: str, *arguments: str, **more: str) -> WorkerProcess:
        """The same, not started."""
        return WorkerProcess(name, self.home, self.kafka.bootstrap, [*OMS, *arguments], {**self.env, **more})

    @property
    def rest(self) -> Rest:
        return Rest(self.url)

    def __enter__(self) -> Finance:
        try:
            for server in self._servers:
                self._stack.enter_context(server)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()


def jvm(connect: WorkerProcess) -> int:
    """The process of the Connect worker that `oms connect up` has started last."""
    return int(_PID.findall(connect.text())[-1])


def wait_running(finance: Finance, connect: WorkerProcess, tasks: int, seconds: float = READY_SECONDS) -> float:
    """Until all tasks run; answers the seconds it took."""
    began = time.monotonic()
    while True:
        states = _states(finance)
        if len(states) == tasks and set(states) == {"RUNNING"}:
            return time.monotonic() - began
        assert connect.alive, f"oms connect up ended with {connect.returncode}:\n{connect.tail()}"
        assert time.monotonic() - began < seconds, f"after {seconds} s tasks are {states}:\n{connect.tail()}"
        time.sleep(0.1)


def _states(finance: Finance) -> list[str]:
    from streams.connect.rest import ConnectError

    try:
        return [task["state"] for entry in finance.rest.statuses().values() for task in entry["tasks"]]
    except ConnectError:
        return []
