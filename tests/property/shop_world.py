"""Random weeks of a shop in the words of the contract: orders of few customers and SKUs, told by all systems, some of
it late, with whatever may become of an order."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

from streams import topology
from streams.domain import calendar, ids
from streams.lines import code_of
from tests.scenarios.play import Record

START: Final = calendar.at(2026, 1, 24, 10)
MINUTE, HOUR, DAY = calendar.MINUTE_MS, calendar.HOUR_MS, calendar.DAY_MS
CHANNELS: Final = ("douyin", "tmall", "jd")
PRIVATE: Final = ("Wensan Road", "Receiver Li", "1389997", "10.77.")
"""Of each of these personal data some is in every order."""
LATE: Final = (0,) * 8 + (500, 5_000, 5 * MINUTE, 2 * HOUR, 26 * HOUR)
WORDS: Final = {"douyin": ("2", "105", "4"), "tmall": ("WAIT_SELLER_SEND_GOODS", "TRADE_CLOSED"), "jd": ("LOCKED", "?")}
TAXED: Final = {"kind": "tax_code", "tax_code": "1090101010000000000", "exempt": False, "rate_per_10000": 1300}


class World:
    """`events`: (topic, value) in order of arrival; `end` is long after the last."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"shop {seed}")
        self.told: list[tuple[int, int, str, dict[str, Any]]] = []
        self.span = self.random.choice((2 * HOUR, 2 * DAY, 9 * DAY))
        self.skus = [f"SKU{number}" for number in range(self.random.randint(3, 7))]
        self.places = [f"wh{number}" for number in range(self.random.randint(1, 3))]
        for sku in self.skus:
            self._stock(sku)
        for number in range(self.random.randint(6, 12)):
            _Order(self, number).tell()
        for channel in CHANNELS:
            for _ in range(self.random.choice((0, 3))):
                figures = {"interface": "api", "calls": 100, "errors": self.random.choice((0, 50)), "p95_ms": 100}
                self.ops(self.random.randrange(self.span), "heartbeat", figures, source=channel, channel=channel)
        if self.maybe(0.5):
            self.say(self.random.choice((9, 12)) * DAY, "finance", "period_closed", "erp", period="2026-01")
        self.told.sort()
        self.events = [(topic, value) for *_, topic, value in self.told]
        self.end = max(value["event_time"] for _, value in self.events) + 16 * DAY

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    def say(self, at: int, topic: str, kind: str, source: str, **fields: Any) -> None:
        value = {"event_id": f"e{len(self.told)}", "event_type": kind, "event_time": START + at, "source": source}
        value |= {name: field for name, field in fields.items() if field is not None}
        arrives = START + at + (self.random.choice(LATE) if at > 0 else 0)
        self.told.append((arrives, len(self.told), topic, value))

    def ops(self, at: int, kind: str, value: Any = None, source: str = "console", **fields: Any) -> None:
        self.say(at, "ops", kind, source, value=None if value is None else json.dumps(value), **fields)

    def _stock(self, sku: str) -> None:
        random, span = self.random, self.span
        if self.maybe(0.7):
            self.ops(-2 * DAY, "reference_set", {**TAXED, "sku": sku})
        if self.maybe(0.15):
            return  # nobody counts it
        for place in self.places:
            about = {"sku": sku, "warehouse": place}
            self.say(-DAY, "wms", "stock_received", place, **about, quantity=random.choice((2, 5, 50)))
            if self.maybe(0.4):
                self.say(random.randrange(span), "wms", "stock_received", place, **about, quantity=3)
            if self.maybe(0.3):
                self.say(
                    random.randrange(span), "wms", "stock_snapshot", place, **about, quantity=random.choice((0, 9))
                )
            if self.maybe(0.3):
                pools = {"pool": "sales", "to_pool": random.choice(("quality_check", "in_transit"))}
                self.say(random.randrange(span), "wms", "stock_moved", place, **about, quantity=1, **pools)
        if self.maybe(0.3):
            told = {"sku": sku, "channel": random.choice(CHANNELS)}
            self.ops(random.randrange(span), "quota_set", {**told, "quota": random.choice((1, 20))})
            self.ops(random.randrange(span), "reference_set", {**told, "kind": "channel_stock", "quantity": 5})


