"""The daily quality reports through all agents, at nine in the morning: limits, late words, silent days."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from streams.domain import calendar
from streams.domain.quality import look
from streams.domain.report import lineage
from streams.domain.rules import data
from streams.engine.local import Crash, LocalRunner
from streams.engine.record import LocalRecord
from tests.scenarios.play import Played, new_runner, run

DAY, HOUR, MINUTE = calendar.DAY_MS, calendar.HOUR_MS, calendar.MINUTE_MS
MIDNIGHT = calendar.at(2026, 1, 23)
NOON, NINE = MIDNIGHT + 12 * HOUR, MIDNIGHT + DAY + 9 * HOUR
SAID = "2026-01-23"
_DAILY = data.quality_reports()
GRACE = _DAILY.grace_ms


class Shop:
    """Systems that speak of orders; event ids follow from their number."""

    def __init__(self, **options: Any) -> None:
        self.runner: LocalRunner = new_runner(**options)
        self.said = 0
        self.waits = False
        """What is said is dealt with together with what is said next: many events take a second then, not 20."""

    def say(self, topic: str, event_type: str, number: int, at: int, channel: str = "douyin", **more: Any) -> None:
        self.said += 1
        names = {"orders": "shop", "payments": "wechatpay", "wms": "wms-hz", "couriers": "zto", "finance": "kingdee"}
        value = {"event_id": f"e{self.said}", "event_type": event_type, "event_time": at}
        value |= {"source": names[topic], "channel": channel, "order_no": f"N{number}", **more}
        if topic == "couriers":
            value |= {"courier": more.get("courier", "zto"), "waybill_no": f"W{number}"}
        if topic == "payments":
            value |= {"amount_minor": 100, "currency": "CNY"}
        self.runner.send(topic, value, f"N{number}")
        if not self.waits:
            run(self.runner)

    def create(self, number: int, at: int, channel: str = "douyin") -> None:
        line = {"line_no": 1, "sku": "A", "name": "a", "quantity": 1, "unit_price_minor": 100, "is_gift": False}
        self.say("orders", "order_created", number, at, channel, lines=[line], total_minor=100, currency="CNY")

    def deliver(self, number: int, at: int, channel: str = "douyin") -> None:
        """Created at `at`, loaded an hour later, signed two hours later."""
        self.create(number, at, channel)
        self.say("wms", "loaded", number, at + HOUR, channel)
        self.say("couriers", "signed", number, at + 2 * HOUR, channel)

    def record(self, name: str, period: str = SAID) -> tuple[list[dict[str, Any]], list[str]]:
        """Rows and highlights of the last version."""
        last = {str(key): value for key, value in self.runner.output("reports")}[f"{name}/{period}"]
        assert (last["name"], last["period"]) == (name, period)
        return json.loads(last["rows"]), last["highlights"]

    def parts(self) -> int:
        """How many parts of these reports were told so far."""
        return sum(key == look.SERIES for key, _ in self.runner.output("report-facts"))

    def told(self, name: str) -> list[str]:
        """The days of which there is a report, in order of their first version."""
        ids = dict.fromkeys(str(key) for key, _ in self.runner.output("reports"))
        return [key.partition("/")[2] for key in ids if key.startswith(f"{name}/")]

    def alerts(self) -> list[dict[str, Any]]:
        return Played(self.runner).alerts("ST-07")


@pytest.mark.rule("DQ-15")
def test_each_day_says_by_source_how_many_records_could_be_joined_to_an_order() -> None:
    shop = Shop()
    shop.deliver(1, NOON)
    for number in (2, 3):
        shop.say("payments", "payment_succeeded", number, NOON, order_no=None)
    shop.say("payments", "payment_succeeded", 1, NOON)
    shop.runner.advance(NINE + GRACE + MINUTE)
    rows, highlights = shop.record("DQ-15")
    assert [(row["source"], row["joined"], row["unjoined"], row["share"]) for row in rows] == [
        ("all", 4, 2, "66.66"),
        ("shop", 1, 0, "100.00"),
        ("wechatpay", 1, 2, "33.33"),
        ("wms-hz", 1, 0, "100.00"),
        ("zto", 1, 0, "100.00"),
    ]
    assert highlights == ["2 of 6 records named no order"]
    shop.say("payments", "payment_succeeded", 4, NOON, order_no=None)
    shop.runner.advance(NINE + 3 * HOUR)
    assert shop.record("DQ-15")[1] == ["3 of 7 records named no order"]


@pytest.mark.rule("DQ-15")
def test_records_that_say_nothing_new_of_their_order_are_counted_when_they_come_late_or_alone() -> None:
    shop = Shop()
    shop.create(1, NOON - DAY)
    shop.runner.advance(NINE + GRACE - DAY)
    shop.say("orders", "address_changed", 1, NOON)
    shop.runner.advance(NINE + GRACE + MINUTE)
    assert shop.record("DQ-15")[1] == ["0 of 1 records named no order"]
    shop.say("orders", "address_changed", 1, NOON + HOUR)
    shop.runner.advance(NINE + 3 * HOUR)
    assert shop.record("DQ-15")[1] == ["0 of 2 records named no order"]


# -- ST-07 ------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("ST-07")
@pytest.mark.parametrize("differing", [3, 4])
def test_more_than_three_of_a_thousand_orders_that_differ_are_highlighted_and_told_to_the_operations_lead(
    differing: int,
) -> None:
    shop = Shop(batch=100)
    shop.waits = True
    for number in range(1000):
        shop.create(number, NOON + number)
    shop.waits = False
    for number in range(differing):
        shop.say("wms", "loaded", number, NOON + HOUR)
        shop.say("orders", "status_changed", number, NOON + 2 * HOUR, raw_status="待出库")
    shop.create(1000, NOON, "tmall")
    shop.runner.advance(NINE - 1)
    assert not shop.told("ST-07")
    shop.runner.advance(NINE + GRACE)
    rows, highlights = shop.record("ST-07")
    douyin, tmall = rows
    assert (douyin["orders"], douyin["differing"], douyin["rate"]) == (1000, differing, f"0.{differing}0")
    assert douyin["highlighted"] is (differing == 4)
    assert douyin["pairs"] == [{"systems": ["shop", "wms-hz"], "orders": differing}]
    guids = {value["order_no"]: value["order_guid"] for value in Played(shop.runner).states.values()}
    assert douyin["examples"] == sorted(guids[f"N{number}"] for number in range(differing))
    assert (tmall["channel"], tmall["orders"], tmall["highlighted"]) == ("tmall", 1, False)
    if differing == 3:
        assert highlights == ["3 of 1001 orders differ between systems"]
        assert shop.alerts() == []
    else:
        assert highlights[1:] == ["douyin: 0.40 % (4 of 1000 orders)"]
        [alert] = shop.alerts()
        assert (alert["alert_key"], alert["recipient"]) == (f"ST-07/{SAID}", "operations lead")
        assert (alert["targets"], alert["status"], alert["detail"]) == (["wecom"], "open", highlights[1])


@pytest.mark.rule("ST-07")
@pytest.mark.parametrize(("before", "differs"), [(30 * MINUTE, 0), (30 * MINUTE + 1, 1)])
def test_two_systems_may_differ_for_thirty_minutes(before: int, differs: int) -> None:
    shop = Shop(partitions=1)
    shop.create(1, NOON)
    shop.say("orders", "status_changed", 1, NOON + HOUR, raw_status="待出库")
    shop.say("couriers", "picked_up", 1, NINE - before)
    shop.runner.advance(NINE + GRACE)
    assert shop.record("ST-07")[0][0]["differing"] == differs


@pytest.mark.rule("ST-07")
def test_what_a_system_does_not_tell_of_is_no_difference() -> None:
    shop = Shop()
    shop.create(1, NOON)
    shop.say("payments", "payment_succeeded", 1, NOON + MINUTE)
    shop.say("wms", "loaded", 1, NOON + HOUR)
    shop.say("couriers", "signed", 1, NOON + 2 * HOUR)
    shop.say("finance", "settled", 1, NOON + 3 * HOUR)
    shop.runner.advance(NINE + GRACE)
    assert shop.record("ST-07")[0][0]["differing"] == 0


@pytest.mark.rule("ST-07")
def test_two_couriers_have_two_parcels_and_do_not_differ() -> None:
    shop = Shop()
    shop.create(1, NOON)
    shop.say("couriers", "signed", 1, NOON + HOUR)
    shop.say("couriers", "picked_up", 1, NOON + 2 * HOUR, source="sf", courier="sf")
    shop.runner.advance(NINE + GRACE)
    assert shop.record("ST-07")[0][0]["differing"] == 0


@pytest.mark.rule("ST-07", "ST-05")
def test_case_30_a_pseudo_closure_is_a_difference_of_all_that_say_otherwise() -> None:
    """The shop front says signed, the courier that it is on its way: whichever is right, somebody has to look."""
    shop = Shop()
    for number in (1, 2):
        shop.create(number, NOON)
        shop.say("payments", "payment_succeeded", number, NOON + MINUTE)
        shop.say("wms", "loaded", number, NOON + HOUR)
        shop.say("couriers", "out_for_delivery", number, NOON + 2 * HOUR, raw_status="派件中")
        shop.say("orders", "status_changed", number, NOON + 3 * HOUR, raw_status="已签收")
    shop.say("couriers", "signed", 2, NOON + 4 * HOUR)
    shop.runner.advance(NINE + GRACE)
    [row] = shop.record("ST-07")[0]
    assert (row["orders"], row["differing"]) == (2, 1)
    assert row["pairs"] == [{"systems": ["shop", "zto"], "orders": 1}]
    assert Played(shop.runner).states["N1"]["order_guid"] in row["examples"]


@pytest.mark.rule("ST-04", "ST-07")
def test_case_22_three_systems_mean_different_things_by_shipped() -> None:
    """ERP: posted. Warehouse: on the vehicle. Courier: picked up. Only the last two ship. The ERP's word is no state
    and differs from nobody's; the same word of a shop front does."""
    shop = Shop(partitions=1)

    def state(number: int) -> str:
        found: str = Played(shop.runner).states[f"N{number}"]["state"]
        return found

    for number in (1, 2, 3):
        shop.create(number, NOON)
        shop.say("payments", "payment_succeeded", number, NOON + MINUTE)
        shop.say("finance", "posted", number, NOON + HOUR)
        source = "shop" if number == 3 else "erp"
        shop.say("orders", "status_changed", number, NOON + HOUR, source=source, raw_status="已发货")
        shop.say("wms", "packed", number, NOON + 2 * HOUR)
        assert state(number) == "paid"
    shop.say("wms", "loaded", 2, NOON + 3 * HOUR)
    assert state(2) == "shipped"
    shop.say("couriers", "picked_up", 2, NOON + 4 * HOUR, raw_status="201")
    assert (state(1), state(2)) == ("paid", "shipped")
    shop.runner.advance(NINE + GRACE)
    [row] = shop.record("ST-07")[0]
    assert (row["differing"], row["pairs"]) == (1, [{"systems": ["shop", "wms-hz"], "orders": 1}])
    assert shop.record("ST-03")[0] == []


