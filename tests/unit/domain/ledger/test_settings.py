"""The recognition table: what it says, and what must not be used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.ledger import LedgerError, Settings, periods
from streams.domain.rules import data

HOUR = calendar.HOUR_MS


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data.FOLDER / "recognition.json").read_text())
    return found


@pytest.mark.rule("FIN-01")
def test_the_table_in_force_has_the_rules_of_the_article() -> None:
    settings = data.ledger()
    douyin = settings.rule("douyin")
    assert (douyin.needs, douyin.window_ms, douyin.wait) == (("paid_in_full", "picked_up"), 72 * HOUR, True)
    assert settings.rule("wechat_mini").needs == ("paid_in_full",)
    assert settings.rule("wechat-mini-program").needs == settings.rule("小程序").needs == ("paid_in_full",)
    assert settings.rule("any other").needs == settings.rule(None).needs == ("paid_in_full", "customer_signed")


@pytest.mark.rule("FIN-01")
def test_a_channel_has_its_rule_under_each_of_its_names() -> None:
    """Whoever is Douyin to the status tables is Douyin to finance."""
    settings = data.ledger()
    names = json.loads((data.FOLDER / "status" / "douyin.json").read_text())["names"]
    assert {settings.rule(name) for name in names} == {settings.rule("douyin")}
    assert settings.rule("Douyin-Shop") == settings.rule("DOUYIN") == settings.rule("douyin")
    assert settings.rule("WeChat Mini Program") == settings.rule("wechat_mini")
    assert settings.rule("douyin-shop2") == settings.rule("抖店 旗舰店") == settings.rule("douyin"), "a shop of it"
    assert settings.rule("douyinshop2") == settings.rule("shop-douyin") == settings.default
    minis = {name for name in settings.rules if settings.rule(name).needs == ("paid_in_full",)}
    assert "微信小程序" in minis
    assert minis == {*data.channels().qps}, "the gate and the ledger know the mini-program by the same names"
    wechat = json.loads((data.FOLDER / "status" / "wechat.json").read_text())["names"]
    assert minis <= {*wechat}, "and so do the status tables"


@pytest.mark.rule("FIN-01", "FIN-06", "FIN-11")
@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("default", "needs"), ["customer_signed"], "default"),
        (("channels", "douyin", "needs"), ["paid_in_full", "loaded"], "douyin"),
        (("channels", "douyin", "wait_full_window"), 1, "wait_full_window"),
        (("channels", "douyin", "cancel_window_ms"), -1, "cancel_window_ms of douyin"),
        (("channels", "douyin", "wait"), True, "unknown wait"),
        (("fees", "tips"), [], "tips"),
        (("fees", "commission"), ["fee"], "two kinds of fees: fee"),
        (("rounding_minor",), 0.5, "rounding_minor"),
        (("close", "dates"), {"2026-13": "2026-02-05T00:00:00+08:00"}, "2026-13"),
        (("close", "dates"), {"2026-01": "2026-02-05"}, "2026-01"),
        (("close",), None, "TypeError"),
    ],
)
def test_a_wrong_entry_is_named(path: tuple[str, ...], value: Any, told: str) -> None:
    found = document()
    *above, last = path
    inner = found
    for name in above:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(LedgerError, match=told):
        Settings.parse(found)


@pytest.mark.rule("FIN-11")
def test_a_configured_close_locks_its_month_72_hours_before() -> None:
    found = document()
    found["close"]["dates"] = {
        "2026-01": "2026-02-05T00:00:00+08:00",
        "2026-02": "2026-03-05T00:00:00+08:00",
    }
    locks = Settings.parse(found).locks
    begins = calendar.at(2026, 2, 2)
    january, february = periods.month_of("2026-01"), periods.month_of("2026-02")
    assert periods.scheduled(locks, begins - 1) == periods.NONE
    assert periods.scheduled(locks, begins) == january
    assert periods.scheduled(locks, calendar.at(2026, 3, 2)) == february


@pytest.mark.rule("FIN-06")
def test_a_word_of_a_platform_names_the_kind_of_its_fee() -> None:
    fees = data.ledger().fees
    assert (fees["平台佣金"], fees["运费险"], fees["平台服务费"]) == ("commission", "freight_insurance", "fee")


@pytest.mark.rule("FIN-06")
@pytest.mark.parametrize(
    ("word", "raw", "kind"),
    [
        (None, None, "fee"),
        (None, '{"bill_type": "平台佣金", "amount": 3.00}', "commission"),
        (None, "运费险", "freight_insurance"),
        (None, '{"type": "Commission"}', "commission"),
        (None, '{"type": "技术服务费"}', "fee"),
        (None, '{"type": "技术服务费", "commission": 0}', "fee"),
        (None, "佣金 3.00, 运费险 1.50", "fee"),
        ("平台服务费", "佣金", "fee"),
        ("佣金", "运费险", "commission"),
        ("Commission", None, "commission"),
        (" ", "运费险", "freight_insurance"),
    ],
)
def test_a_fee_without_a_word_is_what_its_payload_calls_it(word: str | None, raw: str | None, kind: str) -> None:
    assert data.ledger().fee(word, raw) == kind
