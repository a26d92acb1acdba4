"""From input topics to order facts and alerts, through the real agents, codecs and timers, in process."""

from __future__ import annotations

from typing import Any

import pytest

from streams import topology
from streams.agents.alerts import alerts
from streams.agents.channels import channels
from streams.agents.identity import identity
from streams.agents.intake import intake
from streams.domain import calendar, ids
from streams.engine.local import LocalRunner
from streams.engine.partitioner import partition_of

T0 = calendar.at(2026, 1, 24, 10)
GUID = ids.order_guid("douyin", "6921234567890", T0)
LINE = {"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}
TXN = "4200001234202601240000000001"
AGENTS = [intake, channels, identity, alerts]


class Flow:
    """The agents before the order, fed one record at a time."""

    def __init__(self, received_at: int | None = None) -> None:
        self.runner = LocalRunner(AGENTS, topology.load(), partitions=4, received_at=received_at)

    def say(self, topic: str, event_type: str, event_id: str = "e", at: int = T0, **fields: Any) -> Flow:
        value = {"event_id": event_id, "event_type": event_type, "event_time": at, "source": "s", **fields}
        self.runner.send(topic, value)
        self.runner.run()
        return self

    def order(self, event_id: str = "o-1", order_no: str = "6921234567890", at: int = T0, **fields: Any) -> Flow:
        shop = {"source": "douyin", "channel": "douyin", "order_no": order_no, "lines": [LINE]}
        return self.say("orders", "order_created", event_id, at, **{**shop, **fields})

    def pay(self, event_id: str = "p-1", at: int = T0 + 5000, **fields: Any) -> Flow:
        money = {"source": "wechatpay", "platform_txn_no": TXN, "amount_minor": 9900, "currency": "CNY"}
        return self.say("payments", "payment_succeeded", event_id, at, **{**money, **fields})

    def out(self, topic: str) -> list[tuple[str | None, Any]]:
        return self.runner.output(topic)

    def facts(self) -> list[tuple[str | None, str]]:
        return [(key, fact["event_id"]) for key, fact in self.out("order-facts")]

    def alert(self, key: str) -> dict[str, Any] | None:
        return dict(self.out("alerts")).get(key)

    def dead(self) -> list[tuple[str, str]]:
        return [(letter["stage"], letter["error"]) for _, letter in self.out("dead-letters")]


@pytest.mark.rule("ID-01")
@pytest.mark.rule("ID-08")
def test_one_order_and_its_events_out_of_order_meet_under_one_guid() -> None:
    flow = Flow().pay().order(platform_txn_no=TXN, customer_id="c-1")
    shop: dict[str, Any] = {"channel": "douyin", "order_no": "6921234567890"}
    flow.say("wms", "loaded", "w-1", T0 + 19_800_000, **shop, waybill_no="ZTO731", package_id="PK1")
    courier: dict[str, Any] = {"source": "zto", "courier": "zto", "waybill_no": "ZTO731"}
    flow.say("couriers", "signed", "c-2", T0 + 169_920_000, **courier, raw_status="门卫代收")
    flow.say("couriers", "picked_up", "c-1", T0 + 28_800_000, **courier, raw_status="201")
    assert flow.facts() == [(GUID, event) for event in ("o-1", "p-1", "w-1", "c-2", "c-1")]
    mapped = [fact["mapped"]["node"] for _, fact in flow.out("order-facts") if "mapped" in fact]
    assert mapped == ["logistics_signed", "picked_up"]
    assert not flow.out("alerts")
    assert not flow.dead()


@pytest.mark.rule("ID-07")
def test_a_warehouse_may_say_the_alias_back() -> None:
    flow = Flow().order()
    alias = flow.out("order-facts")[0][1]["alias18"]
    flow.say("wms", "packed", "w-1", internal_no=alias).say("wms", "loaded", "w-2", order_no=alias)
    assert flow.facts()[1:] == [(GUID, "w-1"), (GUID, "w-2")]


@pytest.mark.rule("ST-03")
def test_completed_at_douyin_is_the_buyers_word_not_the_couriers() -> None:
    """Failure case 32: the state meaning slip."""
    flow = Flow().order()
    flow.say(
        "orders",
        "status_changed",
        "s-1",
        source="douyin",
        channel="douyin",
        order_no="6921234567890",
        raw_status="已完成",
    )
    assert flow.out("order-facts")[-1][1]["mapped"]["state"] == "customer_signed"
    flow.say(
        "couriers", "scanned", "c-1", source="zto", channel="douyin", order_no="6921234567890", raw_status="已完成"
    )
    assert flow.out("order-facts")[-1][1]["mapped"]["known"] is False


@pytest.mark.rule("LOG-05")
def test_received_by_the_gatekeeper_ends_the_delivery() -> None:
    """Failure case 3: the word nobody had mapped."""
    flow = Flow().order(waybill_no="ZTO731")
    flow.say("couriers", "scanned", "c-1", source="zto", waybill_no="ZTO731", raw_status="门卫代收")
    assert flow.out("order-facts")[-1][1]["mapped"]["state"] == "logistics_signed"


@pytest.mark.rule("ST-03")
def test_an_unknown_status_reaches_its_order_and_is_counted_in_one_alert() -> None:
    flow = Flow().order()
    for number in range(3):
        shop: dict[str, Any] = {"source": "douyin", "channel": "douyin", "order_no": "6921234567890"}
        flow.say("orders", "status_changed", f"s-{number}", **shop, raw_status="10500")
    assert [fact["mapped"]["known"] for _, fact in flow.out("order-facts")[1:]] == [False] * 3
    alert = flow.alert("ST-03/douyin/10500")
    assert alert is not None
    assert (alert["title"], alert["count"], alert["recipient"]) == ("mapping_missing", 3, "state-table owner")


@pytest.mark.rule("DQ-08")
def test_three_undecodable_payments_in_a_row_raise_the_alarm_and_nothing_is_lost() -> None:
    """Failure case 21: ghost orders. The payments say 200 OK and cannot be read."""
    flow = Flow().order(platform_txn_no=TXN)
    for ghost in (b"\x00\x00", b"garbage", b""):
        flow.runner.send_bytes("payments", ghost, key="k")
        flow.runner.run()
    assert {name for name, _ in flow.out("alerts")} == {"DQ-08/payments"}
    alert = flow.alert("DQ-08/payments")
    assert alert is not None
    assert (alert["status"], alert["count"], alert["targets"]) == ("open", 3, ["ticket"])
    assert [letter["value"] for _, letter in flow.out("dead-letters")] == [b"\x00\x00", b"garbage", b""]
    assert {stage for stage, _ in flow.dead()} == {"decode"}
    # After the fix the same payment is sent again.
    assert flow.pay().facts() == [(GUID, "o-1"), (GUID, "p-1")]


@pytest.mark.rule("DQ-08")
def test_a_good_record_between_bad_ones_raises_nothing() -> None:
    flow = Flow()
    for _ in range(3):
        flow.runner.send_bytes("payments", b"garbage", key="k")
        flow.runner.send_bytes("payments", b"garbage", key="k")
        value = {"event_id": "p", "event_type": "payment_failed", "event_time": T0, "source": "s", "waybill_no": "1"}
        flow.runner.send("payments", value, key="k")
        flow.runner.run()
    assert not flow.out("alerts")
    assert len(flow.dead()) == 6


@pytest.mark.rule("DQ-08")
def test_records_without_a_key_are_in_a_row_whatever_partition_each_falls_on() -> None:
    flow = Flow()

    def ghosts(count: int) -> int:
        for number in range(count):
            flow.runner.send_bytes("payments", b"ghost %d" % number)
            flow.runner.run()
        return len(flow.out("alerts"))

    assert ghosts(2) == 0
    flow.pay()  # elsewhere than the bad ones, and it breaks their row all the same
    assert ghosts(2) == 0
    assert ghosts(1) == 1
    assert len({letter["partition"] for _, letter in flow.out("dead-letters")}) > 2
    alert = flow.alert("DQ-08/payments")
    assert alert is not None
    assert (alert["status"], alert["count"], alert["recipient"]) == ("open", 3, "tech lead")


@pytest.mark.rule("ID-08")
@pytest.mark.rule("BRK-01")
def test_a_payment_without_an_order_alarms_after_a_minute_and_the_order_closes_it() -> None:
    flow = Flow().pay(at=T0, channel="douyin")
    flow.runner.advance(T0 + 60_000)
    assert not flow.out("alerts")
    flow.runner.advance(T0 + 60_001)
    key = f"ID-08/paid/platform_txn_no/{TXN}"
    opened = flow.alert(key)
    assert opened is not None
    assert (opened["status"], opened["opened_at"], opened["recipient"]) == ("open", T0 + 60_001, "tech lead")
    told = [(key, fact["event_type"]) for key, fact in flow.out("channel-facts")]
    assert told == [("douyin", "payment_waits"), ("douyin", "paid_without_order")]
    flow.order(platform_txn_no=TXN, at=T0 + 3_600_000)
    closed = flow.alert(key)
    assert closed is not None
    assert (closed["status"], closed["order_guid"]) == ("closed", GUID)
    assert [event for _, event in flow.facts()] == ["o-1", "p-1"]


@pytest.mark.rule("ID-08")
def test_an_orphan_of_a_day_is_listed_as_unresolved_and_stays_parked() -> None:
    flow = Flow().say("couriers", "signed", "c-1", waybill_no="W")
    flow.runner.advance(T0 + calendar.DAY_MS)
    assert not flow.runner.table("identity", "unresolved")
    flow.runner.advance(T0 + calendar.DAY_MS + 1)
    assert list(flow.runner.table("identity", "unresolved")) == ["W\0waybill_no"]
    assert len(flow.runner.table("identity", "parked")) == 1
    assert flow.order(waybill_no="W", at=T0 + 2 * calendar.DAY_MS).facts()[-1][1] == "c-1"


@pytest.mark.rule("ID-04")
def test_a_code_of_two_orders_stays_with_the_first_and_alarms() -> None:
    flow = Flow().order(platform_txn_no=TXN).order("o-2", "X2", platform_txn_no=TXN)
    other = ids.order_guid("douyin", "X2", T0)
    rejected = [fact for _, fact in flow.out("order-facts") if fact["event_type"] == "_code_rejected"]
    assert [(fact["order_guid"], fact["bound_to"]) for fact in rejected] == [(other, GUID)]
    alert = flow.alert(f"ID-04/platform_txn_no/{TXN}/{other}")
    assert alert is not None
    assert (alert["first_event"], alert["last_event"]) == ("orders/douyin/o-1", "orders/douyin/o-2")
    assert flow.pay().facts()[-1] == (GUID, "p-1")


@pytest.mark.rule("ID-04")
def test_whoever_closes_the_alert_of_a_conflict_tells_the_order() -> None:
    flow = Flow().order(platform_txn_no=TXN).order("o-2", "X2", platform_txn_no=TXN)
    other = ids.order_guid("douyin", "X2", T0)
    key = f"ID-04/platform_txn_no/{TXN}/{other}"
    flow.say("ops", "manual_command", command="alert_close", target=key, operator="li", event_id="c-1", at=T0 + 1)
    alert = flow.alert(key)
    assert alert is not None
    assert (alert["status"], flow.facts()[-1]) == ("closed", (other, "c-1"))
    flow.say("ops", "manual_command", command="alert_close", target="ID-04/of no order", operator="li", at=T0 + 2)
    assert flow.facts()[-1] == (other, "c-1")
    assert flow.dead() == [("rule", "no alert of that key is open")]


@pytest.mark.rule("DQ-15")
def test_an_event_that_names_no_order_breaks_the_lineage_and_is_refused() -> None:
    flow = Flow().pay(platform_txn_no=None).pay("p-2", platform_txn_no=None)
    assert flow.dead() == [("contract", "payment_succeeded names no order: no code it could be found by")] * 2
    alert = flow.alert("DQ-15/wechatpay/payments")
    assert alert is not None
    assert (alert["title"], alert["count"]) == ("lineage_break", 2)


@pytest.mark.rule("DQ-13")
def test_a_refused_payload_is_kept_byte_for_byte_and_its_replay_changes_nothing_twice() -> None:
    flow = Flow().order(lines=[])
    [(topic, letter)] = flow.out("dead-letters")
    assert (topic, letter["stage"]) == ("orders", "contract")
    flow.order().runner.send_bytes("orders", letter["value"])
    flow.order().runner.run()
    assert len(flow.dead()) == 2
    assert flow.facts() == [(GUID, "o-1"), (GUID, "o-1")]


def test_an_absurd_time_does_not_move_event_time() -> None:
    flow = Flow(received_at=T0).pay(at=T0)
    flow.say("payments", "payment_failed", "p-9", T0 + 400 * calendar.DAY_MS, waybill_no="W")
    assert flow.dead() == [("contract", "event_time is more than a day ahead")]
    assert not flow.out("alerts")


def test_everything_that_is_not_about_an_order_goes_to_its_sku_or_channel() -> None:
    flow = Flow()
    flow.say("wms", "stock_received", sku="BAG", warehouse="hz", quantity=5, pool="sales")
    flow.say("orders", "cart_added", channel="douyin", lines=[LINE, {**LINE, "line_no": 2, "sku": "CUP"}])
    flow.say("ops", "heartbeat").say("ops", "quota_set", value='{"sku": "BAG", "channel": "jd", "quota": 3}')
    flow.say("ops", "reference_set", value='{"kind": "channel", "channel": "jd"}')
    flow.say("ops", "manual_command", command="release_sku", target="CUP")
    flow.say("finance", "period_closed", period="2026-01").say("service", "chat_opened", customer_id="c")
    assert [(key, len(fact.get("lines", []))) for key, fact in flow.out("stock-commands")] == [
        ("BAG", 0),
        ("BAG", 1),
        ("CUP", 1),
        ("BAG", 0),
        ("CUP", 0),
    ]
    assert [key for key, _ in flow.out("channel-facts")] == ["s", "jd", "s"]
    keys = [key for key, _ in flow.out("order-facts")]
    assert {partition_of(str(key).encode(), 4) for key in keys} == {*range(4)}
    assert len(keys) == 4
    assert not flow.out("identity-facts")
    assert not flow.dead()


def test_service_and_ops_events_that_name_an_order_go_to_it() -> None:
    flow = Flow().order()
    flow.say("service", "chat_opened", "q-1", customer_id="c", channel="douyin", order_no="6921234567890")
    flow.say("ops", "manual_command", "m-1", command="unlock", target=GUID)
    assert flow.facts()[1:] == [(GUID, "q-1"), (GUID, "m-1")]


@pytest.mark.rule("ST-06")
@pytest.mark.rule("ST-09")
@pytest.mark.parametrize("channel", [None, "douyin"])
def test_a_command_that_names_no_order_is_kept_with_the_reason(channel: str | None) -> None:
    flow = Flow().order()
    flow.say("ops", "manual_command", command="skip_quality_check", target="6921234567890", channel=channel)
    [(stage, reason)] = flow.dead()
    assert stage == "contract"
    assert "names no order" in reason
    assert len(flow.facts()) == 1
    flow.say("ops", "manual_command", command="resume_channel", target="douyin", channel=channel)
    assert flow.dead()[1:] == [("rule", "channel douyin is not suspended")]  # that one found its channel


def test_the_same_event_with_other_content_has_another_digest() -> None:
    flow = Flow().order().pay().pay(amount_minor=1, channel="douyin", order_no="6921234567890").pay()
    flow.order(platform_txn_no=TXN)
    digests = [fact["digest"] for _, fact in flow.out("order-facts") if fact["event_id"] == "p-1"]
    assert len(digests) == 3
    assert len(set(digests)) == 2
