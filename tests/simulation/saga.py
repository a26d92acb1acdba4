"""A few hours of a shop whose stock is short: orders that are paid, or late, or never, cancelled, refunded, delivered.

Everything that makes the saga between orders and stock hard happens in it: several SKUs and lines of one SKU in an
order, SKUs under no control, payment before the answer and after the expiry, deposits, ends at any moment, doubled
events.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

from streams import topology
from streams.lines import code_of

Record = tuple[str, bytes, str | None]

START: Final = 1_769_220_000_000
MINUTE: Final = 60_000
STOCK: Final = {"CUP": 9, "POT": 4, "TEA": 3}
FREE: Final = "GIFT"
"""A SKU nobody ever counted."""
ORDERS: Final = 22


def story(seed: int) -> tuple[list[list[Record]], int]:
    """The events, a few at a time, and a time by which all is over."""
    random = Random(f"saga {seed}")
    told: list[tuple[int, str, dict[str, Any]]] = []
    for sku, units in STOCK.items():
        first = random.randint(1, units)
        told.append((0, "wms", _received(sku, first, 0)))
        if first < units:
            told.append((random.randint(5, 60) * MINUTE, "wms", _received(sku, units - first, 1)))
    for number in range(ORDERS):
        told += _order(random, number, random.randint(1, 90) * MINUTE)
    told.sort(key=lambda entry: entry[0] + random.choice((0, 0, 0, MINUTE)))  # some arrive late
    for _ in range(5):
        told.insert(random.randrange(len(told)), random.choice(told))
    encoders = {name: topology.load().encoder(name) for name in ("orders", "payments", "wms", "couriers")}
    records: list[Record] = []
    for at, topic, value in told:
        event = {"event_time": START + at, **value}
        records.append((topic, encoders[topic](event), code_of(event)))
    chunks = []
    while records:
        size = random.randint(1, 12)
        chunks.append(records[:size])
        del records[:size]
    return chunks, START + 3 * 24 * 60 * MINUTE


def _received(sku: str, units: int, number: int) -> dict[str, Any]:
    names = {"event_id": f"in-{sku}-{number}", "event_type": "stock_received", "source": "wms-hz"}
    return {**names, "warehouse": "hz", "sku": sku, "quantity": units}


def _order(random: Random, number: int, begin: int) -> list[tuple[int, str, dict[str, Any]]]:
    skus = [random.choice((*STOCK, *STOCK, FREE)) for _ in range(random.choice((1, 1, 2, 3)))]
    lines: list[dict[str, Any]] = [
        {"line_no": n, "sku": sku, "quantity": random.choice((1, 1, 2)), "unit_price_minor": 1000}
        for n, sku in enumerate(skus, start=1)
    ]
    total = sum(1000 * line["quantity"] for line in lines)
    names = {"channel": random.choice(("douyin", "tmall")), "order_no": f"S{number:04d}"}
    told: list[tuple[int, str, dict[str, Any]]] = []

    def say(after: int, topic: str, event_type: str, **fields: Any) -> None:
        event = {"event_id": f"{number}-{event_type}-{len(told)}", "event_type": event_type, "source": topic}
        told.append((begin + after, topic, {**event, **names, **fields}))

    money = {"currency": "CNY", "amount_minor": total}
    say(0, "orders", "order_created", lines=lines, total_minor=total, currency="CNY")
    if random.random() < 0.8:
        pays = random.choice((0, 100, 30_000, 5 * MINUTE, 14 * MINUTE, 15 * MINUTE, 40 * MINUTE))
        if random.random() < 0.2:
            say(pays, "payments", "deposit_paid", **{**money, "amount_minor": 100})
            pays += random.choice((0, MINUTE, 40 * MINUTE, 90 * MINUTE))
            say(pays, "payments", "balance_paid", **{**money, "amount_minor": total - 100})
        else:
            say(pays, "payments", "payment_succeeded", **money)
        end = random.choice(("refund", "line", "cancel", "ship", "ship", "ship", "none"))
        after = pays + random.choice((0, 1, MINUTE, 30 * MINUTE))
        if end == "refund":
            say(after, "payments", "refund_settled", **money)
        elif end == "line":
            line = random.choice(lines)
            part = {"currency": "CNY", "amount_minor": 1000 * line["quantity"], "line_no": line["line_no"]}
            say(after, "payments", "refund_settled", **part)
        elif end == "cancel":
            say(after, "orders", "cancel_marked")
        if end in ("ship", "line"):
            say(after + 60 * MINUTE, "wms", "allocated")
            say(after + 90 * MINUTE, "wms", "loaded", waybill_no=f"W{number}")
            say(after + 200 * MINUTE, "couriers", "signed", waybill_no=f"W{number}")
            last = random.choice(("confirm", "refund", "none"))
            if last == "confirm":
                say(after + 300 * MINUTE, "orders", "buyer_confirmed")
            elif last == "refund":
                say(after + 300 * MINUTE, "payments", "refund_settled", **money)
    elif random.random() < 0.5:
        say(random.choice((0, 1, MINUTE, 14 * MINUTE, 16 * MINUTE)), "orders", "cancel_marked")
    return told
