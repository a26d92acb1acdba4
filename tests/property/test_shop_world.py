"""Relations between whole runs of random weeks of a shop, through all agents: what is told twice counts once, and on
how many partitions it is told makes no difference to states, alerts, requests, books and stock."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import groupby
from typing import Any, Final

import pytest

from streams import topology
from streams.engine.local import LocalRunner
from tests.property.shop_world import PRIVATE, World, record
from tests.scenarios.play import Played, new_runner
from tests.simulation.schedule import same
from tests.support.effort import tries

SEEDS: Final = tries(16)
LISTS: Final = (
    "order-events", "risk-alerts", "oversell-breaks", "channel-breaks", "customer-requests", "logistics-requests",
    "warehouse-requests", "order-pushes", "tax-requests",
)  # fmt: skip
LATEST: Final = ("order-states", "inventory-states", "ledger-entries", "invoices")
COUNTED: Final = {"version", "updated_at"}
"""Of turns and of what arrived, not of what was."""
BY_PARTITIONS: Final = ("INV-13", "OTH-12")
"""Reports that say which partitions told something new, and how long alerts took that waited for all of them."""
PUBLIC: Final = (
    "alerts",
    "risk-alerts",
    "reports",
    "order-pushes",
    "order-states",
    "customer-requests",
    "channel-breaks",
)


def told(seed: int, times: int = 1, partitions: int = 8) -> LocalRunner:
    world, runner = World(seed), new_runner(partitions=partitions)
    for topic, value in world.events:
        if value["event_time"] > runner.time:
            runner.advance(value["event_time"])
        for _ in range(times):
            runner.send_bytes(*record(topic, value))
            runner.run()
    runner.advance(world.end)
    return runner


@cache
def once(seed: int) -> LocalRunner:
    return told(seed)


def text(value: Any) -> str:
    return repr(sorted(value.items()))


def last(runner: LocalRunner, topic: str) -> dict[Any, Any]:
    found = {key: value for key, value in runner.output(topic) if value is not None}
    return {key: {**value, **dict.fromkeys(COUNTED & value.keys())} for key, value in found.items()}


def outcome(runner: LocalRunner) -> dict[str, Any]:
    """What the world is told in the end, whatever came first of what is told at one time."""
    found: dict[str, Any] = {topic: last(runner, topic) for topic in LATEST}
    for state in found["order-states"].values():
        if state["invoice"] is not None:  # of several SKUs without a tax code it names one
            state["invoice"] = {**state["invoice"], "reason": None}
    for topic in LISTS:
        found[topic] = Counter(map(text, Played(runner).output(topic)))
    levels = Counter[tuple[str, str, str]]()
    for row in Played(runner).output("stock-ledger"):
        levels[row["sku"], row["warehouse"], row["pool"]] += row["delta"]
    found["stock-ledger"] = +levels, -levels
    reports = last(runner, "reports").items()
    found["reports"] = {key: value["rows"] for key, value in reports if value["name"] not in BY_PARTITIONS}
    found["alerts"] = {key: value["status"] for key, value in last(runner, "alerts").items()}
    return found


def history(runner: LocalRunner) -> dict[str | None, list[str]]:
    """How each alert went: opened, raised, closed, opened again."""
    found: dict[str | None, list[str]] = {}
    for key, value in runner.output("alerts"):
        if value is not None:
            found.setdefault(key, []).append(f"{value['status']} {value['level']}")
    return {key: [step for step, _ in groupby(steps)] for key, steps in found.items()}


@pytest.mark.rule("ID-05")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_told_twice_counts_once(seed: int) -> None:
    twice = told(seed, times=2)
    found, expected = outcome(twice), outcome(once(seed))
    for told_of in (found, expected):  # a record that is sent twice is two records (DQ-15)
        told_of["reports"] = {key: rows for key, rows in told_of["reports"].items() if not key.startswith("DQ-15")}
    for name, should in expected.items():
        same(name, found[name], should)
    same("alerts", history(twice), history(once(seed)))
    rows = [Counter(map(text, Played(runner).output("audit-log"))) for runner in (twice, once(seed))]
    assert not rows[1] - rows[0]
    assert all("('decision', 'duplicate')" in row for row in rows[0] - rows[1])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_number_of_partitions_makes_no_difference(seed: int) -> None:
    other = outcome(told(seed, partitions=(1, 2, 13)[seed % 3]))
    for name, should in outcome(once(seed)).items():
        same(name, other[name], should)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_books_stock_and_states_agree_and_nobody_is_named(seed: int) -> None:
    played = Played(once(seed))
    moved: dict[str, Counter[str]] = {}
    for entry in played.output("ledger-entries"):
        accounts = moved.setdefault(entry["order_guid"], Counter())
        accounts[entry["debit_account"]] += abs(entry["amount_minor"])
        accounts[entry["credit_account"]] -= abs(entry["amount_minor"])
    for state in played.states.values():
        accounts = moved.get(state["order_guid"], Counter())
        kept = state["paid_minor"] - state["refunded_minor"]
        assert sum(accounts.values()) == 0
        assert sum(accounts[name] for name in ("cash", "platform_fees", "commissions", "freight_insurance")) == kept
    levels = Counter[tuple[str, str | None, str]]()
    for row in played.output("stock-ledger"):
        levels[row["sku"], None if row["pool"] == "held" else row["warehouse"], row["pool"]] += row["delta"]
    for sku, state in last(once(seed), "inventory-states").items():
        assert state["held"] == levels[sku, None, "held"]
        for place, pools in state["warehouses"].items():
            assert {pool: levels[sku, place, pool] for pool in pools} == pools
    for topic in (name for name in topology.load().topics if name.endswith("-requests") and name != "tax-requests"):
        assert max(Counter(row["request_id"] for row in played.output(topic)).values(), default=1) == 1
    for topic in PUBLIC:
        for sent in once(seed).log.order.get(topic, ()):
            assert not [word for word in PRIVATE if word.encode() in (sent.value() or b"")]
