"""Writes the event files of the failure cases that the package brings along.

python -m tests.scenarios.cases.make
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from streams.convert.common import Line, compact, write
from streams.data import FOLDER
from tests.scenarios.cases.build import Order, at, iso, shipped
from tests.scenarios.cases.money import case_01, case_25, case_29
from tests.scenarios.cases.stock import case_15, case_19, case_26

LOST, GHOSTS = 382, 1_327
"""How many orders the accounts of cases 16 and 21 name."""

TERMINAL_WORDS = ("门卫代收", "他人代签", "本人签收", "已签收")


def case_03() -> list[Line]:
    """The courier answers 门卫代收; an incomplete dictionary leaves the order at 派送中.

    One order per terminal word, one that only ever hears 派送中, one whose word nobody knows, and one whose courier
    sends the word as a plain scan. Every order ends where its courier says, whatever the word.
    """
    start = at("2026-02-10 09:30:00")
    words = (*TERMINAL_WORDS, None, "放门口鞋柜", "门卫代收")
    events: list[Line] = []
    for index, word in enumerate(words):
        order = Order(
            "douyin",
            f"69308841205520{index:05d}",
            "冻干猫粮 1.5kg",
            "CAT-FD-15",
            12_900,
            txn=f"42000026732026021000000{index:05d}",
            waybill=f"7831604412{index:04d}",
        )
        begin = start + timedelta(minutes=7 * index)
        events += shipped(order, begin)
        if word is not None:
            kind = "signed" if word in TERMINAL_WORDS and index < len(TERMINAL_WORDS) else "scanned"
            events.append(order.courier_says(kind, begin + timedelta(hours=47), word))
    return sorted(events, key=_time)


def case_16() -> list[Line]:
    """A service runs out of memory at 02:15 and 382 orders of two hours are gone, until request bodies bring them back.

    The events of the two hours come first, every ninth payment before its order. Then everything the access log
    holds is sent again: all orders and a third of the payments, the newest first. No order may miss, none may double.
    """
    start = at("2026-01-20 00:15:00")
    shops = (("douyin", "wechatpay"), ("pdd", "wechatpay"), ("taobao", "alipay"))
    hour: list[tuple[int, Line]] = []
    log: list[Line] = []
    for index in range(LOST):
        channel, pay = shops[index % len(shops)]
        order = Order(
            channel,
            f"260120{index:06d}{index * 7919 % 10_000:04d}",
            "年货节坚果礼盒 1.2kg",
            "NUT-BOX-12",
            16_800 - index % 4 * 1_000,
            txn=f"420000198820260120{index:010d}",
            pay=pay,
        )
        begin = start + timedelta(seconds=index * 7200 // LOST)
        early = index % 9 == 0
        created, paid = order.created(begin), order.paid(begin + timedelta(seconds=6))
        hour += [(index * 10 + (5 if early else 0), created), (index * 10 + (0 if early else 5), paid)]
        log += [created] if index % 3 else [paid, created]
    return [entry for _, entry in sorted(hour, key=lambda pair: pair[0])] + log[::-1]


def case_21() -> list[Line]:
    """Ghost orders: after an SDK update payment notices come encrypted with a header the old parser does not know.

    Its answer was HTTP 200 and nothing else: 1,327 paid orders were dropped. Here the undecodable records stay, with a
    few good ones of another platform between them, and three days later everything is sent again in a readable form.
    """
    start = at("2026-02-08 19:00:00")
    ghosts = [
        Order(
            "douyin",
            f"69311720045102{index:05d}",
            "春季针织开衫 女款",
            "KNIT-SS26",
            19_900,
            txn=f"4200002711202602080{index:09d}",
        )
        for index in range(GHOSTS)
    ]
    events: list[Line] = []
    for index, _ in enumerate(ghosts):
        if index % 400 == 0:
            other = Order(
                "taobao",
                f"33120260208{index:08d}",
                "春季针织开衫 女款",
                "KNIT-SS26",
                20_900,
                txn=f"2026020822001{index:015d}",
                pay="alipay",
            )
            moment = start + timedelta(seconds=5 * index)
            events += [other.created(moment), other.paid(moment + timedelta(seconds=4))]
        events.append({"topic": "payments", "bytes": base64.b64encode(_notice(index)).decode()})
    for index, order in enumerate(ghosts):
        moment = start + timedelta(seconds=5 * index)
        created = order.created(moment)
        paid = order.paid(moment + timedelta(seconds=8), **order.names, platform_txn_no=order.txn)
        events += [paid, created] if index % 50 == 0 else [created, paid]
    return events


def case_30() -> list[Line]:
    """ "Is it a sale?" The console says shipped, the customer says not received, finance says paid.

    The first order never left the warehouse: only the console says so. The second did, and the customer complains
    while it is on the road. The third was delivered and accepted, and finance has settled it.
    """
    orders = [
        Order(
            "douyin",
            f"69305566778800{index:05d}",
            "婴儿纸尿裤 L 码 84 片",
            "DIAPER-L84",
            15_800,
            txn=f"42000025562026011500000{index:05d}",
            waybill=f"7830099887{index:04d}",
        )
        for index in range(3)
    ]
    start = at("2026-01-15 10:00:00")
    waits, travels, done = orders
    events = [
        waits.created(start),
        waits.paid(start + timedelta(seconds=12)),
        waits.channel_says(start + timedelta(hours=3), "已发货"),
        *shipped(travels, start + timedelta(minutes=5)),
        travels.channel_says(start + timedelta(hours=3), "已发货"),
        *shipped(done, start + timedelta(minutes=10)),
        done.courier_says("signed", start + timedelta(hours=49), "本人签收"),
        done.channel_says(start + timedelta(hours=50), "已完成"),
    ]
    for order in (waits, travels):
        complaint = {"raw": compact({"content": "显示已发货, 一直没收到货"})}
        events.append(
            order.say("orders", "complaint", start + timedelta(hours=46), "douyin", **order.names, **complaint)
        )
    for order in orders:
        money = {"amount_minor": order.price_minor, "currency": "CNY"}
        receipt = start + timedelta(hours=14)
        events.append(order.say("finance", "receipt_recorded", receipt, "kingdee", **order.names, **money))
    money = {"amount_minor": done.price_minor, "currency": "CNY", "period": "2026-01"}
    events.append(done.say("finance", "settled", start + timedelta(days=8), "kingdee", **done.names, **money))
    return sorted(events, key=_time)


def case_32() -> list[Line]:
    """Douyin's 已完成 means that the buyer confirmed, not that the courier delivered.

    The first parcel is still on the van when the buyer confirms, and signed for later. The second is never signed for.
    The third is signed for first, as it should be.
    """
    orders = [
        Order(
            "douyin",
            f"69307712349900{index:05d}",
            "无线降噪耳机",
            "BUDS-PRO",
            49_900,
            txn=f"42000026012026012600000{index:05d}",
            waybill=f"7831200456{index:04d}",
        )
        for index in range(3)
    ]
    start = at("2026-01-26 14:00:00")
    events: list[Line] = []
    for order, confirmed, signed in zip(orders, (45, 45, 60), (47, None, 46), strict=True):
        events += shipped(order, start)
        events.append(order.channel_says(start + timedelta(hours=confirmed), "已完成"))
        if signed is not None:
            events.append(order.courier_says("signed", start + timedelta(hours=signed), "本人签收"))
    return sorted(events, key=_time)


def _time(entry: Line) -> Any:
    return entry["value"]["event_time"]


def _notice(index: int) -> bytes:
    """A payment notice of the new SDK: JSON with an encrypted resource, and no Avro at all."""
    secret = hashlib.sha256(f"notice {index}".encode()).hexdigest()
    moment = at("2026-02-08 19:00:08") + timedelta(seconds=5 * index)
    resource = {"algorithm": "AEAD_AES_256_GCM", "nonce": secret[:12], "ciphertext": secret[12:44]}
    return compact({"id": f"EV-{index}", "create_time": iso(moment), "sdk": "3.5.2", "resource": resource}).encode()


FILES: dict[str, Callable[[], list[Line]]] = {
    "case-01-month-close.jsonl.gz": case_01,
    "case-03-gatekeeper.jsonl": case_03,
    "case-15-one-stock.jsonl.gz": case_15,
    "case-16-vanished-orders.jsonl.gz": case_16,
    "case-19-signed-not-confirmed.jsonl": case_19,
    "case-21-ghost-orders.jsonl.gz": case_21,
    "case-25-counted-twice.jsonl.gz": case_25,
    "case-26-lucky-bag.jsonl.gz": case_26,
    "case-29-bi-and-finance.jsonl.gz": case_29,
    "case-30-is-it-a-sale.jsonl": case_30,
    "case-32-finished-is-not-delivered.jsonl": case_32,
}


def main(folder: Path = FOLDER / "cases") -> None:
    folder.mkdir(exist_ok=True)
    for name, case in FILES.items():
        print(f"{name}: {write(folder / name, case())} lines, {(folder / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