@pytest.mark.rule("ST-03", "ST-07")
def test_case_32_finished_at_the_shop_is_no_signature_of_the_courier() -> None:
    shop = Shop()
    shop.create(1, NOON)
    shop.say("wms", "loaded", 1, NOON + HOUR)
    shop.say("couriers", "out_for_delivery", 1, NOON + 2 * HOUR)
    shop.say("orders", "status_changed", 1, NOON + 3 * HOUR, source="douyin", raw_status="已完成")
    shop.runner.advance(NINE + GRACE)
    [row] = shop.record("ST-07")[0]
    assert row["pairs"] == [{"systems": ["douyin", "zto"], "orders": 1}]
    assert shop.record("LOG-12")[0] == []
    assert shop.record("FIN-14")[0] == []


@pytest.mark.rule("ST-07")
def test_the_next_report_closes_the_alert_of_the_last_and_a_late_word_that_of_its_day() -> None:
    shop = Shop(partitions=1)

    def differ(number: int, at: int) -> None:
        shop.create(number, at)
        shop.say("wms", "loaded", number, at + HOUR)
        shop.say("orders", "status_changed", number, at + 2 * HOUR, raw_status="待出库")

    differ(1, NOON)
    shop.runner.advance(NINE + GRACE)
    differ(2, NOON + DAY)
    shop.runner.advance(NINE + DAY + GRACE)
    assert [alert["status"] for alert in shop.alerts()] == ["closed", "open"]
    # The shop had said so in time; that it did was told a day late.
    shop.say("orders", "status_changed", 2, NOON + DAY + 3 * HOUR, raw_status="已发货")
    shop.runner.advance(NINE + DAY + 3 * HOUR)
    assert shop.record("ST-07", "2026-01-24")[0][0]["differing"] == 0
    assert [alert["status"] for alert in shop.alerts()] == ["closed", "closed"]


