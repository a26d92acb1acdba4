"""A status nobody knows: it changes nothing, waits with its order, and counts once a table knows it (ST-03)."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from streams import catalogue, topology
from streams.agents.intake import make
from streams.agents.orders import make as make_orders
from streams.domain import calendar
from streams.domain.rules import data
from streams.domain.status_map import Mapped, StatusMaps, parse
from streams.engine.local import Abort, Crash, Fault, LocalRunner

T0 = calendar.at(2026, 1, 24, 10)
DAY = calendar.DAY_MS
LINE = {"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}
WORD = "放门口鞋柜"
ZTO: dict[str, Any] = {"source": "zto", "courier": "zto"}
SHOP: dict[str, Any] = {"source": "douyin", "channel": "douyin", "order_no": "6921234567890"}


class Reloaded(StatusMaps):
    """The tables of a worker that is started again with others."""

    def find(self, *about: Any, **more: Any) -> Mapped:
        return self.now.find(*about, **more)

    now = data.status_maps()


class Shop:
    """All agents, fed one record at a time; the order exists and its parcel is on its way."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.maps = Reloaded(())
        agents = [make(self.maps) if agent.name == "intake" else agent for agent in catalogue.choose(None)]
        self.runner = LocalRunner(agents, topology.load(), partitions=4, fault=fault)
        self.say("orders", "order_created", "o-1", **SHOP, waybill_no="ZTO731", lines=[LINE])
        self.says("c-1", "派件", at=1000)

    def say(self, topic: str, event_type: str, event_id: str, at: int = 0, **fields: Any) -> None:
        self.runner.send(topic, {"event_id": event_id, "event_type": event_type, "event_time": T0 + at, **fields})
        while True:
            try:
                return self.runner.run()
            except Crash:
                continue

    def says(self, event_id: str, word: str, at: int, event_type: str = "scanned", **fields: Any) -> None:
        self.say("couriers", event_type, event_id, at, **ZTO, waybill_no="ZTO731", raw_status=word, **fields)

    @property
    def state(self) -> str:
        return str(self.runner.output("order-states")[-1][1]["state"])

    def alert(self) -> dict[str, Any]:
        last: dict[str | None, Any] = dict(self.runner.output("alerts"))
        found: dict[str, Any] = last[f"ST-03/zto/{WORD}"]
        return found

    def with_the_word(self) -> None:
        own = json.loads((data.STATUS / "zto.json").read_text(encoding="utf-8"))
        own["rows"].append({"code": WORD, "state": "logistics_signed", "node": "logistics_signed", "event": "signed"})
        tables = {**data.status_tables(data.STATUS), "zto": parse("zto", {**own, "version": 2})}
        Reloaded.now = StatusMaps(tables.values())


@pytest.fixture
def shop() -> Iterable[Shop]:
    yield Shop()
    Reloaded.now = data.status_maps()


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("event_type", ["scanned", "signed"])
def test_an_unknown_word_moves_no_order_and_is_counted(shop: Shop, event_type: str) -> None:
    assert shop.state == "shipped"
    shop.says("c-2", WORD, 2000, event_type)
    shop.says("c-3", WORD, 3000, event_type)
    assert shop.state == "shipped"
    alert = shop.alert()
    assert (alert["title"], alert["count"], alert["recipient"]) == ("mapping_missing", 2, "state-table owner")


@pytest.mark.rule("ST-03")
def test_a_parked_event_counts_when_it_is_told_again_to_a_worker_that_knows_the_word(shop: Shop) -> None:
    shop.says("c-2", WORD, 2000)
    shop.with_the_word()
    shop.says("c-2", WORD, 2000)
    assert shop.state == "logistics_signed"
    before = len(shop.runner.output("order-states"))
    shop.says("c-2", WORD, 2000)
    assert len(shop.runner.output("order-states")) == before, "applied twice"


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("event_type", "word", "state", "node"),
    [
        ("signed", "signed", "logistics_signed", "awaiting_confirm"),
        ("signed", "Signed", "logistics_signed", "awaiting_confirm"),
        ("scanned", "logistics_signed", "logistics_signed", "awaiting_confirm"),
        ("scanned", "transit_stalled", "shipped", "transit_stalled"),
        ("exception", "exception", "shipped", "transit_stalled"),
        ("scanned", "customer_signed", "shipped", "out_for_delivery"),  # no courier has the authority
    ],
)
def test_our_own_words_mean_what_they_say(shop: Shop, event_type: str, word: str, state: str, node: str) -> None:
    shop.says("c-2", word, 2000, event_type)
    assert shop.state == state
    assert shop.runner.output("order-states")[-1][1]["node"] == node
    assert [name for name, _ in shop.runner.output("alerts") if str(name).startswith("ST-03")] == []


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(("event_type", "word"), [("scanned", "signed"), ("signed", "exception"), ("scanned", "state")])
def test_the_word_of_another_event_type_or_none_of_ours_stays_parked(shop: Shop, event_type: str, word: str) -> None:
    shop.says("c-2", word, 2000, event_type)
    assert shop.state == "shipped"
    assert [name for name, _ in shop.runner.output("alerts") if str(name).startswith("ST-03")] == [f"ST-03/zto/{word}"]


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("courier", ["sf", "顺丰", "kuaidi100", "cainiao", "whoever"])
@pytest.mark.parametrize("field", ["opCode", "callback"])
def test_the_pickup_callback_is_a_pickup_whatever_the_courier(courier: str, field: str) -> None:
    shop = Shop()
    told: dict[str, Any] = {"source": courier, "courier": courier, "waybill_no": "ZTO731"}
    shop.say("couriers", "picked_up", "c-0", 500, **told, raw_status="201", raw_field=field)
    audit = next(row for _, row in shop.runner.output("audit-log") if row["event_id"] == "c-0")
    assert (audit["decision"], audit["rule"]) == ("filled_in", "ST-03")


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("word", ["退件签收", "问题件"])
def test_a_word_that_is_no_order_status_moves_nothing_and_is_not_missing(shop: Shop, word: str) -> None:
    shop.says("c-2", word, 2000, "signed")
    assert shop.state == "shipped"
    assert [name for name, _ in shop.runner.output("alerts") if str(name).startswith("ST-03")] == []


