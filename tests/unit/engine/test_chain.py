"""A chain over stand-ins for Kafka: what is handed over, what goes by its topic, what one agent's end is to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.engine import Agent, Context, SourceStopped
from streams.engine.align import Place
from streams.engine.chain import FEW, Chain, ChainRunner
from streams.engine.dead_letters import Limits
from streams.engine.ends import Ends
from streams.engine.handover import Handover
from streams.engine.joint import task_of
from streams.engine.record import LocalRecord
from streams.engine.runner import Observer, RunnerConfig
from streams.engine.store import MemoryStore
from streams.engine.task import Task
from streams.engine.turn import Batch, Report, Turn
from tests.unit.engine.support import JsonTopics, NotedTransaction

HEADER = "oms-folded-sums"


def split() -> Agent:
    agent = Agent("split", ("numbers",), ("parts", "out"))

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: Any) -> None:
        for number in event["n"]:
            ctx.emit("parts", event["key"], {"n": number, "at": event.get("at", 0), "boom": event.get("boom")})
        ctx.emit("out", event["key"], "split")

    return agent


def sums() -> Agent:
    agent = Agent("sums", ("parts",), ("parts", "out"))
    table = agent.table("sums")

    @agent.time_of
    def time_of(event: Any) -> int:
        return int(event["at"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: Any) -> None:
        name = (key or b"").decode()
        ctx[table][name] = ctx[table].get(name, 0) + event["n"]
        if event.get("boom"):
            raise ValueError("boom")
        if event["n"] > 9:  # one for itself
            ctx.emit("parts", name, {"n": event["n"] - 10, "at": event["at"]})
        ctx.timers.set("due", f"{name}/{event['n']}", event["at"] + 100)
        ctx.emit_latest("out", name, {"sum": ctx[table][name]})

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, due: int) -> None:
        ctx.emit("out", key, {"due": due})

    return agent


class World:
    """Both agents over one partition, no broker; ``at_end``: whether the second has read all there is."""

    def __init__(self, shared: bool = False, most: int = 100) -> None:
        self.agents = split(), sums()
        self.transaction = NotedTransaction()
        self.first, self.second = (task_of(agent, 0, MemoryStore(), JsonTopics()) for agent in self.agents)
        self.at_end, self.now = True, 0
        chain = Chain("both", self.agents, frozenset({"parts"} if shared else ()))
        handover = Handover(chain.readers, chain.shared, lambda topic, number: self.second if self.at_end else None)
        self._turn = Turn("both", self.transaction, lambda: self.now, live=False, most_fired=most, handover=handover)
        self._next = 0
        self.second.start_at("parts", 0)

    def turn(self, *events: dict[str, Any]) -> Report:
        records = []
        for event in events:
            records.append(LocalRecord("numbers", 0, self._next, b"k", orjson.dumps(event)))
            self._next += 1
        return self._turn.run(Batch([(self.first, {"numbers": records})], len(records)))

    def sums(self) -> dict[str, int]:
        assert isinstance(self.second, Task)
        return dict(self.second.tables[self.agents[1].tables["sums"]].scan())

    def by_topic(self, topic: str = "parts") -> list[Any]:
        return [orjson.loads(value or b"") for name, value, _ in self.transaction.sent if name == topic]


def test_what_one_agent_has_for_another_is_folded_in_the_same_turn_and_in_no_topic() -> None:
    world = World()
    report = world.turn({"key": "a", "n": [1, 12]}, {"key": "b", "n": [3]})
    assert world.sums() == {"a": 15, "b": 3}, "1, 12 and the 2 it has for itself"
    assert world.by_topic() == []
    assert world.by_topic("out") == ["split", "split", {"sum": 3}, {"sum": 15}]
    assert {name: (share.records, share.timers) for name, share in report.shares.items()} == {
        "split": (2, 0),
        "sums": (4, 0),
    }
    assert report.handed == {("sums", "parts"): 4}
    assert world.transaction.offsets == [{("numbers", 0): 2, ("parts", 0): 0}], "of both groups: both are fenced"


def test_what_others_read_is_in_its_topic_too_and_says_who_has_folded_it() -> None:
    world = World(shared=True)
    headers: list[Any] = []
    forward = world.transaction.forward

    def noted(topic: str, value: bytes | None, key: bytes | None, number: int, header: Any = None) -> None:
        headers.append(header)
        forward(topic, value, key, number, header)

    world.transaction.forward = noted  # type: ignore[method-assign, assignment]
    world.turn({"key": "a", "n": [1, 12]})
    assert [part["n"] for part in world.by_topic()] == [1, 12, 2]
    assert headers == [(HEADER, b"0")] * 3


def test_a_reader_that_is_not_at_its_end_reads_all_of_the_turn_from_the_topic() -> None:
    world = World()
    world.at_end = False
    world.turn({"key": "a", "n": [1, 2]})
    assert world.sums() == {}
    assert [part["n"] for part in world.by_topic()] == [1, 2]
    world.at_end = True
    world.turn({"key": "a", "n": [3]})
    assert world.sums() == {"a": 3}, "whether it is is the source's to know"


def test_records_behind_more_timers_than_a_turn_fires_go_by_the_topic_in_order() -> None:
    world = World(most=2)
    world.turn({"key": "a", "n": [1, 2, 3, 4]})
    report = world.turn({"key": "a", "n": [5, 6], "at": 1000})
    assert (report.timers, report.more) == (2, True)
    assert world.sums() == {"a": 10}
    assert [part["n"] for part in world.by_topic()] == [5, 6]
    assert report.handed == {("sums", "parts"): 0}


def test_a_record_that_fails_where_it_is_handed_to_is_buried_alone() -> None:
    world = World()
    report = world.turn({"key": "a", "n": [1]}, {"key": "a", "n": [2], "boom": True}, {"key": "a", "n": [4]})
    assert world.sums() == {"a": 5}
    assert report.isolated
    assert {name: share.dead["rule"] for name, share in report.shares.items()} == {"split": 0, "sums": 1}
    [letter] = world.by_topic("dead-letters")
    assert (letter["topic"], letter["offset"]) == ("parts", None)
    assert orjson.loads(letter["value"])["n"] == 2


def test_a_turn_that_is_lost_leaves_nothing_with_any_of_them() -> None:
    world = World()
    world.turn({"key": "a", "n": [1]})
    world.transaction.fail = RuntimeError("no answer")
    with pytest.raises(Exception, match="no answer"):
        world.turn({"key": "a", "n": [2]})
    # (another error than the transport's stops the worker; its stores are not touched)
    assert dict(world.second.store.range(b"sums\0", b"sums\1")) == {b"sums\0a": b"1"}


def test_what_follows_a_record_that_was_not_folded_goes_by_its_topic_as_well() -> None:
    """Its own time may be before the timer that the other one waits for: it would be folded first."""
    transaction = NotedTransaction()
    hand_over = Handover({"parts": "sums"}, (), lambda topic, partition: "task")
    sink = hand_over.begin(transaction, 0)
    sink("parts", b"1", b"k")
    sink("parts", b"2", b"k")
    [(task, topic, records)] = hand_over.take()
    hand_over.folded(task, topic, records, 1)
    sink("parts", b"3", b"k")
    assert hand_over.take() == []
    transaction.commit({})
    assert [value for _, value, _ in transaction.sent] == [b"2", b"3"]


def test_the_end_is_reached_only_behind_all_that_was_written() -> None:
    ends, place = Ends(), ("parts", 0)
    ends.read(place, 99)
    assert not ends.reached(place), "never assigned"
    ends.need(place, 7)
    ends.read(place, 6)
    assert not ends.reached(place)
    ends.read(place, 7)
    assert ends.reached(place)
    ends.need(place, 9)  # this worker wrote there
    assert not ends.reached(place)
    ends.read(place, 10)
    ends.again()
    assert not ends.reached(place)
    ends.read(place, 10)
    assert ends.reached(place)
    ends.drop(place)
    assert not ends.reached(place)


def test_only_what_has_one_source_written_here_is_handed_over() -> None:
    merge = Agent("merge", ("parts", "more"), ("out",))
    assert Chain("c", (split(), sums())).readers == {"parts": "sums"}
    assert Chain("c", (split(), merge)).readers == {}
    with pytest.raises(ValueError, match="aside"):
        Chain("c", (split(), Agent("later", ("parts",), aside=True)))


# -- the runner ---------------------------------------------------------------------------------------------------


class StandIn:
    """The source of one agent."""

    def __init__(self, task: Any, did: list[str]) -> None:
        self.task, self.did, self.batch_size, self.lost = task, did, 100, False
        self.waiting: list[Any] = []
        self.ends: dict[Place, int] = {}
        self.behind = False
        self.assignments = 0
        self.places = [TopicPartition(topic, 0) for topic in task.agent.sources]

    def poll(self, timeout: float, now: int, most: int | None) -> Batch:
        records, self.waiting = self.waiting, []
        self.did.append(f"poll {self.task.agent.name} {timeout:.2f}{f' {most}' if most else ''}")
        topic = self.task.agent.sources[0]
        return Batch([(self.task, {topic: records})] if records else [], len(records))

    def receiver(self, topic: str, partition: int) -> Any:
        return self.task

    def written(self, place: Place, end: int) -> None:
        self.ends[place] = end

    def hold(self, left: object, more: bool) -> None: ...

    def rewind(self) -> None:
        self.did.append(f"rewind {self.task.agent.name}")

    def close(self) -> None:
        self.did.append(f"close {self.task.agent.name}")

    def group_metadata(self) -> str:
        return self.task.agent.name  # type: ignore[no-any-return]


class Wire(NotedTransaction):
    fatal: tuple[type[BaseException], ...] = (KafkaException, BufferError)
    broken = False

    def close(self) -> None: ...


class Told(Observer):
    def __init__(self) -> None:
        self.turns: list[tuple[str, int]] = []
        self.alive_seats: list[str] = []
        self.gone: list[str] = []

    def turn(self, agent: str, report: Report) -> None:
        self.turns.append((agent, report.records))

    def alive(self, agent: str, seat: Any) -> None:
        assert seat.agent.name == agent
        self.alive_seats.append(agent)

    def stopped(self, agent: str, why: str) -> None:
        self.gone.append(f"{agent}: {why}")


class Worker(ChainRunner):
    def __init__(self, on_stopped: Any = None) -> None:
        self.did: list[str] = []
        self.told = Told()
        config = RunnerConfig({}, "w1", Path("data"), limits=Limits(in_row=3))
        super().__init__(Chain("both", (split(), sums())), JsonTopics(), config, self.told, lambda: 0, on_stopped)
        self.open()
        self.at = 0

    def _opened_transaction(self, group_metadata: Any) -> Any:
        self.metadata = group_metadata
        self.wire = Wire()
        return self.wire

    def _opened_source(self, agent: Agent, on_outcome: Any, handed: bool = False) -> Any:
        self.did.append(f"open {agent.name}{' handed' if handed else ''}")
        task = task_of(agent, 0, MemoryStore(), JsonTopics(), fatal=Wire.fatal, on_outcome=on_outcome)
        task.start_at(agent.sources[0], 0)
        return StandIn(task, self.did)

    def take(self, *events: dict[str, Any]) -> int:
        source: Any = self.seats[0].source
        source.waiting = [LocalRecord("numbers", 0, self.at + n, b"k", orjson.dumps(e)) for n, e in enumerate(events)]
        self.at += len(events)
        return self.step()

    @property
    def sent(self) -> list[str]:
        return [topic for topic, _, _ in self.wire.sent]


def test_a_chain_polls_all_waits_for_the_first_and_tells_of_each() -> None:
    worker = Worker()
    assert worker.did == ["open split", "open sums handed"]
    worker.did.clear()
    assert worker.take({"key": "a", "n": [1, 2]}) == 1
    assert worker.did == ["poll sums 0.00", "poll split 0.01"]
    assert worker.told.turns == [("split", 1), ("sums", 2)]
    assert worker.told.alive_seats == ["split", "sums"]
    assert [worker.metadata(topic) for topic in ("numbers", "parts", "other")] == ["split", "sums", None]


def test_while_one_has_to_read_up_those_before_it_bring_few_records() -> None:
    """Else more would go by its topic, turn by turn, than it reads between two turns, and it would never be done."""
    worker = Worker()
    sources: list[Any] = [seat.source for seat in worker.seats]
    worker.did.clear()
    sources[1].behind = True
    worker.step()
    assert worker.did == ["poll sums 0.01", f"poll split 0.01 {FEW}"]
    worker.did.clear()
    sources[0].behind = True
    worker.step()
    assert worker.did == ["poll sums 0.01", "poll split 0.01"]


def test_after_an_assignment_all_that_is_there_is_to_be_read_first() -> None:
    """The former owner may have written to the places of agents further on."""
    worker, asked = Worker(), list[list[str]]()
    sources: list[Any] = [seat.source for seat in worker.seats]
    written: Any = worker._written
    fails = False

    def ends(places: Any) -> dict[Place, int]:
        if fails:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        asked.append([place.topic for place in places])
        return {("numbers", 0): 3, ("parts", 0): 4}

    written.ends = ends
    worker.step()
    assert not asked
    sources[0].assignments += 1
    worker.step()
    worker.step()
    assert asked == [["numbers", "parts"]]
    assert [source.ends for source in sources] == [{("numbers", 0): 3}, {("parts", 0): 4}]
    sources[1].assignments += 1
    fails = True
    worker.step()
    fails = False
    worker.step()
    assert len(asked) == 2, "what was not answered is asked again"


def test_a_place_this_worker_wrote_to_is_to_be_read_first() -> None:
    worker = Worker()
    assert worker.transaction is not None
    worker.take({"key": "a", "n": [1]})
    worker.transaction.ends = {("parts", 0): 8, ("out", 0): 9}
    worker.take({"key": "a", "n": [1]})
    ends: list[Any] = [seat.source.ends for seat in worker.seats]  # type: ignore[union-attr]
    assert ends == [{}, {("parts", 0): 8}]


@pytest.mark.parametrize("trouble", [None, KafkaException(KafkaError(KafkaError._TRANSPORT))])
def test_an_agent_that_is_stopped_leaves_alone_and_what_is_meant_for_it_waits_in_its_topic(
    trouble: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def on_stopped(runner: Any, agent: str, why: str) -> None:
        heard.append(agent)
        if trouble is not None:
            raise trouble

    worker = Worker(on_stopped)
    worker.take({"key": "a", "n": [1]})
    worker.did.clear()
    bad = {"key": "a", "n": [5, 5, 5], "boom": True}
    assert worker.take(bad) == 0
    assert worker.did[2:] == ["close sums", "rewind split"]
    assert heard == ["sums"]
    assert worker.told.gone == ["sums: agent sums stopped reading parts: 3 records in a row failed by rule"]
    assert ("no alert of it could be sent" in caplog.text) == (trouble is not None)
    worker.at -= 1
    assert worker.take(bad) == 1
    assert worker.sent.count("parts") == 3
    assert worker.sent.count("dead-letters") == 0
    assert [seat.agent.name for seat in worker.seats] == ["split"]


def test_the_last_agent_that_is_stopped_stops_the_chain() -> None:
    worker = Worker()
    worker._seats = worker._seats[1:]
    source: Any = worker.seats[0].source
    bad = orjson.dumps({"n": 1, "at": 0, "boom": True})
    source.waiting = [LocalRecord("parts", 0, n, b"k", bad) for n in range(3)]
    with pytest.raises(SourceStopped) as stopped:
        worker.step()
    assert stopped.value.agent == "sums"


def test_an_error_of_the_transport_rewinds_all_of_them() -> None:
    worker = Worker()
    worker.wire.fail = KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
    worker.did.clear()
    assert worker.take({"key": "a", "n": [1]}) == 0
    assert worker.did[2:] == ["rewind split", "rewind sums"]