@pytest.mark.rule("DQ-15")
def test_what_a_partition_counts_that_is_a_week_behind_is_said_to_be_in_no_report() -> None:
    shop, first = Shop(), calendar.day_number(NOON)

    def tell(day: int, place: int, **records: int) -> None:
        told = lineage.part(day, f"quality/{place}", lineage.JOINED, records, _DAILY.due(day) + 5, _DAILY)
        shop.runner.send(lineage.FACTS, told, lineage.SERIES)
        run(shop.runner)

    for place in (0, 1):
        tell(first, place, shop=1)
    for day in range(first + 1, first + 10):
        tell(day, 0, shop=1)
    tell(first + 1, 1, shop=5)
    shop.runner.advance(_DAILY.due(first + 10))
    lost = "1 part, of 2026-01-24, is in no report: partitions were 7 days behind the others, or more"
    assert shop.record("DQ-15", "2026-02-01")[1] == ["0 of 1 records named no order", lost]
    assert shop.record("DQ-15", "2026-01-31")[1] == ["0 of 1 records named no order"]


# -- DQ-06 ------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("DQ-06")
@pytest.mark.parametrize(("early", "faulty"), [(60_000, 0), (60_001, 1)])
def test_an_event_may_be_sixty_seconds_before_what_it_follows(early: int, faulty: int) -> None:
    shop = Shop(partitions=1)
    shop.deliver(1, NOON)
    shop.create(2, NOON)
    shop.say("couriers", "signed", 2, NOON + HOUR - early)
    shop.say("wms", "loaded", 2, NOON + HOUR)
    shop.runner.advance(NINE + GRACE)
    rows, highlights = shop.record("DQ-06")
    rate = "50.00" if faulty else "0.00"
    assert rows[0] == {"channel": "all", "orders": 2, "faulty": faulty, "rate": rate}
    assert highlights == [f"{faulty} of 2 orders have events out of order: {rate} %"]
    listed = [(row["state"], row["before"], row["by_ms"]) for row in rows if "order_guid" in row]
    assert listed == ([("logistics_signed", "shipped", early)] if faulty else [])


