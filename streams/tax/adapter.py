"""Reads what is asked for, calls the tax service at its pace, and brings the answers back as events.

    tax-requests -> outbox -> service (TAX-11: so many calls a second of each interface) -> outbox -> topic tax

A request whose outcome is unsure is asked about by its id; only if the service never heard of it is it sent again. So
no invoice is issued twice, however the process ends. An answer may be told twice, under one event id.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from streams.domain.systems import Breach
from streams.domain.tax import integrity, pace
from streams.outlet.outlet import Outlet
from streams.outlet.records import Reader, Record, wall_ms
from streams.tax.metrics import TaxMetrics
from streams.tax.outbox import Outbox, Waiting
from streams.tax.service import Answer, Issued, NotTaken, Rejected, TaxService, Unknown

log = logging.getLogger(__name__)
TOPIC: Final = "tax-requests"
EVENTS: Final = "tax"
GROUP: Final = "oms-tax"
SOURCE: Final = "oms-tax"
ALTERED: Final = "tax_number_altered"
BROKEN: Final = "hidden_contract_broken"
_TOLD_AT_ONCE: Final = 500
_LOOK_S: Final = 0.02
"""How soon a thread looks again at a request that is due and has no token, or is in other hands."""

Tell = Callable[[Sequence[tuple[str, dict[str, Any]]]], None]
"""Has the broker take (key, event of the topic `tax`); returns when it has all. Raises OmsError."""


class Adapter(Outlet):
    """One adapter. `step` and `take` may be called by hand instead of `run`. `breaches`: what of a request the service
    would not take."""

    def __init__(
        self,
        reader: Reader,
        outbox: Outbox,
        service: TaxService,
        tell: Tell,
        metrics: TaxMetrics,
        per_second: int = 5,
        threads: int = 5,
        clock: Callable[[], int] = wall_ms,
        breaches: Callable[[Mapping[str, Any]], Sequence[Breach]] = lambda body: (),
    ) -> None:
        super().__init__(reader, clock)
        self._outbox, self._service, self._tell = outbox, service, tell
        self._metrics, self._per_second, self._threads = metrics, per_second, threads
        self._breaches = breaches
        self._claims = threading.Lock()
        self._in_hand: set[str] = set()
        self._news = threading.Event()

    def run(self, once: bool = False, wait_s: float = 60.0) -> int:
        super().run(once, wait_s)
        self.tell()
        return self._left()

    def take(self, records: Iterable[Record]) -> None:
        found, following = list[tuple[dict[str, Any], int]](), dict[int, int]()
        for record in records:
            following[record.partition] = record.offset + 1
            if record.value is not None:
                found.append((record.value, record.appended_at))
            elif not record.readable:
                self._metrics.unreadable.inc()
        if following:
            self._outbox.take(found, following, self._clock())
            self._news.set()
            self._reader.done(following)

    def tell(self) -> None:
        """Bring to the broker what it has not taken yet."""
        while events := self._outbox.events(_TOLD_AT_ONCE):
            self._tell([(key, event) for _, key, event in events])
            self._outbox.note_told(events[-1][0])

    def sample(self) -> None:
        self._metrics.waiting.clear()
        for interface, count in self._outbox.waiting().items():
            self._metrics.waiting.labels(interface).set(count)
        self._metrics.lag.set(self._reader.lag())

    # -- the outlet ----------------------------------------------------------------------------------------------------

    def _offsets(self) -> dict[int, int]:
        return self._outbox.offsets()

    def _workers(self) -> Mapping[str, Callable[[], None]]:
        return {f"tax-{number}": self._work for number in range(self._threads)}

    def _waiting(self) -> int:
        return self._outbox.pending()

    def _left(self) -> int:
        return self._outbox.pending()

    def _forget(self) -> None:
        self._outbox.forget(self._clock())

    def _looked(self, since_s: float, *, at_end: bool) -> None:
        self.tell()

    def _wake(self) -> None:
        self._news.set()

    # -- calling -----------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One call, if a request is due and its interface may be called (TAX-11); False if none is."""
        with self._claims:
            request = self._next()
            if request is None:
                return False
            self._in_hand.add(request.id)
        self._metrics.calls.labels(request.interface).inc()
        try:
            self._ask(request) if request.unsure else self._send(request)
        finally:
            with self._claims:
                self._in_hand.discard(request.id)
        return True

    def _next(self) -> Waiting | None:
        """The oldest request that may be sent now, its token taken. An interface whose second is full holds nobody up
        but its own."""
        now = self._clock()
        for interface in self._outbox.due_interfaces(now):
            if pace.next_call(self._outbox.calls(interface), now, self._per_second) <= now:
                for request in self._outbox.due(interface, now, self._in_hand):
                    self._outbox.note_call(interface, now)
                    return request
        return None

    def _work(self) -> None:
        while not self._stop.is_set():
            self._news.clear()
            if not self.step():
                at = self._outbox.next_due()
                left = 1.0 if at is None else (at - self._clock()) / 1000
                self._news.wait(min(max(left, _LOOK_S), 1.0))

    def _send(self, request: Waiting) -> None:
        body = request.body
        if integrity.ALTERED in integrity.checked(body, "adapter"):
            # TAX-10: no invoice goes out under a number that nobody typed.
            self._answered(request, 1, Rejected(ALTERED, "the number does not fit its hash"))
            return
        if breaches := self._breaches(body):  # DQ-10
            said = "; ".join(f"{breach.field} {breach.reason}" for breach in breaches[:8])
            self._answered(request, 1, Rejected(BROKEN, f"the service would not take it: {said}"))
            return
        self._outbox.note_sending(request)
        answer = (self._service.red if body["kind"] == "red" else self._service.issue)(body)
        attempt = request.attempts + 1
        if isinstance(answer, Issued | Rejected):
            self._answered(request, attempt, answer)
        else:
            self._failed(request, attempt, answer, unsure=not isinstance(answer, NotTaken))

    def _ask(self, request: Waiting) -> None:
        answer = self._service.status(request.body)
        if isinstance(answer, Unknown):
            self._outbox.note_failed(request, False, self._clock(), None)
        elif isinstance(answer, Issued | Rejected):
            self._answered(request, max(request.attempts, 1), answer)
        else:
            after = answer.after_ms if isinstance(answer, NotTaken) else None
            due = self._clock() + pace.wait_ms(max(request.attempts, 1), after)
            self._outbox.note_failed(request, True, due, None)

    def _answered(self, request: Waiting, attempt: int, answer: Issued | Rejected) -> None:
        if isinstance(answer, Issued):
            said: dict[str, Any] = {
                "event_type": "invoice_issued",
                "invoice_code": answer.code,
                "invoice_number": answer.number,
                "pdf_url": answer.pdf_url,
                "tax_number": answer.tax_number,
            }
        else:
            said = {"event_type": "invoice_rejected", "error_code": answer.error_code, "error": answer.error}
        self._metrics.answered.labels(request.interface, said["event_type"].removeprefix("invoice_")).inc()
        self._outbox.note_answered(request, self._event(request, attempt, said), self._clock())

    def _failed(self, request: Waiting, attempt: int, answer: Answer, unsure: bool) -> None:
        assert not isinstance(answer, Issued)
        said = {"event_type": "attempt_failed", "error_code": answer.error_code, "error": answer.error}
        after = answer.after_ms if isinstance(answer, NotTaken) else None
        self._metrics.failed.labels(request.interface).inc()
        log.warning("request %s, attempt %d: %s", request.id, attempt, answer.error_code)
        due = self._clock() + pace.wait_ms(attempt, after)
        self._outbox.note_failed(request, unsure, due, self._event(request, attempt, said))

    def _event(self, request: Waiting, attempt: int, said: dict[str, Any]) -> dict[str, Any]:
        return {
            "event_id": f"{request.id}/{attempt}/{said['event_type']}",
            "event_time": self._clock(),
            "source": SOURCE,
            "request_id": request.id,
            "reply_to": request.body["reply_to"],
            "interface": request.interface,
            "attempt": attempt,
            **said,
        }
