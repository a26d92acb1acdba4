"""What happens to a shop in a few days, through all agents: the books add up, and what was raised ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from streams import agents, topology
from streams.commands.stock_books import Books, Finding
from streams.domain import calendar
from streams.engine.local import LocalRunner

T0 = calendar.at(2026, 1, 22, 10)
MINUTE, HOUR, DAY = calendar.MINUTE_MS, calendar.HOUR_MS, calendar.DAY_MS

Event = tuple[str, dict[str, Any]]
"""(topic, value)."""


def says(topic: str, event_type: str, at: int, source: str = "s", **fields: Any) -> Event:
    """`at`: ms after T0. The event's id follows from what it says."""
    value = {"event_type": event_type, "event_time": T0 + at, "source": source, **fields}
    return topic, {"event_id": f"{event_type}-{at}-{fields.get('order_no', '')}-{fields.get('line_no', '')}", **value}


def received(sku: str, units: int, at: int = 0, warehouse: str = "hz") -> Event:
    return says("wms", "stock_received", at, f"wms-{warehouse}", sku=sku, quantity=units, warehouse=warehouse)


def created(order_no: str, at: int, *skus: str, channel: str = "douyin", **fields: Any) -> Event:
    lines = [{"line_no": n, "sku": sku, "quantity": 1, "unit_price_minor": 1000} for n, sku in enumerate(skus, 1)]
    about = {"lines": lines, "total_minor": 1000 * len(skus), "currency": "CNY"}
    return says("orders", "order_created", at, channel, channel=channel, order_no=order_no, **about, **fields)


def cart(customer: str, at: int, sku: str, units: int, channel: str = "douyin") -> Event:
    lines = [{"line_no": 1, "sku": sku, "quantity": units}]
    return says("orders", "cart_added", at, channel, channel=channel, customer_id=customer, lines=lines)


def of(order_no: str, topic: str, event_type: str, at: int, **fields: Any) -> Event:
    return says(topic, event_type, at, topic, **{"channel": "douyin", "order_no": order_no, **fields})


def money(order_no: str, event_type: str, at: int, amount: int, **fields: Any) -> Event:
    return of(order_no, "payments", event_type, at, amount_minor=amount, currency="CNY", **fields)


class Shop:
    """All agents over these events in this order of arrival, and what is left at `until`."""

    def __init__(self, events: Sequence[Event], until: int = 2 * DAY) -> None:
        runner = LocalRunner(agents.ALL, topology.load(), received_at=T0 + 60 * DAY)
        for topic, value in events:
            runner.send(topic, value, value.get("order_no") or value.get("sku"))
            runner.run()
        runner.advance(T0 + until)
        self.runner = runner
        last = {str(key): value for key, value in runner.output("order-states")}
        self.orders = {value["order_no"]: value for value in last.values()}
        self.stock = {str(key): value for key, value in runner.output("inventory-states")}
        self.alerts = {str(key): value for key, value in runner.output("alerts")}

    def books(self) -> list[Finding]:
        """What `oms stock check` would find."""
        books = Books()
        for _, row in self.runner.output("stock-ledger"):
            books.post(row)
        for sku, state in self.stock.items():
            books.state(sku, state)
        for order in self.orders.values():
            books.order(order)
        return books.findings()

    def outcomes(self, order_no: str) -> list[str]:
        return [entry["outcome"] for entry in self.orders[order_no]["stock"]]

    def is_open(self, rule: str) -> list[str]:
        return [key for key, alert in self.alerts.items() if alert["rule"] == rule and alert["status"] != "closed"]


@pytest.mark.rule("INV-03", "INV-05", "INV-06", "INV-07")
def test_carts_orders_and_quotas_of_two_channels_leave_books_that_add_up() -> None:
    quota = json.dumps({"sku": "BAG", "channel": "douyin", "quota": 5})
    shop = Shop(
        [
            received("BAG", 10),
            says("ops", "quota_set", 1, value=quota),
            cart("c1", 1 * MINUTE, "BAG", 3),
            cart("c2", 2 * MINUTE, "BAG", 2),
            created("t1", 3 * MINUTE, *["BAG"] * 5, channel="tmall"),
            created("d1", 4 * MINUTE, "BAG", "BAG", customer_id="c1"),
            created("d2", 5 * MINUTE, "BAG", "BAG", customer_id="c2"),
            money("d1", "payment_succeeded", 6 * MINUTE, 2000),
            money("t1", "payment_succeeded", 7 * MINUTE, 5000, channel="tmall"),
            of("d2", "orders", "cancel_marked", 8 * MINUTE),
        ]
    )
    assert {no: {*shop.outcomes(no)} for no in ("t1", "d1", "d2")} == {
        "t1": {"confirmed"},
        "d1": {"confirmed"},
        "d2": {"released"},
    }
    bag = shop.stock["BAG"]
    assert (bag["available"], bag["held"], bag["vouchers"], bag["aside"]) == (3, 0, 0, 3)
    assert shop.books() == []


