"""Channels through all agents, codecs and timers: failure case 5, and what is bought with topics and own consumers."""

from __future__ import annotations

import json
import random
from typing import Any, Self

import pytest

from streams import agents, topology
from streams.agents.alerts import alerts
from streams.agents.channels import channels
from streams.agents.inventory import inventory
from streams.agents.orders import orders
from streams.data import SAMPLE
from streams.domain import calendar, ids
from streams.domain.logistics.arrival import ESTIMATED
from streams.engine.local import Abort, Crash, LocalRunner
from tests.scenarios.play import Played, advance, feed, new_runner, play, records, run

T0 = calendar.at(2026, 2, 22, 20)
MINUTE = calendar.MINUTE_MS
LINE = {"line_no": 1, "sku": "BAG", "name": "礼盒", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}


class Shop:
    """A runner that is told one event at a time."""

    def __init__(self, runner: LocalRunner | None = None) -> None:
        self.runner = runner or new_runner()
        self.told = 0

    def say(self, topic: str, event_type: str, at: int, source: str, **fields: Any) -> Shop:
        self.told += 1
        value = {"event_id": f"e-{self.told}", "event_type": event_type, "event_time": at, "source": source, **fields}
        self.runner.send(topic, value, fields.get("order_no"))
        run(self.runner)
        return self

    def until(self, at: int) -> Self:
        """Event time moves on."""
        advance(self.runner, at)
        return self

    def order(self, channel: str, order_no: str, at: int, **fields: Any) -> Shop:
        names = {"channel": channel, "order_no": order_no, "lines": [LINE], "total_minor": 9900, "currency": "CNY"}
        return self.say("orders", "order_created", at, channel, platform_txn_no=order_no, **{**names, **fields})

    def pay(self, channel: str, txn: str, at: int) -> Shop:
        """A payment that knows the order by its transaction number, and the channel."""
        money = {"amount_minor": 9900, "currency": "CNY"}
        return self.say("payments", "payment_succeeded", at, "wechatpay", channel=channel, platform_txn_no=txn, **money)

    def ops(self, event_type: str, at: int, value: Any = None, source: str = "console", **fields: Any) -> Shop:
        return self.say("ops", event_type, at, source, value=None if value is None else json.dumps(value), **fields)

    def out(self, topic: str) -> list[dict[str, Any]]:
        return Played(self.runner).output(topic)

    def created(self, channel: str) -> list[str]:
        """The created orders of a channel, in the order in which its gate let them go."""
        gone = [message["code"] for _, message in self.runner.output("identity-facts") if message["do"] == "event"]
        facts = [fact for _, fact in self.runner.output("order-facts") if fact["event_type"] == "order_created"]
        created = {(fact["channel"], fact["order_no"]) for fact in facts}
        return [number for kind, name, number in gone if name == channel and (name, number) in created]

    def breaks(self, rule: str) -> list[dict[str, Any]]:
        return [row for row in self.out("channel-breaks") if row["rule"] == rule]


def suspended() -> Shop:
    """Three paid orders of douyin in a row are not created."""
    shop = Shop()
    for number in range(3):
        shop.order("pdd", f"P{number}", T0 + 1000 * number).pay("douyin", f"LOST{number}", T0 + 1000 * number)
    shop.runner.advance(T0 + 2 * MINUTE)
    return shop


@pytest.mark.rule("BRK-01")
def test_case_5_three_paid_orders_that_are_not_created_suspend_only_that_channel() -> None:
    shop = suspended()
    [opened] = shop.breaks("BRK-01")
    assert (opened["channel"], opened["action"]) == ("douyin", "open")
    assert opened["ticket"] == f"BRK-01/douyin/{opened['at']}"
    [alert] = Played(shop.runner).alerts("BRK-01")
    assert (alert["status"], alert["recipient"], alert["targets"]) == ("open", "tech lead", ["ticket"])
    for number in range(20):
        at = T0 + 3 * MINUTE + 1000 * number
        shop.order("douyin", f"D{number:02d}", at).order("pdd", f"Q{number:02d}", at)
    assert shop.created("pdd") == ["P0", "P1", "P2", *(f"Q{number:02d}" for number in range(20))]
    assert shop.created("douyin") == []


