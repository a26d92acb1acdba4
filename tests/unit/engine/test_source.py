"""How long an agent's source waits for more records after the first."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from streams import catalogue
from streams.engine import Agent, source, topics
from streams.engine.errors import Misconfigured, Unreachable
from streams.engine.joint import task_of
from streams.engine.record import LocalRecord
from streams.engine.source import JOIN_SECONDS, KafkaSource
from streams.engine.store import MemoryStore
from streams.engine.topics import check_topics
from tests.unit.engine.support import JsonTopics


class StubConsumer:
    """Has one record, and notes how it is asked for more."""

    asked: list[tuple[int, float]]

    def __init__(self, conf: Any) -> None:
        self.asked = []

    def subscribe(self, topics: Any, **callbacks: Any) -> None:
        self.callbacks = callbacks

    def assign(self, places: Any) -> None: ...

    def unassign(self) -> None: ...

    def pause(self, places: Any) -> None: ...

    def resume(self, places: Any) -> None: ...

    def poll(self, timeout: float) -> Any:
        return LocalMessage("in", 0, 0, b"k", b"{}")

    def consume(self, count: int, timeout: float) -> list[Any]:
        self.asked.append((count, timeout))
        return []


class LocalMessage(LocalRecord):
    """A record as a consumer gives it."""

    def error(self) -> None: ...

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return [(self._header, None)] if self._header else None


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize("seconds", [1, 6, 900, 1800])
def test_every_session_timeout_that_may_be_set_makes_a_consumer(seconds: int, protocol: str, tmp_path: Path) -> None:
    one = KafkaSource(
        Agent("one", ("in",)), JsonTopics(), {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, group="g",
        instance="i", folder=tmp_path, batch_size=100, session_timeout_ms=seconds * 1000, group_protocol=protocol,
        on_outcome=lambda *_: None, on_restore=lambda *_: None,
    )  # fmt: skip
    one.close()


def made(agent: Agent, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(source, "Consumer", StubConsumer)
    return KafkaSource(
        agent, JsonTopics(), {}, group="g", instance="i", folder=folder, batch_size=100,
        session_timeout_ms=6000, group_protocol="classic", on_outcome=lambda *_: None, on_restore=lambda *_: None,
    )  # fmt: skip


@pytest.mark.parametrize(("options", "seconds"), [({}, 0.002), ({"aside": True}, 0.1)])
def test_after_the_first_record_it_waits_as_long_as_the_agent_gathers(
    options: dict[str, Any], seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(Agent("one", ("in",), **options), tmp_path, monkeypatch)
    one.poll(0.1, 0)
    assert one._consumer.asked == [(99, seconds)]


@pytest.mark.parametrize("more", [True, False])
def test_with_timers_due_or_records_held_it_gathers_no_more(
    more: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent("one", ("in",), aside=True)
    agent.fold(lambda *_: None)
    one = made(agent, tmp_path, monkeypatch)
    task = task_of(agent, 1, MemoryStore(), JsonTopics())
    one.hold([] if more else [(task, {"in": [LocalMessage("in", 1, 0, b"k", b"{}")]})], more)
    one.poll(0.1, 0)
    one.hold([], False)
    one.poll(0.1, 0)
    assert one._consumer.asked == [(99, 0.0), (99, 0.1)]


def test_nobody_on_the_way_of_an_order_stands_aside() -> None:
    on_the_way = {"intake", "channels", "identity", "orders", "inventory"}
    assert {agent.name for agent in catalogue.choose(None) if not agent.aside} == on_the_way


def test_an_assignment_that_fails_or_never_comes_loses_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    one = made(Agent("one", ("in",)), tmp_path, monkeypatch)
    callbacks = one._consumer.callbacks
    now[0] += JOIN_SECONDS
    one.poll(0.1, 0)
    callbacks["on_assign"](one._consumer, [])
    now[0] += 10 * JOIN_SECONDS
    one.poll(0.1, 0)  # it has its partitions, though there are none
    callbacks["on_revoke"](one._consumer, [])
    now[0] += JOIN_SECONDS + 1
    with pytest.raises(Unreachable, match="no answer from the group coordinator for 60 s"):
        one.poll(0.1, 0)
    assert one.lost

    two = made(Agent("two", ("in",)), tmp_path, monkeypatch)

    def away(*_: Any) -> None:
        raise Unreachable("cannot restore")

    monkeypatch.setattr(two, "_open", away)
    two._consumer.callbacks["on_assign"](two._consumer, [])
    with pytest.raises(Unreachable, match="cannot restore"):
        two.poll(0.1, 0)
    assert two.lost


def test_what_was_polled_before_its_place_came_anew_is_read_again_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would lie before those that were held back and are read again, and they would count as known."""
    agent = Agent("one", ("in", "other"))
    agent.fold(lambda ctx, key, event: None)
    monkeypatch.setattr(source, "fence_dead_owners", lambda *_: None)
    one = made(agent, tmp_path, monkeypatch)
    consumer, aligner = one._consumer, one._aligner
    log = [LocalMessage("in", 0, number, b"k", b"{}") for number in range(6)]
    position, moves = [0], [False, True, False]

    def read() -> LocalMessage:
        position[0] += 1
        return log[position[0] - 1]

    def consume(count: int, timeout: float) -> list[LocalMessage]:
        if moves.pop(0):
            consumer.callbacks["on_revoke"](consumer, places())
            assign()
        return [read()]

    def places() -> list[TopicPartition]:
        return [TopicPartition(topic, 0, 0) for topic in ("in", "other")]

    def assign() -> None:
        consumer.callbacks["on_assign"](consumer, places())
        position[0] = 0

    consumer.committed = lambda asked, seconds: places()
    consumer.poll = lambda timeout: read()
    consumer.consume = consume
    assign()
    for _ in range(3):  # nothing of it is folded yet: other topics are behind
        aligner.put(one._consumed(0.0, one.batch_size))
    assert [record.offset() for record in aligner.take(100)[0]["in"]] == [0, 1, 2]


