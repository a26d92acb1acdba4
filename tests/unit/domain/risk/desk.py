"""The risk rules over tables in memory: facts in, records out, messages and timers followed until nothing is left."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from streams.domain import calendar, risk
from streams.domain.risk.outcome import FACTS, Outcome
from streams.domain.risk.settings import Settings
from streams.domain.rules import data

SETTINGS = data.risk()
T0 = calendar.at(2026, 5, 12, 10)
"""A day of no season."""
PEAK = calendar.at(2026, 6, 1, 10)
MINUTE, HOUR, DAY = calendar.MINUTE_MS, calendar.HOUR_MS, calendar.DAY_MS
GUID = "DB20260512AAAAAAAAAAAA"
SOURCES = {"orders": "douyin", "payments": "wechatpay", "couriers": "zto", "wms": "wms-hz", "service": "desk"}
LINE = {"line_no": 1, "sku": "BAG", "quantity": 1, "unit_price_minor": 30000}

Fact = dict[str, Any]
_numbers = count(1)


def fact(topic: str, kind: str, at: int = T0, guid: str = GUID, **fields: Any) -> Fact:
    """As identity hands it on."""
    number = next(_numbers)
    said = {"event_id": f"e-{number}", "event_type": kind, "event_time": at, "source": SOURCES.get(topic, "console")}
    return {**said, "topic": topic, "digest": number, "order_guid": guid, **fields}


def created(at: int = T0, guid: str = GUID, **fields: Any) -> Fact:
    given = {"channel": "douyin", "order_no": guid[-4:], "total_minor": 30000, "currency": "CNY", "lines": [LINE]}
    return fact("orders", "order_created", at, guid, **{**given, **fields})


def paid(at: int = T0, guid: str = GUID) -> Fact:
    return fact("payments", "payment_succeeded", at, guid, amount_minor=30000, currency="CNY")


class Desk:
    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.settings = settings
        self.tables: dict[str, dict[str, Any]] = {"orders": {}, "counts": {}, "tallies": {}}
        self.timers: dict[tuple[str, str], int] = {}
        self.out: list[tuple[str, str, Any]] = []
        self.now = 0

    def say(self, *facts: Fact) -> Desk:
        for said in facts:
            self.pass_to(said["event_time"])
            self._do(risk.step(self._get, said["order_guid"], said, self.settings))
        return self

    def say_all(self, facts: Iterable[Fact]) -> Desk:
        return self.say(*facts)

    def pass_to(self, at: int) -> Desk:
        while self.timers:
            (kind, key), when = min(self.timers.items(), key=lambda entry: (entry[1], entry[0]))
            if when > at:
                break
            del self.timers[kind, key]
            self._do(risk.due(self._get, kind, key, when, self.settings))
        self.now = max(self.now, at)
        return self

    def _get(self, table: str, key: str) -> Any:
        return self.tables[table].get(key)

    def _do(self, out: Outcome) -> None:
        for table, key, value in out.writes:
            if value is None:
                self.tables[table].pop(key, None)
            else:
                self.tables[table][key] = value
        for kind, key, at in out.timers:
            if at is None:
                self.timers.pop((kind, key), None)
            else:
                self.timers[kind, key] = at
        for topic, key, value in out.sends:
            if topic == FACTS:
                self._do(risk.hear(self._get, key, value, self.settings, self.now))
            else:
                self.out.append((topic, key, value))

    def signals(self, guid: str = GUID) -> set[str]:
        return set(self.tables["orders"][guid].get("signals", {}))

    def warnings(self, guid: str = GUID) -> list[Any]:
        return [value for topic, key, value in self.out if (topic, key) == ("risk-alerts", guid)]

    def levels(self, guid: str = GUID) -> list[str]:
        return [warning["level"] for warning in self.warnings(guid)]

    def findings(self, rule: str, guid: str = GUID) -> list[str]:
        key = f"{rule}/{guid}"
        return [value["do"] for topic, at, value in self.out if (topic, at) == ("alert-facts", key)]

    def told(self, guid: str = GUID) -> list[Any]:
        return [value for topic, key, value in self.out if (topic, key) == ("order-facts", guid)]