@pytest.mark.rule("BRK-01")
def test_whoever_closes_the_alert_of_a_suspension_opens_the_channel() -> None:
    """Its alert is its ticket: closed, it would leave nobody who knows that orders are held."""
    shop = suspended().order("douyin", "D1", T0 + 3 * MINUTE)
    shop.ops("manual_command", T0 + 10 * MINUTE, command="alert_close", target="BRK-01/douyin", operator="li")
    assert shop.created("douyin") == ["D1"]
    assert [row["action"] for row in shop.breaks("BRK-01")] == ["open", "close"]
    [alert] = Played(shop.runner).alerts("BRK-01")
    assert (alert["status"], alert["closed_by"]) == ("closed", "person")
    assert not Played(shop.runner).dead


@pytest.mark.rule("BRK-01")
def test_case_5_closing_the_ticket_lets_all_that_was_held_follow_in_order_and_none_is_lost() -> None:
    shop = suspended()
    for number in range(20):
        shop.order("douyin", f"D{number:02d}", T0 + 3 * MINUTE + 1000 * number)
        shop.pay("douyin", f"D{number:02d}", T0 + 3 * MINUTE + 1000 * number)
    [opened] = shop.breaks("BRK-01")
    shop.say("service", "ticket_closed", T0 + 10 * MINUTE, "helpdesk", ticket_code=opened["ticket"])
    for number in range(3):  # mended: what was lost is sent again
        shop.order("douyin", f"LOST{number}", T0 + 11 * MINUTE)
    assert shop.created("douyin") == [*(f"D{number:02d}" for number in range(20)), "LOST0", "LOST1", "LOST2"]
    assert [row["action"] for row in shop.breaks("BRK-01")] == ["open", "close"]
    played = Played(shop.runner)
    assert {state["state"] for name, state in played.states.items() if name[0] in "DL"} == {"paid"}
    assert len(played.states) == 26
    assert {alert["status"] for alert in played.alerts()} == {"closed"}
    assert not played.dead
    assert not shop.runner.table("channels", "held")


@pytest.mark.rule("ID-08", "BRK-01", "FIN-09")
def test_a_suspension_is_one_alert_and_only_payments_whose_order_never_came_are_alerts_of_their_own() -> None:
    shop = suspended()
    for number in range(20):
        at = T0 + 3 * MINUTE + 1000 * number
        shop.pay("douyin", f"D{number:02d}", at)
        if number < 10:  # the others come when their payments have waited too long already
            shop.order("douyin", f"D{number:02d}", at)
    shop.pay("douyin", "NEVER", T0 + 4 * MINUTE).until(T0 + 6 * MINUTE)
    for number in range(10, 20):
        shop.order("douyin", f"D{number:02d}", T0 + 6 * MINUTE)
    missing = {f"ID-08/paid/platform_txn_no/{txn}" for txn in ("LOST0", "LOST1", "LOST2", "NEVER")}
    open_now = {alert["alert_key"] for alert in Played(shop.runner).alerts("ID-08") if alert["status"] == "open"}
    assert open_now == missing
    told = {alert["alert_key"] for alert in Played(shop.runner).alerts("ID-08")}
    assert not [key for key in told if "/D0" in key]  # never opened
    shop.ops("manual_command", T0 + 10 * MINUTE, command="resume_channel", target="douyin", reason="mended")
    shop.until(T0 + 12 * MINUTE)
    open_now = {alert["alert_key"] for alert in Played(shop.runner).alerts("ID-08") if alert["status"] == "open"}
    assert open_now == missing
    assert len(shop.created("douyin")) == 20
    failed = shop.runner.table("channels", "gates")["douyin"]["failed"]
    assert set(failed) == {"LOST0", "LOST1", "LOST2", "NEVER"}


@pytest.mark.rule("BRK-01")
@pytest.mark.rule("BRK-13")
def test_case_5_a_restart_without_disks_while_the_channel_is_suspended_loses_nothing() -> None:
    shop = suspended()
    for number in range(20):
        shop.order("douyin", f"D{number:02d}", T0 + 3 * MINUTE)
    shop.runner.crash(0, lose_stores=True)
    shop.ops("manual_command", T0 + 4 * MINUTE, command="resume_channel", target="douyin", reason="mended")
    assert shop.created("douyin") == [f"D{number:02d}" for number in range(20)]


