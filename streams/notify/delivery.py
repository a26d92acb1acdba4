"""The loop of one target: looks what is due, sends one message or a digest, notes how it ended.

Each target has a thread of its own, so one that stalls holds up no other. `step` is one turn of the loop and takes the
time from outside.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from streams.domain.notify import pace, text
from streams.domain.notify.plan import GIVEN_UP
from streams.logs import redact
from streams.notify.metrics import NotifyMetrics
from streams.notify.outbox import Outbox, Waiting
from streams.notify.requests import Outcome
from streams.notify.settings import Target

log = logging.getLogger(__name__)
MOST_AT_ONCE: Final = 500
"""Of what is due, how many messages are looked at in one step."""

_MOST_TOLD: Final = 20 * MOST_AT_ONCE


class Sends(Protocol):
    """What sends a message (`senders.Sender`)."""

    def send(self, target: Target, message: text.Message, about: Sequence[Waiting], now: int) -> Outcome: ...


class Delivery:
    """One target. Its failures in a row are in memory: after a restart it is tried at once."""

    def __init__(
        self, target: Target, outbox: Outbox, sender: Sends, metrics: NotifyMetrics, clock: Callable[[], int]
    ) -> None:
        self.target = target
        self._outbox = outbox
        self._sender = sender
        self._metrics = metrics
        self._clock = clock
        self._failures = 0
        self._blocked_until = 0
        self._told_held: set[tuple[str, int, str, str]] = set()
        metrics.up.labels(target.name).set(1)

    @property
    def failing(self) -> bool:
        return self._failures > 0

    def step(self) -> int | None:
        """One message, if one may go. When (ms) to look again, or None: not before there is something new."""
        now, name, limits = self._clock(), self.target.name, self.target.limits
        due = self._outbox.due(name, now, MOST_AT_ONCE)
        doing = pace.decide(len(due), self._outbox.sends(name, now), self._blocked_until, now, limits)
        if doing.action is pace.Action.WAIT:
            if doing.at is not None and self._blocked_until <= now:
                self._held_back(due)
            return doing.at if due else self._outbox.next_due(name)
        fresh = [each for each in due if not each.attempts]
        if doing.action is pace.Action.DIGEST and len(fresh) > 1:
            self._held_back(fresh)
            held = [(each.stage, each.alert) for each in fresh]
            message, listed = text.digest(held, limits.per_minute, self.target.most_bytes)
            self._send(message, fresh[:listed], now)
        else:
            self._send(text.message(due[0].stage, due[0].alert), due[:1], now)
        return self._clock()

    def _send(self, message: text.Message, about: Sequence[Waiting], now: int) -> None:
        name = self.target.name
        message = replace(message, title=redact(message.title), text=redact(message.text))
        self._outbox.note_attempt(name, now)
        outcome = self._sender.send(self.target, message, about, now)
        ended = self._clock()
        if outcome.took:
            self._outbox.note_done(about, ended)
            self._metrics.messages.labels(name).inc()
            self._metrics.delivered.labels(name).inc(len(about))
            for each in about:
                self._metrics.late.labels(name).observe(max(0, ended - each.appended_at) / 1000)
                self._told_held.discard(each.name)
        elif outcome.refused:
            self._metrics.failed.labels(name, "refused").inc()
            for each in about:
                self._refused(each, outcome.why, ended)
        if outcome.took or outcome.refused:
            if self._failures:
                log.info("target %s answers again", name)
            self._failures = self._blocked_until = 0
            self._metrics.up.labels(name).set(1)
            return
        self._failures += 1
        wait = pace.wait_ms(self._failures, self.target.limits, outcome.after_ms)
        self._blocked_until = ended + wait
        self._metrics.failed.labels(name, "away").inc()
        self._metrics.up.labels(name).set(0)
        log.warning("target %s: %s; %d alerts wait, next try in %d s", name, outcome.why, len(about), wait // 1000)

    def _refused(self, message: Waiting, why: str, now: int) -> None:
        limits = self.target.limits
        if now - message.created_at >= limits.refused_ms:
            log.error("target %s refuses alert %s (%s): given up", self.target.name, message.key, why)
            self._metrics.given_up.labels(self.target.name).inc()
            self._outbox.note_done([message], now, GIVEN_UP)
            return
        log.warning("target %s refuses alert %s: %s", self.target.name, message.key, why)
        self._outbox.note_refused(message, now + pace.wait_ms(message.attempts + 1, limits))

    def _held_back(self, messages: Sequence[Waiting]) -> None:
        """Counts each message once that finds the minute full."""
        found = {each.name for each in messages}
        new = found - self._told_held
        # What is dropped or given up is never taken off: forget, rather than grow.
        self._told_held = found if len(self._told_held) > _MOST_TOLD else self._told_held | new
        self._metrics.held.labels(self.target.name, "limit").inc(len(new))
