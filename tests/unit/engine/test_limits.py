"""When a source stops instead of draining into dead-letters - the counts, and the runner that keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException

from streams.engine import SourceStopped
from streams.engine.agent import joined
from streams.engine.dead_letters import TIMERS, Limits, LimitState
from streams.engine.runner import AgentRunner, Observer, RunnerConfig
from streams.engine.turn import Batch, Turn
from tests.unit.engine.agents import event, scripted
from tests.unit.engine.support import Bench, JsonTopics, NotedTransaction

# -- the counts ---------------------------------------------------------------------------------------------------


def failures(state: LimitState, count: int, now: int = 0) -> list[str | None]:
    return [state.failure(now) for _ in range(count)]


def test_nine_failures_in_a_row_do_not_stop_and_the_tenth_does() -> None:
    state = LimitState()
    assert failures(state, 9) == [None] * 9
    assert state.failure(0) == "10 records in a row failed by rule"


def test_a_good_record_between_begins_a_new_row() -> None:
    state = LimitState()
    for _ in range(5):
        assert failures(state, 9) == [None] * 9
        state.observe(1, 0)
    state = LimitState()
    failures(state, 9)
    state.observe(0, 0)
    assert state.failure(0) is not None, "an empty turn is no good record"


def test_exactly_one_in_a_hundred_does_not_stop_and_above_does() -> None:
    state = LimitState()
    for _ in range(20):
        state.observe(99, 0)
        assert state.failure(0) is None
    assert (state.seen, state.failed) == (2000, 20)
    assert state.failure(0) == "21 of 2001 records failed by rule within 60 s"


def test_a_share_of_few_records_says_nothing_yet() -> None:
    state = LimitState()
    state.observe(997, 0)
    assert state.failure(0) is None
    assert state.failure(0) is None
    state = LimitState(Limits(in_row=1000))
    assert failures(state, 999) == [None] * 999
    assert state.failure(0) is not None


def test_the_window_rolls_after_a_minute() -> None:
    state = LimitState()
    state.observe(990, 1_000_000)
    assert failures(state, 9, 1_000_000) == [None] * 9
    state.observe(1, 1_059_999)
    assert (state.seen, state.failed) == (1000, 9)
    state.observe(1, 1_060_000)
    assert (state.seen, state.failed) == (1, 0)


def test_a_row_goes_on_over_windows() -> None:
    state = LimitState()
    assert [state.failure(minute * 60_000) for minute in range(9)] == [None] * 9
    assert state.failure(600_000) is not None


def test_a_turn_that_is_rolled_back_leaves_the_counts_where_the_last_durable_one_put_them() -> None:
    state = LimitState()
    state.observe(20, 1_000_000)
    failures(state, 4, 1_000_000)
    state.committed()
    failures(state, 5, 1_060_000)
    state.rolled_back()
    assert (state.row, state.seen, state.failed) == (4, 24, 4)
    assert failures(state, 5, 1_059_999) == [None] * 5
    assert (state.seen, state.failed) == (29, 9), "the window did not roll"


# -- the runner ---------------------------------------------------------------------------------------------------


class StandInSource:
    """What the runner asks of a source between turns."""

    def __init__(self) -> None:
        self.batch_size = 100
        self.lost = False
        self.rewound = 0

    def rewind(self) -> None:
        self.rewound += 1

    def hold(self, left: object, more: bool) -> None:
        assert not left
        assert not more


class Lost(NotedTransaction):
    """A transaction whose transport is Kafka's."""

    fatal: tuple[type[BaseException], ...] = (KafkaException, BufferError)
    broken = False


class World:
    """A runner over stand-ins for consumer and producer."""

    def __init__(self, **limits: Any) -> None:
        self.now = 0
        self.transaction = Lost()
        self.source = StandInSource()
        config = RunnerConfig({}, "w1", Path("data"), limits=Limits(**limits))
        self.runner = AgentRunner(scripted(("in", "other")), JsonTopics(), config, Observer(), lambda: self.now)
        self.bench = Bench(self.runner.agent, on_outcome=self.runner._outcome)
        self.runner.source = self.source  # type: ignore[assignment]
        self.runner.transaction = self.transaction  # type: ignore[assignment]
        self.runner._turn = Turn(self.runner.name, self.transaction, lambda: self.now)
        self.at = 0

    def records(self, pattern: str, topic: str = "in") -> list[Any]:
        """A record per character: ``x`` fails, ``?`` cannot be decoded, everything else is good."""
        found = []
        for sign in pattern:
            self.at += 1
            value: Any = event(self.at, ("boom", "no")) if sign == "x" else event(self.at)
            found.append(self.bench.record(b"?" if sign == "?" else value, topic=topic))
        return found

    def turn(self, pattern: str = "", other: str = "") -> int:
        sources = {"in": self.records(pattern), "other": self.records(other, "other")}
        parts: Any = {topic: records for topic, records in sources.items() if records}
        return self.runner.turn(Batch([(self.bench.task, parts)], sum(len(part) for part in parts.values())))


