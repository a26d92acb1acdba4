"""GMV as a BI system tells it against what the ledger booked, through all agents, codecs and timers (FIN-08)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.report.variance import SERIES, part
from tests.scenarios.play import Played, run
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 1, 20, 9)
HOUR, DAY = calendar.HOUR_MS, calendar.DAY_MS


class Desk(Shop):
    """Orders of the mini-program, whose revenue is recognised when they are paid."""

    def sell(self, order_no: str, price: int = 10000, at: int = T0, off: int = 0, paid: int | None = None) -> Desk:
        lines = [{"line_no": 1, "sku": "S", "name": None, "quantity": 1, "unit_price_minor": price, "is_gift": False}]
        discounts = [{"text": "满减", "amount_minor": off}] if off else None
        self.order("wechat_mini", order_no, at, lines=lines, total_minor=price - off, discounts=discounts)
        return self.money("payment_succeeded", order_no, price - off if paid is None else paid, at)

    def money(self, kind: str, order_no: str, amount: int, at: int) -> Desk:
        about = {"channel": "wechat_mini", "order_no": order_no, "amount_minor": amount, "currency": "CNY"}
        self.say("payments", kind, at, "wechatpay", **about)
        return self

    def bi(
        self, amount: int, at: int, period: str = "2026-01", channel: str | None = "wechat_mini", currency: str = "CNY"
    ) -> Desk:
        told = {"amount_minor": amount, "currency": currency, "period": period, "channel": channel}
        self.say("finance", "bi_total", at, "sycm", **told)
        self.runner.advance(at + HOUR)
        return self

    def rows(self, period: str = "2026-01") -> list[dict[str, Any]]:
        last = {row["report_id"]: row for row in self.out("reports") if row["name"] == "FIN-08"}
        return [row for one in last.values() if one["period"] == period for row in json.loads(one["rows"])]

    def alerts(self) -> list[tuple[str, str]]:
        return [(alert["alert_key"], alert["status"]) for alert in Played(self.runner).alerts("FIN-08")]


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize(
    ("gmv", "passes"), [(1_000_000, True), (995_025, True), (1_005_025, True), (1_005_026, False), (995_024, False)]
)
def test_half_a_percent_passes_and_more_fails(gmv: int, passes: bool) -> None:
    """Half a percent of 1,005,025 is 5,025.125, of 1,005,026 it is 5,025.13; of 995,025 it is 4,975.125."""
    desk = Desk().sell("A", 1_000_000).bi(gmv, T0 + DAY)
    [row] = desk.rows()
    assert (row["passes"], row["difference_minor"]) == (passes, gmv - 1_000_000)
    assert desk.alerts() == ([] if passes else [("FIN-08/2026-01/wechat_mini", "open")])


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize("name", ["RMB", "￥", "cny"])
def test_a_total_in_renminbi_by_any_name_is_of_the_orders_in_it(name: str) -> None:
    desk = Desk().sell("A", 1_000_000).bi(1_000_000, T0 + DAY, currency=name)
    assert [(row["currency"], row["booked_minor"], row["passes"]) for row in desk.rows()] == [("CNY", 1_000_000, True)]
    assert {row["report_id"] for row in desk.out("reports") if row["name"] == "FIN-08"} == {
        "FIN-08/2026-01/wechat_mini"
    }


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize("name", ["WeChat Mini", " wechat_mini", "ＷｅＣｈａｔ＿Ｍｉｎｉ", "wechat　mini"])
def test_a_total_of_a_channel_in_another_spelling_is_of_its_orders(name: str) -> None:
    desk = Desk().sell("A", 1_000_000).bi(1_000_000, T0 + DAY, channel=name).bi(2_000_000, T0 + DAY + HOUR)
    assert [(row["booked_minor"], row["passes"]) for row in desk.rows()] == [(1_000_000, False)]
    desk.bi(1_000_000, T0 + DAY + 2 * HOUR, channel=name)
    assert desk.alerts() == [("FIN-08/2026-01/wechat_mini", "closed")]
    desk.sell("B", 500_000, at=T0 + DAY + 4 * HOUR).runner.advance(T0 + DAY + 6 * HOUR)
    assert [row["booked_minor"] for row in desk.rows()] == [1_500_000]


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize(("booked", "passes"), [(199_000, True), (198_999, False)])
def test_exactly_half_a_percent_of_the_gmv_passes(booked: int, passes: bool) -> None:
    desk = Desk().sell("A", booked).bi(200_000, T0 + DAY)
    [row] = desk.rows()
    assert row["passes"] is passes
    assert row["rate"] == ("0.50" if passes else "0.51")


@pytest.mark.rule("FIN-08")
def test_the_difference_is_computed_and_every_fen_of_it_has_a_name() -> None:
    desk = Desk().sell("A", 30000, off=2400).sell("B", 20000, paid=5000).sell("C", 10000)
    desk.money("refund_settled", "A", 1000, T0 + HOUR).money("fee_charged", "C", 138, T0 + HOUR)
    desk.order("wechat_mini", "UNPAID", T0)
    desk.bi(61000, T0 + DAY)
    [row] = desk.rows()
    items = {name: row[f"{name}_minor"] for name in ("discounts", "refunds", "unrecognised", "fees", "unexplained")}
    assert items == {"discounts": 2400, "refunds": 1000, "unrecognised": 20000, "fees": 138, "unexplained": 1000}
    assert row["booked_minor"] == 27600 - 1000 + 10000 - 138
    assert row["difference_minor"] == sum(items.values()) == row["gmv_minor"] - row["booked_minor"]
    assert row["orders"] == 3


@pytest.mark.rule("FIN-08")
def test_a_day_and_a_month_are_of_the_orders_created_in_them() -> None:
    desk = Desk().sell("A").sell("B", at=T0 + DAY).sell("C", at=calendar.at(2026, 2, 1))
    desk.bi(10000, T0 + 13 * DAY, "2026-01-21").bi(20000, T0 + 13 * DAY).bi(10000, T0 + 13 * DAY, "2026-02")
    for period, booked in (("2026-01-21", 10000), ("2026-01", 20000), ("2026-02", 10000)):
        [row] = desk.rows(period)
        assert (row["booked_minor"], row["passes"]) == (booked, True)


@pytest.mark.rule("FIN-08")
def test_a_total_told_again_is_compared_anew_and_one_of_before_changes_nothing() -> None:
    desk = Desk().sell("A").bi(20000, T0 + DAY)
    assert desk.alerts() == [("FIN-08/2026-01/wechat_mini", "open")]
    desk.sell("B", at=T0 + DAY + 2 * HOUR).bi(20000, T0 + DAY + 3 * HOUR)
    assert desk.alerts() == [("FIN-08/2026-01/wechat_mini", "closed")]
    said = len(desk.out("reports"))
    desk.bi(90000, T0 + HOUR)
    assert len(desk.out("reports")) == said


@pytest.mark.rule("FIN-08")
def test_totals_of_a_channel_in_two_currencies_are_compared_each_by_itself() -> None:
    desk = Desk().sell("A").bi(20000, T0 + DAY).bi(0, T0 + DAY, currency="USD").bi(500, T0 + DAY + HOUR, currency="USD")
    assert [(row["currency"], row["gmv_minor"], row["booked_minor"]) for row in desk.rows()] == [
        ("CNY", 20000, 10000),
        ("USD", 500, 0),
    ]
    assert desk.alerts() == [("FIN-08/2026-01/wechat_mini", "open"), ("FIN-08/2026-01/wechat_mini/USD", "open")]
    desk.bi(10000, T0 + DAY + 2 * HOUR)
    assert desk.alerts() == [("FIN-08/2026-01/wechat_mini", "closed"), ("FIN-08/2026-01/wechat_mini/USD", "open")]


@pytest.mark.rule("FIN-08")
def test_what_is_booked_late_changes_the_report_for_a_week() -> None:
    desk = Desk().sell("A", paid=0).bi(10000, T0 + HOUR, "2026-01-20")
    assert desk.alerts() == [("FIN-08/2026-01-20/wechat_mini", "open")]
    desk.money("payment_succeeded", "A", 10000, T0 + 3 * HOUR).runner.advance(T0 + 4 * HOUR)
    assert desk.alerts() == [("FIN-08/2026-01-20/wechat_mini", "closed")]
    desk.money("fee_charged", "A", 100, T0 + 8 * DAY).runner.advance(T0 + 9 * DAY)
    assert desk.rows("2026-01-20")[0]["passes"], "a week is over"


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize(
    ("period", "channel"),
    [("2026-13", "tmall"), ("2026-02-30", "tmall"), ("January", "tmall"), ("2026-02", "tmall"), ("2026-01", None)],
)
def test_a_total_that_says_nothing_is_refused(period: str, channel: str | None) -> None:
    desk = Desk().bi(1, T0, period, channel)
    assert sum(Played(desk.runner).dead.values()) == 1
    assert not desk.rows(period)


def test_the_totals_of_others_are_no_orders() -> None:
    desk = Desk().sell("A").bi(10000, T0 + DAY)
    assert not Played(desk.runner).dead
    assert desk.rows()[0]["unexplained_minor"] == 0


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize("days", [1, 13, 25])
def test_a_total_of_long_before_another_has_its_report_all_the_same(days: int) -> None:
    desk = Desk().sell("A").bi(10000, T0 + 20 * DAY).bi(20000, T0 + days * DAY, "2026-01-20")
    [row] = desk.rows("2026-01-20")
    assert (row["gmv_minor"], row["booked_minor"], row["orders"]) == (20000, 10000, 1)
    assert desk.alerts() == [("FIN-08/2026-01-20/wechat_mini", "open")]
    desk.bi(10000, T0 + 30 * DAY, "2026-01-20")
    assert desk.alerts() == [("FIN-08/2026-01-20/wechat_mini", "closed")]


@pytest.mark.rule("FIN-08")
def test_partitions_that_are_weeks_apart_add_up_to_one_report_of_each_period() -> None:
    told = [{"amount_minor": 700, "currency": "CNY", "channel": "c", "period": f"2026-01-{day:02d}"} for day in (1, 20)]
    facts: list[dict[str, Any]] = [
        {**each, "event_time": calendar.at(2026, 1, day + 1), "source": "b", "event_id": f"e{day}"}
        for each, day in zip(told, (1, 20), strict=True)
    ]
    shop = Desk()
    for place, booked in ((1, 300), (2, 400)):  # each in turn through its backlog
        for fact in facts:
            sums = [1, booked, 0, 0, 0, 0, booked]
            shop.runner.send("report-facts", part(fact, [("", sums)], place, fact["event_time"]), SERIES)
            run(shop.runner)
    shop.runner.advance(calendar.at(2026, 1, 22))
    assert [row["booked_minor"] for day in (1, 20) for row in shop.rows(f"2026-01-{day:02d}")] == [700, 700]


@pytest.mark.rule("FIN-08")
def test_what_is_kept_of_a_report_ends() -> None:
    desk = Desk().sell("A").bi(20000, T0 + DAY)
    assert any(SERIES in key for name in ("index", "parts") for key in desk.runner.table("reports", name))
    desk.runner.advance(T0 + 402 * DAY)
    assert not any(SERIES in key for name in ("index", "parts") for key in desk.runner.table("reports", name))
    desk.bi(10000, T0 + 403 * DAY)
    assert desk.alerts() == [("FIN-08/2026-01/wechat_mini", "closed")]


@pytest.mark.rule("FIN-08")
@pytest.mark.parametrize("days", [0, 3, 13])
def test_a_report_goes_out_once_all_have_told_their_part_however_late_it_was_asked_for(days: int) -> None:
    desk = Desk().sell("A").sell("B", at=T0 + 1).sell("C", at=T0 + 2)
    desk.runner.advance(T0 + days * DAY + HOUR)
    told = {"amount_minor": 30000, "currency": "CNY", "period": "2026-01-20", "channel": "wechat_mini"}
    desk.say("finance", "bi_total", T0 + HOUR, "sycm", **told)
    reports = [row for row in desk.out("reports") if row["name"] == "FIN-08"]
    assert [json.loads(row["rows"])[0]["booked_minor"] for row in reports] == [30000]
    assert not desk.alerts()
