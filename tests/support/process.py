"""A worker as a process of its own, which a test may kill, pause and bring back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from streams.tether import spawn

ROOT = Path(__file__).resolve().parents[2]
OMS = [sys.executable, "-m", "streams.cli"]


class WorkerProcess:
    """`command` run as worker `name`: same id, folder and log over all its lives."""

    def __init__(
        self, name: str, home: Path, broker: str, command: list[str], env: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = command
        self.log = home / f"{name}.log"
        self.data = home / "data"
        home.mkdir(parents=True, exist_ok=True)
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("OMS_")},
            "PYTHONDONTWRITEBYTECODE": "",  # as installed: a restart does not compile the package again
            "OMS_BROKER": broker, "OMS_WORKER_ID": name, "OMS_DATA_DIR": str(self.data), "OMS_WEB_PORT": "0",
            "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {}),
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> WorkerProcess:
        assert not self.alive, f"{self.name} runs already"
        with open(self.log, "ab") as log:
            log.write(f"--- {self.name} starts at {time.time():.3f}\n".encode())
            log.flush()
            self._process = spawn(self.command, cwd=self.log.parent, log=log, env=self.env)
        return self

    def signal(self, number: int) -> None:
        """To the whole process group: a worker may have processes of its own."""
        if self.alive and self._process:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        if self._process:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self._process.wait()

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM; answers the exit code, killed (and -9) when it takes longer than `seconds`."""
        if self._process is None:
            return 0
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def life(self) -> str:
        """What it said since it was started last."""
        return self.text().rpartition(f"--- {self.name} starts")[2]

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_for(self, words: str, seconds: float = 30) -> None:
        """Until the log says so; fails with the log's end if the worker ends or time is up."""
        deadline = time.monotonic() + seconds
        while words not in self.text():
            assert self.alive, f"{self.name} ended with {self.returncode}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} did not say {words!r} in {seconds} s:\n{self.tail()}"
            time.sleep(0.05)

    def __enter__(self) -> WorkerProcess:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
