"""What a worker says of an order that the gate of its channel holds back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from streams import topology, views
from streams.agents.channels import channels
from streams.engine.record import LocalRecord
from streams.engine.store import MemoryStore
from streams.engine.task import Task
from streams.engine.turn import Batch, Turn
from tests.support.channel_world import missed
from tests.unit.engine.support import NotedTransaction

AT = 1_770_000_000_000


def app_of(*messages: dict[str, Any]) -> Any:
    """A worker whose channels agent has folded these messages of channel douyin at one moment."""
    task = Task(channels, 0, MemoryStore(), topology.load(), fatal=NotedTransaction.fatal)
    records = [
        LocalRecord("channel-facts", 0, n, b"douyin", orjson.dumps(message)) for n, message in enumerate(messages)
    ]
    Turn(channels.name, NotedTransaction(), lambda: AT).run(Batch([(task, {"channel-facts": records})], len(records)))
    seat = SimpleNamespace(agent=channels, source=SimpleNamespace(tasks={0: task}))
    return SimpleNamespace(sources=[SimpleNamespace(name="channels", runner=SimpleNamespace(seats=[seat]))])


def order(order_no: str) -> dict[str, Any]:
    fact = {"event_type": "order_created", "event_time": AT, "event_id": order_no, "source": "douyin"}
    return {"do": "event", "code": ["order_no", "douyin", order_no], "fact": {**fact, "topic": "orders"}}


LIMIT = {
    "event_type": "reference_set",
    "event_time": AT,
    "event_id": "r",
    "source": "ops",
    "topic": "ops",
    "value": orjson.dumps({"kind": "channel", "channel": "douyin", "qps": 1}).decode(),
}


@pytest.mark.rule("BRK-03")
def test_orders_beyond_the_limit_are_told_with_their_place_in_the_queue() -> None:
    app = app_of(LIMIT, order("1"), order("2"), order("3"))
    assert views.code(app, "1") is None
    for number, place in (("2", 1), ("3", 2)):
        told = views.code(app, number)
        assert told is not None
        assert told["guid"] is None
        assert told["held"] == {"channel": "douyin", "position": place, "suspended": False, "since": None}


@pytest.mark.rule("BRK-01")
@pytest.mark.parametrize(("waited", "suspended"), [(30_000, True), (30_001, False)])
def test_a_live_worker_judges_no_order_missing_where_facts_lie_unread(waited: int, suspended: bool) -> None:
    class Stored(LocalRecord):
        def timestamp(self) -> tuple[int, int]:
            return 1, AT - waited

    task = Task(channels, 0, MemoryStore(), topology.load(), fatal=NotedTransaction.fatal)
    records = [
        Stored("channel-facts", 0, number, b"douyin", orjson.dumps(missed("douyin", number, AT))) for number in range(3)
    ]
    Turn(channels.name, NotedTransaction(), lambda: AT).run(Batch([(task, {"channel-facts": records})], 3))
    row = task.tables[channels.tables["gates"]].get("douyin")
    assert (row["since"] is not None) == suspended
