"""FIN-09: the monthly health of channels, through all agents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.report.health import FACTS, SERIES, HealthReports, part
from streams.domain.report.settings import ReportError
from streams.domain.rules import data
from tests.scenarios.play import Played, run
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 1, 31, 9)
DUE = calendar.at(2026, 2, 4, 6)
HOUR, DAY = calendar.HOUR_MS, calendar.DAY_MS
MONEY = {"amount_minor": 9900, "currency": "CNY"}


class Desk(Shop):
    def sell(self, order_no: str, channel: str = "tmall", at: int = T0, signed: int | None = HOUR) -> Desk:
        """Paid at once; recognised when the customer confirms, `signed` ms later."""
        about = {"channel": channel, "order_no": order_no}
        self.order(channel, order_no, at)
        self.say("payments", "payment_succeeded", at, "alipay", **about, **MONEY)
        if signed is not None:
            self.say("wms", "loaded", at, "wms", waybill_no=f"W{order_no}", **about)
            self.say("couriers", "signed", at, "zto", courier="zto", waybill_no=f"W{order_no}")
            self.say("orders", "buyer_confirmed", at + signed, channel, **about)
        return self

    def report(self) -> dict[str, dict[str, Any]]:
        [*_, last] = self.reports()
        return {row["channel"]: row for row in json.loads(last["rows"])}

    def reports(self) -> list[dict[str, Any]]:
        return [row for row in self.out("reports") if row["name"] == "FIN-09"]


@pytest.mark.rule("FIN-09")
def test_the_month_is_told_before_the_5th_by_channel() -> None:
    desk = Desk().sell("A", signed=HOUR).sell("B", signed=4 * HOUR).sell("C", signed=None).sell("D", "jd", signed=None)
    desk.say("orders", "complaint", T0 + 1, "tmall", channel="tmall", order_no="A", text="broken")
    desk.until(DUE - 1)
    assert desk.reports() == []
    desk.until(DUE + 11 * calendar.MINUTE_MS)
    [report] = desk.reports()
    assert (report["report_id"], report["period"]) == ("FIN-09/2026-01", "2026-01")
    assert report["generated_at"] < calendar.at(2026, 2, 5)
    rows = desk.report()
    assert {*rows} == {"tmall", "jd"}
    tmall = rows["tmall"]
    assert (tmall["created"], tmall["failed"], tmall["creation_success"]) == (3, 0, "100.00")
    assert (tmall["split_orders"], tmall["split_delay_ms"], tmall["split_delay_h"]) == (2, 5 * HOUR // 2, "2.5")
    assert (tmall["abnormal"], tmall["abnormal_share"]) == (1, "33.34")
    assert tmall["recipient"] == "management"
    assert (rows["jd"]["split_delay_ms"], rows["jd"]["abnormal"]) == (None, 0)
    assert not Played(desk.runner).dead


@pytest.mark.rule("FIN-09")
def test_orders_that_were_refused_or_paid_and_never_came_have_failed() -> None:
    desk = Desk().sell("A")
    refused = {"channel": "tmall", "order_no": "R", "platform_txn_no": "R", "lines": []}
    desk.say("orders", "order_created", T0 + 1, "tmall", **refused)
    desk.pay("tmall", "R", T0 + 2)  # its payment is no second failure
    desk.pay("tmall", "LOST", T0 + 3)
    desk.pay("tmall", "LATE", T0 + 4)
    desk.until(T0 + HOUR)
    desk.order("tmall", "LATE", T0 + HOUR)
    desk.until(DUE + HOUR)
    row = desk.report()["tmall"]
    assert (row["attempts"], row["created"], row["failed"]) == (4, 2, 2)
    assert row["creation_success"] == "50.00"

    desk.order("tmall", "LOST", T0 + 2 * HOUR)  # after the report
    desk.until(DUE + 3 * HOUR)
    row = desk.report()["tmall"]
    assert (row["created"], row["failed"], row["creation_success"]) == (3, 1, "75.00")


@pytest.mark.rule("FIN-09")
def test_an_order_that_is_refused_first_of_all_has_failed_in_its_own_month() -> None:
    desk = Desk()
    desk.say("orders", "order_created", T0, "tmall", channel="tmall", order_no="R", lines=[])
    desk.sell("A").until(DUE + HOUR)
    assert {report["period"] for report in desk.reports()} == {"2026-01"}
    row = desk.report()["tmall"]
    assert (row["attempts"], row["created"], row["failed"]) == (2, 1, 1)


@pytest.mark.rule("FIN-09")
def test_an_order_that_was_missed_in_one_month_and_came_in_the_next_does_not_stop_the_report() -> None:
    paid = calendar.at(2026, 2, 1) - calendar.MINUTE_MS
    desk = Desk().sell("A", "jd", signed=None)
    desk.pay("tmall", "LATE", paid).until(paid + HOUR)
    desk.order("tmall", "LATE", paid + 2 * HOUR).until(DUE + HOUR)
    assert {*desk.report()} == {"jd"}
    assert not Played(desk.runner).dead


@pytest.mark.rule("FIN-09")
@pytest.mark.parametrize("what", ["refund", "exception", "closed", "cancelled"])
def test_what_makes_an_order_abnormal(what: str) -> None:
    desk = Desk().sell("A", signed=None).sell("B", signed=None)
    unpaid = {"channel": "tmall", "order_no": "U"}
    desk.order("tmall", "U", T0).say("orders", "cancel_marked", T0, "tmall", **unpaid)
    about = {"channel": "tmall", "order_no": "A"}
    if what == "refund":
        desk.say("payments", "refund_settled", T0 + 1, "alipay", **about, **MONEY)
    elif what == "exception":
        desk.say("couriers", "exception", T0 + 1, "zto", courier="zto", raw_status="lost", **about)
    elif what == "closed":
        desk.say("orders", "status_changed", T0 + 1, "tmall", raw_status="TRADE_CLOSED", **about)
    else:
        desk.say("orders", "cancel_marked", T0 + 1, "tmall", **about)
    row = desk.until(DUE + HOUR).report()["tmall"]
    assert (row["created"], row["abnormal"]) == (3, 1)


@pytest.mark.rule("FIN-09")
@pytest.mark.parametrize(("marks", "abnormal"), [([-1], 0), ([-1, 1], 1), ([1, -1], 1), ([-2, -1], 0), ([0], 1)])
def test_a_cancel_mark_from_before_the_payment_is_none_after_it(marks: list[int], abnormal: int) -> None:
    desk = Desk()
    desk.order("tmall", "A", T0 - HOUR)
    about = {"channel": "tmall", "order_no": "A"}
    for number, at in enumerate(marks):
        if number == 1:
            desk.say("payments", "payment_succeeded", T0, "alipay", **about, **MONEY)
        desk.say("orders", "cancel_marked", T0 + at, "tmall", **about)
    if len(marks) == 1:
        desk.say("payments", "payment_succeeded", T0, "alipay", **about, **MONEY)
    assert desk.until(DUE + HOUR).report()["tmall"]["abnormal"] == abnormal


@pytest.mark.rule("FIN-09")
def test_a_month_that_changes_is_told_again_until_its_days_are_over() -> None:
    desk = Desk().sell("A", signed=None).until(DUE + HOUR)
    assert desk.report()["tmall"]["abnormal"] == 0
    desk.say("orders", "complaint", DUE + HOUR, "tmall", channel="tmall", order_no="A", text="x")
    assert desk.until(DUE + 3 * HOUR).report()["tmall"]["abnormal"] == 1
    told = len(desk.reports())
    days = data.health_reports().kept_days
    desk.until(DUE + days * DAY)
    desk.say("payments", "refund_settled", DUE + days * DAY, "alipay", channel="tmall", order_no="A", **MONEY)
    desk.until(DUE + (days + 1) * DAY)
    assert len(desk.reports()) == told


@pytest.mark.rule("FIN-09")
@pytest.mark.parametrize(
    "wrong", [{"day": 5}, {"day": 0}, {"hour": 24}, {"late_ms": 0}, {"grace_ms": "1"}, {"more": 1}, {"kept_days": True}]
)
def test_a_report_that_would_come_on_the_5th_or_never_is_refused(wrong: dict[str, Any]) -> None:
    numbers = {"day": 4, "hour": 23, "grace_ms": 1, "late_ms": 1, "kept_days": 1}
    assert HealthReports.parse(numbers).due("2026-12") == calendar.at(2027, 1, 4, 23)
    with pytest.raises(ReportError, match="channel health"):
        HealthReports.parse({**numbers, **wrong})


@pytest.mark.rule("FIN-09")
def test_a_month_whose_only_failure_came_after_all_in_the_next_is_told_all_the_same() -> None:
    desk = Desk()
    bad = {"channel": "tmall", "order_no": "A", "lines": [{"line_no": 1, "sku": "BAG", "quantity": 1}]}
    desk.say("orders", "order_created", T0, "tmall", **bad, total_minor=-1, currency="CNY")
    desk.sell("A", at=T0 + DAY)
    desk.until(DUE + HOUR)
    assert [row["rows"] for row in desk.reports()] == ["[]"]
    assert not [row for row in desk.out("dead-letters") if row["stage"] == "rule"]


@pytest.mark.rule("FIN-09")
def test_partitions_that_are_months_apart_add_up_to_one_report_of_each_month() -> None:
    desk, months = Desk(), ("2026-01", "2026-02", "2026-03")
    for place in ("ledger/0", "ledger/1"):  # each in turn through its backlog
        for month in months:
            due = data.health_reports().due(month)
            counts = {"tmall": {"created": 2, "split": 0, "split_ms": 0, "abnormal": 1}}
            desk.runner.send(FACTS, part(month, place, counts, due, due), SERIES)
            run(desk.runner)
    desk.until(calendar.at(2026, 4, 5))
    last = {row["period"]: json.loads(row["rows"]) for row in desk.reports()}
    assert {month: last[month][0]["created"] for month in months} == dict.fromkeys(months, 4)