# -- LOG-12 -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("LOG-12")
@pytest.mark.parametrize(("lag", "reached"), [(5 * MINUTE, True), (5 * MINUTE + 1, False)])
def test_a_signature_may_come_in_five_minutes_late(lag: int, reached: bool) -> None:
    shop = Shop(partitions=1)
    for number in (1, 2):
        shop.create(number, NOON)
    shop.say("orders", "complaint", 1, NOON + HOUR)
    shop.say("couriers", "signed", 1, NOON + HOUR - lag)
    shop.say("couriers", "signed", 1, NOON + HOUR - lag)  # told again, and by a probe
    shop.say("couriers", "signed", 1, NOON + HOUR - lag, source="probe")
    shop.runner.advance(NINE + GRACE)
    everybody, zto = shop.record("LOG-12")[0]
    assert {**zto, "courier": "all"} == everybody
    assert (zto["courier"], zto["signatures"], zto["mean_ms"], zto["reached"]) == ("zto", 1, lag, reached)
    assert (zto["p95_s"], zto["mean_s"]) == ((300, 300) if reached else (301, 301))
    assert len(shop.record("LOG-12")[1]) == (0 if reached else 2)


@pytest.mark.rule("LOG-12")
def test_with_a_broker_a_signature_came_in_when_the_broker_took_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the stream's time: a backlog is read late, but it came in when it did."""
    taken = NOON + 20 * MINUTE
    monkeypatch.setattr(LocalRecord, "timestamp", lambda record: (TIMESTAMP_LOG_APPEND_TIME, taken))
    shop = Shop(partitions=1)
    shop.create(1, NOON)
    shop.say("orders", "complaint", 1, NOON + HOUR)
    shop.say("couriers", "signed", 1, NOON)
    monkeypatch.setattr(LocalRecord, "timestamp", lambda record: (TIMESTAMP_CREATE_TIME, 5))
    shop.create(2, NOON)
    shop.say("couriers", "signed", 2, NOON)
    shop.runner.advance(NINE + GRACE)
    everybody, zto = shop.record("LOG-12")[0]
    assert everybody["mean_ms"] == zto["mean_ms"] == (20 * MINUTE + HOUR) // 2


