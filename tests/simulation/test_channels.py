"""Breakers, limits and queues under the same schedules of faults: as if nothing had died."""

from __future__ import annotations

import os
from functools import cache
from random import Random
from typing import Any

import orjson
import pytest

from streams import agents, topology
from streams.domain import calendar
from tests.scenarios.play import Record
from tests.simulation.schedule import Mismatch, Plan, Simulation, same

SCHEDULES = max(1, int(os.environ.get("SIMULATION_SCHEDULES", "2000")) // 50)
PARTITIONS = 3
T0 = calendar.at(2026, 2, 22, 20)
SHOPS = ("douyin", "pdd", "mini")
STEPS = ("identity-facts", "channel-facts", "channel-breaks", "order-facts", "audit-log", "dead-letters")
LATEST = ("order-states", "alerts")
LINE = {"line_no": 1, "sku": "BAG", "name": "b", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}


class Story:
    """Minutes of three shops: one with a limit, payments without orders, commands, heartbeats that cease."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"story {seed}")
        self.codecs = topology.load()
        self.at = T0
        self.chunks: list[list[Record]] = [[]]
        self.number = 0
        self.ops("reference_set", {"kind": "channel", "channel": "mini", "qps": 3})
        self.ops("reference_set", {"kind": "channel", "channel": "pdd", "api": False})
        for _ in range(24):
            self.chunks.append([])
            for _ in range(self.random.randint(1, 6)):
                self.event()
            self.at += self.random.choice((1, 50, 400, 1000, 20_000, 70_000, 200_000))
        self.chunks.append([])
        self.at += calendar.HOUR_MS
        for shop in SHOPS:
            self.ops("manual_command", None, command="resume_channel", target=shop)

    def event(self) -> None:
        shop = self.random.choice(SHOPS)
        what = self.random.choice(("order", "order", "rush", "lost", "lost", "beat", "open"))
        self.at += self.random.choice((0, 1, 30, 400))
        if what in ("order", "rush"):
            for _ in range(6 if what == "rush" else 1):
                self.number += 1
                names: dict[str, Any] = {"channel": shop, "order_no": f"N{self.number}", "lines": [LINE]}
                self.add("orders", "order_created", shop, **names)
        elif what == "lost":
            for _ in range(2):
                self.number += 1
                names = {"channel": shop, "order_no": f"X{self.number}", "amount_minor": 1, "currency": "CNY"}
                self.add("payments", "payment_succeeded", "wechatpay", **names)
        elif what == "beat":
            value = {"calls": 50, "errors": self.random.choice((0, 0, 20)), "p95_ms": 40, "stock_push": True}
            self.ops("heartbeat", value, source=shop, channel=shop)
        else:
            self.ops("manual_command", None, command="resume_channel", target=shop)

    def ops(self, event_type: str, value: Any, source: str = "console", **fields: Any) -> None:
        self.add("ops", event_type, source, value=orjson.dumps(value).decode(), **fields)

    def add(self, topic: str, event_type: str, source: str, **fields: Any) -> None:
        self.number += 1
        value = {"event_id": f"e-{self.number}", "event_type": event_type, "event_time": self.at, "source": source}
        payload = self.codecs.encoder(topic)({**value, **fields})
        self.chunks[-1].append((topic, payload, fields.get("order_no")))


@cache
def story(number: int) -> Story:
    return Story(number)


@cache
def unbroken(number: int, batch: int) -> Simulation:
    plan = Plan(number, workers=1, batch=batch, rate=0, shuffled=False, twice=False)
    simulation = Simulation(agents.ALL, topology.load(), PARTITIONS, plan, broken=False)
    simulation.tell(story(number).chunks, story(number).at + calendar.HOUR_MS)
    return simulation


def run(seed: int) -> None:
    number, batch = seed % 4, (1, 7)[seed // 4 % 2]
    plan = Plan.of(seed, batch)
    broken = Simulation(agents.ALL, topology.load(), PARTITIONS, plan, broken=True)
    should = unbroken(number, batch)
    assert broken.faults is not None
    try:
        broken.tell(story(number).chunks, story(number).at + calendar.HOUR_MS)
        assert created(broken) == created(should)
        # With several records a turn, or copies of them, the clock of a turn is another one: an alarm may come later.
        if plan.twice or batch > 1:
            return
        for topic in STEPS:
            same(topic, broken.records(topic), should.records(topic))
        for topic in LATEST:
            same(topic, broken.last(topic), should.last(topic))
        rows, expected = broken.tables(), should.tables()
        for name in expected:
            if name.startswith("channels."):
                same(name, rows[name], expected[name])
        same("timers", broken.timers(), should.timers())
    except Exception as error:
        did = "\n  ".join(broken.faults.did)
        raise Mismatch(f"seed {seed} {plan}: {type(error).__name__}: {error}\nfaults:\n  {did}") from error


def created(simulation: Simulation) -> set[bytes | None]:
    """All orders, of which none may be held any more: every channel has been opened in the end."""
    assert not simulation.runner.table("channels", "held")
    return {*simulation.last("order-states")}


@pytest.mark.rule("BRK-01")
@pytest.mark.rule("BRK-03")
@pytest.mark.rule("BRK-13")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(4))
def test_channels_end_every_schedule_as_the_unbroken_run(part: int) -> None:
    for seed in range(part, SCHEDULES, 4):
        run(seed)


def test_the_stories_have_what_can_happen() -> None:
    told = {
        (row["rule"], row["action"])
        for number in range(4)
        for _, row in unbroken(number, 1).runner.output("channel-breaks")
    }
    assert told >= {
        ("BRK-01", "open"), ("BRK-01", "close"), ("BRK-02", "open"), ("BRK-02", "close"), ("BRK-03", "open"),
        ("BRK-03", "queued"), ("BRK-03", "released"), ("BRK-03", "close"), ("BRK-10", "open"), ("BRK-10", "half_open"),
        ("BRK-12", "open"), ("INV-12", "open"), ("INV-12", "close"),
    }  # fmt: skip