def test_ten_failures_in_a_row_stop_the_source_wherever_the_turns_end() -> None:
    world = World()
    world.turn("...xxxx")
    world.turn("xxxxx")
    with pytest.raises(SourceStopped, match="agent scripted stopped reading in: 10 records in a row failed by rule"):
        world.turn("x..")


def test_failures_that_are_not_in_a_row_do_not_stop_it_even_in_one_turn() -> None:
    world = World()
    assert world.turn("x." * 30) == 60
    assert world.turn("xxxxxxxxx.") == 10
    assert world.turn("xxxxxxxxx.") == 10


def test_a_common_turn_ends_the_row() -> None:
    world = World()
    world.turn("xxxxxxxxx")
    world.turn("...")
    assert world.turn("xxxxxxxxx") == 9


def test_a_source_is_not_saved_by_the_good_records_of_another() -> None:
    world = World()
    world.turn("xxxxx", other="......")
    world.turn("", other="......")
    with pytest.raises(SourceStopped, match="stopped reading in"):
        world.turn("xxxxx", other="......")


def test_undecodable_records_never_stop_a_source() -> None:
    world = World()
    for _ in range(30):
        world.turn("?" * 10)
    assert world.turn("x?x?x?") == 6


def test_a_turn_with_a_share_of_failures_within_the_limit_does_not_stop_however_they_lie() -> None:
    world = World(least=100)
    world.turn("." * 899 + "x")
    assert world.turn("x." * 4 + "." * 992) == 1000
    with pytest.raises(SourceStopped, match=r"of 19\d\d records failed by rule within 60 s"):
        world.turn("x." * 50)


def test_an_aborted_turn_is_not_counted() -> None:
    """The same records fail again when they are read again; that makes no row of ten out of five."""
    world = World()
    world.turn("xxxx")
    records = world.records("xxxxx")
    for _ in range(3):
        world.transaction.fail = KafkaException("away")
        batch = Batch([(world.bench.task, {"in": records})], 5)
        assert world.runner.turn(batch) == 0
    assert world.source.rewound == 3
    assert world.runner._limits["scripted", "in"].row == 4
    assert world.runner.turn(batch) == 5
    with pytest.raises(SourceStopped):
        world.turn("x")


def test_what_stops_a_source_commits_nothing_of_its_turn() -> None:
    world = World()
    with pytest.raises(SourceStopped):
        world.turn("..xxxxxxxxxx")
    assert world.transaction.sent == []
    assert world.bench.task.next == {}


# -- timers -------------------------------------------------------------------------------------------------------


def due(world: World, count: int, kind: str = "boom") -> None:
    """The turn that sets timers, and one in which they are due."""
    world.at += 1
    steps = [("set", kind, f"{kind}-{number}", world.at) for number in range(count)]
    batch = Batch([(world.bench.task, {"in": [world.bench.record(event(world.at - 1, *steps))]})], 1)
    world.runner.turn(batch)
    world.now = world.at
    world.runner.turn(Batch([(world.bench.task, {})], 0))


def test_ten_timers_that_fail_in_a_row_stop_the_agent_and_are_kept() -> None:
    """One that failed is gone for ever: nobody can send it again."""
    world = World()
    due(world, 9)
    with pytest.raises(SourceStopped, match="agent scripted stopped: 10 timers in a row failed by rule"):
        due(world, 5)
    left = world.bench.reopened().one.timers
    assert [left.due("boom", f"boom-{number}") is not None for number in range(5)] == [True] * 5


def test_good_timers_between_and_good_records_of_the_source_are_told_apart() -> None:
    world = World()
    for _ in range(3):
        due(world, 8)
        due(world, 2, "fine")
    world.turn("xxxxxxxxx")
    due(world, 9)
    world.turn("." * 50)
    with pytest.raises(SourceStopped, match="10 timers in a row"):
        due(world, 1)


def test_the_timers_of_a_part_count_for_the_whole_and_its_records_as_before() -> None:
    outcomes: list[tuple[str, bool]] = []
    one, other = scripted(), scripted()
    other.name = "other"
    bench = Bench(joined("both", [one, other]), on_outcome=lambda what, failed: outcomes.append((what, failed)))
    bench.turn(event(0, ("set", "boom", "k", 5)))
    bench.turn(event(10), event(11, ("boom", "no")))
    assert outcomes == [(TIMERS, True), (TIMERS, True), ("in", False), ("in", True)]
