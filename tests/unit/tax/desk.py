"""An adapter turned by hand, requests that need no broker, and a process that can be killed at any call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from streams.domain.rules import data
from streams.domain.systems import TAX, TAX_REQUESTS
from streams.domain.tax.integrity import seal
from streams.outlet.records import Record
from streams.tax.adapter import Adapter
from streams.tax.metrics import TaxMetrics
from streams.tax.outbox import Outbox
from streams.tax.service import Answer, Request, TaxService, Unknown

T0 = 1_769_000_000_000
NUMBER = "012345678901234"


def request(name: str = "R1", **fields: Any) -> dict[str, Any]:
    about = {"kind": "issue", "interface": "tax", "reply_to": "customer/C", "amount_minor": 10000}
    return {"request_id": name, **about, "tax_number": NUMBER, "tax_number_hash": seal(NUMBER), **fields}


class Killed(BaseException):
    """The process ends here; nothing of it survives but its file."""


class Records:
    """The topic: what is in it is read once, from the offset asked for."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._next = 0

    def say(self, *requests: dict[str, Any], at: int = T0 + 1) -> None:
        for value in requests:
            self.records.append(Record(0, len(self.records), at, value["request_id"], value))

    def start(self, offsets: dict[int, int]) -> None:
        self._next = offsets.get(0, 0)

    def read(self, timeout_s: float) -> Iterable[Record]:
        new = self.records[self._next :]
        self._next += len(new)
        return new

    def done(self, offsets: dict[int, int]) -> None:
        pass

    def at_end(self) -> bool:
        return self._next >= len(self.records)

    def lag(self) -> int:
        return len(self.records) - self._next


class Office:
    """`around`: is called with a call of the service, may kill before or after it; `loses`: of told events. Paced as
    `oms tax run` is."""

    def __init__(self, service: TaxService, folder: Path) -> None:
        self.service, self.folder, self.per_second = service, folder, data.tax().calls_per_second
        self.now = T0
        self.register = data.systems()
        self.records = Records()
        self.events: list[dict[str, Any]] = []
        self.around: Callable[[Callable[[], Any]], Any] = lambda call: call()
        self.telling: Callable[[], None] = lambda: None
        self.open()

    def open(self) -> None:
        """Start, or start again with what is on disk."""
        self.outbox = Outbox(self.folder / "outbox.sqlite", T0)
        self.adapter = Adapter(
            self.records,
            self.outbox,
            self,
            self._tell,
            TaxMetrics(),
            self.per_second,
            clock=lambda: self.now,
            breaches=lambda body: self.register.check(TAX, TAX_REQUESTS, body),
        )
        self.records.start(self.outbox.offsets())

    def turn(self) -> int:
        """Read what there is, make the calls that may be made now, tell: how many calls it were."""
        self.adapter.take(self.records.read(0))
        calls = 0
        while self.adapter.step():
            calls += 1
        self.adapter.tell()
        return calls

    def until_done(self, seconds: int = 3600) -> Office:
        """Turn after turn, a second each; one that is killed is started again."""
        for _ in range(seconds):
            try:
                self.turn()
            except Killed:
                self.outbox.close()
                self.open()
            if self.records.at_end() and not self.outbox.pending():
                return self
            self.now += 1000
        raise AssertionError(f"{self.outbox.pending()} wait for ever")

    def named(self, kind: str) -> list[str]:
        """Requests of which this was told, each event id once."""
        found = {event["event_id"]: event["request_id"] for event in self.events if event["event_type"] == kind}
        return sorted(found.values())

    def _tell(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        self.events += [event for _, event in events]
        self.telling()

    # -- as a service ------------------------------------------------------------------------------------------------

    def issue(self, request: Request) -> Answer:
        found: Answer = self.around(lambda: self.service.issue(request))
        return found

    def red(self, request: Request) -> Answer:
        found: Answer = self.around(lambda: self.service.red(request))
        return found

    def status(self, request: Request) -> Answer | Unknown:
        found: Answer | Unknown = self.around(lambda: self.service.status(request))
        return found
