"""`oms connect up`: starts a Connect worker, brings database and connectors to what the package says, and watches.

A task that has failed is started again, after pauses that grow; so is the worker itself. Both have forgotten nothing:
a sink goes on from its group's offsets, and what it writes twice changes nothing, for rows are written by their keys.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Final

from streams import clients, topology
from streams.config import Settings
from streams.connect import connectors, database, security, status
from streams.connect.connectors import DEAD_LETTERS, Connector
from streams.connect.lag import Lag
from streams.connect.metrics import ConnectMetrics
from streams.connect.rest import ConnectError, Rest
from streams.connect.settings import ConnectSettings
from streams.connect.status import Part, Restarts
from streams.connect.worker import Worker
from streams.errors import OmsError
from streams.topics_admin import REPLICAS

READY_S: Final = 120.0
_LOOK_S: Final = 1.0
_SAMPLE_S: Final = 5.0
_FIRST_DELAY_S: Final = 0.5
_LONGEST_DELAY_S: Final = 30.0
_SETTLED_S: Final = 60.0

log = logging.getLogger(__name__)


def prepare(settings: Settings, connect: ConnectSettings, wanted: list[Connector]) -> None:
    """What the connectors need: topics, which are not made here, and tables. Safe to repeat. Raises OmsError."""
    clients.require_topics(settings, [*(each.topic for each in wanted), DEAD_LETTERS])
    database.apply(connect.needed_database, topology.load(), wanted)


def look(connect: ConnectSettings, wanted: list[Connector]) -> list[Part]:
    """Connectors and tasks as Connect tells of them. Raises ConnectError."""
    return status.parts(Rest(connect.url).statuses(), [each.name for each in wanted])


class Service:
    """One Connect worker under watch, until `stop`."""

    def __init__(self, settings: Settings, connect: ConnectSettings, home: Path, metrics: ConnectMetrics) -> None:
        copies = min(REPLICAS, len(clients.require_broker(settings).brokers))
        self.settings, self.connect, self.metrics = settings, connect, metrics
        self.wanted = connectors.load(also=security.of_registry(settings.registry).properties)
        self.worker = Worker(settings, connect, home, copies)
        self.rest = Rest(connect.url)
        self._restarts = Restarts()
        self._told: set[str] = set()
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Until stopped. Raises OmsError if it cannot begin: no topic, no database, a refused connector."""
        try:
            with Lag(self.settings, self.wanted) as lag:
                prepare(self.settings, self.connect, self.wanted)
                self._start()
                for name in connectors.apply(self.rest, self.wanted):
                    log.info("connector %s is brought to its file", name)
                self._watch(lag)
        finally:
            self.worker.stop()

    def _start(self) -> None:
        self.worker.start()
        log.info("worker started, process %d, log %s", self.worker.pid, self.worker.log)
        deadline = time.monotonic() + READY_S
        while not self.rest.ready() and not self._stopping.is_set():
            if (code := self.worker.ended()) is not None:
                raise OmsError(f"the Connect worker ended with {code} at its start: {self.worker.last_words()}")
            if time.monotonic() > deadline:
                self.worker.stop()
                raise OmsError(f"the Connect worker was not ready in {READY_S:g} s: {self.worker.last_words()}")
            self._stopping.wait(0.1)
        log.info("ready at %s", self.connect.url)

    def _watch(self, lag: Lag) -> None:
        began, delay, sampled = time.monotonic(), _FIRST_DELAY_S, 0.0
        while not self._stopping.wait(_LOOK_S):
            try:
                if (code := self.worker.ended()) is not None:
                    self.metrics.up.set(0)
                    now = time.monotonic()
                    delay = _FIRST_DELAY_S if now - began > _SETTLED_S else delay
                    log.error("the worker ended with %d; started again in %g s", code, delay)
                    if self._stopping.wait(delay):
                        return
                    began, delay = now, min(2 * delay, _LONGEST_DELAY_S)
                    self._start()
                self._tend()
                if time.monotonic() - sampled > _SAMPLE_S:
                    sampled = time.monotonic()
                    self._sample(lag)
            except OmsError as error:
                # The worker does not start or is dividing its tasks, or the broker is away: the next look shows.
                self.metrics.up.set(0)
                log.warning("%s", error)

    def _tend(self) -> None:
        found = status.parts(self.rest.statuses(), [each.name for each in self.wanted])
        self.metrics.up.set(1)
        failed = [part for part in found if part.failed]
        for connector in self.wanted:
            self.metrics.failed.labels(connector.name).set(sum(part.connector == connector.name for part in failed))
        lines = {str(part) for part in failed}
        for line in sorted(lines - self._told):
            log.error("%s", line)
        self._told = lines
        if any(part.state == status.MISSING for part in failed):
            connectors.apply(self.rest, self.wanted)
        broken = [part.connector for part in failed if part.state == status.FAILED]
        for name in self._restarts.due(broken, time.monotonic()):
            try:
                self.rest.restart_failed(name)
            except ConnectError as error:
                log.warning("%s", error)
                continue
            self.metrics.restarts.labels(name).inc()
            log.info("%s: what had failed is started again", name)

    def _sample(self, lag: Lag) -> None:
        for name, records in lag.of_all().items():
            self.metrics.lag.labels(name).set(records)
        self.metrics.dead.set(lag.dead())
