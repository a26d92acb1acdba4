"""Waybills through all agents, codecs and timers: what is asked of couriers, who is told, and what ends it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from streams.domain import calendar
from streams.engine.local import Abort, Crash, LocalRunner
from tests.scenarios.play import advance, new_runner
from tests.scenarios.test_channels import Shop

T0 = calendar.at(2026, 3, 2, 9)
MINUTE, HOUR = calendar.MINUTE_MS, calendar.HOUR_MS


def shipped(runner: LocalRunner | None = None) -> Shop:
    """An order with a waybill of ZTO that was picked up at T0."""
    shop = Shop(runner).order("douyin", "D1", T0 - HOUR).pay("douyin", "D1", T0 - HOUR + 1000)
    shop.say("wms", "label_printed", T0 - 30 * MINUTE, "wms-hz", channel="douyin", order_no="D1", waybill_no="W1")
    shop.say("couriers", "waybill_accepted", T0 - 25 * MINUTE, "zto", waybill_no="W1", courier="zto")
    return shop.say("couriers", "picked_up", T0, "zto", waybill_no="W1", courier="zto")


def alerts(shop: Shop, key: str) -> list[tuple[str, str, list[str]]]:
    """What became of an alert, by its key."""
    rows = [row for row in shop.out("alerts") if row["alert_key"] == key]
    return [(row["status"], row["severity"], row["targets"]) for row in rows]


@pytest.mark.rule("LOG-03", "LOG-06")
def test_a_parcel_that_stands_still_is_probed_told_and_forgiven_when_it_moves() -> None:
    shop = shipped()
    shop.runner.advance(T0 + 8 * HOUR + 1)
    requests = shop.out("logistics-requests")
    assert {(row["kind"], row["courier"], row["waybill_no"]) for row in requests} == {("probe", "zto", "W1")}
    assert [row["at"] for row in requests] == [T0 + 30 * MINUTE * n for n in range(1, 17)]
    guid = requests[0]["order_guid"]
    assert alerts(shop, f"LOG-03/slow/{guid}/W1") == [("open", "warning", []), ("closed", "warning", [])]
    assert alerts(shop, f"LOG-03/{guid}/W1") == [("open", "critical", ["wecom"])]
    [last] = [row for row in shop.out("alerts") if row["alert_key"] == f"LOG-03/{guid}/W1"]
    assert last["recipient"] == "logistics lead"
    assert "95311" in last["detail"]
    shop.say("couriers", "probe_result", T0 + 9 * HOUR, "probe", waybill_no="W1", courier="zto")
    assert alerts(shop, f"LOG-03/{guid}/W1")[-1][0] == "open"  # an answer without a word proves no movement
    shop.say("couriers", "scanned", T0 + 10 * HOUR, "zto", waybill_no="W1", courier="zto")
    assert alerts(shop, f"LOG-03/{guid}/W1")[-1][0] == "closed"


@pytest.mark.rule("LOG-09")
def test_customer_service_asks_for_a_parcel_by_its_waybill() -> None:
    shop = shipped().ops("manual_command", T0 + MINUTE, command="refresh_waybill", waybill_no="W1")
    [request] = shop.out("logistics-requests")
    assert (request["kind"], request["at"]) == ("refresh", T0 + MINUTE)


@pytest.mark.rule("LOG-09")
@pytest.mark.parametrize("order", [{}, {"channel": "douyin", "order_no": "D1"}])
def test_a_parcel_is_also_named_by_the_target(order: dict[str, str]) -> None:
    shop = shipped().ops("manual_command", T0 + MINUTE, command="refresh_waybill", target="W1", **order)
    assert [(row["kind"], row["waybill_no"]) for row in shop.out("logistics-requests")] == [("refresh", "W1")]
    assert not shop.out("dead-letters")


@pytest.mark.rule("LOG-01", "LOG-07")
def test_a_waybill_that_no_courier_takes_is_pushed_to_the_carrier_of_the_order() -> None:
    shop = Shop().order("douyin", "D1", T0 - HOUR, carrier="ZTO").pay("douyin", "D1", T0 - HOUR + 1000)
    shop.say("wms", "label_printed", T0, "wms-hz", channel="douyin", order_no="D1", waybill_no="W1")
    shop.runner.advance(T0 + HOUR)
    assert [(row["kind"], row["courier"]) for row in shop.out("logistics-requests")] == [("push", "zto")] * 3


@pytest.mark.rule("LOG-08", "LOG-15")
def test_a_customer_whose_signature_was_told_four_days_late_is_called_once() -> None:
    shop = shipped()
    shop.runner.advance(T0 + 4 * 24 * HOUR)
    shop.order("douyin", "D2", T0 + 4 * 24 * HOUR)
    shop.say("couriers", "signed", T0 + HOUR, "zto", waybill_no="W1", courier="zto")
    shop.runner.advance(T0 + 6 * 24 * HOUR)
    assert [(row["kind"], row["attempt"]) for row in shop.out("customer-requests")] == [
        ("confirm_link", 1),
        ("voice_call", 2),
    ]


@pytest.mark.rule("LOG-14", "LOG-15")
def test_a_customer_who_says_nothing_gets_a_link_and_a_call_and_one_who_scans_none() -> None:
    shop = shipped().say("couriers", "signed", T0 + HOUR, "zto", waybill_no="W1", courier="zto")
    shop.runner.advance(T0 + 26 * HOUR)
    requests = [(row["kind"], row["at"]) for row in shop.out("customer-requests")]
    assert requests == [("confirm_link", T0 + HOUR), ("voice_call", T0 + 25 * HOUR + 1)]
    shop.say("service", "confirmation_scanned", T0 + 27 * HOUR, "mini-program", channel="douyin", order_no="D1")
    assert shop.out("order-states")[-1]["state"] == "customer_signed"
    shop.runner.advance(T0 + 10 * 24 * HOUR)
    assert len(shop.out("customer-requests")) == 2


DAY = 24 * HOUR


@pytest.mark.rule("LOG-14", "LOG-15")
@pytest.mark.parametrize(
    ("second", "whole"),
    [
        ([("picked_up", 1, None), ("scanned", 2 * DAY, None), ("signed", 4 * DAY, None)], 4 * DAY),
        ([("picked_up", 1, None), ("exception", 3 * DAY, "退件签收")], 3 * DAY),  # it came back
        ([("picked_up", 1, None)], 1 + 15 * DAY),  # nobody knows what became of it
        ([("waybill_accepted", 1, None)], HOUR),  # a label that was printed in vain
        ([("signed", 2 * MINUTE, None)], HOUR),
    ],
)
def test_a_customer_is_asked_once_the_last_parcel_of_the_order_was_signed(
    second: list[tuple[str, int, str | None]], whole: int
) -> None:
    shop = shipped()
    shop.say("wms", "label_printed", T0, "wms-hz", channel="douyin", order_no="D1", waybill_no="W2")
    told = [("signed", HOUR, None, "W1"), *((*one, "W2") for one in second)]
    for kind, at, word, number in sorted(told, key=lambda one: one[1]):
        said = {} if word is None else {"raw_status": word}
        shop.say("couriers", kind, T0 + at, "zto", waybill_no=number, courier="zto", **said)
    shop.runner.advance(T0 + 30 * DAY)
    asked = [(row["kind"], row["at"] - T0 - whole) for row in shop.out("customer-requests")]
    assert asked == [("confirm_link", 0), ("voice_call", DAY + 1), ("voice_call", 3 * DAY + 1)]
    entered = shop.out("order-states")[-1]["entered_at"]
    went_back = second[-1][0] == "exception"
    assert entered.get("customer_signed") == (None if went_back else T0 + whole + 7 * DAY + 1)


@pytest.mark.rule("LOG-15")
def test_a_parcel_that_is_picked_up_after_the_first_was_signed_puts_off_the_calls() -> None:
    shop = shipped().say("couriers", "signed", T0 + HOUR, "zto", waybill_no="W1", courier="zto")
    names = {"channel": "douyin", "order_no": "D1", "waybill_no": "W2"}
    for kind, at in (("picked_up", 20 * HOUR), ("signed", 3 * DAY)):
        shop.say("couriers", kind, T0 + at, "zto", **names, courier="zto")
    shop.runner.advance(T0 + 30 * DAY)
    asked = [(row["kind"], row["at"] - T0) for row in shop.out("customer-requests")]
    assert asked == [("confirm_link", HOUR), ("voice_call", 4 * DAY + 1), ("voice_call", 6 * DAY + 1)]
    assert shop.out("order-states")[-1]["entered_at"]["customer_signed"] == T0 + 10 * DAY + 1


@pytest.mark.rule("LOG-15")
def test_a_customer_who_got_the_parcel_that_was_sent_again_is_called_once_more() -> None:
    names = {"channel": "douyin", "order_no": "D1"}
    shop = delivered("D1").say("service", "voice_call_result", T0 + 2 * DAY, "aliyun", **names, result="reship")
    for kind, at in (("picked_up", 3 * DAY), ("signed", 4 * DAY)):
        shop.say("couriers", kind, T0 + at, "zto", **names, waybill_no="W2", courier="zto")
    shop.runner.advance(T0 + 20 * DAY)
    asked = [(row["kind"], row["at"] - T0) for row in shop.out("customer-requests")]
    assert asked == [("confirm_link", HOUR), ("voice_call", DAY + HOUR + 1), ("voice_call", 7 * DAY + 1)]
    assert shop.out("order-states")[-1]["state"] == "logistics_signed", "what was objected to is for a person"


REFUND = ("payments", "refund_settled", {"currency": "CNY"})
CLOSED = ("orders", "status_changed", {"raw_status": "交易关闭"})


@pytest.mark.rule("LOG-15", "FIN-07")
@pytest.mark.parametrize(
    ("events", "calls"),
    [
        ([(*REFUND, 9900)], 0),
        ([(*REFUND, 9000), (*REFUND, 900)], 0),
        ([(*REFUND, 100)], 2),
        ([(*CLOSED, None)], 0),
        ([(*CLOSED, None), (*REFUND, 100)], 2),  # platforms say so of a part paid back
        ([(*REFUND, 100), (*CLOSED, None)], 2),
        ([("orders", "cancel_marked", {}, None)], 0),
    ],
)
def test_nobody_is_called_about_an_order_that_was_paid_back_or_closed(events: list[Any], calls: int) -> None:
    shop = shipped().say("couriers", "signed", T0 + HOUR, "zto", waybill_no="W1", courier="zto")
    for number, (topic, kind, fields, amount) in enumerate(events):
        said = fields if amount is None else {**fields, "amount_minor": amount}
        shop.say(topic, kind, T0 + 2 * HOUR + number, "douyin", channel="douyin", order_no="D1", **said)
    shop.runner.advance(T0 + 10 * DAY)
    assert [row["kind"] for row in shop.out("customer-requests")] == ["confirm_link", *["voice_call"] * calls]


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(("result", "key"), [("reship", "disputed"), ("破损", "damaged")])
def test_a_dispute_is_settled_once_all_the_money_is_back(result: str, key: str) -> None:
    names = {"channel": "douyin", "order_no": "D1"}
    shop = delivered("D1").say("service", "voice_call_result", T0 + 26 * HOUR, "aliyun", **names, result=result)
    guid = shop.out("order-states")[-1]["order_guid"]
    for at, amount, status in ((28, 9000, "open"), (29, 900, "closed")):
        said = {"amount_minor": amount, "currency": "CNY"}
        shop.say("payments", "refund_settled", T0 + at * HOUR, "wechatpay", **names, **said)
        assert alerts(shop, f"LOG-15/{key}/{guid}")[-1][0] == status


@pytest.mark.rule("LOG-03", "LOG-06", "LOG-07")
@pytest.mark.parametrize("seed", range(3))
def test_timers_fire_once_whatever_dies(seed: int) -> None:
    plain = shipped()
    plain.runner.advance(T0 + 9 * HOUR)
    chance, died = random.Random(seed), 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent == "facets" and chance.random() < 0.2:
            died += 1
            raise Crash if step in ("persist", "done") else Abort

    broken = shipped(new_runner(fault=fault))
    advance(broken.runner, T0 + 9 * HOUR)
    assert died > 10
    for topic in ("logistics-requests", "alerts"):
        assert sorted(broken.out(topic), key=str) == sorted(plain.out(topic), key=str)


def delivered(order_no: str, runner: LocalRunner | None = None, channel: str = "douyin") -> Shop:
    """An order signed for at T0 + 1 h, of goods under stock control."""
    shop = Shop(runner)
    stock = {"kind": "stock", "sku": "BAG", "warehouse": "HZ", "quantity": 5}
    shop.ops("reference_set", T0 - 2 * HOUR, stock).order(channel, order_no, T0 - HOUR)
    shop.pay(channel, order_no, T0 - HOUR + 1000)
    names = {"channel": channel, "order_no": order_no}
    shop.say("wms", "loaded", T0, "wms-hz", **names, waybill_no="W1")
    return shop.say("couriers", "signed", T0 + HOUR, "zto", waybill_no="W1", courier="zto")


OVER = T0 + HOUR + 7 * calendar.DAY_MS + 1


@pytest.mark.rule("LOG-15", "INV-14")
@pytest.mark.parametrize("lose_stores", [False, True])
def test_case_19_what_nobody_confirms_leaves_the_sorting_area_after_seven_days(lose_stores: bool) -> None:
    shop = delivered("D1", new_runner(workers=2))
    assert shop.out("order-states")[-1]["node"] == "awaiting_confirm"
    assert shop.out("inventory-states")[-1]["virtual"] == 1
    for at in (T0 + 30 * HOUR, OVER - 1):
        shop.runner.advance(at)
        for worker in (0, 1):
            shop.runner.crash(worker, lose_stores=lose_stores)
    assert shop.out("order-states")[-1]["state"] == "logistics_signed"
    shop.runner.advance(OVER)
    state = shop.out("order-states")[-1]
    assert (state["state"], state["entered_at"]["customer_signed"], state["flags"]) == ("customer_signed", OVER, [])
    assert shop.out("inventory-states")[-1]["virtual"] == 0
    shop.runner.advance(OVER + 40 * calendar.DAY_MS)
    assert [row["decision"] for row in shop.out("audit-log") if row["rule"] == "LOG-15"] == ["accepted"]
    signed = [row for row in shop.out("order-events") if row["event"] == "signed"]
    assert [(row["sign_type"], row["source"]) for row in signed] == [("logistics", "zto"), ("customer", "logistics")]


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(
    ("topic", "kind", "fields"),
    [
        ("orders", "complaint", {}),
        ("orders", "refund_requested", {}),
        ("service", "voice_call_result", {"result": "damaged"}),
        ("service", "ticket_opened", {"ticket_code": "AS-1"}),
    ],
)
def test_case_19_what_is_in_dispute_waits_for_a_person(topic: str, kind: str, fields: dict[str, str]) -> None:
    shop = delivered("D1").say(topic, kind, T0 + 26 * HOUR, "desk", channel="douyin", order_no="D1", **fields)
    shop.runner.advance(OVER + 40 * calendar.DAY_MS)
    assert shop.out("order-states")[-1]["state"] == "logistics_signed"


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(
    ("result", "state", "told"),
    [
        ("Intact", "customer_signed", []),
        ("CONFIRMED", "customer_signed", []),
        ("No_Answer", "logistics_signed", []),
        ("无人接听", "logistics_signed", []),
        ("已收到", "customer_signed", []),
        ("破损", "logistics_signed", ["LOG-15"]),
        ("package_damaged", "logistics_signed", ["LOG-15"]),
        ("send it again", "logistics_signed", ["LOG-15"]),
    ],
)
def test_case_19_an_answer_counts_in_whatever_words_the_caller_has_for_it(
    result: str, state: str, told: list[str]
) -> None:
    shop = delivered("D1")
    shop.say("service", "voice_call_result", T0 + 26 * HOUR, "aliyun", channel="douyin", order_no="D1", result=result)
    assert shop.out("order-states")[-1]["state"] == state
    assert [row["rule"] for row in shop.out("alerts") if row["rule"] == "LOG-15"] == told
    assert json.loads(shop.out("audit-log")[-1]["raw"])["result"] == result


@pytest.mark.rule("LOG-14", "LOG-15", "FIN-01")
@pytest.mark.parametrize(
    ("result", "state", "told"),
    [("破损", "logistics_signed", ["LOG-15"]), ("确认收货", "customer_signed", []), ("scanned", "customer_signed", [])],
)
def test_case_19_who_scans_the_code_and_says_damaged_does_not_confirm(result: str, state: str, told: list[str]) -> None:
    shop, names = delivered("D1"), {"channel": "douyin", "order_no": "D1"}
    shop.say("service", "confirmation_scanned", T0 + 26 * HOUR, "page", result=result, **names)
    assert shop.out("order-states")[-1]["state"] == state
    assert [row["rule"] for row in shop.out("alerts") if row["rule"] == "LOG-15"] == told


@pytest.mark.rule("LOG-15")
def test_case_19_a_ticket_that_is_closed_lets_the_time_run_out() -> None:
    names = {"channel": "douyin", "order_no": "D1", "ticket_code": "AS-1"}
    shop = delivered("D1").say("service", "ticket_opened", T0 + 26 * HOUR, "desk", **names)
    shop.say("service", "ticket_closed", OVER + HOUR, "desk", **names)
    shop.runner.advance(OVER + 2 * HOUR)
    assert shop.out("order-states")[-1]["entered_at"]["customer_signed"] == OVER + HOUR + 1


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize("seed", range(3))
def test_the_time_runs_out_once_whatever_dies(seed: int) -> None:
    chance, died = random.Random(seed), 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent in ("facets", "orders") and chance.random() < 0.2:
            died += 1
            raise Crash if step in ("persist", "done") else Abort

    shop = delivered("D1", new_runner(fault=fault))
    advance(shop.runner, OVER + HOUR)
    assert died > 10
    facts = [fact for _, fact in shop.runner.output("order-facts") if fact["event_type"] == "_confirm_timeout"]
    assert len(facts) == 1
    assert shop.out("order-states")[-1]["state"] == "customer_signed"


# -- case 31: the page shows an old snapshot, the quota is used up, the callback goes to a retired domain --------------


@pytest.mark.rule("LOG-07", "LOG-09")
def test_case_31_a_used_up_quota_is_told_and_customer_service_still_gets_a_live_answer() -> None:
    shop = shipped()
    for number in range(950):  # of the 1,000 calls a day of the free edition
        wish = {"do": "push", "waybill_no": f"X{number}", "order_guid": "G", "courier": "zto", "attempt": 1, "at": T0}
        shop.runner.send("courier-facts", wish, "zto")
    shop.runner.run()
    assert [alert["detail"] for alert in shop.out("alerts") if alert["alert_key"] == "LOG-07/zto/80"] == [
        "800 of 1000 calls of zto used today (80 %)"
    ]
    shop.runner.advance(T0 + 2 * HOUR)
    assert not [row for row in shop.out("logistics-requests") if row["kind"] == "probe"], "the rest is for pushes"
    shop.ops("manual_command", T0 + 2 * HOUR, command="refresh_waybill", waybill_no="W1")
    [live] = [row for row in shop.out("logistics-requests") if row["kind"] == "refresh"]
    assert (live["waybill_no"], live["at"]) == ("W1", T0 + 2 * HOUR)
    answer = {"waybill_no": "W1", "courier": "zto", "raw_status": "门卫代收"}
    shop.say("couriers", "probe_result", T0 + 2 * HOUR + MINUTE, "probe", **answer)
    state = shop.out("order-states")[-1]
    assert (state["state"], state["node"]) == ("logistics_signed", "awaiting_confirm")


@pytest.mark.rule("LOG-07")
def test_case_31_a_callback_to_a_retired_domain_is_told_until_it_is_put_right() -> None:
    shop = shipped()
    ours = {"kind": "courier_interface", "courier": "zto", "exit_ips": ["203.0.113.7"], "retired_domains": ["old.cn"]}
    held = {"whitelist": ["203.0.113.8"], "callback": "https://test.old.cn/zto"}
    shop.ops("reference_set", T0 + MINUTE, {**ours, **held})
    [alert] = [row for row in shop.out("alerts") if row["alert_key"] == "LOG-07/zto/interface"]
    assert (alert["recipient"], alert["targets"], alert["status"]) == ("integration owner", ["ticket"], "open")
    assert "retired domain old.cn" in alert["detail"]
    assert "1 of 1 exit addresses" in alert["detail"]
    assert "203.0.113" not in str(alert)
    right = {**ours, "courier": "中通", "whitelist": ["203.0.113.0/24"], "callback": "https://oms.cn/zto"}
    shop.ops("reference_set", T0 + HOUR, right)
    assert alerts(shop, "LOG-07/zto/interface")[-1][0] == "closed"
    shop.ops("reference_set", T0 + HOUR, {**ours, "whitelist": ["all"]})
    assert [letter["stage"] for letter in shop.out("dead-letters")] == ["contract"]


@pytest.mark.rule("LOG-01")
@pytest.mark.parametrize(("amounts", "pushed"), [([9900], 0), ([9000, 900], 0), ([9899], 1)])
def test_a_waybill_whose_order_has_all_its_money_back_is_pushed_to_no_courier(amounts: list[int], pushed: int) -> None:
    shop = Shop().order("douyin", "D1", T0).pay("douyin", "D1", T0)
    shop.say("wms", "label_printed", T0 + HOUR, "wms-hz", channel="douyin", order_no="D1", waybill_no="W1")
    for number, amount in enumerate(amounts):
        back = {"amount_minor": amount, "currency": "CNY"}
        at = T0 + HOUR + (number + 1) * MINUTE
        shop.say("payments", "refund_settled", at, "wechatpay", channel="douyin", order_no="D1", **back)
    shop.runner.advance(T0 + HOUR + 11 * MINUTE)
    assert [row["kind"] for row in shop.out("logistics-requests")] == ["push"] * pushed


# -- LOG-16: when will it arrive? -------------------------------------------------------------------------------------

HOME = {"province": "浙江省", "city": "杭州市", "district": "西湖区", "street": "文三路99号", "receiver": "王五"}


@pytest.mark.rule("LOG-16")
def test_the_customer_is_told_an_arrival_by_what_others_of_the_lane_took() -> None:
    shop = Shop()
    for number in range(11):
        name, at = f"L{number}", T0 + number * MINUTE
        shop.order("douyin", name, at, address={**HOME, "phone": "13800001111"}).pay("douyin", name, at)
        shop.say("wms", "loaded", at, "wms-hz", channel="douyin", order_no=name, waybill_no=f"W{number}")
        shop.say("couriers", "picked_up", at + HOUR, "zto", waybill_no=f"W{number}", courier="zto")
        state = shop.out("order-states")[-1]
        if number < 10:
            assert (state["estimate_basis"], state["estimated_arrival_at"]) == ("default", at + HOUR + 72 * HOUR)
            assert state["customer_text"] == "parcel sent, arrives in about 3 days"
        if number == 9:
            for arrived in range(10):
                shop.say(
                    "couriers", "signed", T0 + (arrived + 41) * HOUR, "zto", waybill_no=f"W{arrived}", courier="zto"
                )
            assert shop.out("order-states")[-1]["customer_text"] is None, "it is there"
    # The others took 40 to 49 hours, less some minutes: the fifth of ten is in the bucket of 43.
    assert (state["estimate_basis"], state["estimated_arrival_at"] - at - HOUR) == ("lane", 43 * HOUR + 30 * MINUTE)
    assert state["customer_text"] == "parcel sent, arrives in about 2 days"
    for topic in ("lane-facts", "order-states", "alerts"):
        assert not any(word in str(shop.runner.output(topic)) for word in ("文三路", "王五", "13800001111", "西湖区"))
    assert {tuple(row[3:]) for row in shop.runner.table("logistics", "destinations").values()} == {(None, 9900, "CNY")}
    shop.runner.advance(T0 + 40 * 24 * HOUR)
    assert shop.runner.table("estimates", "lanes") == {}
    assert shop.runner.table("logistics", "destinations") == {}
