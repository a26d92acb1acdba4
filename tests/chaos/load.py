"""Seeded input events of many orders: out of order, repeated, orphaned, broken.

Event times lie hours ahead of the wall clock (within the day that the contract allows), so stream time alone decides
when timers fire and the expected output does not depend on how fast the machine is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

HOUR_MS = 3_600_000
AHEAD_MS = 2 * HOUR_MS
STEP_MS = 200
"""Event time between the creation of two orders: 100,000 of them stay within the day."""

WANTED = 25
"""Each so many orders there is one whose buyer wants an invoice."""
CODED = 5
"""SKUs that have a tax code; the invoices of others are blocked (TAX-05)."""
FIRM = {"type": "enterprise", "name": "杭州云帆贸易有限公司", "tax_number": "91110000600037341L", "bank": "招商银行",
        "bank_account": "6225"}  # fmt: skip

Input = tuple[str, bytes | None, dict[str, Any] | bytes]
"""(topic, key, event or a payload nobody can read)"""


def story(number: int, at: int, chance: random.Random) -> list[Input]:
    """The events of one order in the order they happened; `at` is when it was created (ms)."""
    channel = chance.choice(["douyin", "tmall", "jd"])
    order_no, txn, waybill = f"{channel}-{number}", f"T{number:012d}", f"W{number:012d}"
    total = chance.randrange(100, 100_000)
    clock = at
    wants = number % WANTED == WANTED // 2
    buyer = FIRM if number // WANTED % 4 == 0 else {"type": "person", "name": f"李{number % 500}"}
    with_order, sku = wants and number // WANTED % 2 == 0, f"S{number % 97}"
    if wants:
        sku = f"S{number // WANTED % (CODED + 1)}"

    def event(topic: str, kind: str, source: str, **fields: Any) -> Input:
        nonlocal clock
        value = {"event_id": f"{kind}-{number}", "event_type": kind, "event_time": clock, "source": source, **fields}
        clock += chance.randrange(1_000, 90_000)
        return topic, order_no.encode(), value

    by_order = {"channel": channel, "order_no": order_no}
    events = [
        event(
            "orders", "order_created", channel, **by_order, platform_txn_no=txn, total_minor=total, currency="CNY",
            customer_id=f"c-{number % 500}", raw=f"raw {number}",
            invoice=buyer if with_order else None,
            lines=[{"line_no": 1, "sku": sku, "name": "x", "quantity": 1, "unit_price_minor": total,
                    "is_gift": False}],
        ),
        event("payments", "payment_succeeded", "wechatpay", platform_txn_no=txn, amount_minor=total, currency="CNY"),
        *(
            [event("orders", "invoice_requested", channel, **by_order, invoice=buyer)]
            if wants and not with_order
            else ()
        ),
        event("wms", "picking_started", "wms-hz", **by_order, warehouse="hz"),
        event("wms", "loaded", "wms-hz", **by_order, waybill_no=waybill, package_id=f"P{number}", warehouse="hz"),
        event("couriers", "picked_up", "zto", waybill_no=waybill, courier="zto", raw_status="201"),
        event("couriers", "signed", "zto", waybill_no=waybill, courier="zto"),
        event("orders", "buyer_confirmed", channel, **by_order),
    ]  # fmt: skip
    if chance.random() < 0.05:
        events.append(event("payments", "refund_settled", "wechatpay", platform_txn_no=txn, amount_minor=total // 2,
                            currency="CNY"))  # fmt: skip
    kept = events[: chance.randrange(2, len(events) + 1)]
    if chance.random() < 0.02:
        kept = kept[1:]  # the order never comes: its payment is an orphan
    return kept


def tax_codes(at: int) -> Iterator[Input]:
    for number in range(CODED):
        value = {"kind": "tax_code", "sku": f"S{number}", "tax_code": "1" * 19, "exempt": False, "rate_per_10000": 1300}
        event = {"event_id": f"tax-code-{number}", "event_type": "reference_set", "event_time": at, "source": "console"}
        yield "ops", None, {**event, "value": json.dumps(value)}


def disturbed(events: list[Input], chance: random.Random) -> Iterator[Input]:
    """The same events as they arrive: neighbours swapped, some twice, junk in between."""
    events = list(events)
    for at in range(len(events) - 1):
        if chance.random() < 0.2:
            events[at], events[at + 1] = events[at + 1], events[at]
    for topic, key, value in events:
        yield topic, key if chance.random() < 0.9 else None, value
        if chance.random() < 0.05:
            yield topic, key, value
        if chance.random() < 0.002:
            yield topic, key, b"\x00\x00\x00\x00\x01junk" + chance.randbytes(3)
        if chance.random() < 0.002 and isinstance(value, dict):
            yield topic, key, {**value, "event_id": value["event_id"] + "-x", "event_type": "no_such_event"}


def inputs(seed: int, now: int) -> Iterator[Input]:
    """Interleaved stories without end, a few dozen orders open at a time."""
    chance = random.Random(seed)
    waiting: list[list[Input]] = []
    number = 0
    yield from tax_codes(now + AHEAD_MS)
    while True:
        while len(waiting) < 50:
            made = story(number, now + AHEAD_MS + number * STEP_MS, chance)
            waiting.append(list(disturbed(made, chance)))
            number += 1
        mine = chance.randrange(len(waiting))
        if waiting[mine]:
            yield waiting[mine].pop(0)
        if not waiting[mine]:
            waiting.pop(mine)
