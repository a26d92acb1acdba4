"""How long an agent's source waits for more records after the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams import catalogue
from streams.engine import Agent, source
from streams.engine.local import LocalRecord
from streams.engine.source import KafkaSource
from tests.unit.engine.support import JsonTopics


class StubConsumer:
    """Has one record, and notes how it is asked for more."""

    asked: list[tuple[int, float]]

    def __init__(self, conf: Any) -> None:
        self.asked = []

    def subscribe(self, topics: Any, **callbacks: Any) -> None: ...

    def poll(self, timeout: float) -> Any:
        record: Any = LocalRecord("in", 0, 0, b"k", b"{}")
        return type("Message", (), {"error": lambda self: None, "partition": lambda self: record.partition()})()

    def consume(self, count: int, timeout: float) -> list[Any]:
        self.asked.append((count, timeout))
        return []


@pytest.mark.parametrize(("options", "seconds"), [({}, 0.002), ({"gathers": 0.25}, 0.25)])
def test_after_the_first_record_it_waits_as_long_as_the_agent_gathers(
    options: dict[str, Any], seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "Consumer", StubConsumer)
    one = KafkaSource(
        Agent("one", ("in",), **options), JsonTopics(), {}, group="g", instance="i", folder=tmp_path, batch_size=100,
        session_timeout_ms=6000, group_protocol="classic", on_outcome=lambda *_: None, on_restore=lambda *_: None,
    )  # fmt: skip
    one.poll(0.1, 0)
    assert one._consumer.asked == [(99, seconds)]


def test_nobody_on_the_way_of_an_order_gathers() -> None:
    on_the_way = {"intake", "channels", "identity", "orders", "inventory"}
    assert {agent.name for agent in catalogue.choose(None) if agent.gathers < 0.01} == on_the_way
