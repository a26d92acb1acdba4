"""A story of events through `oms replay`: written down as its input file, read back from its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streams.commands.replay import run as replay
from streams.convert.common import Line, line, write
from streams.engine import Agent

RECEIVED_AT = 2_000_000_000_000
LINE = {"line_no": 1, "sku": "BAG", "name": "礼盒", "quantity": 1, "unit_price_minor": 9_900, "is_gift": False}
SOURCES = {"orders": "douyin", "payments": "wechatpay", "couriers": "zto", "wms": "wms-hz", "service": "desk"}


class Story:
    """Events in their order of arrival; times in ms. An order is known by its number, its waybill is `W-` and that."""

    def __init__(self, channel: str = "douyin") -> None:
        self.channel = channel
        self.lines: list[Line] = []

    def say(self, topic: str, event_type: str, at: int, order_no: str | None = "A1", **fields: Any) -> Story:
        named: dict[str, Any] = {} if order_no is None else {"channel": self.channel, "order_no": order_no}
        if topic == "couriers" and order_no is not None:
            named = {"waybill_no": f"W-{order_no}", "courier": "zto"}
        value = {"event_id": f"e-{len(self.lines)}", "source": SOURCES.get(topic, "console"), **named, **fields}
        self.lines.append(line(topic, event_type=event_type, event_time=at, **value))
        return self

    def created(self, at: int, order_no: str = "A1", **fields: Any) -> Story:
        given = {"lines": [LINE], "total_minor": 9_900, "currency": "CNY", "platform_txn_no": f"T-{order_no}"}
        return self.say("orders", "order_created", at, order_no, **{**given, **fields})

    def paid(self, at: int, order_no: str = "A1") -> Story:
        return self.say("payments", "payment_succeeded", at, order_no, amount_minor=9_900, currency="CNY")

    def picked_up(self, at: int, order_no: str = "A1") -> Story:
        """By the courier, after the warehouse has told whose the waybill is."""
        self.say("wms", "label_printed", at - 1, order_no, waybill_no=f"W-{order_no}")
        return self.say("couriers", "picked_up", at, order_no)

    def replay(self, folder: Path, until: int | None = None, agents: Sequence[Agent] | None = None) -> Replayed:
        """`until`: the time, ms, to which event time moves on at the end; `agents`: other ones than all."""
        source = folder / "story.jsonl"
        write(source, self.lines)
        summary = replay([source], folder / "out", until, RECEIVED_AT, agents)
        assert summary["unreadable"] == 0
        return Replayed(folder / "out")


class Replayed:
    """What `oms replay` wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, topic: str) -> list[dict[str, Any]]:
        text = (self.folder / f"{topic}.jsonl").read_text(encoding="utf-8")
        return [json.loads(entry)["value"] for entry in text.splitlines()]

    def states(self, order_no: str = "A1") -> list[dict[str, Any]]:
        """Every record of order-states of an order, oldest first."""
        return [row for row in self.rows("order-states") if row["order_no"] == order_no]

    def alerts(self, rule: str) -> list[dict[str, Any]]:
        """The last value of each alert of the rule, in the order in which they opened."""
        last = {row["alert_key"]: row for row in self.rows("alerts") if row["rule"] == rule}
        return list(last.values())