@pytest.mark.rule("LOG-12")
@pytest.mark.parametrize(("late", "p95"), [(1, 0), (2, 3600)])
def test_one_in_twenty_may_be_late_without_the_p95_being_so(late: int, p95: int) -> None:
    shop = Shop(partitions=1)
    for number in range(20):
        shop.create(number, NOON)
    shop.say("orders", "complaint", 0, NOON + HOUR)
    for number in range(20):
        shop.say("couriers", "signed", number, NOON if number < late else NOON + HOUR, courier="sf")
    shop.runner.advance(NINE + GRACE)
    row = shop.record("LOG-12")[0][1]
    assert (row["courier"], row["signatures"], row["within_target"], row["p95_s"]) == ("sf", 20, 20 - late, p95)
    assert row["mean_ms"] == late * HOUR // 20


# -- FIN-14 -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("FIN-14")
def test_unconfirmed_orders_by_age_and_channel_an_age_just_reached_is_still_in_its_class() -> None:
    shop = Shop(partitions=1)
    for number, age in enumerate((DAY, DAY + 1, 3 * DAY, 3 * DAY + 1, 7 * DAY, 7 * DAY + 1), 1):
        at = NINE - age
        shop.create(number, at - HOUR, "tmall" if number == 1 else "douyin")
        shop.say("couriers", "signed", number, at, "tmall" if number == 1 else "douyin")
    shop.deliver(7, NOON)
    shop.say("orders", "buyer_confirmed", 7, NOON + 3 * HOUR)
    shop.deliver(8, NOON)
    shop.say("orders", "cancel_marked", 8, NOON + 3 * HOUR)
    shop.runner.advance(NINE + GRACE)
    douyin, tmall = shop.record("FIN-14")[0]
    assert tmall["by_age"] == {"up to 1 d": 1, "over 1 d to 3 d": 0, "over 3 d to 7 d": 0, "over 7 d": 0}
    assert (douyin["orders"], [*douyin["by_age"].values()]) == (5, [0, 2, 2, 1])
    assert douyin["oldest_signed_at"] == NINE - 7 * DAY - 1
    assert shop.record("FIN-14")[1] == ["6 orders are delivered and not confirmed", "1 of them over 7 d"]


@pytest.mark.rule("FIN-14")
def test_an_order_grows_older_on_days_without_traffic_and_is_forgotten_in_the_end() -> None:
    shop = Shop()
    shop.deliver(1, NOON)
    shop.say("orders", "refund_requested", 1, NOON + 3 * HOUR)  # else it counts as confirmed in the end (LOG-15)
    shop.runner.advance(NINE + 2 * 365 * DAY)
    days = shop.told("FIN-14")
    forget = data.quality_reports().forget_days
    assert days[:2] == [SAID, "2026-01-24"]
    assert len(days) == forget + 2
    assert [*shop.record("FIN-14", "2026-02-01")[0][0]["by_age"].values()] == [0, 0, 0, 1]
    assert shop.record("FIN-14", days[-2])[0]
    assert shop.record("FIN-14", days[-1])[0] == []
    for table in look.TABLES:
        assert table == "state" or not shop.runner.table("quality", table), table
    assert shop.record("ST-07", "2026-01-24") == ([], ["no order was touched"])


