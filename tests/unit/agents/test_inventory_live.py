"""The inventory agent in a live worker that is told late: by a second on the way, or by months out of a backlog."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams import topology
from streams.agents.inventory import inventory
from streams.engine.record import LocalRecord
from streams.engine.store import MemoryStore
from streams.engine.task import Task
from streams.engine.turn import Batch, Turn
from tests.unit.engine.support import NotedTransaction

MINUTE = 60_000
AT = 1_770_000_000_000


class Live:
    """One partition; the wall clock is `behind` ms ahead of the events."""

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.wall = AT + behind
        self.transaction = NotedTransaction()
        self.task = Task(inventory, 0, MemoryStore(), topology.load(), fatal=NotedTransaction.fatal)
        self._turn = Turn(inventory.name, self.transaction, lambda: self.wall)
        self.told = 0

    def tell(self, now: int, **message: Any) -> None:
        """A message of `now` ms after the beginning comes in, `behind` ms later."""
        self.wall = AT + now + self.behind
        payload = orjson.dumps({"sku": "S", **message})
        record = LocalRecord("stock-commands", 0, self.told, b"S", payload)
        self.told += 1
        self._turn.run(Batch([(self.task, {"stock-commands": [record]})], 1))

    def wait(self, at: int) -> None:
        """No messages until then; a turn where a timer is due, as the worker does."""
        self.wall = AT + at + self.behind
        if self.task.timers.next_due <= self.task.clock(self.wall):
            self._turn.run(Batch([(self.task, {})], 0))

    def order(self, at: int, do: str, guid: str = "O") -> None:
        self.tell(at, do=do, order_guid=guid, at=AT + at, round=0, lines=[[1, 5]])

    def reference(self, at: int, units: int) -> None:
        stock = {"kind": "stock", "sku": "S", "warehouse": "W", "pool": "sales", "quantity": units}
        self.tell(at, event_type="reference_set", event_time=AT + at, topic="ops", source="s", event_id="1", set=stock)

    def answers(self) -> list[str]:
        replies = [orjson.loads(value or b"") for topic, value, _ in self.transaction.sent if topic == "order-facts"]
        return [reply["lines"][0][1] for reply in replies]


@pytest.mark.rule("INV-06", "INV-07", "INV-08")
@pytest.mark.parametrize("behind", [0, 3_000, 90 * 24 * 60 * MINUTE])
def test_a_payment_made_in_time_finds_its_hold_however_late_both_are_told(behind: int) -> None:
    live = Live(behind)
    live.reference(0, 5)
    live.order(1, "reserve")
    live.wait(15 * MINUTE)
    live.order(15 * MINUTE, "confirm")
    assert live.answers() == ["held", "confirmed"]


@pytest.mark.rule("INV-06")
@pytest.mark.parametrize("behind", [0, 3_000, 90 * 24 * 60 * MINUTE])
def test_an_unpaid_hold_ends_after_the_time_it_was_given_however_late_it_was_told(behind: int) -> None:
    live = Live(behind)
    live.reference(0, 5)
    live.order(0, "reserve")
    live.wait(15 * MINUTE - 1)
    live.order(15 * MINUTE - 1, "reserve", "second")
    live.wait(15 * MINUTE)
    live.order(15 * MINUTE, "reserve", "third")
    assert live.answers() == ["held", "refused", "expired", "held"]


def test_the_first_hold_of_an_order_asks_the_store_for_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    live, asked = Live(0), list[bytes]()
    live.reference(0, 100)
    get = live.task.store.get

    def noted(key: bytes) -> bytes | None:
        asked.append(key)
        return get(key)

    monkeypatch.setattr(live.task.store, "get", noted)
    live.order(1, "reserve")
    assert live.answers() == ["held"]
    assert [key for key in asked if b"\0hold\0" in key] == []
    live.order(2, "confirm")
    live.wait(60 * MINUTE)
    assert live.answers() == ["held", "confirmed"]
