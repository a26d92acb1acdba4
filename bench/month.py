"""A month of orders as facts of `order-facts`, in order of event time, and what its reports must say of them.

Every order walks the same way (see WALK); some have something wrong with them, by their number, so that what the
reports must say is counted here by another way than there.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bench.load import Record
from streams.domain import calendar

FACTS = "order-facts"
MONTH = "2026-01"
BEGIN, END = calendar.at(2026, 1, 1), calendar.at(2026, 2, 1)
CLOSED_AT = calendar.at(2026, 2, 4, 10)
CHANNELS = ("tmall", "jd", "pdd", "kuaishou")
PRICE, DISCOUNT, FEE, REFUND, SHORT = 12_900, 900, 129, 3_000, 1_000
MINUTE, HOUR = calendar.MINUTE_MS, calendar.HOUR_MS

SHORT_EVERY, UNCONFIRMED_EVERY, REFUNDED_EVERY, COMPLAINT_EVERY = 1000, 500, 300, 701
"""Which orders were paid too little, never confirmed, partly refunded, complained about."""

WALK: tuple[tuple[str, str, str, int], ...] = (
    ("orders", "order_created", "{channel}", 0),
    ("payments", "payment_succeeded", "alipay", 2 * MINUTE),
    ("wms", "allocated", "wms-hz", 10 * MINUTE),
    ("wms", "label_printed", "wms-hz", HOUR),
    ("wms", "packed", "wms-hz", 3 * HOUR),
    ("wms", "loaded", "wms-hz", 4 * HOUR),
    ("couriers", "picked_up", "zto", 6 * HOUR),
    ("couriers", "scanned", "zto", 18 * HOUR),
    ("couriers", "out_for_delivery", "zto", 40 * HOUR),
    ("couriers", "signed", "zto", 44 * HOUR),
    ("orders", "buyer_confirmed", "{channel}", 60 * HOUR),
    ("payments", "fee_charged", "{channel}", 61 * HOUR),
)
_LINES = (
    '"lines":[{"line_no":1,"sku":"CAT-FD-15","name":"cat food 1.5 kg","quantity":2,"unit_price_minor":5400,'
    '"is_gift":false},'
    '{"line_no":2,"sku":"BOWL","name":"bowl","quantity":1,"unit_price_minor":3000,"is_gift":false}],'
    '"discounts":[{"text":"900","amount_minor":900}],"total_minor":12900,"currency":"CNY"'
)


@dataclass(frozen=True, slots=True)
class Month:
    """`orders` of them, evenly over the month."""

    orders: int

    def records(self) -> Iterator[Record]:
        """All facts, in order of event time."""
        steps = [self._step(*step) for step in WALK]
        steps += [self._odd("orders", "complaint", "{channel}", 50 * HOUR, COMPLAINT_EVERY)]
        steps += [self._odd("payments", "refund_settled", "alipay", 62 * HOUR, REFUNDED_EVERY)]
        for _, key, value in heapq.merge(*steps):
            yield FACTS, key, value

    def wanted(self) -> dict[str, object]:
        """What the reports must say: by channel the orders, abnormal ones (FIN-09) and the sums of FIN-08; how many are
        told (FIN-04) and held open (FIN-14)."""
        numbers = range(self.orders)
        created, abnormal = Counter(map(self.channel, numbers)), Counter[str]()
        booked, gmv = Counter[str](), Counter[str]()
        short = [n for n in numbers if n % SHORT_EVERY == 0]
        for n in numbers:
            channel = self.channel(n)
            gmv[channel] += PRICE + DISCOUNT
            refunded = REFUND if n % REFUNDED_EVERY == 0 else 0
            abnormal[channel] += bool(refunded or n % COMPLAINT_EVERY == 0)
            recognised = n % SHORT_EVERY != 0 and n % UNCONFIRMED_EVERY != 0
            booked[channel] += (PRICE - refunded if recognised else 0) - FEE
        held = sum(1 for n in numbers if n % UNCONFIRMED_EVERY == 0 and n % SHORT_EVERY != 0)
        figures = {"created": dict(created), "abnormal": dict(abnormal), "gmv": dict(gmv), "booked": dict(booked)}
        return {**figures, "told": len(short), "held_open": held}

    def channel(self, number: int) -> str:
        return CHANNELS[number % len(CHANNELS)]

    def _at(self, number: int) -> int:
        return BEGIN + number * (END - BEGIN) // self.orders

    def _step(self, topic: str, kind: str, source: str, after: int) -> Iterator[tuple[int, bytes, bytes]]:
        skipped = UNCONFIRMED_EVERY if kind == "buyer_confirmed" else 0
        return self._facts(topic, kind, source, after, (n for n in range(self.orders) if not skipped or n % skipped))

    def _odd(self, topic: str, kind: str, source: str, after: int, every: int) -> Iterator[tuple[int, bytes, bytes]]:
        return self._facts(topic, kind, source, after, range(0, self.orders, every))

    def _facts(
        self, topic: str, kind: str, source: str, after: int, numbers: Iterator[int] | range
    ) -> Iterator[tuple[int, bytes, bytes]]:
        form = _form(topic, kind, source)
        amount = {"payment_succeeded": PRICE, "fee_charged": FEE, "refund_settled": REFUND}.get(kind, 0)
        for n in numbers:
            at, channel, guid = self._at(n) + after, self.channel(n), f"DB20260101{n:012d}"
            paid = amount - SHORT if kind == "payment_succeeded" and n % SHORT_EVERY == 0 else amount
            value = form % {"n": n, "at": at, "channel": channel, "guid": guid, "amount": paid}
            yield at, guid.encode(), value.encode()


def _form(topic: str, kind: str, source: str) -> str:
    """The JSON of a fact as the agents pass it on, to be filled in by %."""
    said = source.replace("{channel}", "%(channel)s")
    parts = [f'"event_id":"{kind}-%(n)d"', f'"event_type":"{kind}"', '"event_time":%(at)d', f'"source":"{said}"']
    if topic == "couriers":
        parts += ['"courier":"zto"', '"waybill_no":"W%(n)012d"']
    else:
        parts += ['"channel":"%(channel)s"', '"order_no":"2601%(n)012d"']
    if topic == "payments":
        parts += ['"amount_minor":%(amount)d', '"currency":"CNY"', '"platform_txn_no":"42%(n)022d"']
    elif topic == "wms":
        parts += ['"warehouse":"HZ"'] + (['"waybill_no":"W%(n)012d"'] if kind not in ("allocated",) else [])
        parts += ['"quantity":3'] if kind in ("packed", "loaded") else []
    elif kind == "order_created":
        parts += [_LINES, '"customer_id":"c%(n)d"', '"alias18":"DBASTR%(n)012d"', '"sales_type":"normal"']
        parts += ['"address":{"province":"浙江省","city":"杭州市","district":"余杭区","street":"文一西路 969 号"}']
    return "{" + ",".join([*parts, f'"topic":"{topic}"', '"digest":%(n)d', '"order_guid":"%(guid)s"']) + "}"