class _Order:
    def __init__(self, world: World, number: int) -> None:
        self.world, self.random, self.maybe = world, world.random, world.maybe
        self.number, self.channel = number, world.random.choice(CHANNELS)
        self.codes = {"channel": self.channel, "order_no": f"N{number:03d}"}
        self.at = world.random.randrange(world.span)
        self.guid = ids.order_guid(self.channel, self.codes["order_no"], START + self.at)
        self.customer = f"customer-{world.random.randrange(6)}"
        prices = (990, 3333, 12900, 600000)
        self.lines: list[dict[str, Any]] = []
        for n in range(1, self.random.choice((1, 1, 2, 3)) + 1):
            goods = {"line_no": n, "sku": self.random.choice(world.skus), "name": "goods", "is_gift": False}
            priced = {"quantity": self.random.randint(1, 3), "unit_price_minor": self.random.choice(prices)}
            self.lines.append(goods | priced)
        self.total = sum(line["quantity"] * line["unit_price_minor"] for line in self.lines)
        self.place = self.random.choice(world.places)

    def say(self, at: int, topic: str, kind: str, source: str | None = None, **fields: Any) -> None:
        self.world.say(at, topic, kind, source or self.channel, **{**self.codes, **fields})

    def money(self, at: int, kind: str, amount: int, **fields: Any) -> None:
        self.say(at, "payments", kind, "wechatpay", amount_minor=max(1, amount), currency="CNY", **fields)

    def tell(self) -> None:
        self._create()
        paid = self._pay()
        self._talk()
        end = self.random.choice(("sent",) * 6 + ("cancelled", "refunded", "nothing")) if paid else "cancelled"
        after = self.at + self.random.choice((MINUTE, 20 * MINUTE, 5 * HOUR))
        if end == "cancelled":
            self.say(after, "orders", self.random.choice(("cancel_requested", "cancel_marked")))
        if paid and end in ("cancelled", "refunded"):
            line = self.random.choice((*self.lines, None))
            amount = self.total if line is None else line["quantity"] * line["unit_price_minor"]
            self.money(after + HOUR, "refund_settled", amount, line_no=line and line["line_no"])
        if end in ("sent", "refunded"):
            self._send(after + self.random.choice((0, HOUR, 2 * DAY)))

    def _create(self) -> None:
        random, place = self.random, {"province": "浙江", "city": "杭州"}
        person = {
            "street": f"{PRIVATE[0]} {self.number}",
            "receiver": PRIVATE[1],
            "phone": f"{PRIVATE[2]}{self.number:04d}",
        }
        fields = {"lines": self.lines, "total_minor": self.total, "currency": "CNY", "address": {**place, **person}}
        fields |= {"customer_id": self.customer, "ip": f"{PRIVATE[3]}1.{random.randrange(3)}", "warehouse": self.place}
        fields |= {"platform_txn_no": f"T{self.number}", "coupon_count": random.choice((None, 3))}
        fields |= {
            "sales_type": random.choice(("normal", "normal", "presale")),
            "carrier": random.choice(("zto", None)),
        }
        fields["promised_delivery_at"] = random.choice((None, START + self.at + 4 * DAY))
        self.say(self.at, "orders", "order_created", **fields, invoice={"type": "person"} if self.maybe(0.3) else None)

    def _pay(self) -> bool:
        at = self.at + self.random.choice((0, 1000, 4 * MINUTE, 14 * MINUTE, 16 * MINUTE, 2 * HOUR))
        way = self.random.choice(("whole", "whole", "whole", "parts", "deposit", "twice", "short", "never"))
        if way in ("whole", "twice"):
            self.money(at, "payment_succeeded", self.total, platform_txn_no=f"T{self.number}")
        if way == "twice":
            self.money(at + HOUR, "payment_succeeded", self.total)
        if way == "short":
            self.money(at, "payment_succeeded", self.total - 100)
        if way in ("parts", "deposit"):
            first, second = ("payment_succeeded",) * 2 if way == "parts" else ("deposit_paid", "balance_paid")
            self.money(at, first, self.total // 3)
            self.money(at + self.random.choice((HOUR, DAY)), second, self.total - self.total // 3)
        if way != "never" and self.maybe(0.3):
            self.money(at + MINUTE, "fee_charged", self.total // 100, fee_type="commission")
        return way != "never"

    def _talk(self) -> None:
        world, random = self.world, self.random
        if self.maybe(0.3):
            self.say(self.at + HOUR, "orders", "status_changed", raw_status=random.choice(WORDS[self.channel]))
        for _ in range(random.choice((0, 0, 1, 3))):
            words = random.choice(("急用", "催单", "hello"))
            at = self.at + random.choice((5 * MINUTE, HOUR, DAY))
            world.say(at, "service", "chat_message", "im", customer_id=self.customer, text=words, **self._named())
        if self.maybe(0.3):
            at, asks = self.at + random.choice((HOUR, 5 * HOUR)), {"request_id": f"R{self.number}"}
            command = {"command": "skip_quality_check", "operator": "amy", "reason": "because"}
            world.ops(at, "manual_command", target=self.guid, **command, **asks)
            for operator in random.choice((("bob",), ("bob", "cat"), ("bob", "amy"))):
                world.ops(at + random.choice((1000, 3 * HOUR)), "approval", operator=operator, **asks)
        if self.maybe(0.2):
            world.ops(self.at + DAY, "manual_command", target=self.guid, command="unlock_order", operator="zed")

    def _named(self) -> dict[str, Any]:
        return self.codes if self.maybe(0.5) else {}

    def _send(self, at: int) -> None:
        place, waybill = {"warehouse": self.place}, f"W{self.number:03d}"
        steps = ("allocated", "label_print_failed", "label_printed", "picking_started", "packed")
        for number, kind in enumerate(steps):
            if self.maybe(0.8):
                self.say(at + number * 10 * MINUTE, "wms", kind, self.place, **place)
        self.say(at + HOUR, "wms", "loaded", self.place, **place, waybill_no=waybill)
        courier = self.random.choice(("zto", "sf"))
        at += HOUR + self.random.choice((HOUR, 30 * HOUR))
        for kind in ("waybill_accepted", "picked_up", "scanned", "out_for_delivery", "signed"):
            if self.maybe(0.85):
                word = self.random.choice(("运输中", "weird")) if kind == "scanned" else None
                self.world.say(at, "couriers", kind, courier, waybill_no=waybill, courier=courier, raw_status=word)
            at += self.random.choice((HOUR, 10 * HOUR, 26 * HOUR))
        if self.maybe(0.5):
            self.say(at + DAY, "orders", "buyer_confirmed")
        elif self.maybe(0.5):
            answer = self.random.choice(("confirmed", "busy", "damaged"))
            self.say(at + DAY, "service", "voice_call_result", "ivr", result=answer)
        if self.maybe(0.2):
            self.money(at + 3 * DAY, "refund_settled", self.lines[0]["unit_price_minor"])
        if self.maybe(0.3):
            self.say(at + 5 * DAY, "finance", "receipt_recorded", "erp", amount_minor=self.total, currency="CNY")
            self.say(at + 7 * DAY, "finance", "settled", "erp")


def record(topic: str, value: dict[str, Any]) -> Record:
    return topic, topology.load().encoder(topic)(value), code_of(value)
