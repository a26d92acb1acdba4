"""A status nobody knows: it changes nothing, waits with its order, and counts once a table knows it (ST-03)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from streams import catalogue, topology
from streams.agents.intake import make
from streams.domain import calendar
from streams.domain.rules import data
from streams.domain.status_map import Mapped, StatusMaps, parse
from streams.engine.local import LocalRunner

T0 = calendar.at(2026, 1, 24, 10)
LINE = {"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}
WORD = "放门口鞋柜"
SHOP: dict[str, Any] = {"source": "douyin", "channel": "douyin", "order_no": "6921234567890"}


class Reloaded(StatusMaps):
    """The tables of a worker that is started again with others."""

    def find(self, topic: str, speakers: Iterable[str | None], field: str | None, code: str) -> Mapped:
        return self.now.find(topic, speakers, field, code)

    now = data.status_maps()


class Shop:
    """All agents, fed one record at a time; the order exists and its parcel is on its way."""

    def __init__(self) -> None:
        self.maps = Reloaded(())
        agents = [make(self.maps) if agent.name == "intake" else agent for agent in catalogue.choose(None)]
        self.runner = LocalRunner(agents, topology.load(), partitions=4)
        self.say("orders", "order_created", "o-1", **SHOP, waybill_no="ZTO731", lines=[LINE])
        self.says("c-1", "派件", at=1000)

    def say(self, topic: str, event_type: str, event_id: str, at: int = 0, **fields: Any) -> None:
        self.runner.send(topic, {"event_id": event_id, "event_type": event_type, "event_time": T0 + at, **fields})
        self.runner.run()

    def says(self, event_id: str, word: str, at: int, event_type: str = "scanned", **fields: Any) -> None:
        zto = {"source": "zto", "courier": "zto", "waybill_no": "ZTO731"}
        self.say("couriers", event_type, event_id, at, **zto, raw_status=word, **fields)

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
