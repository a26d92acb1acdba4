"""Sales, shipment and receipt through all agents, codecs and timers: who is told of what, what a month adds up to."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.rules import data
from streams.engine.local import Abort, Crash
from tests.scenarios.play import Played, new_runner
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 1, 20, 9)
HOUR, DAY = calendar.HOUR_MS, calendar.DAY_MS


class Desk(Shop):
    """Orders of two pieces for 100.00 CNY, of which each of the three sides tells what it likes."""

    def sell(self, order_no: str, receipt: int | None = 10000, units: int | None = 2, at: int = T0) -> Desk:
        about = {"channel": "tmall", "order_no": order_no}
        line = {"line_no": 1, "sku": "S", "name": None, "quantity": 2, "unit_price_minor": 5000, "is_gift": False}
        self.order("tmall", order_no, at, lines=[line], total_minor=10000)
        if receipt is not None:
            self.say("payments", "payment_succeeded", at, "alipay", amount_minor=receipt, currency="CNY", **about)
        if units is not None:
            self.say("wms", "loaded", at + HOUR, "wms-hz", waybill_no=f"W-{order_no}", quantity=units, **about)
        return self

    def alerts(self, rule: str) -> list[dict[str, Any]]:
        return Played(self.runner).alerts(rule)

    def reports(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.out("reports") if row["name"] == name]


@pytest.mark.rule("FIN-04")
@pytest.mark.parametrize(("receipt", "units", "told"), [(9950, 2, 0), (9949, 2, 1), (10000, 1, 0), (10000, 0, 1)])
def test_the_boundaries_of_the_match_and_who_is_told(receipt: int, units: int, told: int) -> None:
    desk = Desk().sell("A", receipt, units).until(T0 + 3 * HOUR + HOUR // 2)
    found = desk.alerts("FIN-04")
    assert len(found) == told
    for alert in found:
        assert (alert["recipient"], sorted(alert["targets"])) == ("finance", ["email", "wecom"])
        assert alert["opened_at"] == calendar.at(2026, 1, 20, 12), "the first run after it was loaded"
    rows = json.loads(desk.reports("FIN-04")[-1]["rows"])
    assert [row["alert"] for row in rows if "order_guid" in row] == ([bool(told)] if told or units == 1 else [])
    assert not Played(desk.runner).dead


@pytest.mark.rule("FIN-04")
def test_what_comes_late_closes_the_alert_at_the_next_run() -> None:
    desk = Desk().sell("A", 9000).sell("B", 9000).until(T0 + 3 * HOUR)
    assert [alert["status"] for alert in desk.alerts("FIN-04")] == ["open", "open"]
    late = {"amount_minor": 1000, "currency": "CNY", "channel": "tmall", "order_no": "A"}
    desk.say("payments", "payment_succeeded", T0 + 4 * HOUR, "alipay", **late).runner.advance(T0 + 6 * HOUR)
    guids = {state["order_guid"]: number for number, state in Played(desk.runner).states.items()}
    assert {guids[alert["order_guid"]]: alert["status"] for alert in desk.alerts("FIN-04")} == {
        "A": "closed",
        "B": "open",
    }
    last = desk.reports("FIN-04")[-1]
    assert last["highlights"][0].startswith("1 orders differ beyond the limits, 0 more")
    assert [guids[row["order_guid"]] for row in json.loads(last["rows"]) if "order_guid" in row] == ["B"]


@pytest.mark.rule("FIN-04", "FIN-07")
@pytest.mark.parametrize(
    ("back", "line_no", "minutes", "units", "told"),
    [
        (3000, 2, 30, 2, []),  # the three pieces of line 2 are sent by nobody
        (3000, 2, 60, 2, [5]),  # refunded as the goods left, or after it
        (2999, 2, 30, 2, [5]),  # a part of its price
        (3000, None, 30, 2, [5]),  # nobody says of which line
        (3000, 2, 30, 5, [2]),  # and they were sent all the same
        (None, None, 0, 2, [5]),
    ],
)
def test_units_of_a_line_that_was_refunded_before_the_goods_left_are_missed_by_nobody(
    back: int | None, line_no: int | None, minutes: int, units: int, told: list[int]
) -> None:
    desk, about = Desk(), {"channel": "tmall", "order_no": "A"}
    lines = [
        {"line_no": n, "sku": "S", "quantity": units, "unit_price_minor": price, "is_gift": False}
        for n, units, price in ((1, 2, 5000), (2, 3, 1000))
    ]
    desk.order("tmall", "A", T0, lines=lines, total_minor=13000)
    desk.say("payments", "payment_succeeded", T0, "alipay", amount_minor=13000, currency="CNY", **about)
    if back is not None:
        money = {"amount_minor": back, "currency": "CNY", "line_no": line_no}
        desk.say("payments", "refund_settled", T0 + minutes * calendar.MINUTE_MS, "alipay", **money, **about)
    desk.say("wms", "loaded", T0 + HOUR, "wms-hz", waybill_no="W", quantity=units, **about).until(T0 + 4 * HOUR)
    rows = json.loads(desk.reports("FIN-04")[-1]["rows"])
    assert [row["sold"] for row in rows if "order_guid" in row] == told
    assert len(desk.alerts("FIN-04")) == len(told)


@pytest.mark.rule("FIN-05")
@pytest.mark.parametrize(
    ("receipt", "severity"), [(9950, None), (9949, "warning"), (9500, "warning"), (9499, "critical")]
)
def test_the_month_is_watched_before_it_closes_and_only_then(receipt: int, severity: str | None) -> None:
    desk = Desk().sell("A", receipt).until(calendar.at(2026, 1, 29, 1))
    assert not desk.reports("FIN-05")
    desk.until(calendar.at(2026, 1, 29, 3))
    [report] = desk.reports("FIN-05")
    assert report["period"] == "2026-01-29T02:00"
    [row] = json.loads(report["rows"])
    assert (row["sales_minor"], row["receipt_minor"], row["sold"], row["shipped"]) == (10000, receipt, 2, 2)
    assert [alert["severity"] for alert in desk.alerts("FIN-05")] == ([] if severity is None else [severity])
    assert all(sorted(alert["targets"]) == ["email", "wecom"] for alert in desk.alerts("FIN-05"))


@pytest.mark.rule("FIN-05")
def test_what_becomes_worse_is_told_again() -> None:
    desk = Desk().sell("A", 9900).sell("B", 9000, at=calendar.at(2026, 1, 29, 9)).until(calendar.at(2026, 2, 2))
    history = [(row["severity"], row["status"]) for row in desk.out("alerts") if row["rule"] == "FIN-05"]
    assert history[0] == ("warning", "open")
    assert ("critical", "open") in history
    [alert] = desk.alerts("FIN-05")
    assert (alert["severity"], alert["status"]) == ("critical", "escalated"), "nobody saw to it for two hours"


@pytest.mark.rule("FIN-05", "FIN-11")
@pytest.mark.parametrize(
    ("period", "closed", "status"),
    [
        ("2026-01", calendar.at(2026, 2, 2), "closed"),
        ("2026-01", calendar.at(2026, 1, 30), "closed"),  # no later run of the watch opens it again
        ("2026-02", calendar.at(2026, 2, 2), "closed"),
        ("2025-12", calendar.at(2026, 2, 2), "escalated"),
    ],
)
def test_what_differs_before_the_closing_is_no_matter_after_it(period: str, closed: int, status: str) -> None:
    desk = Desk().sell("A", 9000).until(min(closed, calendar.at(2026, 2, 1, 1)))
    desk.say("finance", "period_closed", closed, "kingdee", period=period).until(calendar.at(2026, 2, 4))
    assert [alert["status"] for alert in desk.alerts("FIN-05")] == [status]


@pytest.mark.rule("FIN-05", "FIN-11")
def test_the_month_after_a_closed_one_is_watched() -> None:
    february = calendar.at(2026, 2, 10)
    desk = Desk().sell("A", 9000).until(calendar.at(2026, 1, 30))
    desk.say("finance", "period_closed", calendar.at(2026, 2, 2), "kingdee", period="2026-01")
    desk.sell("B", 9000, at=february).until(calendar.at(2026, 2, 26, 3))
    told = {alert["alert_key"]: alert["status"] for alert in desk.alerts("FIN-05")}
    assert told == {"FIN-05/2026-01/CNY/amount": "closed", "FIN-05/2026-02/CNY/amount": "open"}


@pytest.mark.rule("FIN-10")
def test_each_month_is_audited_for_as_long_as_something_is_open() -> None:
    desk = Desk().sell("A", 9900).sell("B", 9000).until(calendar.at(2026, 3, 1, 1))
    audits = desk.reports("FIN-10")
    assert [record["period"] for record in audits] == ["2026-01", "2026-02"]
    rows = json.loads(audits[-1]["rows"])
    assert [(row["gap_minor"], row["cause"]) for row in rows] == [(gap, "third_party_error") for gap in (1000, 100)]


@pytest.mark.rule("FIN-04")
def test_the_alerts_of_a_run_are_told_in_steps_and_before_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = sys.modules["streams.agents.match"]
    monkeypatch.setattr(agent, "_SETTINGS", dataclasses.replace(data.match_reports(), rows_per_step=2))
    runner = new_runner(partitions=1)
    desk = Desk(runner)
    for n in range(5):
        desk.sell(f"N{n}", 9000)
    desk.until(T0 + 2 * DAY)
    assert len(desk.alerts("FIN-04")) == 5
    assert [record["highlights"][0][:8] for record in desk.reports("FIN-04")] == ["5 orders"]
    assert not runner.table("match", "fresh")


@pytest.mark.rule("FIN-04")
def test_orders_that_agree_are_forgotten_in_steps_those_that_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(data.match_reports(), rows_per_step=2)
    monkeypatch.setattr(sys.modules["streams.agents.match"], "_SETTINGS", settings)
    desk = Desk(new_runner(partitions=1))
    for n in range(5):
        desk.sell(f"N{n}")
    desk.sell("OPEN", 9000)
    desk.until(T0 + 3 * DAY)
    assert len(desk.runner.table("match", "orders")) == 6
    later = T0 + (settings.forget_days + 2) * DAY
    desk.sell("NEW", at=later).until(later + 2 * DAY)
    guids = {state["order_guid"]: number for number, state in Played(desk.runner).states.items()}
    assert {guids[guid] for guid in desk.runner.table("match", "orders")} == {"OPEN", "NEW"}
    assert len(desk.runner.table("match", "made")) == 2
    [row] = [row for row in json.loads(desk.reports("FIN-04")[-1]["rows"]) if "order_guid" in row]
    assert guids[row["order_guid"]] == "OPEN"
    assert [of for of, _ in row["vouchers"]] == ["sales", "receipt", "shipment"]


@pytest.mark.rule("FIN-04", "FIN-05", "FIN-10")
@pytest.mark.parametrize("seed", range(3))
def test_reports_and_alerts_are_the_same_whatever_dies(seed: int) -> None:
    def story(desk: Desk) -> list[str]:
        for n, (receipt, units) in enumerate([(9000, 2), (10000, 0), (10000, 2), (9949, 1), (None, 2), (10000, None)]):
            desk.sell(f"N{n}", receipt, units, T0 + n * HOUR)
        desk.until(T0 + 20 * DAY)
        return sorted(str(row) for topic in ("alerts", "reports") for row in desk.out(topic))

    chance, died = random.Random(seed), 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent == "facets" and chance.random() < 0.1:
            died += 1
            raise Crash if step in ("persist", "done") else Abort

    assert story(Desk(new_runner(fault=fault))) == story(Desk())
    assert died > 5
