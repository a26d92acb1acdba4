"""Random histories of stock: the agent against a plain second telling of the rules, after every step.

Deliveries, orders, carts, payments, cancellations, refunds, moves, counts, quotas and activities come late, early and
twice; expiries fall where they fall; the worker dies at any step of any turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import topology
from streams.agents.inventory import inventory
from streams.engine.local import Abort, Crash, LocalRunner
from tests.property.stock_histories import T0, Message, history
from tests.property.stock_oracle import DAY, HOLD, Oracle, Sku
from tests.support.effort import SOAK

CODECS = topology.load()
NORMAL, LONG = 2_000, 100_000
OUTPUTS = ("order-facts", "stock-ledger", "inventory-states", "oversell-breaks", "alert-facts", "dead-letters")
LONG_AFTER = T0 + 400 * DAY


class Run:
    """The agent in process. `rate`: chance of a fault at each step of each turn."""

    def __init__(self, batch: int = 1, rate: float = 0.0, seed: int = 0) -> None:
        self._random = Random(seed)
        self._rate = rate
        self.runner = LocalRunner(
            [inventory], CODECS, partitions=1, batch=batch, received_at=T0, fault=self._fault if rate else None
        )
        self._read: Counter[str] = Counter()

    def send(self, message: Message) -> None:
        self.runner.send("stock-commands", message, message["sku"])

    def rest(self, until: int | None = None) -> None:
        while True:
            try:
                return self.runner.run() if until is None else self.runner.advance(until)
            except Crash:
                if self._random.random() < 0.3:
                    self.runner.crash(0, lose_stores=True)

    def fresh(self, topic: str) -> list[dict[str, Any]]:
        """Values since the last call."""
        decode = CODECS.decoder(topic)
        found = self.runner.log.order.get(topic, [])[self._read[topic] :]
        self._read[topic] += len(found)
        return [decode(record.value() or b"") for record in found]

    def written(self, topics: Iterable[str] = OUTPUTS) -> dict[str, list[tuple[bytes | None, bytes | None]]]:
        log = self.runner.log.order
        return {topic: [(record.key(), record.value()) for record in log.get(topic, ())] for topic in topics}

    def last_states(self) -> dict[bytes | None, bytes | None]:
        return dict(self.written(["inventory-states"])["inventory-states"])

    def _fault(self, agent: str, worker: int, step: str) -> None:
        if self._random.random() < self._rate:
            raise Abort if step in ("fold", "collect") else Crash


class Watch:
    """What the outputs say, kept up step by step, and held against the oracle."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.oracle = Oracle()
        self.sums: Counter[tuple[str, str | None, str]] = Counter()
        self.states: dict[str, dict[str, Any]] = {}
        self.replies: dict[str, list[Any]] = {}
        self.refused = 0

    def step(self, message: Message) -> None:
        self.run.send(message)
        self.run.rest()
        self.oracle.tell(message)
        self.look()

    def end(self) -> None:
        self.run.rest(LONG_AFTER)
        self.oracle.pass_time(LONG_AFTER)
        self.look()

    def look(self) -> None:
        for row in self.run.fresh("stock-ledger"):
            assert row["delta"] != 0
            self.sums[row["sku"], row["warehouse"], row["pool"]] += row["delta"]
        for state in self.run.fresh("inventory-states"):
            self.states[state["sku"]] = state
        self.refused += len(self.run.fresh("dead-letters"))
        for reply in self.run.fresh("order-facts"):
            lines = [(line[0], line[1], line[2]) for line in reply["lines"]]
            self.replies.setdefault(reply["sku"], []).append((reply["order_guid"], reply["do"], lines))
        assert self.refused == self.oracle.refused
        for name, sku in self.oracle.skus.items():
            assert sorted(self.replies.get(name, ())) == sorted(sku.replies)
            if name in self.states:
                self._adds_up(self.states[name])
                self._is_as_told(self.states[name], sku)
            else:
                assert not sku.touched

    def _adds_up(self, state: dict[str, Any]) -> None:
        """From the outputs alone."""
        pools = {
            (state["sku"], warehouse, pool): units
            for warehouse, levels in state["warehouses"].items()
            for pool, units in levels.items()
        }
        ledger = {place: units for place, units in self.sums.items() if place[0] == state["sku"] and units}
        pools[state["sku"], None, "held"] = state["held"]
        assert {place: units for place, units in pools.items() if units} == ledger
        sales = [levels["sales"] for levels in state["warehouses"].values()]
        assert state["held"] + state["available"] == sum(sales)
        assert state["oversold"] == sum(-units for units in sales if units < 0)
        assert min([state["held"], state["vouchers"], state["frozen"], state["virtual"], state["owed"]]) >= 0
        assert state["vouchers"] <= state["held"]
        assert all(units >= 0 for (_, _, pool), units in pools.items() if pool != "sales")

    def _is_as_told(self, state: dict[str, Any], sku: Sku) -> None:
        levels = {(w, p): n for w, pools in state["warehouses"].items() for p, n in pools.items() if n}
        assert levels == {place: units for place, units in sku.levels.items() if units}
        assert (state["held"], state["frozen"], state["aside"]) == (sku.held(), sku.frozen(), sku.aside())
        assert state["vouchers"] == sum(units for units, _ in sku.carts.values())
        assert state["virtual"] == sum(sum(order.virtual.values()) for order in sku.orders.values())
        assert (state["paused"], state["owed"]) == (sku.paused, sku.debt)
        assert sku.sold <= sku.existed + sku.gap()
        assert sku.debt >= -sku.pool("sales")


