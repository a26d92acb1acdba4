"""A task and its turns: what comes out, what is stored, and what a look from outside sees."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.engine import Agent, Context, EngineError
from streams.engine.codec.errors import DecodeError, RegistryError
from streams.engine.errors import SourceStopped
from streams.engine.record import LocalRecord
from streams.engine.store import MemoryStore
from streams.engine.task import MARK, POSITION, Task, _pair
from streams.engine.turn import Batch, Report, Turn
from tests.unit.engine.agents import event, scripted
from tests.unit.engine.support import Bench, JsonTopics, NotedTransaction, Unreachable, no_trace

# -- the good case ----------------------------------------------------------------------------------------------------


def test_a_turn_sends_outputs_rows_and_marker_and_stores_them_with_the_changelog_position() -> None:
    bench = Bench(scripted())
    report = bench.turn(event(5, ("add", "x", 1)), event(9, ("add", "x", 2)))
    assert (report.records, report.isolated) == (2, False)
    assert bench.sent("out") == [1, 3]
    changelog = bench.transaction.rows[0]
    assert changelog == [(b"a\0x", b"3"), (MARK + b"in", _pair.pack(2, 9))], "one row per key, the marker last"
    assert bench.transaction.offsets == [{("in", 0): 2}]
    assert dict(bench.store.range(b"", b"\xff")) == {**dict(changelog), POSITION: _pair.pack(2, 0)}


def test_a_reopened_task_knows_its_position_and_time_whatever_the_group_says() -> None:
    bench = Bench(scripted())
    bench.turn(event(5), event(9))
    again = bench.reopened()
    assert again.task.next == {"in": 2}
    assert again.task.stream_time == 9


def test_stream_time_never_goes_back() -> None:
    bench = Bench(scripted())
    bench.turn(event(9), event(5))
    assert bench.task.stream_time == 9


def test_now_is_the_later_of_stream_time_and_clock() -> None:
    agent = Agent("clock", sources=("in",), writes=("out",))
    agent.table("t")
    agent.time_of(lambda fact: int(fact))
    agent.fold(lambda ctx, key, fact: ctx.emit("out", "now", ctx.now))
    bench = Bench(agent, wall=100)
    bench.turn(50, 150, 120)
    bench.wall = 200
    bench.turn(10, 250)
    bench.turn(20)
    assert bench.sent("out") == [100, 150, 150, 200, 250, 250]


# -- emit_latest ------------------------------------------------------------------------------------------------------


def test_emit_latest_sends_the_last_value_per_key_in_order_of_last_change() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("latest", "x", 1), ("latest", "y", 1)), event(2, ("latest", "x", 2), ("latest", "z", 1)))
    assert [(key, value) for _, value, key in bench.transaction.sent] == [
        (b"y", b"1"),
        (b"x", b"2"),
        (b"z", b"1"),
    ]


def test_emit_latest_comes_after_the_turn_s_other_outputs_and_once_per_turn() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("latest", "x", 1), ("emit", "x", 1)))
    bench.turn(event(2, ("latest", "x", 2), ("emit", "x", 2)))
    assert [topic for topic, _, _ in bench.transaction.sent] == ["out", "states", "out", "states"]


def test_emit_latest_of_a_failing_record_is_dropped_and_the_former_value_kept_in_its_place() -> None:
    bench = Bench(scripted())
    bench.turn(
        event(1, ("latest", "x", 1), ("latest", "y", 1)),
        event(2, ("latest", "x", 2), ("latest", "new", 1), ("boom", "no")),
        event(3, ("latest", "z", 1)),
    )
    states = [(key, value) for topic, value, key in bench.transaction.sent if topic == "states"]
    assert states == [(b"x", b"1"), (b"y", b"1"), (b"z", b"1")]


def test_emit_latest_keeps_the_order_of_last_change_in_an_isolated_run_too() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("latest", "x", 1), ("latest", "y", 1)), event(2, ("boom", "no")), event(3, ("latest", "x", 2)))
    states = [(key, value) for topic, value, key in bench.transaction.sent if topic == "states"]
    assert states == [(b"y", b"1"), (b"x", b"2")]


def test_emit_latest_takes_a_function_that_is_called_when_the_turn_ends() -> None:
    agent = Agent("lazy", sources=("in",), writes=("states",))
    table = agent.table("t")
    calls: list[int] = []

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: int) -> None:
        def value() -> int:
            calls.append(fact)
            return fact

        ctx[table]["n"] = fact
        ctx.emit_latest("states", "n", value)

    bench = Bench(agent)
    bench.turn(1, 2, 3)
    assert bench.sent("states") == [3]
    assert calls == [3]


# -- several partitions in one turn -----------------------------------------------------------------------------------


class Two:
    """A turn over two tasks of an agent."""

    def __init__(self) -> None:
        self.agent = scripted()
        self.transaction = NotedTransaction()
        self.stores = [MemoryStore(), MemoryStore()]
        self.tasks = [
            Task(self.agent, number, store, JsonTopics(), fatal=NotedTransaction.fatal)
            for number, store in enumerate(self.stores)
        ]
        self.wall: int | None = None
        self._turn = Turn(self.agent.name, self.transaction, lambda: self.wall, live=False)

    def turn(self, *events: list[Any]) -> Report:
        parts: Any = []
        for task, found in zip(self.tasks, events, strict=True):
            start = task.next.get("in", 0)
            records = [
                LocalRecord("in", task.partition, start + number, b"k", orjson.dumps(value))
                for number, value in enumerate(found)
            ]
            parts.append((task, {"in": records} if records else {}))
        return self._turn.run(Batch(parts, sum(len(found) for found in events)))


def test_a_turn_commits_all_its_partitions_each_with_its_own_rows_and_positions() -> None:
    two = Two()
    report = two.turn([event(1, ("add", "x", 1))], [event(2, ("add", "y", 5)), event(3, ("add", "y", 5))])
    assert report.records == 3
    assert two.transaction.offsets == [{("in", 0): 1, ("in", 1): 2}]
    assert [dict(two.transaction.rows[number]) for number in (0, 1)] == [
        {b"a\0x": b"1", MARK + b"in": _pair.pack(1, 1)},
        {b"a\0y": b"10", MARK + b"in": _pair.pack(2, 3)},
    ]
    assert [store.get(POSITION) for store in two.stores] == [_pair.pack(2, 0)] * 2


def test_a_failing_record_of_one_partition_costs_the_others_nothing() -> None:
    two = Two()
    report = two.turn(
        [event(1, ("add", "x", 1))], [event(2, ("add", "y", 5), ("boom", "no")), event(3, ("add", "y", 7))]
    )
    assert report.isolated
    assert report.dead["rule"] == 1
    assert [value for topic, value, _ in two.transaction.sent if topic == "out"] == [b"1", b"7"]
    assert [task.next for task in two.tasks] == [{"in": 1}, {"in": 2}]
    assert dict(two.transaction.rows[1])[b"a\0y"] == b"7"


def test_an_abort_undoes_all_partitions() -> None:
    two = Two()
    two.turn([event(1, ("mutate", "x"))], [event(1, ("mutate", "y"))])
    two.transaction.fail = Unreachable("away")
    events = [event(2, ("mutate", "x"))], [event(2, ("mutate", "y"), ("boom", "no")), event(3, ("mutate", "y"))]
    with pytest.raises(Unreachable):
        two.turn(*events)
    assert [task.next for task in two.tasks] == [{"in": 1}] * 2
    two.turn(*events)
    assert [value for topic, value, _ in two.transaction.sent if topic == "out"] == [b"[0]", b"[0]", b"[0,1]", b"[0,1]"]


def test_a_turn_may_fold_in_one_partition_and_only_fire_in_another() -> None:
    two = Two()
    two.turn([event(1, ("set", "one", "x", 30))], [event(50)])
    two.wall = 55
    two.turn([], [event(60, ("emit", "y", 1))])
    assert two.transaction.offsets[-1] == {("in", 0): 1, ("in", 1): 2}
    fired, emitted = [orjson.loads(value or b"") for topic, value, _ in two.transaction.sent if topic == "out"]
    assert fired == {"timer": "one", "due": 30, "now": 55}
    assert emitted == 1


# -- a reader beside it -----------------------------------------------------------------------------------------------


def test_a_look_from_outside_sees_committed_rows_only() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("put", "a", "o-1", 1), ("put", "a", "o-2", 2), ("put", "a", "p-1", 3)))
    seen: list[Any] = []
    spec = bench.agent.tables["a"]
    bench._turn._at_step = lambda step: seen.append((step, bench.one.peek(spec, "o-")))
    bench.turn(event(2, ("put", "a", "o-1", 10), ("delete", "a", "o-2")))
    assert [rows for step, rows in seen if step != "done"] == [[("o-1", 1), ("o-2", 2)]] * 4
    assert seen[-1] == ("done", [("o-1", 10)])


# -- limits -----------------------------------------------------------------------------------------------------------


def test_isolated_outcomes_are_told_in_order_and_stopping_leaves_no_trace() -> None:
    told: list[tuple[str, bool]] = []

    def outcome(topic: str, failed: bool) -> None:
        told.append((topic, failed))
        if told.count((topic, True)) == 3:
            raise SourceStopped("scripted", ": enough")

    bench = Bench(scripted(), on_outcome=outcome)
    bench.turn(event(1, ("boom", "1")), event(2, ("add", "x", 1)), bench.record(b"oops"), event(3, ("boom", "2")))
    assert told == [("in", True), ("in", False), ("in", False), ("in", True)]
    assert len(bench.dead) == 3
    with no_trace(bench), pytest.raises(SourceStopped):
        bench.turn(event(4, ("add", "x", 1)), event(5, ("boom", "3")))


def test_a_task_needs_a_fold() -> None:
    with pytest.raises(EngineError, match="agent empty has no fold"):
        Task(Agent("empty", sources=("in",)), 0, MemoryStore(), JsonTopics())


def test_a_context_is_of_no_use_outside_a_turn() -> None:
    task = Task(scripted(), 0, MemoryStore(), JsonTopics())
    with pytest.raises(EngineError, match="only usable while"):
        task.ctx.emit("out", "k", 1)


def test_a_decode_error_is_told_from_a_broken_registry() -> None:
    assert not issubclass(RegistryError, DecodeError)
    assert not issubclass(DecodeError, RegistryError)