@pytest.mark.rule("BRK-01")
def test_a_ticket_closed_for_an_order_reaches_the_order_and_the_channel() -> None:
    shop = suspended()
    [opened] = shop.breaks("BRK-01")
    names = {"channel": "pdd", "order_no": "P0", "ticket_code": opened["ticket"]}
    shop.say("service", "ticket_closed", T0 + 10 * MINUTE, "helpdesk", **names)
    assert [row["action"] for row in shop.breaks("BRK-01")] == ["open", "close"]
    guid = ids.order_guid("pdd", "P0", T0)
    audited = [row["event_id"] for key, row in shop.runner.output("audit-log") if key == guid]
    assert audited == ["e-1", f"e-{shop.told}"]


@pytest.mark.rule("BRK-03")
def test_a_rush_at_the_mini_program_is_held_to_its_limit_and_all_of_it_is_created() -> None:
    shop = Shop().ops("reference_set", T0, {"kind": "channel", "channel": "wechat_mini", "qps": 20})
    for number in range(50):
        shop.order("wechat_mini", f"W{number:02d}", T0 + 1000)
    assert shop.created("wechat_mini") == [f"W{number:02d}" for number in range(20)]
    places = [row["position"] for row in shop.breaks("BRK-03") if row["action"] == "queued"]
    assert places == list(range(1, 31))
    shop.runner.advance(T0 + 2000)
    assert len(shop.created("wechat_mini")) == 40
    shop.runner.advance(T0 + 3000)
    assert shop.created("wechat_mini") == [f"W{number:02d}" for number in range(50)]
    assert shop.breaks("BRK-03")[-1]["action"] == "close"


@pytest.mark.rule("BRK-02")
def test_case_16_an_interface_that_falls_silent_is_told_by_text_message_after_three_minutes() -> None:
    shop = Shop().ops("heartbeat", T0, source="douyin", channel="douyin").order("douyin", "A", T0 + 5000)
    shop.runner.advance(T0 + 5000 + 180_000)
    assert not shop.out("channel-breaks")
    shop.order("pdd", "B", T0 + 5000 + 200_000)
    [told] = shop.breaks("BRK-02")
    assert (told["interface"], told["at"]) == ("douyin", T0 + 5000 + 180_001)
    [alert] = Played(shop.runner).alerts("BRK-02")
    assert (alert["recipient"], alert["targets"], alert["source"]) == ("operations engineers", ["sms"], "douyin")


@pytest.mark.parametrize(
    ("rule", "recipient"),
    [
        ("BRK-02", "operations engineers"),
        ("BRK-10", "gateway"),
        ("BRK-12", "tech lead"),
        ("INV-12", "operations"),
    ],
)
def test_every_watch_has_its_recipient(rule: str, recipient: str) -> None:
    shop = Shop().ops("reference_set", T0, {"kind": "channel", "channel": "douyin", "api": False})
    shop.ops("heartbeat", T0, {"calls": 100, "errors": 30, "p95_ms": 8400}, source="douyin", channel="douyin")
    shop.runner.advance(T0 + calendar.HOUR_MS)
    [alert] = Played(shop.runner).alerts(rule)
    assert (alert["status"], alert["recipient"], alert["channel"]) == ("open", recipient, "douyin")


def test_what_operations_say_wrongly_goes_to_the_dead_letters_with_a_reason() -> None:
    shop = Shop().ops("manual_command", T0, command="resume_channel", target="douyin")
    shop.ops("reference_set", T0, {"kind": "channel", "channel": "douyin", "qps": -1})
    shop.ops("heartbeat", T0, None, source="douyin").ops("reference_set", T0, {"kind": "else"})
    errors = [(letter["stage"], letter["error"]) for letter in shop.out("dead-letters")]
    assert errors == [
        ("rule", "channel douyin is not suspended"),
        ("rule", "qps is not a whole number of orders a second"),
        (
            "contract",
            "value has no kind that is known: stock, alternative, channel_stock, warehouse, channel, "
            "courier_interface, invoice_profile, tax_code, invoice_cap, contract",
        ),
    ]


