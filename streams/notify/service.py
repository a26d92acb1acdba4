"""Reads alerts, notes what is to be told, and lets every target send at its own pace, until stopped or drained."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from streams.domain.alert import Policies
from streams.domain.notify.plan import Routing, plan
from streams.notify.delivery import Delivery, Sends
from streams.notify.metrics import NotifyMetrics
from streams.notify.outbox import Outbox
from streams.notify.settings import NotifySettings
from streams.outlet.records import Reader, Record, wall_ms

log = logging.getLogger(__name__)
TOPIC: Final = "alerts"
GROUP: Final = "oms-notify"
MOST_WAITING: Final = 50_000
"""With so many messages waiting nothing more is read: the topic keeps the rest."""
CATCH_UP_S: Final = 60.0
"""Longest wait for the end of the topic at a start."""
_FORGET_EVERY_S: Final = 3600.0
_PACE_S: Final = 0.5


class Notifier:
    """One notifier. `clock` in ms."""

    def __init__(
        self,
        settings: NotifySettings,
        policies: Policies,
        reader: Reader,
        outbox: Outbox,
        sender: Sends,
        metrics: NotifyMetrics,
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        self._reader = reader
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._routing = Routing(settings.routes, settings.default, policies, settings.quiet_ms, outbox.since)
        self.deliveries = [Delivery(target, outbox, sender, metrics, clock) for target in settings.targets.values()]
        self._names = [*settings.targets]
        self._news = {each.target.name: threading.Event() for each in self.deliveries}
        self._stop = threading.Event()
        self._caught_up = threading.Event()
        """Nothing is told before the topic was read to its end once: of what came meanwhile the last state counts."""
        self._failure: BaseException | None = None

    def stop(self) -> None:
        """From any thread or signal handler: end after the messages in hand."""
        self._stop.set()
        self._caught_up.set()
        for news in self._news.values():
            news.set()

    def run(self, once: bool = False, wait_s: float = 60.0) -> int:
        """Until stopped; with `once` until all was read and told, or `wait_s` after the end of the topic. How many
        messages still wait for their target. What OTH-05 holds until later is not waited for."""
        self._reader.start(self._outbox.offsets())
        if others := self._outbox.pending() - self._outbox.pending(self._names):
            log.warning("%d messages wait for targets that the file of targets does not name (any more)", others)
        threads = [threading.Thread(target=self._loop, args=(each,), name=each.target.name) for each in self.deliveries]
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
        return self._outbox.pending(self._names, now=self._clock())

    def _read_on(self, once: bool, wait_s: float) -> None:
        ended: float | None = None
        forgotten = sampled = 0.0
        begun = time.monotonic()
        while not self._stop.is_set():
            full = self._outbox.pending(self._names) >= MOST_WAITING
            if full:
                self._stop.wait(_PACE_S)
            else:
                self.take(self._reader.read(0.1 if once else _PACE_S))
            at = time.monotonic()
            if full or at - begun > CATCH_UP_S or self._reader.at_end():
                self._caught_up.set()
            if at - sampled > 5:
                sampled = at
                self.sample()
            if at - forgotten > _FORGET_EVERY_S:
                forgotten = at
                self._outbox.forget(self._clock())
            if once and not full and self._reader.at_end():
                ended = ended or at
                if not self._outbox.pending(self._names, now=self._clock()) or at - ended > wait_s:
                    return

    def take(self, alerts: Iterable[Record]) -> None:
        """Note what follows from these records, durably, together with how far they reach."""
        alerts = [*alerts]  # the topic is waited for before the outbox is taken, which others need meanwhile
        following: dict[int, int] = {}
        told: set[str] = set()
        if not alerts:
            return
        with self._outbox.transaction():
            for alert in alerts:
                following[alert.partition] = alert.offset + 1
                told |= self._note(alert)
            self._outbox.note_offsets(following)
        for target in told:
            if target in self._news:
                self._news[target].set()
        self._reader.done(following)

    def _note(self, alert: Record) -> set[str]:
        if alert.value is None:
            if not alert.readable:
                self._metrics.unreadable.inc()
            return set()
        now = self._clock()
        key = alert.key
        noted = self._outbox.noted(key)
        found = plan(alert.value, noted, self._routing, now=now, appended_at=alert.appended_at)
        if found.unrouted:
            self._metrics.unrouted.inc()
            log.warning("no target takes alert %s (targets %s)", key, ", ".join(alert.value.get("targets") or ["none"]))
        for new in found.add:
            if new.held:
                self._metrics.held.labels(new.target, "repeat").inc()
        self._outbox.apply(key, alert.value, found, now, alert.appended_at)
        return {new.target for new in found.add}

    def sample(self) -> None:
        """The gauges that cost a look."""
        for each in self.deliveries:
            self._metrics.waiting.labels(each.target.name).set(self._outbox.pending([each.target.name]))
        self._metrics.lag.set(self._reader.lag())

    def _loop(self, delivery: Delivery) -> None:
        news = self._news[delivery.target.name]
        self._caught_up.wait()
        try:
            while not self._stop.is_set():
                news.clear()
                at = delivery.step()
                pause = None if at is None else max(0.0, (at - self._clock()) / 1000)
                if not self._stop.is_set() and pause != 0.0:
                    news.wait(60.0 if pause is None else min(pause, 60.0))
        except BaseException as error:
            log.exception("target %s", delivery.target.name)
            self._failure = error
            self.stop()
