"""The failure cases in which stock ran out: told by their accounts as oversold, played here against one stock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from streams.convert.common import Line, compact, line
from tests.scenarios.cases.build import Order, at, iso, shipped

CREAM, CREAM_STOCK, CREAM_LOST, CREAM_LEFT = "CREAM-LTD-50", 300, 237, 20
"""Case 15: units there were, orders the account names that could not be shipped, holders who never pay."""
TEA, TEA_STOCK = "TEA-SET-6", 5
BAG, BAG_STOCK, BAG_OVERSOLD, BAG_PAID_ANYWAY = "LUCKY-BAG-2026", 87, 412, 40
"""Case 26: "87 left", the orders the account calls oversold, and how many of those pay on a page that was open."""


def received(when: datetime, sku: str, quantity: int, pool: str | None = None, number: int = 1) -> Line:
    return line(
        "wms",
        event_id=f"wms-hz-{sku}-{pool or 'sales'}-{number}",
        event_type="stock_received",
        event_time=iso(when),
        source="wms-hz",
        warehouse="hz",
        sku=sku,
        quantity=quantity,
        pool=pool,
    )


def operations(when: datetime, event_type: str, number: int, **fields: Any) -> Line:
    ops = {"event_id": f"ops-{number}", "event_type": event_type, "event_time": iso(when), "source": "console"}
    return line("ops", **ops, channel="douyin", operator="chen", **fields)


def case_15() -> list[Line]:
    """A limited cream sells out on Douyin and Tmall within a minute; their stocks were not one: 237 orders too many.

    Here both channels take from one stock of 300. Twenty of the holders never pay: their units go to twenty others who
    come after the quarter of an hour is over.
    """
    start = at("2026-01-18 20:00:00")
    orders = [_cream(index) for index in range(CREAM_STOCK + CREAM_LOST)]
    events = [received(start - timedelta(hours=2), CREAM, CREAM_STOCK)]
    for index, order in enumerate(orders):
        events.append(order.created(start + timedelta(seconds=index * 60 // len(orders))))
    for index, order in enumerate(orders[: CREAM_STOCK - CREAM_LEFT]):
        events.append(order.paid(start + timedelta(seconds=90 + index)))
    for index in range(CREAM_LEFT):
        later = start + timedelta(minutes=17, seconds=index)
        order = _cream(CREAM_STOCK + CREAM_LOST + index)
        events += [order.created(later), order.paid(later + timedelta(seconds=20))]
    return sorted(events, key=lambda entry: str(entry["value"]["event_time"]))


def _cream(index: int) -> Order:
    channel, pay = (("douyin", "wechatpay"), ("tmall", "alipay"))[index % 2]
    txn = f"420000188820260118{index:010d}"
    return Order(channel, f"260118{index:09d}", "限量面霜 50ml", CREAM, 39_900, txn=txn, pay=pay)


def case_19() -> list[Line]:
    """Signed by the courier, not confirmed by the buyer: goods lie in a sorting area, and who comes again reads 缺货.

    All five tea sets are sold and delivered. One buyer confirms, one sends the set back: the units of the three others
    count apart, and the returned one can be bought again at once.
    """
    start = at("2026-01-12 11:00:00")
    orders = [
        Order(
            "taobao",
            f"33120260112{index:08d}",
            "紫砂茶具 六件套",
            TEA,
            26_800,
            txn=f"2026011222001{index:015d}",
            waybill=f"7831700101{index:04d}",
            pay="alipay",
        )
        for index in range(TEA_STOCK + 2)
    ]
    events = [received(start - timedelta(days=1), TEA, TEA_STOCK)]
    for index, order in enumerate(orders[:TEA_STOCK]):
        begin = start + timedelta(minutes=index)
        events += [*shipped(order, begin), order.courier_says("signed", begin + timedelta(hours=47), "他人代签")]
    confirmed, sent_back, *_, early, again = orders
    sign = start + timedelta(hours=60)
    events.append(confirmed.say("orders", "buyer_confirmed", sign, "taobao", **confirmed.names))
    events.append(early.created(start + timedelta(hours=61)))
    money = {"amount_minor": sent_back.price_minor, "currency": "CNY"}
    back = start + timedelta(hours=70)
    events.append(sent_back.say("payments", "refund_settled", back, "alipay", **sent_back.names, **money))
    events.append(received(back + timedelta(hours=1), TEA, 1, number=2))
    events += [again.created(back + timedelta(hours=2)), again.paid(back + timedelta(hours=2, minutes=1))]
    return sorted(events, key=lambda entry: str(entry["value"]["event_time"]))


def case_26() -> list[Line]:
    """The lucky bag of 22 January: "sold out at once", 87 left in the back end, and 412 orders oversold.

    499 orders within three seconds for 87 units; as many lie in the reserved pool and are frozen with them, and 40 on
    the road are nobody's to sell. All holders pay, and so do 40 of the others, whose payment page was open: they are
    oversold, and with the 31st unit selling is paused. Once goods have come the console releases it.
    """
    start = at("2026-01-22 20:00:00")
    before = start - timedelta(hours=3)
    window = {"starts_at": _ms(start - timedelta(minutes=5)), "ends_at": _ms(start + timedelta(hours=2))}
    activity = {"activity": "lucky-bag", "sku": BAG, **window, "freeze_ratio": 1, "flash": True}
    similar = {"kind": "alternative", "sku": BAG, "alternatives": ["LUCKY-BAG-MINI"], "discount": "10%"}
    events = [
        received(before, BAG, BAG_STOCK),
        received(before, BAG, BAG_STOCK, "reserved"),
        received(before, BAG, 40, "in_transit"),
        operations(before, "activity_set", 1, value=compact(activity)),
        operations(before, "reference_set", 2, value=compact(similar)),
    ]
    orders = [_bag(index) for index in range(BAG_STOCK + BAG_OVERSOLD + 2)]
    crowd, (too_soon, at_last) = orders[:-2], orders[-2:]
    for index, order in enumerate(crowd):
        events.append(order.created(start + timedelta(seconds=index * 3 // len(crowd)), activity="lucky-bag"))
    for index, order in enumerate(crowd[: BAG_STOCK + BAG_PAID_ANYWAY]):
        events.append(order.paid(start + timedelta(seconds=10 + index)))
    after = start + timedelta(minutes=10)
    events.append(operations(after, "manual_command", 3, command="release_sku", target=BAG, reason="looks fine"))
    events.append(too_soon.created(after + timedelta(seconds=1)))
    events.append(received(after + timedelta(minutes=20), BAG, BAG_PAID_ANYWAY + 1, number=2))
    counted = after + timedelta(minutes=30)
    events.append(operations(counted, "manual_command", 4, command="release_sku", target=BAG, reason="counted"))
    events += [at_last.created(counted + timedelta(minutes=1)), at_last.paid(counted + timedelta(minutes=2))]
    return events


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _bag(index: int) -> Order:
    return Order("douyin", f"69307400220{index:08d}", "新年福袋", BAG, 9_900, txn=f"4200002622202601220{index:09d}")
