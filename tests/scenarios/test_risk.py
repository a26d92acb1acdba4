"""Weak signals through all agents, codecs and timers: failure case 23, crossings, and counts over rebalances."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams import catalogue, topology
from streams.domain import calendar
from streams.engine.local import Crash, LocalRunner
from tests.scenarios.play import Played, new_runner, run
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 5, 12, 10)
PEAK = calendar.at(2026, 6, 1, 10)
MINUTE, DAY = calendar.MINUTE_MS, calendar.DAY_MS
GLASSES = [{"line_no": 1, "sku": "FRAME-52", "name": "镜框", "quantity": 1, "unit_price_minor": 800_000}]
ADDRESS = {"city": "杭州", "street": "文三路 1 号", "receiver": "王小明", "phone": "13800000000"}


def order(shop: Shop, order_no: str, at: int, **fields: Any) -> Shop:
    return shop.order("douyin", order_no, at, **{"customer_id": "C1", "ip": "203.0.113.9", **fields})


def at_risk(at: int, shop: Shop | None = None) -> Shop:
    """Two address changes, a chat right after payment, and a label that takes twice the warehouse's mean."""
    shop = order(shop or Shop(), "A1", at)
    for number in range(3):
        order(shop, f"B{number}", at, customer_id=f"D{number}")
        label(shop, f"B{number}", at, 1000)
    for minutes in (1, 2):
        shop.say("orders", "address_changed", at + minutes * MINUTE, "douyin", channel="douyin", order_no="A1",
                 customer_id="C1", address=ADDRESS)  # fmt: skip
    shop.pay("douyin", "A1", at + 3 * MINUTE)
    shop.say("service", "chat_opened", at + 3 * MINUTE + 9000, "desk", channel="douyin", order_no="A1")
    return label(shop, "A1", at + 4 * MINUTE, 2000)


def label(shop: Shop, order_no: str, at: int, ms: int) -> Shop:
    return shop.say("wms", "label_printed", at, "wms-hz", channel="douyin", order_no=order_no, duration_ms=ms,
                    warehouse="HZ")  # fmt: skip


def urgent(shop: Shop, at: int) -> Shop:
    return shop.say("service", "chat_message", at, "desk", channel="douyin", order_no="A1", text="急用, 13800000000")


@pytest.mark.rule("RSK-01")
@pytest.mark.rule("RSK-03")
@pytest.mark.rule("RSK-06")
def test_three_weak_signals_warn_once_with_advice_and_tell_the_responsible_person() -> None:
    shop = at_risk(T0)
    [warning] = shop.out("risk-alerts")
    assert (warning["level"], warning["score"], warning["locked"]) == ("orange", 2.6, False)
    assert len(warning["advice"]) == 3
    [alert] = Played(shop.runner).alerts("RSK-03")
    assert (alert["recipient"], alert["targets"], alert["status"]) == ("responsible person", ["dingtalk"], "open")
    assert warning["advice"][0] in alert["advice"]


@pytest.mark.rule("RSK-04")
@pytest.mark.rule("RSK-05")
def test_in_the_peak_season_a_fourth_signal_is_red() -> None:
    shop = urgent(at_risk(PEAK), PEAK + 5 * MINUTE)
    assert [(w["level"], w["score"], w["season"]) for w in shop.out("risk-alerts")] == [
        ("orange", 3.14, "peak"),
        ("red", 4.05, "peak"),
    ]


@pytest.mark.rule("RSK-04")
def test_nothing_that_risk_says_holds_personal_data() -> None:
    shop = urgent(at_risk(PEAK), PEAK + 5 * MINUTE)
    for topic in ("risk-alerts", "alerts", "risk-facts"):
        said = str(shop.out(topic))
        assert said
        for secret in ("13800000000", "文三路", "王小明", "203.0.113.9"):
            assert secret not in said, topic
    assert "203.0.113.9" not in str(shop.runner.table("risk", "orders"))


@pytest.mark.rule("RSK-02")
def test_the_hash_of_an_ip_is_that_of_the_salt_that_was_set() -> None:
    hashes = []
    for salt in (None, "sixteen or more!", "another one of 16"):
        shop = order(Shop(LocalRunner(catalogue.choose(None, hash_salt=salt), topology.load())), "A1", T0)
        [row] = shop.runner.table("risk", "orders").values()
        hashes.append(row["ip"])
    assert len({*hashes}) == 3
    assert all(len(found) == 16 for found in hashes)


