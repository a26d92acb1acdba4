"""Reads alerts, notes what is to be told, and lets every target send at its own pace, until stopped or drained."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from streams.domain.alert import Policies
from streams.domain.notify.plan import Routing, plan
from streams.notify.delivery import Delivery, Sends
from streams.notify.metrics import NotifyMetrics
from streams.notify.outbox import Outbox
from streams.notify.settings import NotifySettings
from streams.outlet.outlet import Outlet
from streams.outlet.records import Reader, Record, wall_ms

log = logging.getLogger(__name__)
TOPIC: Final = "alerts"
GROUP: Final = "oms-notify"
CATCH_UP_S: Final = 60.0
"""Longest wait for the end of the topic at a start."""


class Notifier(Outlet):
    """One notifier. What OTH-05 holds until later a run that is to end does not wait for."""

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
        super().__init__(reader, clock)
        self._outbox = outbox
        self._metrics = metrics
        self._routing = Routing(settings.routes, settings.default, policies, settings.quiet_ms, outbox.since)
        self.deliveries = [Delivery(target, outbox, sender, metrics, clock) for target in settings.targets.values()]
        self._names = [*settings.targets]
        self._news = {each.target.name: threading.Event() for each in self.deliveries}
        self._caught_up = threading.Event()
        """Nothing is told before the topic was read to its end once: of what came meanwhile the last state counts."""

    def run(self, once: bool = False, wait_s: float = 60.0) -> int:
        if others := self._outbox.pending() - self._outbox.pending(self._names):
            log.warning("%d messages wait for targets that the file of targets does not name (any more)", others)
        return super().run(once, wait_s)

    def take(self, records: Iterable[Record]) -> None:
        alerts = [*records]  # the topic is waited for before the outbox is taken, which others need meanwhile
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
        for each in self.deliveries:
            self._metrics.waiting.labels(each.target.name).set(self._outbox.pending([each.target.name]))
        self._metrics.lag.set(self._reader.lag())

    # -- the outlet ----------------------------------------------------------------------------------------------------

    def _offsets(self) -> dict[int, int]:
        return self._outbox.offsets()

    def _workers(self) -> Mapping[str, Callable[[], None]]:
        return {each.target.name: partial(self._loop, each) for each in self.deliveries}

    def _waiting(self) -> int:
        return self._outbox.pending(self._names)

    def _left(self) -> int:
        return self._outbox.pending(self._names, now=self._clock())

    def _forget(self) -> None:
        self._outbox.forget(self._clock())

    def _looked(self, since_s: float, *, at_end: bool) -> None:
        if at_end or since_s > CATCH_UP_S:
            self._caught_up.set()

    def _wake(self) -> None:
        self._caught_up.set()
        for news in self._news.values():
            news.set()

    def _loop(self, delivery: Delivery) -> None:
        news = self._news[delivery.target.name]
        self._caught_up.wait()
        while not self._stop.is_set():
            news.clear()
            at = delivery.step()
            pause = None if at is None else max(0.0, (at - self._clock()) / 1000)
            if not self._stop.is_set() and pause != 0.0:
                news.wait(60.0 if pause is None else min(pause, 60.0))
