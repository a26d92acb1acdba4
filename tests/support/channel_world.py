"""The channel rules over dicts, with a clock that fires timers in order: what the agent does, without an engine."""

from __future__ import annotations

import json
from typing import Any

from streams.domain import channel as rules
from streams.domain.channel import outcome
from streams.domain.rules import data

SETTINGS = data.channels()


def order(channel: str, order_no: str, at: int, **codes: Any) -> dict[str, Any]:
    """An order_created as intake sends it to the gate."""
    fact = {"event_id": f"e-{order_no}", "event_type": "order_created", "event_time": at, "source": channel}
    fact = {**fact, "channel": channel, "order_no": order_no, "topic": "orders", **codes}
    return {"do": "event", "code": ["order_no", channel, order_no], "fact": fact}


def missed(channel: str | None, number: int, at: int, **more: Any) -> dict[str, Any]:
    """What identity says `at` of a payment that has waited for its order for a minute."""
    name = f"payments/wechatpay/p-{number}"
    code = ["platform_txn_no", "", f"T{number}"]
    fact = {"event_type": "paid_without_order", "event_id": f"p-{number}", "event_time": at, "code": code, "at": at}
    return {**fact, "source": "wechatpay", "channel": channel, "first_event": name, "paid_at": at - 60_001, **more}


def ops(event_type: str, at: int, value: Any = None, source: str = "douyin", **more: Any) -> dict[str, Any]:
    text = None if value is None else json.dumps(value)
    fact = {"event_id": f"{event_type}-{at}", "event_type": event_type, "event_time": at, "source": source}
    return {**fact, "topic": "ops", "value": text, **more}


class World:
    def __init__(self, settings: rules.Settings = SETTINGS) -> None:
        self.settings = settings
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in outcome.TABLES}
        self.timers: dict[tuple[str, str], int] = {}
        self.now = 0
        self.out: list[tuple[int, str, str]] = []
        """(when, channel, order number) of each order that went on to identity."""
        self.said_held: list[str] = []
        """Codes of which identity heard that their order is held."""
        self.told: list[dict[str, Any]] = []
        self.findings: list[tuple[str, dict[str, Any]]] = []
        self.parts: list[dict[str, Any]] = []
        """Of the health report (FIN-09)."""
        self.refused: list[str] = []
        self.queue: list[tuple[str, dict[str, Any]]] = []
        self.writes = 0
        self._given: list[tuple[Any, str]] = []

    def say(self, at: int, message: dict[str, Any], channel: str | None = None) -> World:
        """A message at its channel, `at` ms; first whatever is due by then."""
        self.until(at)
        key = channel or (message["code"][1] if "do" in message else rules.key_of(message))
        self.queue.append((key, message))
        self._run()
        return self

    def until(self, at: int) -> World:
        while self.timers and min(self.timers.values()) <= at:
            due, (kind, key) = min((due, name) for name, due in self.timers.items())
            del self.timers[kind, key]
            self.now = max(self.now, due)
            self._apply(rules.due(self._get, kind, key, due, self.now, self.settings))
            self._run()
        self.now = max(self.now, at)
        return self

    def breaks(self, rule: str) -> list[tuple[str, int]]:
        return [(row["action"], row["at"]) for row in self.told if row["rule"] == rule]

    def actions(self, rule: str) -> list[str]:
        return [action for action, _ in self.breaks(rule)]

    def alerts(self, rule: str) -> list[str]:
        """What was said about alerts of a rule: open, close."""
        return [finding["do"] for key, finding in self.findings if key.startswith(f"{rule}/")]

    def numbers(self, channel: str) -> list[str]:
        """The orders of a channel that went on, in order."""
        return [number for _, name, number in self.out if name == channel]

    def held(self) -> list[str]:
        """What the gates hold back, by channel in order of arrival."""
        return [message["code"][2] for _, message in sorted(self.tables[outcome.HELD].items())]

    def _run(self) -> None:
        while self.queue:
            channel, message = self.queue.pop(0)
            gate = self._get(outcome.GATES, channel)
            if rules.passes(gate, channel, message, self.settings) and not gate["watched"]:
                self.out.append((self.now, channel, message["code"][2]))
                continue
            self._given.clear()
            result = rules.step(self._get, channel, message, self.now, self.settings)
            assert all(json.dumps(row) == text for row, text in self._given), "a rule changed a row it was given"
            if result.passed:
                self.out.append((self.now, channel, message["code"][2]))
            self._apply(result)

    def _get(self, table: str, key: str) -> Any:
        row = self.tables[table].get(key)
        self._given.append((row, json.dumps(row)))
        return row

    def _apply(self, result: rules.Outcome) -> None:
        if result.refused is not None:
            self.refused.append(result.refused)
        for topic, key, value in result.sends:
            if topic == outcome.ORDERS and value["do"] == "held":
                self.said_held.append(key)
            elif topic == outcome.ORDERS:
                self.out.append((self.now, value["code"][1], key))
            elif topic == outcome.FACTS:
                self.queue.append((key, value))
            elif topic == outcome.BREAKS:
                self.told.append(value)
            elif topic == outcome.REPORTS:
                self.parts.append(value)
            else:
                assert topic == outcome.ALERTS
                self.findings.append((key, value))
        for table, key, value in result.writes:
            self.writes += 1
            if value is None:
                self.tables[table].pop(key, None)
            else:
                self.tables[table][key] = json.loads(json.dumps(value))
        for kind, key, due in result.timers:
            if due is None:
                self.timers.pop((kind, key), None)
            else:
                self.timers[kind, key] = due
