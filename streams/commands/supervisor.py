"""Several worker processes under one parent: start, watch, restart, and stop together."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from streams.commands.worker import AWAY, SUPERVISOR_VARIABLE
from streams.config import Settings

# Exit codes a restart cannot mend: a wrong setting, a missing topic, wrong use. The child has said why.
FATAL = (1, 2)
STOP_S = 30.0
ASIDE_NICENESS = 10
"""Of 1,024 parts of the processor's time that others get, such a process gets 110."""
_POLL_S = 0.05
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 30.0
# A child that lived this long has proven that it can run: its next crash starts the back-off anew.
_SETTLED_S = 30.0
# One that a signal ends sooner than this is restarted with back-off too: the machine is out of memory, say.
_TOO_SHORT_S = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Child:
    """One worker process and its past. ``name``: the end of its worker id; ``index``: of its web port; ``aside``: it
    runs the agents aside. Times are monotonic seconds."""

    index: int
    name: str
    aside: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = _FIRST_DELAY_S
    due: float = 0.0


class Supervisor:
    """Runs `count` workers with ids ID-0, ID-1, ..., each with its own folder and web port, until told to stop.

    `aside`: so many more, ID-aside-0 and so on, run the agents aside, and the others the rest. To them the system gives
    the processor when nobody else wants it.
    """

    def __init__(
        self,
        settings: Settings,
        count: int,
        arguments: Sequence[str],
        command: Sequence[str] | None = None,
        aside: int = 0,
    ) -> None:
        self.settings = settings
        self.children = [Child(index, str(index)) for index in range(count)]
        self.children += [Child(count + index, f"aside-{index}", True) for index in range(aside)]
        self.command = [*(command or [sys.executable, "-m", "streams.cli", "worker"]), *arguments]
        self.signals = 0
        self.code = 0

    def run(self) -> int:
        """Until SIGTERM or SIGINT: 0. Until a child fails for good: all are stopped, then its code."""
        handlers = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self.signals and not self.code:
                self._tend()
                time.sleep(_POLL_S)
            self._stop()
        finally:
            for child in self._running():
                child.process.kill()  # type: ignore[union-attr]
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self.code

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.signals += 1
        if self.signals > 1:
            log.warning("asked again to stop: killing the workers")
            for child in self._running():
                child.process.kill()  # type: ignore[union-attr]

    def _running(self) -> list[Child]:
        return [child for child in self.children if child.process is not None and child.process.poll() is None]

    def _tend(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.due:
                    self._start(child, now)
            elif (code := child.process.poll()) is not None:
                self._ended(child, code, now)

    def _start(self, child: Child, now: float) -> None:
        # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which then asks each worker once.
        child.process = subprocess.Popen(
            self.command_of(child), env=self.environment(child), stdin=subprocess.DEVNULL, start_new_session=True
        )
        if child.aside:
            with contextlib.suppress(OSError):  # it has ended already, or the system does not let us
                os.setpriority(os.PRIO_PROCESS, child.process.pid, ASIDE_NICENESS)
        child.started = now
        log.info("worker %s started (process %d)", self.worker_id(child), child.process.pid)

    def _ended(self, child: Child, code: int, now: float) -> None:
        child.process = None
        name = self.worker_id(child)
        if code in FATAL:
            log.error("worker %s cannot run (exit code %d): stopping all", name, code)
            self.code = code
            return
        lived = now - child.started
        if lived >= _SETTLED_S:
            child.delay = _FIRST_DELAY_S
        if code < 0 and lived >= _TOO_SHORT_S:
            log.warning("worker %s was ended by %s: restarting at once", name, _signal_name(-code))
            child.due = now
            return
        why = "cannot go on for now" if code == AWAY else f"ended with code {code}"
        log.warning("worker %s %s: restarting in %.1f s", name, why, child.delay)
        child.due = now + child.delay
        child.delay = min(child.delay * 2, _LONGEST_DELAY_S)

    def _stop(self) -> None:
        """Ask every worker to finish its turn and leave; kill what is still there after STOP_S."""
        asked = self._running()
        for child in asked:
            child.process.terminate()  # type: ignore[union-attr]
        deadline = time.monotonic() + STOP_S
        while self._running() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        late = self._running()
        for child in late:
            log.error("worker %s did not stop within %g s: killed", self.worker_id(child), STOP_S)
            child.process.kill()  # type: ignore[union-attr]
            child.process.wait()  # type: ignore[union-attr]
        if not self.code and any(
            child.process and child.process.returncode not in (0, -signal.SIGTERM) for child in asked
        ):
            self.code = 1

    def worker_id(self, child: Child) -> str:
        return f"{self.settings.worker_id}-{child.name}"

    def command_of(self, child: Child) -> list[str]:
        if not self.children[-1].aside:  # every worker runs all
            return self.command
        return [*self.command, "--agents", "aside" if child.aside else "way"]

    def environment(self, child: Child, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a child: this process's, with what the supervisor's options and the child change."""
        port = self.settings.web_port
        changed = {
            "OMS_BROKER": f"kafka://{self.settings.broker}",
            "OMS_DATA_DIR": str(self.settings.data_root),
            "OMS_WORKER_ID": self.worker_id(child),
            "OMS_WEB_PORT": str(port + child.index if port else 0),
            SUPERVISOR_VARIABLE: str(os.getpid()),
        }
        for variable in ("OMS_BROKER", "OMS_DATA_DIR", "OMS_WORKER_ID", "OMS_WEB_PORT"):
            changed[f"{variable}_FILE"] = ""  # the plain variable holds now
        return {**(os.environ if base is None else base), **changed}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
