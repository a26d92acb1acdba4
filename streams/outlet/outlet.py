"""The life of a process that brings a topic's records to systems outside, as `oms notify` and `oms tax run` do."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from streams.errors import OmsError
from streams.outlet.records import Reader, Record, wall_ms

log = logging.getLogger(__name__)
MOST_WAITING: Final = 50_000
"""With so much waiting to go out nothing more is read: the topic keeps the rest."""
PACE_S: Final = 0.5
_SAMPLE_EVERY_S: Final = 5.0
_FORGET_EVERY_S: Final = 3600.0


class Outlet(ABC):
    """One thread reads the topic and notes what is to go out; others bring it there, each at its own pace.

    The first that fails ends all: `run` raises what it raised. `clock` in ms.
    """

    def __init__(self, reader: Reader, clock: Callable[[], int] = wall_ms) -> None:
        self._reader = reader
        self._clock = clock
        self._stop = threading.Event()
        self._failure: BaseException | None = None

    # -- what an outlet says of itself ---------------------------------------------------------------------------------

    @abstractmethod
    def take(self, records: Iterable[Record]) -> None:
        """Note what follows from these records, durably, together with how far they reach."""

    @abstractmethod
    def sample(self) -> None:
        """The gauges that cost a look."""

    @abstractmethod
    def _offsets(self) -> dict[int, int]:
        """Where to read on: partition -> next offset."""

    @abstractmethod
    def _workers(self) -> Mapping[str, Callable[[], None]]:
        """What brings things out, by the name of its thread: each goes on until `_stop` is set."""

    @abstractmethod
    def _waiting(self) -> int:
        """How much is noted and has not gone out."""

    @abstractmethod
    def _left(self) -> int:
        """How much of it a run that is to end waits for."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop what nobody asks for any more."""

    @abstractmethod
    def _wake(self) -> None:
        """Let threads that wait see that they are to stop."""

    @abstractmethod
    def _looked(self, since_s: float, *, at_end: bool) -> None:
        """After each look at the topic. `since_s`: since the start; `at_end`: nothing more will be read for now."""

    # -- its life ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """From any thread or signal handler: end after what is in hand."""
        self._stop.set()
        self._wake()

    def run(self, once: bool = False, wait_s: float = 60.0) -> int:
        """Until stopped; with `once` until all was read and brought out, or `wait_s` after there was no more to read.
        How much is left."""
        self._reader.start(self._offsets())
        workers = self._workers().items()
        threads = [threading.Thread(target=self._guarded, args=(work,), name=name) for name, work in workers]
        for thread in threads:
            thread.start()
        try:
            self._read_on(once, wait_s)
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure
        return self._left()

    def _read_on(self, once: bool, wait_s: float) -> None:
        ended: float | None = None
        begun = time.monotonic()
        forgotten = sampled = 0.0
        while not self._stop.is_set():
            full = self._waiting() >= MOST_WAITING
            if full:
                self._stop.wait(PACE_S)
            else:
                self.take(self._reader.read(0.1 if once else PACE_S))
            at, at_end = time.monotonic(), self._reader.at_end()
            self._looked(at - begun, at_end=full or at_end)
            if at - sampled > _SAMPLE_EVERY_S:
                sampled = at
                self.sample()
            if at - forgotten > _FORGET_EVERY_S:
                forgotten = at
                self._forget()
            if not once:
                continue
            if at_end and not self._left():
                return
            ended = (ended or at) if full or at_end else None
            if ended is not None and at - ended > wait_s:
                return

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            name = threading.current_thread().name
            if isinstance(error, (sqlite3.Error, OmsError)):  # the disk, the broker: no bug
                log.error("%s: %s", name, error)
            else:
                log.exception("%s", name)
            self._failure = error
            self.stop()