@pytest.mark.rule("RSK-02")
@pytest.mark.rule("RSK-07")
def test_case_23_the_second_address_change_of_an_opticians_order_asks_for_a_call() -> None:
    shop = order(Shop(), "G1", T0, lines=GLASSES, total_minor=800_000)
    for number, days in enumerate((1, 2)):
        assert len(Played(shop.runner).alerts("RSK-07")) == 0, number
        shop.say("orders", "address_changed", T0 + days * DAY, "douyin", channel="douyin", order_no="G1")
    [alert] = Played(shop.runner).alerts("RSK-07")
    assert (alert["recipient"], alert["count"]) == ("service agent", 1)


@pytest.mark.rule("RSK-10")
def test_paid_and_unshipped_for_a_day_is_told_until_it_ships() -> None:
    shop = order(Shop(), "A1", T0).pay("douyin", "A1", T0)
    shop.runner.advance(T0 + DAY)
    assert not Played(shop.runner).alerts("RSK-10")
    shop.runner.advance(T0 + DAY + 1)
    assert [alert["status"] for alert in Played(shop.runner).alerts("RSK-10")] == ["open"]
    shop.say("wms", "loaded", T0 + DAY + 2, "wms-hz", channel="douyin", order_no="A1")
    assert [alert["status"] for alert in Played(shop.runner).alerts("RSK-10")] == ["closed"]


@pytest.mark.rule("RSK-02")
@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_counts_do_not_depend_on_who_owns_which_partition(partitions: int) -> None:
    runner = new_runner(partitions=partitions, workers=2)
    shop = Shop(runner)
    for number in range(3):
        order(shop, f"R{number}", T0, customer_id=f"C{number}")
        shop.say("orders", "refund_requested", T0 + number, "douyin", channel="douyin", order_no=f"R{number}")
        runner.rebalance({partition: (partition + number) % 2 for partition in range(partitions)})
        runner.crash(number % 2, lose_stores=True)
        run(runner)
    rows = runner.table("risk", "orders").values()
    assert [sorted(row.get("signals", {})) for row in rows] == [["ip_refunds"]] * 3


def red(shop: Shop | None = None) -> Shop:
    return urgent(at_risk(PEAK, shop), PEAK + 5 * MINUTE)


def unlock(shop: Shop, at: int) -> Shop:
    guid = Played(shop.runner).states["A1"]["order_guid"]
    return shop.ops("manual_command", at, command="unlock_order", target=guid, operator="li", reason="spoke to him")


@pytest.mark.rule("RSK-04")
@pytest.mark.rule("RSK-08")
def test_a_red_order_is_locked_waits_in_review_and_shows_its_score() -> None:
    orange = at_risk(PEAK)
    state = Played(orange.runner).states["A1"]
    assert (state["score"], state["tier"], state["flags"]) == (3.14, "L3", [])
    state = Played(red().runner).states["A1"]
    assert (state["score"], state["tier"], state["flags"]) == (4.05, "L3", ["locked"])


@pytest.mark.rule("RSK-08")
def test_an_order_at_risk_that_is_not_with_the_warehouse_yet_leaves_its_lane_for_review() -> None:
    shop = order(Shop(), "A1", PEAK, page_dwell_s=200, coupon_count=3)
    shop.pay("douyin", "A1", PEAK + MINUTE)
    assert Played(shop.runner).states["A1"]["lane"] == "wms"
    shop.say("service", "chat_opened", PEAK + MINUTE, "desk", channel="douyin", order_no="A1", text="急用")
    assert Played(shop.runner).states["A1"]["lane"] == "review_l3"


@pytest.mark.rule("RSK-04")
def test_a_person_unlocks_the_order_and_the_audit_says_who_and_why() -> None:
    shop = unlock(red(), PEAK + 10 * MINUTE)
    played = Played(shop.runner)
    assert played.states["A1"]["flags"] == []
    assert [alert["status"] for alert in played.alerts("RSK-04")] == ["closed"]
    rows = [row for row in played.audit("A1") if row["rule"] == "RSK-04"]
    assert [row["decision"] for row in rows] == ["accepted", "accepted"]
    assert "risk score 4.05" in rows[0]["reason"]
    assert (rows[1]["operator"], rows[1]["reason"]) == ("li", "spoke to him")
    unlock(shop, PEAK + 11 * MINUTE)
    last = [row for row in Played(shop.runner).audit("A1") if row["rule"] == "RSK-04"][-1]
    assert (last["decision"], last["operator"]) == ("refused", "li")