@pytest.mark.rule("FIN-14", "LOG-15")
def test_an_order_that_counts_as_confirmed_by_time_is_waited_for_no_longer() -> None:
    shop = Shop()
    shop.deliver(1, NOON)
    signed = NOON + 2 * HOUR
    shop.runner.advance(signed + 9 * DAY)
    days = [day for day in shop.told("FIN-14") if shop.record("FIN-14", day)[0]]
    assert days == [SAID, *(f"2026-01-{day}" for day in range(24, 30))], "those of the mornings before its time is over"


# -- ST-03 ------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("ST-03")
def test_codes_that_no_map_knows_are_listed_with_their_count_and_times() -> None:
    shop = Shop(partitions=1)
    for number in (1, 2):
        shop.create(number, NOON)
        shop.say("orders", "status_changed", number, NOON + number, raw_status="外星人 13800001111", raw_field="st")
    shop.say("couriers", "scanned", 1, NOON + 5, raw_status="???")
    shop.say("couriers", "scanned", 1, NOON + DAY, raw_status="???")
    shop.runner.advance(NINE + GRACE)
    rows, highlights = shop.record("ST-03")
    about = {"topic": "orders", "source": "shop", "channel": "douyin", "field": "st", "code": "外星人 #"}
    assert rows[0] == {**about, "count": 2, "first_seen_at": NOON + 1, "last_seen_at": NOON + 2}
    assert (rows[1]["source"], rows[1]["channel"], rows[1]["code"], rows[1]["count"]) == ("zto", "zto", "???", 1)
    assert highlights == ["3 events with 2 status codes that no map knows"]


@pytest.mark.rule("ST-03")
def test_an_event_told_twice_is_one_event_with_an_unknown_code() -> None:
    shop = Shop(partitions=1)
    shop.create(1, NOON)
    for _ in range(2):
        shop.said = 9
        shop.say("orders", "status_changed", 1, NOON + 1, raw_status="???")
    shop.runner.advance(NINE + GRACE)
    assert [row["count"] for row in shop.record("ST-03")[0]] == [1]


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("ST-07")
def test_days_without_traffic_have_no_report_and_years_of_them_set_off_no_timer() -> None:
    shop = Shop()
    shop.create(1, NOON)
    shop.runner.advance(NINE + 10 * 365 * DAY)
    assert shop.told("ST-07") == [SAID]
    shop.create(2, NOON + 4000 * DAY)
    shop.runner.advance(NINE + 4001 * DAY)
    assert len(shop.told("ST-07")) == 2


@pytest.mark.rule("ST-07", "FIN-14")
def test_a_silent_partition_holds_the_report_up_for_the_grace_and_counts_no_old_orders() -> None:
    shop = Shop()
    for number in range(40):
        shop.create(number, NOON)
    shop.runner.advance(NINE + GRACE)
    parts = shop.parts()
    assert parts == shop.runner.log.partitions
    shop.create(40, NOON + DAY)
    shop.runner.advance(NINE + DAY)
    assert shop.parts() == parts + 1
    assert shop.told("ST-07") == [SAID]
    shop.runner.advance(NINE + DAY + GRACE)
    assert [row["orders"] for row in shop.record("ST-07", "2026-01-24")[0]] == [1]
    assert shop.record("FIN-14", "2026-01-24") == ([], ["0 orders are delivered and not confirmed"])


