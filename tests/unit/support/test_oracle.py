"""The oracle of the broker tests, held against the in-process runner: it agrees, and it sees what is wrong."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.engine import Agent, Context
from streams.engine.local import LocalRunner
from tests.support.compare import differences
from tests.support.oracle import recompute
from tests.support.records import Record


class JsonTopics:
    """Every topic holds JSON."""

    def encoder(self, topic: str) -> Any:
        return lambda value: orjson.dumps(value, default=repr)  # dead letters hold bytes

    def decoder(self, topic: str) -> Any:
        return orjson.loads


def counting() -> Agent:
    agent = Agent("counts", sources=("in",), writes=("steps", "totals"))
    rows = agent.table("rows")

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: dict[str, Any]) -> None:
        name = event["name"]
        total = ctx[rows].get(name, {"n": 0})["n"] + event["n"]
        ctx[rows][name] = {"n": total}
        if event["n"] == 7:
            raise ValueError("seven")
        if event["n"] == 8:
            ctx.refuse("eight")
        ctx.emit("steps", name, {"n": total, "id": event["id"]})
        ctx.emit_latest("totals", name, {"n": total})
        if event["n"] == 9:
            ctx.timers.set("late", name, event["at"] + 50)

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, at: int) -> None:
        ctx.emit("steps", key, {"n": -1, "id": at})

    @agent.time_of
    def time_of(event: dict[str, Any]) -> int:
        return int(event["at"])

    return agent


@pytest.fixture
def ran() -> dict[str, list[Record]]:
    runner = LocalRunner([counting()], JsonTopics(), partitions=1)
    for number in range(200):
        runner.send("in", {"id": number, "name": f"k{number % 5}", "n": number % 11, "at": 1000 + number * 7}, key="x")
    runner.run()
    return {
        topic: [Record(topic, r.partition(), r.offset(), r.key(), r.value()) for r in runner.log.topics[topic][0]]
        for topic in ("in", "steps", "totals", "dead-letters")
    }


def findings(ran: dict[str, list[Record]]) -> list[str]:
    topics = JsonTopics()
    sent = recompute(counting(), topics, {"in": ran["in"]})
    return [
        text
        for topic in ("steps", "totals", "dead-letters")
        for text in differences(topic, ran[topic], [one for one in sent if one.topic == topic], topics.decoder(topic))
    ]


def test_it_agrees_with_the_engine_on_outputs_timers_failures_and_refusals(ran: dict[str, list[Record]]) -> None:
    assert len(ran["dead-letters"]) > 30
    assert any(record.value and b'"n":-1' in record.value for record in ran["steps"])
    assert findings(ran) == []


@pytest.mark.parametrize("topic", ["steps", "totals", "dead-letters"])
def test_it_sees_a_record_that_is_there_twice(ran: dict[str, list[Record]], topic: str) -> None:
    ran[topic].append(ran[topic][3])
    assert findings(ran)


@pytest.mark.parametrize("topic", ["steps", "totals", "dead-letters"])
def test_it_sees_that_the_last_record_is_missing(ran: dict[str, list[Record]], topic: str) -> None:
    ran[topic].pop()
    assert findings(ran)


def test_it_sees_two_records_of_a_key_in_the_wrong_order(ran: dict[str, list[Record]]) -> None:
    steps = ran["steps"]
    first = next(at for at, record in enumerate(steps) if record.key == b"k1")
    second = next(at for at, record in enumerate(steps) if record.key == b"k1" and at > first)
    steps[first], steps[second] = steps[second], steps[first]
    assert findings(ran)