@pytest.mark.parametrize("incremental", [False, True])
def test_it_is_settled_from_the_end_of_a_restore_until_all_is_shared_out_anew(
    incremental: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(Agent("one", ("in",)), tmp_path, monkeypatch)
    consumer, one._incremental = one._consumer, incremental
    consumer.incremental_assign = consumer.incremental_unassign = lambda places: None
    during: list[bool] = []
    monkeypatch.setattr(one, "_open", lambda *_: during.append(one.settled))
    seen = [one.settled]
    for callback in ("on_assign", "on_revoke", "on_assign"):
        consumer.callbacks[callback](consumer, [])
        seen.append(one.settled)
    # What the protocol `consumer` takes away is another's; the rest stays.
    assert (seen, during) == ([False, True, incremental, True], [False, False])


@pytest.mark.parametrize("missing", ["in", "out", "oms-one-changelog", "dead-letters"])
def test_a_topic_that_is_missing_is_named_before_anything_is_read(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dead-letters the first bad record could not be passed over, and would be tried again and again."""
    agent = Agent("one", ("in",), writes=("out",))
    agent.table("rows")
    there = {"in", "out", "oms-one-changelog", "dead-letters"} - {missing}
    topic = SimpleNamespace(error=None, partitions={0: None})
    answer = SimpleNamespace(topics=dict.fromkeys(there, topic))
    monkeypatch.setattr(topics, "AdminClient", lambda conf: SimpleNamespace(list_topics=lambda timeout: answer))
    with pytest.raises(Misconfigured, match=f"agent one: topic {missing} is missing on the broker"):
        check_topics({}, [agent])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_batch_of_one_record_from_several_topics_waits_for_no_more(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(Agent("one", ("in", "other")), tmp_path, monkeypatch)
    one.batch_size = size
    polls = [LocalMessage("in", 0, 0, b"k", b"{}"), LocalMessage("other", 0, 0, b"k", b"{}"), None, None]

    def poll(timeout: float) -> Any:
        assert polls, "it polls on and on"
        return polls.pop(0)

    one._consumer.poll = poll
    got = [topic for _ in range(2) for topic in one._aligned(one._aligner, 0.1, one.batch_size).get(0, {})]
    assert sorted(got) == ["in", "other"]


def test_records_before_a_task_s_position_are_passed_over_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They come when a topic was made anew: to the client its position is out of range, and it begins at the start."""
    agent = Agent("one", ("in",))
    agent.fold(lambda ctx, key, event: None)
    one = made(agent, tmp_path, monkeypatch)
    one.tasks[0] = task_of(agent, 0, MemoryStore(), JsonTopics())
    one.tasks[0].start_at("in", 3)
    records = [LocalMessage("in", 0, number, b"k", b"{}") for number in range(5)]
    one._consumer.poll = lambda timeout: records[0]
    one._consumer.consume = lambda count, timeout: records[1:]
    [(_, sources)] = one.poll(0.1, 0).parts
    assert [record.offset() for record in sources["in"]] == [3, 4]
    assert "one: passes over 3 records of in/0 before its position 3" in caplog.text


def test_a_restore_that_fails_lets_go_of_its_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next try could not open them: a store is opened once."""
    tries = []

    def restored(*_: Any) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise Unreachable("cannot restore")
        return 0

    monkeypatch.setattr(source, "restore", restored)
    monkeypatch.setattr(source, "fence_dead_owners", lambda *_: None)
    agent = Agent("one", ("in",))
    agent.table("rows")
    agent.fold(lambda ctx, key, event: None)
    one = made(agent, tmp_path, monkeypatch)
    places = [TopicPartition("in", number, 0) for number in (0, 1)]
    monkeypatch.setattr(StubConsumer, "committed", lambda self, asked, seconds: places, raising=False)
    with pytest.raises(Unreachable) as kept:  # with its frames, as the source keeps it for the next poll
        one._open(one._consumer, places)
    assert one.tasks == {}
    one._open(one._consumer, places)
    assert sorted(one.tasks) == [0, 1]
    assert kept.value.__traceback__ is not None
    for task in one.tasks.values():
        task.close()
