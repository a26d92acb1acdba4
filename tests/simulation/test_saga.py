"""The saga of orders and stock under schedules of faults: no hold is left, and every unit is accounted for.

Where turns keep their order the outcome is that of the unbroken run, record by record. Where they do not, others may
get the last unit; what must hold then holds as well.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import cache
from typing import Any

import pytest

from streams import agents, topology
from streams.domain.inventory import holds
from streams.domain.order.reserved import CONFIRMED, DEDUCTED, OVERSOLD, RETURNED, TICKET, UNMANAGED
from streams.domain.order.stock import undeducted
from tests.simulation.saga import FREE, STOCK, story
from tests.simulation.schedule import Mismatch, Plan, Simulation, same

SCHEDULES = max(4, int(os.environ.get("SIMULATION_SCHEDULES", "2000")) // 50)
ONLY = os.environ.get("SIMULATION_SEED")
PARTS, PARTITIONS, STORIES = 4, 3, 6
STEPS = ("order-facts", "stock-commands", "stock-ledger", "audit-log", "channel-facts", "dead-letters")
LATEST = ("order-states", "inventory-states", "alerts")


@cache
def unbroken(number: int, batch: int) -> Simulation:
    plan = Plan(number, workers=1, batch=batch, rate=0, shuffled=False, twice=False)
    simulation = Simulation(agents.ALL, topology.load(), PARTITIONS, plan, broken=False)
    simulation.tell(*story(number))
    check(simulation)
    return simulation


def run(seed: int) -> None:
    batch, number = (1, 5, 100)[seed % 3], seed % STORIES
    plan = Plan.of(seed, batch, shuffled=seed % 4 == 3)
    broken = Simulation(agents.ALL, topology.load(), PARTITIONS, plan, broken=True)
    assert broken.faults is not None
    try:
        broken.tell(*story(number))
        check(broken)
        if not plan.shuffled and not plan.twice:
            compare(broken, unbroken(number, batch))
    except Exception as error:
        did = "\n  ".join(broken.faults.did)
        raise Mismatch(f"SIMULATION_SEED={seed} {plan}: {type(error).__name__}: {error}\nfaults:\n  {did}") from error


def compare(broken: Simulation, should: Simulation) -> None:
    for topic in STEPS:
        same(topic, broken.records(topic), should.records(topic))
    for topic in LATEST:
        same(topic, broken.last(topic), should.last(topic))
    rows, expected = broken.tables(), should.tables()
    for name in expected:
        if not name.startswith("alerts."):
            same(name, rows[name], expected[name])
    same("timers", broken.timers(), should.timers())


def check(simulation: Simulation) -> None:
    """Days after the last event: what must be true whatever happened."""
    runner, tables = simulation.runner, simulation.tables()
    levels: dict[str, Any] = dict(runner.output("inventory-states"))  # type: ignore[arg-type]
    orders = tables["orders.orders"]
    pools: Counter[tuple[str, str]] = Counter()
    of_order: Counter[tuple[str, str]] = Counter()
    for _, row in runner.output("stock-ledger"):
        pools[row["sku"], row["pool"]] += row["delta"]
        of_order[row["order_guid"], row["pool"]] += row["delta"]

    same("SKUs", set(levels), set(STOCK))
    sold: Counter[str] = Counter()
    virtual: Counter[str] = Counter()
    for guid, state in orders.items():
        units = 0
        for group in state.stock.groups if state.stock else ():
            same(f"answers to {guid}", group.answered, group.round)
            if undeducted(group):
                # Goods turned out to have left after their units had gone back and were sold again: a person must look.
                assert set(group.told) <= {RETURNED, UNMANAGED, *DEDUCTED}, group
                assert state.stock.raised & TICKET, group
            for n, (line, told) in enumerate(zip(group.lines, group.told, strict=True)):
                assert told not in "-h", f"{guid}: nothing became of {group}"
                if told in CONFIRMED + OVERSOLD:
                    units += line[1]
                    sold[group.sku] += line[1]
                if group.virtual and group.virtual[n] == "v":
                    virtual[group.sku] += line[1]
        same(f"held for {guid}", of_order[guid, "held"], 0)
        same(f"sold to {guid}", -of_order[guid, "sales"], units)
    for sku, level in levels.items():
        assert level is not None
        left = STOCK[sku] - sold[sku]
        same(f"held of {sku}", (level["held"], pools[sku, "held"]), (0, 0))
        same(f"left of {sku}", (level["available"], pools[sku, "sales"]), (left, left))
        same(f"virtual of {sku}", level["virtual"], virtual[sku])
        assert level["oversold"] >= -left
    for name, hold in tables["inventory.holds"].items():
        assert all(line.phase != holds.HELD for line in hold.lines.values()), name
    same("timers of orders", simulation.timers().get("orders", []), [])
    same("waiting for a first answer", tables["orders.asked"], {})


@pytest.mark.rule("INV-07")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_held_for_ever_and_nothing_sold_twice(part: int) -> None:
    if ONLY is not None:
        if part == 0:
            run(int(ONLY))
        return
    for seed in range(part, SCHEDULES, PARTS):
        run(seed)


def test_the_stories_have_what_is_hard() -> None:
    told: Counter[str] = Counter()
    commands: Counter[str] = Counter()
    for number in range(STORIES):
        simulation = unbroken(number, 1)
        states = dict(simulation.runner.output("order-states"))
        told.update(line["outcome"] for state in states.values() for line in state["stock"] or ())
        told["free"] += sum(state["stock"] is None for state in states.values())
        commands.update(value["do"] for _, value in simulation.runner.output("stock-commands") if "do" in value)
    assert set(told) >= {"confirmed", "refused", "oversold", "released", "expired", "returned", "unmanaged", "free"}
    assert set(commands) == {"reserve", "confirm", "release", "return", "virtual"}
    assert FREE not in STOCK