# -- what topics, transactions and own consumers give -----------------------------------------------------------------


@pytest.mark.rule("BRK-04")
def test_a_rush_waits_in_the_topics_while_what_is_behind_stands_still_and_then_goes_on_in_order() -> None:
    """The topics are the buffer before the stores: who is slow or down is not overrun, and finds all in order."""
    events = records(SAMPLE)[:400]
    flow = [agent for agent in agents.ALL if agent is not orders]
    runner = feed(LocalRunner(flow, topology.load()), events)
    waiting = len(runner.log.order["order-facts"])
    assert waiting > 300
    assert "order-states" not in runner.log.order
    late = LocalRunner([orders, inventory, alerts], topology.load())
    for record in runner.log.order["order-facts"]:
        late.send_bytes("order-facts", record.value(), (record.key() or b"").decode())
    late.run()
    states, at_once = dict(late.output("order-states")), dict(play(events).runner.output("order-states"))
    # A version counts steps, and the stock's answers came between others here.
    assert {key: {**state, "version": 0} for key, state in states.items()} == {
        key: {**state, "version": 0} for key, state in at_once.items()
    }
    estimates = sum(fact["event_type"] == ESTIMATED for _, fact in runner.output("order-facts"))  # of no event
    assert len(late.output("audit-log")) == waiting - estimates


@pytest.mark.rule("BRK-08")
def test_side_work_that_stands_still_does_not_hold_up_an_order_and_misses_nothing_later() -> None:
    """Alerts stand for all side work: a topic and a consumer of their own."""
    whole = suspended()
    flow = [agent for agent in agents.ALL if agent is not alerts]
    shop = Shop(LocalRunner(flow, topology.load()))
    for number in range(3):
        shop.order("pdd", f"P{number}", T0 + 1000 * number).pay("douyin", f"LOST{number}", T0 + 1000 * number)
    shop.runner.advance(T0 + 2 * MINUTE)
    for topic in ("order-states", "order-events", "audit-log", "channel-breaks"):
        assert shop.out(topic) == whole.out(topic), topic
    side = LocalRunner([alerts], topology.load())
    for record in shop.runner.log.order["alert-facts"]:
        side.send_bytes("alert-facts", record.value(), (record.key() or b"").decode())
    side.run()
    assert dict(side.output("alerts")) == dict(whole.runner.output("alerts"))


@pytest.mark.rule("BRK-13")
@pytest.mark.parametrize("seed", range(3))
def test_a_channels_worker_that_dies_again_and_again_lets_every_order_pass_once_and_in_order(seed: int) -> None:
    chance, died = random.Random(seed), 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent == channels.name and died < 40 and chance.random() < 0.1:
            died += 1
            raise Crash if step in ("persist", "done") else Abort

    shop = Shop(new_runner(fault=fault))
    for number in range(60):
        shop.order("douyin", f"D{number:02d}", T0 + number)
    assert died > 10
    assert shop.created("douyin") == [f"D{number:02d}" for number in range(60)]


@pytest.mark.rule("BRK-01")
def test_payments_of_orders_that_came_and_were_refused_suspend_nothing() -> None:
    """The intake has not lost them: they are in dead-letters, for whoever must mend them."""
    shop = Shop().order("douyin", "D0", T0)
    for number in range(3):
        shop.order("douyin", f"EMPTY{number}", T0 + 1000 + number, lines=[])
    for number in range(3):
        shop.pay("douyin", f"EMPTY{number}", T0 + 2000 + number)
    shop.runner.advance(T0 + 2 * MINUTE)
    shop.order("douyin", "D1", T0 + 3 * MINUTE)
    assert [letter["error"] for letter in shop.out("dead-letters")] == ["order_created without lines"] * 3
    assert not [record for record in shop.out("channel-breaks") if record["rule"] == "BRK-01"]
    assert {state["order_no"] for state in shop.out("order-states")} == {"D0", "D1"}