def shipped_alerts(shop: Shop) -> list[tuple[str, int]]:
    return [
        (row["status"], row["count"]) for row in shop.out("alerts") if row["alert_key"].startswith("RSK-04/shipped/")
    ]


@pytest.mark.rule("RSK-04")
def test_a_locked_order_that_is_shipped_all_the_same_is_told_until_it_is_unlocked() -> None:
    shop = red()
    for minute in (6, 7):
        at = PEAK + minute * MINUTE
        shop.say("wms", "loaded", at, "wms-hz", channel="douyin", order_no="A1", waybill_no=f"W{minute}")
    assert Played(shop.runner).states["A1"]["state"] == "shipped"
    assert shipped_alerts(shop) == [("open", 1)]
    assert [status for status, _ in shipped_alerts(unlock(shop, PEAK + 10 * MINUTE))] == ["open", "closed"]


@pytest.mark.rule("RSK-04")
def test_nobody_is_to_stop_a_parcel_that_its_customer_has() -> None:
    shop, where = red(), {"channel": "douyin", "order_no": "A1"}
    shop.say("wms", "loaded", PEAK + 6 * MINUTE, "wms-hz", **where, waybill_no="W6")
    shop.say("orders", "buyer_confirmed", PEAK + 60 * MINUTE, "douyin", **where)
    assert [status for status, _ in shipped_alerts(shop)] == ["open", "closed"]
    assert "locked" in Played(shop.runner).states["A1"]["flags"]


@pytest.mark.rule("RSK-04")
def test_what_had_left_before_the_lock_is_no_finding() -> None:
    shop = red()
    shop.say("wms", "loaded", PEAK - MINUTE, "wms-hz", channel="douyin", order_no="A1", waybill_no="W1")
    assert shipped_alerts(unlock(shop, PEAK + 10 * MINUTE)) == []


@pytest.mark.rule("RSK-04")
def test_a_lock_comes_once_however_the_workers_crash() -> None:
    wanted = Played(red().runner)
    crashes = [7, 23, 61, 97, 140, 171]
    seen = [0]

    def fault(agent: str, worker: int, step: str) -> None:
        seen[0] += 1
        if agent in ("risk", "orders") and step in ("commit", "persist") and crashes and seen[0] >= crashes[0] * 10:
            crashes.pop(0)
            raise Crash

    got = Played(red(Shop(new_runner(fault=fault))).runner)
    assert len(crashes) < 6
    for topic in ("risk-alerts", "order-states", "alerts"):
        assert got.output(topic) == wanted.output(topic)


@pytest.mark.rule("RSK-09")
def test_case_24_orders_paid_at_night_and_cancelled_again_are_told_by_hour_and_city_tier() -> None:
    night, shop = calendar.at(2026, 5, 12, 22, 10), Shop()
    for number in range(4):
        order(shop, f"N{number}", night, customer_id=f"C{number}", city_tier="3" if number else "1")
        shop.pay("douyin", f"N{number}", night + MINUTE)
        shop.say("orders", "cancel_requested", night + 30 * MINUTE, "douyin", channel="douyin", order_no=f"N{number}")
    shop.runner.advance(calendar.at(2026, 5, 13, 3))
    [report] = [report for report in shop.out("reports") if report["name"] == "RSK-09"]
    assert [(row["hour"], row["city_tier"], row["orders"]) for row in json.loads(report["rows"])] == [
        (22, "1", 1),
        (22, "3", 3),
    ]


@pytest.mark.rule("RSK-02")
def test_a_customer_who_names_no_order_is_heard_all_the_same_and_not_quoted() -> None:
    shop = order(Shop(), "A1", T0, page_dwell_s=200, coupon_count=3).pay("douyin", "A1", T0)
    shop.say("service", "chat_opened", T0 + 9_000, "desk", customer_id="C1", text="急用, 13800000000")
    assert [(warning["level"], warning["score"]) for warning in shop.out("risk-alerts")] == [("orange", 2.7)]
    assert "13800000000" not in str(shop.out("risk-facts"))