@pytest.mark.rule("INV-07", "FIN-07")
@pytest.mark.parametrize("refunded", [HOUR, 3 * HOUR], ids=["before it left", "after it left"])
def test_what_of_an_order_is_on_the_shelf_does_not_depend_on_who_speaks_first(refunded: int) -> None:
    story = [
        money("1", "payment_succeeded", 2 * MINUTE, 2000),
        money("1", "refund_settled", refunded, 1000, line_no=2),
        of("1", "wms", "loaded", 2 * HOUR, waybill_no="W1"),
        of("1", "couriers", "picked_up", 4 * HOUR, waybill_no="W1"),
    ]
    for arrived in permutations(story):
        shop = Shop([received("BAG", 1), received("CUP", 1), created("1", 1 * MINUTE, "BAG", "CUP"), *arrived])
        on_shelf = {sku: state["available"] for sku, state in shop.stock.items()}
        assert on_shelf == {"BAG": 0, "CUP": 1 if refunded < 2 * HOUR else 0}, [value for _, value in arrived]
        assert shop.books() == []


@pytest.mark.rule("FIN-07", "INV-07", "BRK-06")
@pytest.mark.parametrize("is_again", [False, True], ids=["paid back", "paid again"])
def test_a_cancelled_order_that_is_paid_back_in_parts_stays_on_the_shelf_whoever_speaks_first(is_again: bool) -> None:
    story = [
        money("1", "payment_succeeded", 2 * MINUTE, 2000),
        of("1", "orders", "cancel_marked", HOUR),
        money("1", "refund_settled", 2 * HOUR, 1000),
    ]
    ends = [money("1", "payment_succeeded", 3 * HOUR, 2000, platform_txn_no="T2")] if is_again else []
    for arrived in permutations(story + ends):
        shop = Shop([received("BAG", 1), received("CUP", 1), created("1", 1 * MINUTE, "BAG", "CUP"), *arrived])
        order = shop.orders["1"]
        assert (order["lane"], "frozen" in order["flags"]) == (("wms", False) if is_again else ("review_l3", True))
        assert {state["available"] for state in shop.stock.values()} == {0 if is_again else 1}
        assert shop.books() == []


@pytest.mark.rule("INV-08", "INV-11")
def test_an_oversold_order_is_somebodys_business_until_it_is_served() -> None:
    sold = [
        created("1", 1 * MINUTE, "BAG", "BAG"),
        money("1", "payment_succeeded", 20 * MINUTE, 2000),
    ]
    waits = Shop([received("BAG", 1), *sold])
    assert len(waits.is_open("INV-08")) == 1
    assert Shop([received("BAG", 1), *sold, received("BAG", 1, HOUR)]).is_open("INV-08") == [], "both are there now"
    sent = [of("1", "wms", "loaded", 2 * HOUR, waybill_no="W1")]
    assert len(Shop([received("BAG", 1), *sold, *sent]).is_open("INV-08")) == 1, "the one that was there may have left"
    signed = [*sent, of("1", "orders", "buyer_confirmed", 3 * HOUR)]
    assert Shop([received("BAG", 1), *sold, *signed]).is_open("INV-08") == []
    paid_back = money("1", "refund_settled", HOUR, 2000)
    shop = Shop([received("BAG", 1), *sold, paid_back])
    assert shop.is_open("INV-08") == []
    assert (shop.stock["BAG"]["available"], shop.books()) == (1, [])


@pytest.mark.rule("INV-07")
def test_a_presale_that_is_paid_back_after_a_month_gives_its_units_back() -> None:
    sold = [created("1", 1 * MINUTE, "BAG", sales_type="presale"), money("1", "payment_succeeded", 2 * MINUTE, 1000)]
    shop = Shop([received("BAG", 5), *sold, money("1", "refund_settled", 45 * DAY, 1000)], 46 * DAY)
    assert shop.outcomes("1") == ["returned"]
    assert (shop.stock["BAG"]["available"], shop.books()) == (5, [])