@pytest.mark.rule("ST-03")
def test_the_field_of_an_orders_status_reaches_the_tables(shop: Shop) -> None:
    """3 is shipped as order_status and a finished refund as refund_status."""
    shop.say("orders", "status_changed", "s-1", 2000, **SHOP, raw_status="3", raw_field="refund_status")
    facts = [fact for _, fact in shop.runner.output("order-facts") if fact["event_id"] == "s-1"]
    assert facts[-1]["mapped"]["axis"] == "refund:success"
    assert facts[-1]["mapped"]["state"] is None


# -- new tables, and no sender that repeats anything ----------------------------------------------------------------


def restart(shop: Shop, word: str = WORD, state: str | None = "logistics_signed", at: int = DAY) -> None:
    """All workers end, and start again with tables that know the word."""
    shop.runner.run()
    own = json.loads((data.STATUS / "zto.json").read_text(encoding="utf-8"))
    known = {"state": state, "node": state} if state else {"not_status": "a remark of the driver"}
    own["rows"].append({"code": word, **known})
    tables = {**data.status_tables(data.STATUS), "zto": parse("zto", {**own, "version": 2})}
    maps = StatusMaps(tables.values())
    while True:
        try:
            shop.runner.restart([make(maps), make_orders(maps=maps)])
            return finish(shop, at)
        except Crash:
            continue


def finish(shop: Shop, at: int) -> None:
    while True:
        try:
            return shop.runner.advance(T0 + at)
        except Crash:
            continue


@pytest.mark.rule("ST-03")
def test_what_waits_is_applied_after_a_restart_with_tables_that_know_it_and_the_alert_closes(shop: Shop) -> None:
    for number in range(3):
        shop.says(f"c-{number + 2}", WORD, 2000 + number)
    assert len(shop.runner.table("orders", "parked")) == 3
    restart(shop)
    assert shop.state == "logistics_signed"
    assert shop.alert()["status"] == "closed"
    assert shop.runner.table("orders", "parked") == {}
    audit = [row for _, row in shop.runner.output("audit-log") if row["event_id"] == "c-2"]
    assert [row["decision"] for row in audit] == ["refused", "accepted"]
    signed = [event for _, event in shop.runner.output("order-events") if event["event"] == "signed"]
    assert [event["at"] for event in signed] == [T0 + 2000]
    waybills = shop.runner.table("logistics", "waybills").values()
    assert [row["ended"] for rows in waybills for row in rows.values()] == [T0 + 2000], "told to the other readers too"
    before = len(shop.runner.output("audit-log"))
    restart(shop, at=2 * DAY)
    assert len(shop.runner.output("audit-log")) == before


@pytest.mark.rule("ST-03")
def test_a_restart_with_the_same_tables_or_others_that_do_not_know_the_word_applies_nothing(shop: Shop) -> None:
    shop.says("c-2", WORD, 2000)
    facts = len(shop.runner.output("order-facts"))
    shop.runner.restart([make_orders()])
    restart(shop, "other word")
    assert len(shop.runner.output("order-facts")) == facts
    assert (shop.state, shop.alert()["status"]) == ("shipped", "open")
    restart(shop, at=2 * DAY)
    assert (shop.state, shop.alert()["status"]) == ("logistics_signed", "closed")


