"""Money without goods, through all agents: who is told, and when it is over."""

from __future__ import annotations

import pytest

from streams.domain import calendar
from tests.scenarios.play import Played
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 5, 12, 10)
MINUTE, HOUR = calendar.MINUTE_MS, calendar.HOUR_MS
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
