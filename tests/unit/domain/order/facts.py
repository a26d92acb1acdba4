"""Facts as intake and identity hand them to an order, and a fold over them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any
from zlib import crc32

from streams.domain.order import (
    Answer,
    Decision,
    OrderSettings,
    OrderState,
    answer,
    asked,
    asked_of,
    due,
    due_at,
    record,
    reduce,
)

GUID = "DB20260124AAAAAAAAAAAA"
SETTINGS = OrderSettings()
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Fact = dict[str, Any]

_numbers = count(1)
_SOURCES = {
    "orders": "douyin",
    "payments": "wechatpay",
    "couriers": "zto",
    "wms": "wms-hz",
    "service": "desk",
    "finance": "ledger",
    "ops": "console",
}


def at(text: str) -> int:
    """ms of a wall-clock time of Shanghai."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone(timedelta(hours=8))).timestamp() * 1000)


T0 = at("2026-01-24 10:00:00")


def fact(topic: str, event_type: str, when: int = T0, **fields: Any) -> Fact:
    """`when`: ms. The digest follows from the content, the event id is new unless given."""
    event = {
        "event_id": fields.pop("event_id", None) or f"e-{next(_numbers)}",
        "event_type": event_type,
        "event_time": when,
        "source": fields.pop("source", None) or _SOURCES[topic],
        **fields,
    }
    digest = crc32(repr(sorted((k, v) for k, v in event.items() if k != "mapped")).encode())
    return {**event, "order_guid": GUID, "topic": topic, "digest": digest}


def created(when: int = T0, **fields: Any) -> Fact:
    fields = {
        "channel": "douyin",
        "order_no": "6921234567890",
        "total_minor": 30000,
        "currency": "CNY",
        "alias18": "DB2601240000000001",
        "lines": [{"line_no": 1, "sku": "BAG", "quantity": 2, "unit_price_minor": 15000, "is_gift": False}],
    } | fields
    return fact("orders", "order_created", when, **fields)


def paid(when: int = T0 + MINUTE, amount: int = 30000, **fields: Any) -> Fact:
    fields = {"currency": "CNY"} | fields
    return fact("payments", fields.pop("event_type", "payment_succeeded"), when, amount_minor=amount, **fields)


def refunded(when: int, amount: int, **fields: Any) -> Fact:
    fields = {"currency": "CNY"} | fields
    return fact("payments", "refund_settled", when, amount_minor=amount, **fields)


def line(number: int | None, sku: str, quantity: int = 1, price: int | None = 15000) -> dict[str, Any]:
    return {"line_no": number, "sku": sku, "quantity": quantity, "unit_price_minor": price, "is_gift": False}


def answered(do: str, number: int, when: int, *lines: list[Any], sku: str = "BAG", held_ms: int | None = None) -> Fact:
    """What the stock says about command `number` of a SKU: [line_no, outcome, reason, options] per line."""
    return {
        "event_type": "_stock",
        "event_id": f"{sku}/{do}/{number}",
        "event_time": when,
        "source": "inventory",
        "topic": "stock",
        "order_guid": GUID,
        "sku": sku,
        "do": do,
        "round": number,
        "lines": [[*line, None][:3] if len(line) < 3 else line for line in lines],
        "held_ms": held_ms,
    }


def mapped(state: str | None = None, node: str | None = None, *, known: bool = True, **more: Any) -> dict[str, Any]:
    """What intake found for a raw status."""
    return {"known": known, "state": state, "node": node, "flags": [], "event": None, "axis": None} | more


def says(topic: str, raw: str, when: int, meaning: dict[str, Any], **fields: Any) -> Fact:
    """A status in somebody's own words."""
    kinds = {"orders": "status_changed", "couriers": "probe_result", "wms": "package_scanned"}
    return fact(topic, fields.pop("event_type", kinds[topic]), when, raw_status=raw, mapped=meaning, **fields)


def step(state: OrderState | None, event: Fact, settings: OrderSettings = SETTINGS) -> Decision:
    return reduce(state, event, event["event_time"], settings)


def fold(events: Iterable[Fact], settings: OrderSettings = SETTINGS) -> tuple[OrderState, list[Decision]]:
    """The state after all events, and what became of each."""
    state: OrderState | None = None
    decisions = []
    for event in events:
        decision = step(state, event, settings)
        state = decision.state
        decisions.append(decision)
    assert state is not None
    return state, decisions


def view(*events: Fact) -> dict[str, Any]:
    """The record of order-states after the events."""
    return record(GUID, fold(events)[0])


def told(decisions: Iterable[Decision]) -> list[tuple[str, str | None]]:
    """(event, sign_type) of all order-events."""
    return [(event["event"], event["sign_type"]) for decision in decisions for event in decision.events]


def verdicts(decisions: Iterable[Decision]) -> list[str]:
    return [decision.audit["decision"] for decision in decisions]


def next_due(state: OrderState | None) -> int | None:
    """When the agent looks at the order next: its own timer, or that of its first answer."""
    key = asked(GUID, state)
    return due_at(state) if key is None else asked_of(key)[0]


class Run:
    """One order, told one thing after the other as the agent would; time moves on and fires its timer."""

    def __init__(self, settings: OrderSettings = SETTINGS) -> None:
        self.settings = settings
        self.state: OrderState | None = None
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.audits: list[dict[str, Any]] = []
        self.records = 0

    def tell(self, *events: Fact) -> list[dict[str, Any]]:
        """The commands to the stock that follow."""
        begun = len(self.sent)
        for event in events:
            self.wait_until(event["event_time"])
            if event["event_type"] == "_stock":
                self._keep(answer(self.state, event, event["event_time"], self.settings))
            else:
                decision = step(self.state, event, self.settings)
                self.audits.append(decision.audit)
                self._keep(Answer(decision.state, None, [*decision.sends], decision.changed))
        return [value for topic, _, value in self.sent[begun:] if topic == "stock-commands"]

    def wait_until(self, when: int) -> list[tuple[str, str, dict[str, Any]]]:
        """What the order's timer sends up to `when` (ms)."""
        begun = len(self.sent)
        while (at := next_due(self.state)) is not None and at <= when:
            assert self.state is not None
            self._keep(due(GUID, self.state, at, self.settings.stock, self.settings.nodes, self.settings.manual))
            assert next_due(self.state) != at, "a timer that is due again at once would never end"
        return self.sent[begun:]

    def _keep(self, told: Answer) -> None:
        self.state = told.state
        self.sent += told.sends
        self.audits += [told.audit] if told.audit else []
        self.audits += told.expired
        self.records += told.changed

    def view(self) -> dict[str, Any]:
        assert self.state is not None
        return record(GUID, self.state, self.settings.nodes, self.settings.manual)

    def outcomes(self) -> list[str | None]:
        return [entry["outcome"] for entry in self.view()["stock"] or ()]

    def alerts(self) -> dict[str, str]:
        """The last finding of each alert, by key without the guid."""
        return {key.removesuffix(f"/{GUID}"): value["do"] for topic, key, value in self.sent if topic == "alert-facts"}
