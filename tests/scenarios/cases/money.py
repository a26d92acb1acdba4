"""Failure cases 1, 25 and 29: the money of a month, told by shops, payment platforms, warehouses and finance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from streams.convert.common import Line
from tests.scenarios.cases.build import Order, at, iso

MONTH = "2026-01"
CHANNELS = ("tmall", "douyin", "wechat_mini")
COUNTED_TWICE = 237
"""Orders that the account of case 25 names."""
GMV, BOOKED = 8_420_000, 7_930_000
"""Case 29: 8.42 and 7.93 million CNY in the account, a hundredth of it here, in fen."""


def case_01() -> list[Line]:
    """A mother-baby brand: sales, finance and warehouse close the month with different figures.

    Sixty orders on three channels. The WeChat mini-program takes deposits, Douyin splits coupons over the lines and
    keeps its service fee, Tmall takes a commission and freight insurance, and refunds a part of some orders. What
    finance records as received and what the warehouse loads is told for each. At the end BI systems tell their totals
    and finance closes the month.
    """
    start = at("2026-01-04 10:00:00")
    events: list[Line] = []
    for index in range(20):
        begin = start + timedelta(hours=30 * index)
        events += _presale(index, begin)
        events += _coupon(index, begin + timedelta(minutes=20))
        events += _refunded(index, begin + timedelta(minutes=40))
    for channel, gmv in (("wechat_mini", 20 * 50_000), ("douyin", 20 * 30_000), ("tmall", 20 * 26_000)):
        events.append(_finance(channel, gmv))
    events.append(_closing())
    return sorted(events, key=_time)


def _presale(index: int, begin: datetime) -> Iterator[Line]:
    """500.00: a deposit of 50.00, the balance five days later."""
    order = _order("wechat_mini", index, "推车预售", "STROLLER", 50_000)
    yield order.created(begin, sales_type="presale")
    yield _money(order, "deposit_paid", begin + timedelta(minutes=1), 5_000)
    paid = begin + timedelta(days=5)
    yield _money(order, "balance_paid", paid, 45_000)
    yield _receipt(order, paid + timedelta(hours=2), 50_000)
    yield from _delivered(order, paid + timedelta(hours=3), 1)


def _coupon(index: int, begin: datetime) -> Iterator[Line]:
    """Three lines of 100.00 with 50.00 off, a service fee of 5.00."""
    order = _order("douyin", index, "奶瓶", "BOTTLE", 25_000)
    lines = [
        {
            "line_no": n,
            "sku": f"BOTTLE-{n}",
            "name": "奶瓶",
            "quantity": 1,
            "unit_price_minor": 10_000,
            "is_gift": False,
        }
        for n in (1, 2, 3)
    ]
    off = [{"text": "满300减50", "amount_minor": 5_000}]
    shop: dict[str, Any] = {**order.names, "lines": lines, "discounts": off, "platform_txn_no": order.txn}
    yield order.say("orders", "order_created", begin, "douyin", **shop, total_minor=25_000, currency="CNY")
    yield order.paid(begin + timedelta(minutes=1))
    yield _money(order, "fee_charged", begin + timedelta(hours=1), 500, fee_type="平台服务费")
    yield _receipt(order, begin + timedelta(hours=2), 25_000)
    yield from _delivered(order, begin + timedelta(hours=3), 3)


def _refunded(index: int, begin: datetime) -> Iterator[Line]:
    """260.00: commission and freight insurance; of every fourth 60.00 goes back, and Tmall calls it closed."""
    order = _order("tmall", index, "纸尿裤 L 码", "DIAPER-L84", 26_000)
    yield order.created(begin)
    yield order.paid(begin + timedelta(minutes=1))
    yield _money(order, "fee_charged", begin + timedelta(hours=1), 520, fee_type="commission")
    yield _money(order, "fee_charged", begin + timedelta(hours=1, minutes=1), 60, fee_type="运费险")
    yield _receipt(order, begin + timedelta(hours=2), 26_000)
    yield from _delivered(order, begin + timedelta(hours=3), 1)
    if index % 4 == 0:
        yield _money(order, "refund_settled", begin + timedelta(hours=80), 6_000)
        yield _closed(order, begin + timedelta(hours=80, minutes=1))


def case_25() -> list[Line]:
    """A pet-food shop: 237 orders are "signed" by the courier, and once more by the channel's own word, days later.

    Both were counted as revenue. Every third order is signed for a third time, by a courier's list that comes late.
    """
    start = at("2026-01-12 09:00:00")
    events: list[Line] = []
    for index in range(COUNTED_TWICE):
        order = _order("tmall", 10_000 + index, "冻干猫粮 1.5kg", "CAT-FD-15", 12_900)
        begin = start + timedelta(minutes=2 * index)
        events += [
            order.created(begin),
            order.paid(begin + timedelta(seconds=20)),
            order.loaded(begin + timedelta(hours=4)),
        ]
        events.append(order.courier_says("signed", begin + timedelta(hours=50), "本人签收"))
        events.append(order.say("orders", "buyer_confirmed", begin + timedelta(hours=51), "tmall", **order.names))
        events.append(order.say("orders", "buyer_confirmed", begin + timedelta(hours=75), "tmall", **order.names))
        if index % 3 == 0:
            events.append(order.courier_says("signed", begin + timedelta(hours=99), "已签收"))
    return sorted(events, key=_time)


def case_29() -> list[Line]:
    """A mother-baby chain: BI says 8.42 million were sold, finance has booked 7.93.

    The account calls the gap 27.3 (ten thousands), the figures say 49. Here 84 orders of 1,000.00 and one of 200.00:
    17 coupons of 100.00, five partial refunds of 300.00 that the platform calls 订单关闭, and of each order 20.00 for
    commission and freight insurance. A total of the month is told by the BI system, and again of one day.
    """
    start = at("2026-01-06 09:00:00")
    events: list[Line] = []
    for index in range(85):
        worth = 20_000 if index == 84 else 100_000
        off = 10_000 if index < 17 else 0
        order = _order("tmall", 20_000 + index, "婴儿礼盒", "BABY-BOX", worth)
        order.price_minor = worth - off
        begin = start + timedelta(hours=5 * index)
        line = {
            "line_no": 1,
            "sku": "BABY-BOX",
            "name": "婴儿礼盒",
            "quantity": 1,
            "unit_price_minor": worth,
            "is_gift": False,
        }
        shop: dict[str, Any] = {**order.names, "lines": [line], "platform_txn_no": order.txn, "currency": "CNY"}
        if off:
            shop["discounts"] = [{"text": "优惠券", "amount_minor": off}]
        events.append(order.say("orders", "order_created", begin, "tmall", **shop, total_minor=worth - off))
        events.append(order.paid(begin + timedelta(minutes=1)))
        events.append(_money(order, "fee_charged", begin + timedelta(hours=1), 1_600, fee_type="commission"))
        events.append(_money(order, "fee_charged", begin + timedelta(hours=1, minutes=1), 400, fee_type="运费险"))
        events += _delivered(order, begin + timedelta(hours=3), 1)
        if index in range(20, 25):
            events.append(_money(order, "refund_settled", begin + timedelta(hours=70), 30_000))
            events.append(_closed(order, begin + timedelta(hours=70, minutes=1)))
    events += [_finance("tmall", GMV), _closing()]
    return sorted(events, key=_time)


def _order(channel: str, index: int, goods: str, sku: str, price: int) -> Order:
    number = f"69{CHANNELS.index(channel)}1{index:014d}"
    return Order(
        channel, number, goods, sku, price, txn=f"4200{channel}{index:012d}", waybill=f"78{channel}{index:09d}"
    )


def _delivered(order: Order, begin: datetime, units: int) -> Iterator[Line]:
    """Loaded, signed for and confirmed."""
    names = {**order.names, "waybill_no": order.waybill}
    yield order.say("wms", "loaded", begin, order.wms, **names, raw_status="LOADED", quantity=units)
    yield order.courier_says("picked_up", begin + timedelta(hours=3), "201")
    yield order.courier_says("signed", begin + timedelta(hours=40), "本人签收")
    yield order.say("orders", "buyer_confirmed", begin + timedelta(hours=50), order.channel, **order.names)


def _money(order: Order, kind: str, when: datetime, amount: int, **fields: Any) -> Line:
    return order.say("payments", kind, when, order.pay, **order.names, amount_minor=amount, currency="CNY", **fields)


def _receipt(order: Order, when: datetime, amount: int) -> Line:
    return order.say("finance", "receipt_recorded", when, "kingdee", **order.names, amount_minor=amount, currency="CNY")


def _closed(order: Order, when: datetime) -> Line:
    """What the platform calls an order of which a part was refunded: 订单关闭."""
    return order.say(
        "orders", "status_changed", when, "tmall", **order.names, raw_status="TRADE_CLOSED", raw_field="status"
    )


def _finance(channel: str, gmv: int) -> Line:
    return _said("bi_total", f"gmv-{channel}", "2026-02-03 09:00:00", channel=channel, amount_minor=gmv, currency="CNY")


def _closing() -> Line:
    return _said("period_closed", "close", "2026-02-03 10:00:00")


def _said(kind: str, name: str, when: str, **fields: Any) -> Line:
    value = {"event_id": name, "event_type": kind, "event_time": iso(at(when)), "source": "finance", "period": MONTH}
    return {"topic": "finance", "value": {**value, **fields}}


def _time(entry: Line) -> Any:
    return entry["value"]["event_time"]
