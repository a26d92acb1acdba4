"""How the failure cases are written down: one shop, one story, events with times of Shanghai."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from streams.convert.common import Line, line

SHANGHAI = timezone(timedelta(hours=8))


def at(text: str) -> datetime:
    """A wall-clock time of Shanghai: "2026-01-22 20:00:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


@dataclass
class Order:
    """One order and the events told about it. Event ids follow from its number and what is told."""

    channel: str
    order_no: str
    goods: str
    sku: str
    price_minor: int
    txn: str | None = None
    waybill: str | None = None
    pay: str = "wechatpay"
    wms: str = "wms-hz"
    courier: str = "zto"
    told: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        return {"channel": self.channel, "order_no": self.order_no}

    def created(self, when: datetime, **extra: Any) -> Line:
        goods = {"line_no": 1, "sku": self.sku, "name": self.goods, "quantity": 1, "unit_price_minor": self.price_minor}
        return self.say(
            "orders",
            "order_created",
            when,
            self.channel,
            **self.names,
            platform_txn_no=self.txn,
            lines=[goods | {"is_gift": False}],
            total_minor=self.price_minor,
            currency="CNY",
            **extra,
        )

    def paid(self, when: datetime, **names: Any) -> Line:
        """By the transaction number alone, as payment platforms know an order, unless other names are given."""
        money = {"amount_minor": self.price_minor, "currency": "CNY"}
        return self.say(
            "payments", "payment_succeeded", when, self.pay, **(names or {"platform_txn_no": self.txn}), **money
        )

    def loaded(self, when: datetime) -> Line:
        return self.say("wms", "loaded", when, self.wms, **self.names, waybill_no=self.waybill, raw_status="LOADED")

    def courier_says(self, event_type: str, when: datetime, raw_status: str | None = None) -> Line:
        names = {"waybill_no": self.waybill, "courier": self.courier}
        return self.say("couriers", event_type, when, self.courier, **names, raw_status=raw_status)

    def channel_says(self, when: datetime, raw_status: str, source: str | None = None) -> Line:
        return self.say("orders", "status_changed", when, source or self.channel, **self.names, raw_status=raw_status)

    def say(self, topic: str, event_type: str, when: datetime, source: str, **fields: Any) -> Line:
        kind = f"{source}-{event_type}"
        self.told[kind] = self.told.get(kind, 0) + 1
        return line(
            topic,
            event_id=f"{source}-{self.order_no}-{event_type}-{self.told[kind]}",
            event_type=event_type,
            event_time=iso(when),
            source=source,
            **fields,
        )


def shipped(order: Order, start: datetime) -> list[Line]:
    """The smooth way up to the courier's van: created, paid, loaded, picked up, out for delivery over two days."""
    return [
        order.created(start),
        order.paid(start + timedelta(seconds=9)),
        order.loaded(start + timedelta(hours=5)),
        order.courier_says("picked_up", start + timedelta(hours=8), "201"),
        order.courier_says("out_for_delivery", start + timedelta(hours=44), "派送中"),
    ]