@pytest.mark.rule("ST-07", "DQ-06", "FIN-14")
def test_an_event_of_an_earlier_day_that_comes_late_changes_the_report_of_its_day() -> None:
    shop = Shop(partitions=1)
    shop.create(1, NOON)
    shop.create(2, NOON + 3 * DAY)
    shop.runner.advance(NINE + 3 * DAY + GRACE)
    assert shop.record("DQ-06")[0][0]["orders"] == 1
    made = len(shop.runner.output("report-facts"))
    shop.say("couriers", "signed", 1, NOON - HOUR)
    shop.runner.advance(NINE + 3 * DAY + GRACE + HOUR + MINUTE)
    assert shop.record("DQ-06")[0][0]["faulty"] == 1
    assert [row["orders"] for row in shop.record("FIN-14")[0]] == [1]
    assert [row["orders"] for row in shop.record("FIN-14", "2026-01-26")[0]] == [1]
    assert len(shop.runner.output("report-facts")) > made
    # One too late is of a report that is closed.
    before = shop.record("ST-07")
    shop.create(3, NOON + 20 * DAY)
    shop.runner.advance(NINE + 20 * DAY + GRACE)
    shop.say("wms", "loaded", 1, NOON + HOUR)
    shop.runner.advance(NINE + 20 * DAY + 3 * HOUR)
    assert shop.record("ST-07") == before


def busy(**options: Any) -> Shop:
    """Three days of orders, some of whose events come late."""
    shop, chance = Shop(**options), random.Random(7)
    for number in range(60):
        at = NOON + number * HOUR
        shop.deliver(number, at, chance.choice(["douyin", "tmall"]))
        if number % 3 == 0:
            shop.say("orders", "buyer_confirmed", number, at + chance.choice([-DAY, 3 * HOUR, DAY]))
        if number % 5 == 0:
            shop.say("orders", "status_changed", number, at - DAY, raw_status="???")
    return shop


def finish(shop: Shop) -> dict[str, Any]:
    for end in (NINE + 3 * DAY, NINE + 5 * DAY + GRACE):
        while True:
            try:
                shop.runner.advance(end)
                break
            except Crash:
                continue
    return Played(shop.runner).bytes()


@pytest.mark.rule("ST-07")
def test_two_runs_give_the_same_bytes_and_so_does_a_worker_that_dies() -> None:
    died = 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent in ("facets", "reports") and step in ("commit", "persist") and died < 300:
            died += 1
            if died % 3 == 0:
                raise Crash

    plain = finish(busy())
    assert len(plain["reports"]) > 20
    assert finish(busy()) == plain
    assert finish(busy(fault=fault))["reports"] == plain["reports"]
    assert died == 300


@pytest.mark.rule("ST-07")
def test_many_rows_are_looked_at_in_steps_and_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def last(per_step: int) -> dict[str, Any]:
        small = replace(data.quality_reports(), rows_per_step=per_step)
        monkeypatch.setattr(sys.modules["streams.agents.quality"], "_SETTINGS", small)
        shop = busy(partitions=2)
        finish(shop)
        assert not shop.runner.table("quality", "plan")
        return {str(key): (value["rows"], value["highlights"]) for key, value in shop.runner.output("reports")}

    assert last(1) == last(4) == last(5000)


@pytest.mark.rule("ST-07")
def test_reports_hold_no_personal_data() -> None:
    shop = Shop()
    address = {"province": "浙江", "city": "杭州", "district": "西湖", "street": "某路1号", "receiver": "张三"}
    shop.deliver(1, NOON)
    shop.say("orders", "address_changed", 1, NOON + HOUR, address={**address, "phone": "13800001111"}, ip="1.2.3.4")
    shop.runner.advance(NINE + GRACE)
    text = json.dumps([shop.runner.output("reports"), shop.runner.output("report-facts")], ensure_ascii=False)
    assert "ST-07" in text
    for word in ("张三", "13800001111", "某路", "1.2.3.4"):
        assert word not in text


@pytest.mark.rule("ST-07", "DQ-06", "ST-01")
@pytest.mark.parametrize("status", ["NO_SUCH_WORD", "已付款"])
def test_an_order_is_counted_whatever_status_its_channel_gave_it_at_its_creation(status: str) -> None:
    shop = Shop()
    line = {"line_no": 1, "sku": "A", "quantity": 1, "unit_price_minor": 100}
    shop.say("orders", "order_created", 1, NOON, lines=[line], total_minor=100, currency="CNY", raw_status=status)
    shop.runner.advance(NINE + GRACE + 1)
    assert Played(shop.runner).dead == {}
    rows, _ = shop.record("DQ-06")
    assert [(row["channel"], row["orders"]) for row in rows if "orders" in row] == [("all", 1), ("douyin", 1)]
