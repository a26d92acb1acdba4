"""Runs one peer and watches it from outside: the same clock and the same eyes for every system.

The clock starts when a process of the runner has taken up its first event, which it says by a line ``FIRST <epoch
seconds>``; start-up is outside, warming up is inside. It stops when the last output record is visible to a
read_committed reader. To see that without reading along (which would cost a third of a core), the observer asks the
broker every 50 ms for the last stable offset of each output partition and keeps the answers; when they have come to
rest, the outputs are read once (see ``verify``), so the offset of the last record is known, and the first answer that
lies beyond it on every partition is the end.
"""

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from bench.processes import cpu_seconds

POLL_SECONDS = 0.05
STALL_SECONDS = 180.0
STOP_SECONDS = 30.0


class Failed(RuntimeError):
    """The runner ended early, stood still or gave wrong results; the message says which, with its last words."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the observer saw at one moment: CPU times in seconds since each process began."""

    at: float
    stable: tuple[int, ...]
    runner_cpu: float
    broker_cpu: float


@dataclass(slots=True)
class Watched:
    """One run as it was seen; ``life_cpu`` is the CPU of the runner's whole life, by wait4."""

    first: float
    looks: list[Look]
    life_cpu: float = 0.0
    lines: list[str] = field(default_factory=list)

    def end(self, last_offsets: Sequence[int]) -> Look:
        """The first look at which every partition's last record was visible."""
        for look in self.looks:
            if all(stable > last for stable, last in zip(look.stable, last_offsets, strict=True)):
                return look
        raise Failed("the last record was never seen to be committed")

    def begin(self) -> Look:
        """The last look before the first event was taken up."""
        return [look for look in self.looks if look.at <= self.first][-1]


class Runner:
    """One runner in a process group of its own; its output goes to a log, its ``FIRST`` line to ``first``."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path) -> None:
        self.first: float | None = None
        self.lines: list[str] = []
        self._usage: resource.struct_rusage | None = None
        self._status: int | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            command, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},  # compiled, as installed
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(log,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self, log: Path) -> None:
        assert self._process.stdout
        with log.open("w") as file:
            for line in self._process.stdout:
                file.write(line)
                file.flush()
                self.lines.append(line.rstrip())
                if line.startswith("FIRST "):
                    said = float(line.split()[1])
                    self.first = said if self.first is None else min(self.first, said)

    def ended(self) -> bool:
        if self._status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._status, self._usage = status, usage
                self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._status is not None

    @property
    def exit_code(self) -> int | None:
        return None if self._status is None else os.waitstatus_to_exitcode(self._status)

    @property
    def cpu(self) -> float:
        """CPU seconds of the whole life of the process and of the children it waited for."""
        return self._usage.ru_utime + self._usage.ru_stime if self._usage else 0.0

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for the whole group."""
        if not self.ended():
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while not self.ended() and time.monotonic() < deadline:
                time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        while not self.ended():
            time.sleep(0.02)
        self._reader.join(5)


class Ends:
    """The ends of the partitions of some topics, in order of topic and partition: (topic, partition) in ``places``.

    Committed ends are the last stable offsets, which is what a read_committed reader can see.
    """

    def __init__(self, admin: AdminClient, topics: Mapping[str, int], committed: bool = True) -> None:
        self._admin = admin
        self._isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        self.places = [(topic, number) for topic, partitions in topics.items() for number in range(partitions)]
        self._ask = {TopicPartition(topic, number): OffsetSpec.latest() for topic, number in self.places}

    def __call__(self) -> tuple[int, ...]:
        deadline = time.monotonic() + 60
        while True:
            answers = self._admin.list_offsets(self._ask, isolation_level=self._isolation, request_timeout=10)
            try:
                return tuple(answers[partition].result().offset for partition in self._ask)
            except KafkaException as error:  # a topic just made has no leader for a moment; a busy broker answers late
                if time.monotonic() > deadline:
                    raise Failed(f"the broker does not tell the ends of {self.places[0][0]}: {error}") from None
                self._admin.list_topics(timeout=60)  # the client would ask its stale cache for the leader again
                time.sleep(POLL_SECONDS)


def watch(runner: Runner, stable: Ends, broker_pid: int, expected: int, settle: float) -> Watched:
    """Looks at the runner until ``expected`` records lie in the output and nothing moved for ``settle`` seconds."""
    looks: list[Look] = []
    moved = time.monotonic()
    cpu = 0.0
    while True:
        ended = runner.ended()
        cpu = max(cpu, runner.cpu if ended else cpu_seconds(runner.pid))
        looks.append(Look(time.time(), stable(), cpu, cpu_seconds(broker_pid)))
        now = time.monotonic()
        if len(looks) == 1 or looks[-1].stable != looks[-2].stable:
            moved = now
        if ended:
            break
        if sum(looks[-1].stable) >= expected and now - moved >= settle:
            break
        if now - moved > STALL_SECONDS:
            runner.stop()
            raise Failed(
                f"stood still for {STALL_SECONDS:.0f} s at {sum(looks[-1].stable):,} records\n{last_words(runner)}"
            )
        time.sleep(POLL_SECONDS)
    runner.stop()
    if ended and runner.exit_code:
        raise Failed(f"ended with exit code {runner.exit_code}\n{last_words(runner)}")
    if runner.first is None:
        raise Failed(f"never said that it took up an event\n{last_words(runner)}")
    return Watched(runner.first, looks, runner.cpu, runner.lines)


def last_words(runner: Runner) -> str:
    """The end of what a runner said."""
    return "\n".join(runner.lines[-15:])