def is_overdue(messages: list[Message]) -> bool:
    """Whether a hold may be over before it is made. It ends with the next step, be that a record or a turn away."""
    latest = 0
    for message in messages:
        at = message["at"] if "do" in message else message["event_time"]
        if at + HOLD <= latest:
            return True
        latest = max(latest, at)
    return False


def check(data: bytes, seed: int) -> None:
    messages = history(data)
    watch = Watch(Run())
    for message in messages:
        watch.step(message)
    watch.end()
    for sku in watch.oracle.skus.values():
        assert not sku.lines("held")
        assert not sku.carts
    for name in ("vouchers", "seen"):
        assert not watch.run.runner.table("inventory", name)

    broken = Run(rate=0.1, seed=seed)
    for message in messages:
        broken.send(message)
        broken.rest()
    broken.rest(LONG_AFTER)
    assert broken.written() == watch.run.written()

    if is_overdue(messages):
        return
    flood = Run(batch=7, rate=0.05, seed=seed)
    for message in messages:
        flood.send(message)
    flood.rest(LONG_AFTER)
    # In a turn of many records states are sent once, and dead letters bear the time of the turn.
    steps = [topic for topic in OUTPUTS if topic not in ("inventory-states", "dead-letters")]
    assert flood.written(steps) == watch.run.written(steps)
    assert flood.last_states() == watch.run.last_states()


@pytest.mark.rule("INV-01", "INV-02", "INV-03", "INV-04", "INV-05", "INV-06", "INV-07", "INV-08", "INV-10", "INV-11")
@settings(max_examples=NORMAL, deadline=None)
@given(st.binary(min_size=40, max_size=100), st.integers(0, 2**16))
def test_every_step_of_random_histories_is_as_the_rules_say(data: bytes, seed: int) -> None:
    check(data, seed)


def test_the_histories_lead_everywhere() -> None:
    random, runs = Random(5), []
    for seed in range(250):
        run = Run(seed=seed)
        for message in history(random.randbytes(160)):
            run.send(message)
        run.rest(LONG_AFTER)
        runs.append(run)
    replies = [reply for run in runs for reply in run.fresh("order-facts")]
    assert {(reply["do"], line[1], line[2]) for reply in replies for line in reply["lines"]} >= {
        *(("reserve", outcome, None) for outcome in ("held", "confirmed", "released", "expired", "unmanaged")),
        *(("reserve", "refused", reason) for reason in ("out_of_stock", "quota_spent", "reserved_short")),
        ("reserve", "refused", "bad_quantity"),
        *(("confirm", outcome, None) for outcome in ("confirmed", "oversold", "returned", "unmanaged")),
        *(("release", outcome, None) for outcome in ("released", "returned")),
        ("confirm", "refused", "bad_quantity"),
        ("return", "returned", None),
        ("expire", "expired", None),
    }
    assert {row["reason"] for run in runs for row in run.fresh("stock-ledger")} == {
        "received", "reserved", "confirmed", "released", "expired", "moved", "returned", "snapshot_correction",
    }  # fmt: skip
    assert {row["action"] for run in runs for row in run.fresh("oversell-breaks")} == {"pause", "release"}
    assert {row["rule"] for run in runs for row in run.fresh("alert-facts")} == {"INV-08", "INV-10", "INV-11"}
    assert len({letter["error"] for run in runs for letter in run.fresh("dead-letters")}) > 10


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not SOAK, reason="a long run: set OMS_SOAK=1")
def test_a_hundred_thousand_long_histories() -> None:
    random = Random(11)
    for seed in range(LONG):
        data = random.randbytes(random.choice((40, 100, 240)))
        try:
            check(data, seed)
        except AssertionError as error:
            raise AssertionError(f"history {data.hex()}, seed {seed}") from error
