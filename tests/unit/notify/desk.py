"""Alerts, targets and a reader that needs no broker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from streams.domain.notify.text import Message
from streams.domain.rules import data
from streams.notify.metrics import NotifyMetrics
from streams.notify.outbox import Outbox, Waiting
from streams.notify.requests import TOOK, Outcome
from streams.notify.service import Notifier
from streams.notify.settings import NotifySettings, Target, parse
from streams.outlet.records import Record

T0 = 1_769_000_000_000
SECRETS = {"TOKEN": "t0k3n", "SIGN": "s3cr3t", "PASSWORD": "pa55"}


def settings(targets: dict[str, dict[str, Any]], **more: Any) -> NotifySettings:
    return parse({"targets": targets, **more}, SECRETS)


def robot(kind: str = "dingtalk", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "token": {"env": "TOKEN"}, **more}


def alert(key: str = "INV-11/BAG", status: str = "open", **more: Any) -> dict[str, Any]:
    fields = {
        "alert_key": key, "rule": "INV-11", "severity": "critical", "status": status, "title": f"{key} oversold",
        "targets": ["dingtalk"], "count": 1, "opened_at": T0 - 5_000, "updated_at": T0 - 5_000, "level": 0,
    }  # fmt: skip
    return {**fields, **({"closed_at": T0} if status == "closed" else {}), **more}


class Records:
    """The topic: what is in it is read once, from the offset asked for."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.committed: dict[int, int] = {}
        self._next = 0

    def say(self, value: dict[str, Any] | None, at: int = T0, **more: Any) -> Records:
        key = value["alert_key"] if value else "gone"
        self.records.append(Record(0, len(self.records), at, key, value, **more))
        return self

    def start(self, offsets: dict[int, int]) -> None:
        self._next = offsets.get(0, 0)

    def read(self, timeout_s: float) -> Iterable[Record]:
        new = self.records[self._next : self._next + 100]
        self._next += len(new)
        return new

    def done(self, offsets: dict[int, int]) -> None:
        self.committed |= offsets

    def at_end(self) -> bool:
        return self._next >= len(self.records)

    def lag(self) -> int:
        return len(self.records) - self._next


class Hand:
    """Takes messages, or answers as told by target; what it took is in `took`: (target, stages and keys)."""

    def __init__(self) -> None:
        self.took: list[tuple[str, list[tuple[str, str]]]] = []
        self.texts: list[str] = []
        self.tried = 0
        self.down: dict[str, Outcome] = {}

    def send(self, target: Target, message: Message, about: Sequence[Waiting], now: int) -> Outcome:
        self.tried += 1
        outcome = self.down.get(target.name, TOOK)
        if outcome.took:
            self.took.append((target.name, [(each.stage, each.key) for each in about]))
            self.texts.append(message.text)
        return outcome

    def told(self, target: str) -> list[tuple[str, str]]:
        return [each for name, about in self.took if name == target for each in about]


class Desk:
    """A notifier turned by hand: `turn(now)` reads what there is and lets each target do what it may at that time."""

    def __init__(self, config: NotifySettings, folder: Path | None = None, hand: Any = None, now: int = T0) -> None:
        self.now = now
        self.records = Records()
        self.hand = hand or Hand()
        self.config = config
        self.folder = folder
        self.open()

    def open(self) -> None:
        """Start, or start again with what is on disk."""
        path = self.folder / "outbox.sqlite" if self.folder else None
        self.outbox = Outbox(path, self.now)
        self.metrics = NotifyMetrics()
        policies = data.alert_policies()
        self.notifier = Notifier(
            self.config, policies, self.records, self.outbox, self.hand, self.metrics, clock=lambda: self.now
        )
        self.records.start(self.outbox.offsets())

    def again(self) -> None:
        self.outbox.close()
        self.open()

    def turn(self, now: int | None = None) -> Desk:
        self.now = self.now if now is None else now
        while not self.records.at_end():
            self.notifier.take(self.records.read(0))
        for delivery in self.notifier.deliveries:
            while (at := delivery.step()) is not None and at <= self.now:
                pass
        return self

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0
