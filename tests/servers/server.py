"""What every server of the tests has in common."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self


class Server(ABC):
    """Started on entering; closed on leaving, and where the start fails."""

    @abstractmethod
    def start(self) -> Self: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def tail_of(log: Path, lines: int) -> str:
    """The end of a log, or nothing."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def wait_answers(what: str, process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path, s: float) -> None:
    """Until it answers. RuntimeError with the log's end if it has ended, or after ``s`` seconds."""
    deadline = time.monotonic() + s
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start within {s:.0f} s:\n{tail_of(log, 20)}")
        time.sleep(0.05)
