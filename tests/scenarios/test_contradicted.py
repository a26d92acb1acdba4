"""Money without goods and goods without money, through all agents: who is told, and when it is over."""

from __future__ import annotations

import pytest

from streams.domain import calendar
from tests.scenarios.play import Played
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 5, 12, 10)
MINUTE, HOUR, DAY = calendar.MINUTE_MS, calendar.HOUR_MS, calendar.DAY_MS
NAMES = {"channel": "douyin", "order_no": "A1"}


def refund(shop: Shop, at: int) -> Shop:
    money = {"amount_minor": 9900, "currency": "CNY"}
    return shop.say("payments", "refund_settled", at, "wechatpay", platform_txn_no="A1", **money)


@pytest.mark.rule("FIN-13")
def test_money_that_comes_in_after_the_closing_is_told_to_service_and_finance_until_it_is_back() -> None:
    shop = Shop().order("douyin", "A1", T0).say("orders", "cancel_marked", T0 + 15 * MINUTE, "douyin", **NAMES)
    shop.pay("douyin", "A1", T0 + 16 * MINUTE)
    [alert] = Played(shop.runner).alerts("FIN-13")
    assert (alert["status"], alert["recipient"], alert["severity"]) == ("open", "service and finance", "critical")
    assert (alert["title"], alert["channel"]) == ("closed order paid", "douyin")
    [alert] = Played(refund(shop, T0 + HOUR).runner).alerts("FIN-13")
    assert (alert["status"], alert["closed_by"]) == ("closed", "cause")


@pytest.mark.rule("WMS-02")
@pytest.mark.parametrize("end", ["return", "person"])
def test_goods_that_are_picked_up_after_the_money_went_back_are_told_once_to_the_warehouse(end: str) -> None:
    shop = refund(Shop().order("douyin", "A1", T0).pay("douyin", "A1", T0 + MINUTE), T0 + HOUR)
    for event, hours in (("picked_up", 20), ("scanned", 21)):
        shop.say("couriers", event, T0 + hours * HOUR, "zto", **NAMES, waybill_no="W1", courier="zto")
    [alert] = Played(shop.runner).alerts("WMS-02")
    assert (alert["status"], alert["recipient"], alert["targets"]) == ("open", "warehouse keeper", ["wecom"])
    assert (alert["severity"], alert["count"], alert["title"]) == ("critical", 1, "refunded order shipped")
    if end == "return":
        word = {"courier": "zto", "raw_status": "退件签收"}
        shop.say("couriers", "scanned", T0 + 3 * DAY, "zto", **NAMES, waybill_no="W1", **word)
    else:
        closing = {"command": "alert_close", "target": alert["alert_key"], "reason": "he keeps it and pays"}
        shop.ops("manual_command", T0 + 3 * DAY, operator="li", **closing)
    [alert] = Played(shop.runner).alerts("WMS-02")
    assert (alert["status"], alert["closed_by"]) == ("closed", "cause" if end == "return" else "person")
