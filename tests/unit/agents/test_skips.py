"""What other agents tell an order alone is passed over by all others who read of orders, before it is decoded."""

from __future__ import annotations

from typing import Any

import orjson

from streams.agents import ALL
from streams.agents.beside import FOR_THE_ORDER
from streams.domain.inventory.messages import reply
from streams.domain.logistics.arrival import answer
from streams.domain.rules import data
from streams.engine.agent import Agent
from streams.engine.context import Context
from streams.engine.local import LocalRunner
from streams.topology import load
from tests.unit.engine.support import Bench

SAID = {"order_guid": "G", "at": 5, "waybill": "W", "courier": "zto", "province": None, "city": None}


def test_they_begin_as_the_agents_write_them() -> None:
    estimate = answer(lambda key: None, SAID, data.estimates())[2]
    for fact in (reply("S", "G", "reserve", 1, 5, []), estimate):
        assert orjson.dumps(fact).startswith(FOR_THE_ORDER)


def test_whoever_reads_of_orders_but_the_order_itself_passes_them_over() -> None:
    readers = {agent.name for agent in ALL if "order-facts" in agent.sources}
    assert {agent.name for agent in ALL if agent.skips == FOR_THE_ORDER} == readers - {"orders"}


def test_a_skipped_record_is_neither_folded_nor_read_again() -> None:
    seen: list[str] = []
    agent = Agent("match", sources=("order-facts",), skips=(b'{"event_type":"_',))
    agent.table("rows")

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
        seen.append(fact["event_type"])

    runner = LocalRunner([agent], load(), partitions=1, batch=10)
    for kind in ("_stock", "paid", "_estimated"):
        runner.send("order-facts", {"event_type": kind, "event_time": 5}, "G")
    runner.run()
    runner.crash(0)
    runner.run()
    assert seen == ["paid"]
    assert runner.committed["match", "order-facts", 0] == 3


def test_the_time_of_a_skipped_record_counts_no_more_when_another_one_fails() -> None:
    """Record by record the same timers fire as in a turn where nothing fails."""
    agent = Agent("match", sources=("order-facts",), writes=("reports",), skips=(b'{"event_type":"_',))
    agent.table("rows")
    fired: list[tuple[int, int]] = []

    @agent.time_of
    def time_of(fact: dict[str, Any]) -> int:
        return int(fact["event_time"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: dict[str, Any]) -> None:
        if fact["event_type"] == "fails":
            raise ValueError
        ctx.timers.set("late", "G", fact["event_time"] + 10)

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, due: int) -> None:
        fired.append((due, ctx.now))

    bench = Bench(agent)
    facts = [("paid", 1), ("_stock", 50), ("paid", 5), ("fails", 6)]
    bench.turn(*({"event_type": kind, "event_time": at} for kind, at in facts))
    assert bench.dead
    assert fired == []
    bench.turn({"event_type": "paid", "event_time": 100})
    assert fired == [(15, 15)]