@pytest.mark.rule("ST-03")
def test_what_an_older_intake_does_not_know_is_applied_by_orders_that_know_it(shop: Shop) -> None:
    own = json.loads((data.STATUS / "zto.json").read_text(encoding="utf-8"))
    own["rows"].append({"code": WORD, "state": "logistics_signed", "node": "logistics_signed"})
    tables = {**data.status_tables(data.STATUS), "zto": parse("zto", {**own, "version": 2})}
    shop.runner.restart([make_orders(maps=StatusMaps(tables.values()))])
    shop.says("c-2", WORD, 2000)
    assert shop.state == "logistics_signed"
    assert shop.runner.table("orders", "parked") == {}


@pytest.mark.rule("ST-03")
def test_an_order_whose_creation_has_an_unknown_status_gets_its_meaning_later() -> None:
    shop = Shop()
    shop.say("orders", "order_created", "o-2", **{**SHOP, "order_no": "2"}, lines=[LINE], raw_status="DISPUTED?")
    guid = shop.runner.output("order-states")[-1][0]
    own = json.loads((data.STATUS / "douyin.json").read_text(encoding="utf-8"))
    own["rows"].append({"code": "DISPUTED?", "flags": ["closed"]})
    tables = {**data.status_tables(data.STATUS), "douyin": parse("douyin", {**own, "version": own["version"] + 1})}
    shop.runner.restart([make_orders(maps=StatusMaps(tables.values()))])
    shop.runner.advance(T0 + DAY)
    assert dict(shop.runner.output("order-states"))[guid]["flags"] == ["closed"]


@pytest.mark.rule("ST-03")
def test_the_same_code_in_two_fields_is_two_alerts_and_a_table_that_knows_one_ends_that_one() -> None:
    shop = Shop()
    for number, field in enumerate(("refund_status", "after_sales_status")):
        word = {"raw_status": "4711", "raw_field": field}
        shop.say("orders", "status_changed", f"s-{number}", 2000 + number, **SHOP, **word)
    keys = [f"ST-03/douyin/{field}/4711" for field in ("refund_status", "after_sales_status")]
    alerts = dict(shop.runner.output("alerts"))
    assert [alerts[key]["status"] for key in keys] == ["open", "open"]
    assert "as refund_status" in alerts[keys[0]]["detail"]
    own = json.loads((data.STATUS / "douyin.json").read_text(encoding="utf-8"))
    own["rows"].append({"field": "refund_status", "code": "4711", "axis": "refund:in_progress"})
    tables = {**data.status_tables(data.STATUS), "douyin": parse("douyin", {**own, "version": own["version"] + 1})}
    shop.runner.restart([make_orders(maps=StatusMaps(tables.values()))])
    shop.runner.advance(T0 + DAY)
    alerts = dict(shop.runner.output("alerts"))
    assert [alerts[key]["status"] for key in keys] == ["closed", "open"]


@pytest.mark.rule("LOG-05")
@pytest.mark.parametrize(("state", "ends"), [("logistics_signed", "logistics_signed"), (None, "shipped")])
def test_a_provisional_signature_is_confirmed_or_withdrawn_by_the_table_that_knows_its_word(
    shop: Shop, state: str | None, ends: str
) -> None:
    word = "放门口代签"
    shop.says("c-2", word, 2000)
    last = shop.runner.output("order-states")[-1][1]
    assert (last["state"], last["flags"]) == ("logistics_signed", ["gap", "provisional"])
    alert = dict(shop.runner.output("alerts"))[f"ST-03/zto/{word}"]
    assert (alert["title"], alert["status"]) == ("mapping_missing", "open")
    restart(shop, word, state)
    last = shop.runner.output("order-states")[-1][1]
    assert (last["state"], last["flags"]) == (ends, ["gap"])


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("seed", range(6))
def test_what_waits_is_applied_once_whatever_dies_while_it_is_applied(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["streams.agents.orders"], "LOOKED_AT", 1)

    def story(fault: Fault | None) -> LocalRunner:
        shop = Shop(fault)
        for number in range(2, 9):
            shop.say("orders", "order_created", f"o-{number}", **{**SHOP, "order_no": str(number)}, lines=[LINE])
            shop.say("couriers", "scanned", f"x-{number}", 2000, **ZTO, waybill_no=f"W{number}", raw_status="派件")
            names = {"channel": "douyin", "order_no": str(number), "waybill_no": f"W{number}"}
            shop.say("couriers", "scanned", f"y-{number}", 3000 + number, **ZTO, **names, raw_status=WORD)
        restart(shop)
        return shop.runner

    chance, died = random.Random(seed), 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent == "orders" and chance.random() < 0.1:
            died += 1
            raise Crash if step in ("persist", "done") else Abort

    plain, broken = story(None), story(fault)
    assert died > 10
    assert sum(value["state"] == "logistics_signed" for value in dict(plain.output("order-states")).values()) == 7
    for topic in ("order-events", "audit-log", "order-facts"):
        assert sorted(broken.output(topic), key=str) == sorted(plain.output(topic), key=str)
    assert broken.table("orders", "parked") == {}
