"""Timers in a turn, the clocks they go by, and the first turn of a task."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.engine import Agent, Clock, Context, EngineError
from streams.engine.record import LocalRecord
from streams.engine.store import MemoryStore
from streams.engine.task import Task
from streams.engine.turn import Batch, Turn
from tests.unit.engine.agents import event, scripted
from tests.unit.engine.support import Bench, JsonTopics, Unreachable, rows

# -- timers -----------------------------------------------------------------------------------------------------------


def test_due_timers_fire_in_order_before_the_first_record_that_is_as_late() -> None:
    bench = Bench(scripted())
    bench.turn(
        event(1, ("set", "one", "x", 30), ("set", "two", "y", 10)),
        event(9, ("emit", "r", "at 9")),
        event(30, ("emit", "r", "at 30")),
    )
    assert bench.sent("out") == [
        "at 9",
        {"timer": "two", "due": 10, "now": 10},
        {"timer": "one", "due": 30, "now": 30},
        "at 30",
    ]


def test_timers_alone_make_a_turn_when_the_clock_has_come() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "one", "x", 30)))
    bench.wall = 31
    bench.turn()
    assert bench.sent("out") == [{"timer": "one", "due": 30, "now": 31}]
    assert bench.task.timers.next_due > 31


def test_a_turn_of_timers_alone_commits_its_offsets_so_that_a_worker_that_lost_its_place_is_fenced() -> None:
    """Only offsets carry the group's generation (KIP-447): without them a zombie's timers would fire twice."""
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "one", "x", 30)))
    bench.wall = 31
    bench.turn()
    assert bench.transaction.offsets[-1] == {("in", 0): 1}


def test_a_failing_timer_is_buried_once_and_not_tried_again() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "boom", "x", 10), ("set", "good", "y", 20)))
    bench.turn(event(30, ("emit", "r", "after")))
    assert [out if out == "after" else out["timer"] for out in bench.sent("out")] == ["good", "after"]
    assert rows(bench, "b") == {}
    (letter,) = bench.dead
    assert (letter["topic"], letter["offset"], letter["key"]) == ("scripted:timer:boom", 10, "x")
    assert letter["error"] == "Boom: x"
    assert "in due" in letter["traceback"]
    assert not bench.turn(event(40)).isolated
    assert len(bench.dead) == 1


def test_a_failing_timer_is_not_blamed_on_the_record_that_set_it_off() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "boom", "x", 10)))
    bench.wall = 5
    bench.turn(event(30, ("add", "x", 1)))
    assert bench.sent("out") == [1]
    assert [letter["topic"] for letter in bench.dead] == ["scripted:timer:boom"]


def test_a_timer_set_in_an_isolated_run_fires_before_the_next_record_that_is_as_late() -> None:
    bench = Bench(scripted())
    bench.turn(
        event(1, ("boom", "no")),
        event(2, ("set", "one", "x", 10)),
        event(20, ("emit", "r", "after")),
    )
    assert bench.sent("out") == [{"timer": "one", "due": 10, "now": 10}, "after"]


def test_a_timer_moved_in_an_isolated_run_fires_at_its_new_time() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "one", "x", 10), ("set", "two", "x", 10)))
    bench.turn(
        event(2, ("boom", "no")),
        event(3, ("set", "one", "x", 30), ("cancel", "two", "x")),
        event(20, ("emit", "r", "at 20")),
        event(40),
    )
    assert bench.sent("out") == ["at 20", {"timer": "one", "due": 30, "now": 30}]


def test_a_timer_that_a_failing_record_set_off_has_fired_all_the_same() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("boom", "no")), event(2, ("set", "one", "x", 10)), event(20, ("boom", "no")))
    assert bench.sent("out") == [{"timer": "one", "due": 10, "now": 10}]
    bench.turn(event(21))
    assert len(bench.sent("out")) == 1


def test_a_timer_without_a_callback_is_an_error_of_the_agent_not_of_the_record() -> None:
    agent = Agent("mute", sources=("in",))
    agent.table("t")
    agent.time_of(lambda fact: int(fact))
    agent.fold(lambda ctx, key, fact: ctx.timers.set("x", "y", 5))
    bench = Bench(agent)
    bench.turn(1)
    with pytest.raises(EngineError, match="agent mute sets timers but has no on_timer"):
        bench.turn(10)


def test_timers_of_an_agent_without_tables_survive_too() -> None:
    bench = Bench(scripted(tables=False))
    assert bench.agent.stateful
    bench.turn(event(1, ("set", "one", "x", 30)))
    again = bench.reopened()
    again.turn(event(40))
    assert [out["timer"] for out in again.sent("out")] == ["one"]


# -- clocks, and how many fire ----------------------------------------------------------------------------------------


def noting(clock: Clock) -> tuple[Agent, list[tuple[str, int]]]:
    """An agent whose events are {"at"} and perhaps {"due"}, a timer; and what it notes: its time at each of them."""
    agent = Agent("noting", sources=("facts",), clock=clock)
    seen: list[tuple[str, int]] = []

    @agent.time_of
    def time_of(event: dict[str, Any]) -> int:
        return int(event["at"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: dict[str, Any]) -> None:
        seen.append(("event", ctx.now))
        if "due" in event:
            ctx.timers.set("due", "k", event["due"])

    @agent.on_timer
    def due(ctx: Context, kind: str, key: str, due: int) -> None:
        seen.append(("timer", ctx.now))

    return agent, seen


@pytest.mark.parametrize("live", [True, False])
def test_an_agent_by_the_wall_clock_goes_by_event_time_in_a_replay_only(live: bool) -> None:
    """An event told ahead of its time must not make timers fire early, nor stand the clock still, in a live worker."""
    agent, seen = noting(Clock.WALL)
    bench = Bench(agent, wall=1_000)
    bench._turn = Turn(agent.name, bench.transaction, lambda: bench.wall, live=live)
    bench.turn({"at": 1_000, "due": 5_000}, {"at": 9_000, "due": 5_000})
    bench.wall = 2_000
    bench.turn({"at": 1_500, "due": 5_000})
    ahead = [("event", 1_000), ("timer", 5_000), ("event", 9_000), ("timer", 9_000), ("event", 9_000)]
    assert seen == ([("event", 1_000), ("event", 1_000), ("event", 2_000)] if live else ahead)


@pytest.mark.parametrize("late", [0, 10_000_000])
def test_an_agent_by_its_events_gives_waits_their_time_and_ends_them_where_nothing_comes(late: int) -> None:
    agent, seen = noting(Clock.EVENTS)

    def live(bench: Bench) -> Bench:
        bench._turn = Turn(agent.name, bench.transaction, lambda: bench.wall, live=True)
        return bench

    def turn(passed: int, *events: dict[str, Any]) -> None:
        """After ``passed`` ms; without events only where a timer is due, as the source does."""
        assert bench.wall is not None
        bench.wall += passed
        if events or bench.task.timers.next_due <= bench.one.clock(bench.wall):
            bench.turn(*events)

    bench = live(Bench(agent, wall=late + 1_000))
    turn(0, {"at": 1_000, "due": 5_000})
    turn(30_000, {"at": 4_999})  # half a minute late, like all that comes: it was in time
    turn(0)
    assert seen == [("event", 1_000), ("event", 4_999)]
    turn(1)
    assert seen[2:] == [("timer", 5_000)]
    turn(60_000, {"at": 5_100, "due": 6_000})
    turn(899)
    assert seen[3:] == [("event", 5_100)]
    assert bench.wall is not None
    bench.wall += 3_600_000  # nobody works in that time
    bench = live(bench.reopened())
    turn(0)
    turn(899)
    assert len(seen) == 4
    turn(1)
    assert seen[4:] == [("timer", 6_000)]


def test_a_turn_of_an_agent_by_its_events_that_is_undone_does_not_move_its_clock() -> None:
    agent, _ = noting(Clock.EVENTS)
    bench = Bench(agent, wall=1_000)
    bench._turn = Turn(agent.name, bench.transaction, lambda: bench.wall, live=True)
    bench.turn({"at": 500})
    bench.wall = 2_000
    bench.transaction.fail = Unreachable("the broker is gone")
    with pytest.raises(Unreachable):
        bench.turn({"at": 9_000})
    assert bench.one.clock(2_100) == 500 + 1_100


def few(bench: Bench, most: int) -> Bench:
    """Turns of this bench fire no more than `most` timers."""
    name, out = bench.agent.name, bench.transaction
    bench._turn = Turn(name, out, lambda: bench.wall, live=False, received_at=7, most_fired=most)
    return bench


@pytest.mark.parametrize("isolated", [False, True])
def test_more_timers_than_a_turn_may_fire_stop_it_before_the_record_they_come_before(isolated: bool) -> None:
    bench = few(Bench(scripted()), 2)
    bench.turn(event(5, *[("set", "t", f"k{n}", 10 + n) for n in range(5)]))
    bad = [event(6, ("boom", "x"))] if isolated else []
    records = [bench.record(value) for value in (*bad, event(7, ("emit", "x", "in time")), event(50, ("emit", "x", 1)))]
    late = records[-1:]
    report = bench.run({"in": records})
    assert report.isolated is isolated
    assert (report.records, report.timers, report.more) == (len(records) - 1, 2, True)
    assert report.left == [(bench.task, {"in": late})]
    assert bench.task.next == {"in": late[0].offset()}
    assert bench.task.stream_time == 7, "the record that time would have moved with has not been folded"
    for left, fired in ((late, 2), ([], 1)):
        report = bench.run({"in": late})
        assert (report.timers, report.more) == (fired, bool(left))
        assert [records for _, sources in report.left for records in sources.values()] == ([left] if left else [])
    assert [out["due"] for out in bench.sent("out") if isinstance(out, dict)] == [10, 11, 12, 13, 14]
    assert bench.sent("out")[0] == "in time"
    assert bench.sent("out")[-1] == 1
    assert len(bench.dead) == len(bad)


def test_records_of_other_sources_and_tasks_wait_for_no_timers_but_their_own() -> None:
    agent = scripted(("in", "other"))
    bench = few(Bench(agent), 1)
    bench.task.start_at("other", 0)
    calm = Task(agent, 1, MemoryStore(), JsonTopics())
    bench.turn(event(5, ("set", "t", "a", 10), ("set", "t", "b", 11)))
    held = {"in": [bench.record(event(20))], "other": [bench.record(event(1, ("emit", "x", 2)), topic="other")]}
    calm_record = LocalRecord("in", 1, 0, b"k", orjson.dumps(event(30, ("emit", "x", "calm"))))
    report = bench._turn.run(Batch([(bench.task, held), (calm, {"in": [calm_record]})], 3))
    assert report.left == [(bench.task, held)]
    assert report.records == 1
    assert "calm" in bench.sent("out")
    assert 2 not in bench.sent("out"), "its order among the task's records is kept"


def test_what_a_turn_may_fire_is_shared_by_all_tasks_in_it() -> None:
    bench = few(Bench(scripted()), 3)
    other = Task(bench.agent, 1, MemoryStore(), JsonTopics())
    timers = event(0, *[("set", "t", f"k{n}", 10) for n in range(2)])
    records = [LocalRecord("in", 1, n, b"k", orjson.dumps(value)) for n, value in enumerate((timers, event(20)))]
    bench.turn(timers)
    bench._turn.run(Batch([(other, {"in": records[:1]})], 1))
    report = bench._turn.run(Batch([(bench.task, {"in": [bench.record(event(20))]}), (other, {"in": records[1:]})], 2))
    assert (report.timers, report.records, report.more) == (3, 1, True)
    assert report.left == [(other, {"in": records[1:]})]


def test_timers_that_are_due_by_the_clock_may_take_several_turns() -> None:
    bench = few(Bench(scripted(), wall=0), 2)
    bench.turn(event(0, *[("set", "t", f"k{n}", 10) for n in range(3)]))
    bench.wall = 10
    assert [(report.timers, report.more) for report in (bench.turn(), bench.turn(), bench.turn())] == [
        (2, True),
        (1, False),
        (0, False),
    ]


# -- the first turn ---------------------------------------------------------------------------------------------------


def greeting(fails: list[Exception]) -> Agent:
    """Notes in its table and on a topic that it started, unless it is to fail."""
    agent = Agent("greeting", sources=("in",), writes=("out",))
    table = agent.table("t")

    @agent.on_start
    def start(ctx: Context) -> None:
        ctx[table]["starts"] = ctx[table].get("starts", 0) + 1
        ctx.emit("out", "k", "started")
        ctx.timers.set("now", "", ctx.now)
        if fails:
            raise fails.pop()

    agent.on_timer(lambda ctx, kind, key, due: ctx.emit("out", "k", "timer"))
    agent.fold(lambda ctx, key, fact: ctx.emit("out", "k", fact))
    return agent


def test_a_task_starts_once_before_anything_else_and_needs_no_record_for_it() -> None:
    bench = Bench(greeting([]))
    assert [bench.task.starting] == [True]
    bench.turn()
    bench.turn(1)
    assert bench.sent("out") == ["started", "timer", 1]
    assert not bench.task.starting
    again = bench.reopened()
    again.turn(2)
    assert again.sent("out") == ["started", "timer", 2]
    assert rows(again, "t") == {"starts": 2}


def test_a_start_that_was_not_committed_comes_again() -> None:
    bench = Bench(greeting([]))
    bench.transaction.fail = Unreachable()
    with pytest.raises(Unreachable):
        bench.turn(1)
    assert [bench.task.starting] == [True]
    bench.turn(1)
    assert bench.sent("out") == ["started", "timer", 1]
    assert rows(bench, "t") == {"starts": 1}


def test_a_start_that_fails_is_buried_and_leaves_nothing() -> None:
    bench = Bench(greeting([ValueError("again"), ValueError("no")]))
    bench.turn(1)
    assert bench.sent("out") == [1]
    assert rows(bench, "t") == {}
    assert [(letter["topic"], letter["stage"]) for letter in bench.dead] == [("greeting:timer:start", "rule")]
