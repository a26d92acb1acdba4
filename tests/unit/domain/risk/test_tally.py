"""What is counted of all orders together: the pattern of cancellations (RSK-09) and the capture rate (RSK-12)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from tests.unit.domain.risk.desk import DAY, GUID, HOUR, MINUTE, SETTINGS, T0, Desk, created, fact, paid
from tests.unit.domain.risk.test_levels import weighing

NIGHT = calendar.at(2026, 5, 12, 22, 15)


def guid(number: int) -> str:
    return f"DB20260512{number:012}"


def reports(desk: Desk) -> list[dict[str, Any]]:
    return [value["report"] for topic, _, value in desk.out if topic == "report-facts"]


def cancelled(desk: Desk, number: int, paid_at: int, after: int, tier: str = "3") -> None:
    desk.say(created(paid_at, guid(number), city_tier=tier), paid(paid_at, guid(number)))
    desk.say(fact("orders", "cancel_requested", paid_at + after, guid(number)))


@pytest.mark.rule("RSK-09")
def test_orders_cancelled_within_2_hours_are_told_by_hour_and_city_tier() -> None:
    desk = Desk()
    cancelled(desk, 1, T0, HOUR, "1")
    cancelled(desk, 2, NIGHT, 2 * HOUR)
    cancelled(desk, 3, NIGHT, 5 * MINUTE)
    cancelled(desk, 4, NIGHT, 2 * HOUR + 1)
    assert reports(desk) == []
    [report] = reports(desk.pass_to(calendar.at(2026, 5, 13, 2) + 1))
    assert report["report_id"] == "RSK-09/2026-05-12"
    assert json.loads(report["rows"]) == [
        {"hour": 10, "city_tier": "1", "orders": 1},
        {"hour": 22, "city_tier": "3", "orders": 2},
    ]
    cancelled(desk, 5, NIGHT, MINUTE)  # told a day late: the report is made once more
    assert json.loads(reports(desk)[-1]["rows"])[1]["orders"] == 3


@pytest.mark.rule("RSK-02")
@pytest.mark.rule("RSK-09")
@pytest.mark.parametrize(("after", "refunded", "counts"), [(2 * HOUR, 0, 1), (2 * HOUR + 1, 0, 0), (HOUR, 100, 0)])
def test_a_paid_order_closed_by_a_word_of_its_channel_was_cancelled(after: int, refunded: int, counts: int) -> None:
    desk = Desk().say(created(NIGHT, guid(1), customer_id="c-1", city_tier="3"), paid(NIGHT, guid(1)))
    if refunded:  # FIN-07: the word is about the part
        desk.say(fact("payments", "refund_settled", NIGHT + MINUTE, guid(1), amount_minor=refunded))
    word = {"known": True, "state": None, "node": None, "flags": ["closed"]}
    desk.say(fact("orders", "status_changed", NIGHT + after, guid(1), raw_status="TRADE_CLOSED", mapped=word))
    desk.say(created(NIGHT + DAY, guid(2), customer_id="c-1"))
    assert [report["report_id"] for report in reports(desk)] == ["RSK-09/2026-05-12"] * counts
    assert desk.signals(guid(2)) == {"earlier_cancellation"} if counts else not desk.signals(guid(2))


def failing(desk: Desk, at: int, times: int) -> Desk:
    return desk.say(*(fact("payments", "payment_failed", at + n) for n in range(times)))


@pytest.mark.rule("RSK-09")
@pytest.mark.parametrize(("times", "findings"), [(12, ["open"]), (11, [])])
def test_an_hour_with_three_times_the_failed_payments_is_told(times: int, findings: list[str]) -> None:
    desk = Desk().say(created())
    for hour in range(24):  # 4 an hour
        for number in range(4):
            failing(desk.say(created(T0, guid(hour * 4 + number))), T0 + hour * HOUR, 0)
            desk.say(fact("payments", "payment_failed", T0 + hour * HOUR + number, guid(hour * 4 + number)))
    failing(desk, T0 + 24 * HOUR, times)
    said = [value["do"] for _, key, value in desk.out if key == "RSK-09/popups"]
    assert said == findings
    failing(desk.say(created(T0, guid(999))), T0 + 25 * HOUR, 1)
    assert [value["do"] for _, key, value in desk.out if key == "RSK-09/popups"] == [*findings, *["close"][: len(said)]]


@pytest.mark.rule("RSK-09")
@pytest.mark.parametrize(("now", "findings"), [(2, []), (3, ["open"])])
def test_two_failed_payments_are_no_alarm_however_few_there_were_before(now: int, findings: list[str]) -> None:
    desk = Desk().say(created(), fact("payments", "payment_failed", T0), created(guid=guid(2)))
    failing(desk, T0 + HOUR, now)
    assert [value["do"] for _, key, value in desk.out if key == "RSK-09/popups"] == findings


@pytest.mark.rule("RSK-09")
@pytest.mark.parametrize(("now", "findings"), [(29, []), (30, ["open"])])
def test_a_mean_hour_is_one_of_those_that_are_known(now: int, findings: list[str]) -> None:
    desk = Desk()
    for number in range(20):  # two hours of 10
        at = T0 + number // 10 * HOUR
        desk.say(created(T0, guid(number)), fact("payments", "payment_failed", at, guid(number)))
    failing(desk.say(created()), T0 + 2 * HOUR, now)
    assert [value["do"] for _, key, value in desk.out if key == "RSK-09/popups"] == findings


@pytest.mark.rule("RSK-12")
def test_the_capture_rate_is_of_abnormal_orders_warned_of_before() -> None:
    desk = Desk(weighing(page_dwell=2.5))
    for number, dwell in enumerate((200, 100, 100)):
        desk.say(created(T0, guid(number), page_dwell_s=dwell), paid(T0, guid(number)))
    desk.say(fact("orders", "complaint", T0 + HOUR, guid(0)), fact("orders", "complaint", T0 + 2 * HOUR, guid(0)))
    desk.say(fact("payments", "refund_settled", T0 + HOUR, guid(1), amount_minor=100))
    desk.say(fact("wms", "loaded", T0 + HOUR, guid(2)))
    [report] = reports(desk.pass_to(calendar.at(2026, 6, 2)))
    assert (report["report_id"], report["period"]) == ("RSK-12/2026-05", "2026-05")
    assert json.loads(report["rows"]) == [{"abnormal": 2, "warned_before": 1, "capture_percent": 50.0}]


@pytest.mark.rule("RSK-12")
@pytest.mark.parametrize(("paid_first", "abnormal"), [(True, 1), (False, 0)])
def test_an_order_that_was_never_paid_is_not_abnormal_for_being_closed(paid_first: bool, abnormal: int) -> None:
    desk = Desk().say(created(), *([paid()] if paid_first else []), fact("orders", "cancel_marked", T0 + 3 * HOUR))
    desk.pass_to(T0 + 40 * DAY)
    assert len([report for report in reports(desk) if report["name"] == "RSK-12"]) == abnormal
    assert GUID in desk.tables["orders"]


@pytest.mark.rule("RSK-09")
def test_the_alarm_of_an_hour_ends_with_the_next_hour_though_no_payment_fails_in_it() -> None:
    desk = Desk()
    for number in range(24 * 4):
        at = T0 + number // 4 * HOUR
        desk.say(created(T0, guid(number)), fact("payments", "payment_failed", at, guid(number)))
    failing(desk.say(created()), T0 + 24 * HOUR, 12)

    def said() -> list[str]:
        return [value["do"] for _, key, value in desk.out if key == "RSK-09/popups"]

    desk.pass_to(T0 + 26 * HOUR - 1)
    assert said() == ["open"]
    desk.pass_to(T0 + 26 * HOUR)
    assert said() == ["open", "close"]
    desk.pass_to(T0 + 40 * DAY)
    assert said() == ["open", "close"]


@pytest.mark.rule("RSK-09")
@pytest.mark.rule("RSK-12")
def test_rows_go_after_their_time_and_what_is_told_later_replaces_no_report() -> None:
    kept, desk = SETTINGS.limits.tally_kept_ms, Desk()
    cancelled(desk, 1, T0, HOUR)
    desk.say(fact("orders", "complaint", T0 + HOUR, guid(1)))
    due = calendar.at(2026, 5, 13, 2) + 1
    desk.pass_to(due + kept)
    cancelled(desk, 2, T0, HOUR)  # on the last day that its row is there, it still counts
    assert json.loads(reports(desk)[-1]["rows"])[0]["orders"] == 2
    desk.pass_to(due + kept + 1)
    assert "pattern/20260512" not in desk.tables["tallies"]
    made = len(reports(desk))
    cancelled(desk, 3, T0, HOUR)
    assert len(reports(desk)) == made
    desk.pass_to(due + kept + 60 * DAY)
    assert desk.tables["tallies"] == {}
    assert {report["report_id"] for report in reports(desk)} == {"RSK-09/2026-05-12", "RSK-12/2026-05"}
