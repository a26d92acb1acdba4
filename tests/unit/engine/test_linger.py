"""How long a batch waits for more: not at all where somebody waits for the answer, a while where nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine import AT_ONCE, GATHERED, Agent
from streams.engine.source import KafkaSource


class Message:
    def error(self) -> None:
        return None

    def partition(self) -> int:
        return 3

    def topic(self) -> str:
        return "in"


class StandInConsumer:
    """Has one record at once and two more within the time it is given; notes what it was asked for."""

    def __init__(self, *first: Message) -> None:
        self.first = [*first]
        self.asked: list[tuple[int, float]] = []

    def poll(self, timeout: float) -> Message | None:
        return self.first.pop() if self.first else None

    def consume(self, count: int, timeout: float) -> list[Message]:
        self.asked.append((count, timeout))
        return [Message(), Message()]


def source(agent: Agent, consumer: StandInConsumer) -> Any:
    made: Any = KafkaSource.__new__(KafkaSource)
    made.agent, made.batch_size, made._consumer, made._failure = agent, 10, consumer, None
    return made


@pytest.mark.parametrize(("options", "seconds"), [({}, AT_ONCE), ({"linger": GATHERED}, GATHERED)])
def test_after_its_first_record_a_batch_waits_as_long_as_its_agent_says(
    options: dict[str, float], seconds: float
) -> None:
    consumer = StandInConsumer(Message())
    grouped = source(Agent("a", ("in",), **options), consumer)._consumed(0.1)  # type: ignore[arg-type]
    assert consumer.asked == [(9, seconds)]
    assert len(grouped[3]["in"]) == 3


def test_without_a_first_record_nobody_waits() -> None:
    consumer = StandInConsumer()
    assert source(Agent("a", ("in",), linger=GATHERED), consumer)._consumed(0.1) == {}
    assert consumer.asked == []


def test_the_agents_on_the_way_of_a_reservation_answer_at_once() -> None:
    from streams.agents import ALL

    swift = {agent.name for agent in ALL if agent.linger == AT_ONCE}
    assert swift == {"intake", "channels", "identity", "orders", "inventory", "calls"}
