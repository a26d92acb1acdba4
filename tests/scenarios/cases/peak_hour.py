"""Failure case 4: the promotion of a beauty store, 22 February 2026. 8,426 orders come in one hour; everything behind
was made for 3,000. Then 327 orders were in no review pool, 19 were there twice, 48 were paid without stock deducted.

The story, told by what other systems say: goods for 40 SKUs, one of them scarce; orders from two channels; payments,
some before their order, some too late, some never; cancellations; orders that the shop sends twice; and a warehouse
that takes up 3,000 orders an hour, in the order of their payments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streams.convert.common import Line, line
from streams.domain import calendar

ORDERS, TWICE, PER_HOUR = 8_426, 19, 3_000
START = calendar.at(2026, 2, 22, 20)
END = START + 4 * calendar.HOUR_MS
SKUS, SCARCE, SCARCE_UNITS = 40, "LIP-00", 150
STAGE_MS = 5 * calendar.MINUTE_MS
DELAY_MS = 500
PRICE = 12_900


@dataclass(frozen=True, slots=True)
class Case:
    """One order and what will be said about it; times are ms."""

    number: int
    sku: str
    created: int
    paid: int | None
    closed: int | None
    outcome: str
    sales_type: str
    total: int

    @property
    def order_no(self) -> str:
        return f"260222{self.number:08d}"

    @property
    def channel(self) -> str:
        return ("tmall", "douyin")[self.number % 2]

    @property
    def arrives(self) -> int:
        """Every ninth order takes so long to get here that its payment is first."""
        delayed = self.number % 9 == 0 and self.outcome == "confirmed" and self.sku != SCARCE
        return self.created if not delayed or self.paid is None else self.paid + DELAY_MS

    @property
    def ready(self) -> int | None:
        """When it and its payment have come."""
        return None if self.paid is None else max(self.paid, self.arrives)

    @property
    def lane(self) -> str:
        return "review_l3" if self.total >= 1_000_000 else "review_l2" if self.sales_type == "presale" else "wms"


def cases() -> list[Case]:
    """All orders, in order of their creation."""
    found = []
    scarce = 0
    for number in range(ORDERS):
        created = START + number * calendar.HOUR_MS // ORDERS
        sku = f"LIP-{number % SKUS:02d}"
        paid: int | None = created + 8_000 + number % 32 * 1_000
        closed, outcome = None, "confirmed"
        if sku == SCARCE:
            scarce += 1
            if scarce > SCARCE_UNITS:
                paid, outcome = None, "refused"
        elif number % 29 == 7:
            paid, outcome = None, "expired"
        elif number % 97 == 13:
            paid = created + 16 * calendar.MINUTE_MS  # after the hold: the units are still there
        elif number % 101 == 6 and number % 2 == 0:
            paid, closed, outcome = None, created + 90_000, "released"
        kind = "presale" if number % 20 == 3 else "normal"
        found.append(Case(number, sku, created, paid, closed, outcome, kind, 1_200_000 if number % 50 == 11 else PRICE))
    return found


def taken_up(orders: list[Case]) -> dict[int, int]:
    """Order -> when the warehouse takes it up: first paid first, one every 1.2 s, none at once."""
    free, when = START, {}
    for ready, number in sorted((case.ready, case.number) for case in orders if case.ready is not None):
        free = max(free + calendar.HOUR_MS // PER_HOUR, ready + 10_000)
        when[number] = free
    return when


def lines() -> list[Line]:
    """Everything that is said, in order of arrival."""
    orders = cases()
    told: list[tuple[int, int, Line]] = [(START - 60_000, -1, goods) for goods in _goods()]
    allocated = taken_up(orders)

    def say(case: Case, arrives: int, entry: Line) -> None:
        told.append((arrives, case.number, entry))

    for case in orders:
        say(case, case.arrives, _created(case))
        if case.number % 440 == 0 and case.number // 440 < TWICE:
            same = case.number // 440 % 2 == 0
            say(case, case.arrives + 2_000, _created(case, event=1 if same else 2))
        if case.paid is not None:
            say(case, case.paid, _paid(case, case.paid))
            say(case, allocated[case.number], _allocated(case, allocated[case.number]))
        if case.closed is not None:
            say(case, case.closed, _closed(case, case.closed))
    return [entry for _, _, entry in sorted(told, key=lambda each: each[:2])]


def _goods() -> Iterator[Line]:
    for number in range(SKUS):
        sku = f"LIP-{number:02d}"
        yield line(
            "wms",
            event_id=f"in-{sku}",
            event_type="stock_received",
            event_time=START - 60_000,
            source="wms-hz",
            sku=sku,
            warehouse="HZ",
            quantity=SCARCE_UNITS if sku == SCARCE else 1_000,
        )


def _created(case: Case, event: int = 1) -> Line:
    goods = {"line_no": 1, "sku": case.sku, "name": "丝绒口红", "quantity": 1, "unit_price_minor": case.total}
    return _say(
        case,
        "orders",
        "order_created",
        case.created,
        case.channel,
        event,
        channel=case.channel,
        order_no=case.order_no,
        platform_txn_no=_txn(case),
        sales_type=case.sales_type,
        lines=[goods | {"is_gift": False}],
        total_minor=case.total,
        currency="CNY",
    )


def _paid(case: Case, when: int) -> Line:
    money: dict[str, Any] = {"amount_minor": case.total, "currency": "CNY"}
    return _say(case, "payments", "payment_succeeded", when, "wechatpay", platform_txn_no=_txn(case), **money)


def _allocated(case: Case, when: int) -> Line:
    names: dict[str, Any] = {"channel": case.channel, "order_no": case.order_no}
    return _say(case, "wms", "allocated", when, "wms-hz", warehouse="HZ", **names)


def _closed(case: Case, when: int) -> Line:
    names: dict[str, Any] = {"channel": case.channel, "order_no": case.order_no}
    said: dict[str, Any] = {"raw_status": "TRADE_CLOSED_BY_TAOBAO", "raw_field": "status"}
    return _say(case, "orders", "status_changed", when, "tmall", **names, **said)


def _say(case: Case, topic: str, event_type: str, when: int, source: str, event: int = 1, **fields: Any) -> Line:
    event_id = f"{event_type}-{case.order_no}-{event}"
    return line(topic, event_id=event_id, event_type=event_type, event_time=when, source=source, **fields)


def _txn(case: Case) -> str:
    return f"42000027122026022200{case.number:08d}"
