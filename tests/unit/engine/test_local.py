"""The in-process runner: order of time, and what faults it can play."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.engine import Agent, Context
from streams.engine.local import Abort, Crash, LocalRunner
from tests.unit.engine.agents import event, scripted
from tests.unit.engine.support import JsonTopics

OnStep = Callable[[LocalRunner, int, str], None]


def runner(agent: Agent | None = None, on_step: OnStep | None = None, **options: Any) -> LocalRunner:
    made: list[LocalRunner] = []

    def fault(agent: str, worker: int, step: str) -> None:
        if on_step is not None:
            on_step(made[0], worker, step)

    made.append(LocalRunner([agent or scripted()], JsonTopics(), 1, fault=fault, **options))
    return made[0]


def outputs(local: LocalRunner) -> list[Any]:
    return [value for _, value in local.output("out")]


@pytest.mark.parametrize("batch", [1, 2, 10])
def test_a_timer_that_a_record_cancels_in_time_does_not_fire_whatever_the_batch(batch: int) -> None:
    local = runner(batch=batch)
    local.send("in", event(1, ("set", "one", "x", 50), ("set", "two", "y", 60)))
    local.run()
    for at, what in ((30, ("cancel", "one", "x")), (100, ("emit", "r", "after"))):
        local.send("in", event(at, what))
    local.run()
    assert outputs(local) == [{"timer": "two", "due": 60, "now": 60}, "after"]


def test_timers_of_all_partitions_fire_in_order_of_time_before_a_later_record() -> None:
    local = LocalRunner([scripted()], JsonTopics(), 4)
    for number in range(8):
        local.send("in", event(1, ("set", "one", f"k{number}", 50 - number)), key=f"k{number}")
    local.run()
    local.send("in", event(100, ("emit", "r", "after")), key="other")
    local.run()
    fired = outputs(local)
    assert [out["due"] for out in fired[:-1]] == sorted(50 - number for number in range(8))
    assert fired[-1] == "after"


def test_a_timer_that_is_due_when_it_is_set_fires_without_waiting_for_a_record() -> None:
    local = runner()
    local.send("in", event(100, ("set", "one", "x", 50)))
    local.run()
    assert outputs(local) == [{"timer": "one", "due": 50, "now": 100}]


def test_advance_fires_what_is_due_by_then_and_what_that_sets() -> None:
    local = runner()
    local.send("in", event(1, ("set", "again", "x", 10)))
    local.run()
    assert outputs(local) == []
    local.advance(35)
    assert [out["due"] for out in outputs(local)] == [10, 20, 30]
    local.advance(40)
    assert [out["due"] for out in outputs(local)] == [10, 20, 30, 40]


@pytest.mark.parametrize("step", ["fold", "collect", "commit", "persist", "done"])
def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(step: str) -> None:
    left = [1, 1, 1]

    def crash(local: LocalRunner, worker: int, at: str) -> None:
        if at == step and left:
            left.pop()
            raise Crash

    local = runner(on_step=crash)
    for number in range(3):
        local.send("in", event(number, ("add", "x", 1)))
    for _ in range(3):
        with pytest.raises(Crash):
            local.run()
    local.run()
    assert outputs(local) == [1, 2, 3]
    assert local.table("scripted", "a") == {"x": 3}


@pytest.mark.parametrize("step", ["fold", "collect", "commit"])
def test_an_abort_up_to_the_commit_is_tried_again(step: str) -> None:
    left = [1, 1]

    def abort(local: LocalRunner, worker: int, at: str) -> None:
        if at == step and left:
            left.pop()
            raise Abort

    local = runner(on_step=abort)
    local.send("in", event(1, ("add", "x", 1), ("set", "one", "t", 5)))
    local.send("in", event(9, ("add", "x", 1)))
    local.run()
    assert outputs(local) == [1, {"timer": "one", "due": 5, "now": 5}, 2]
    assert not left


@pytest.mark.parametrize("step", ["fold", "collect", "commit", "persist", "done"])
@pytest.mark.parametrize("what", ["record", "timer"])
def test_a_worker_that_loses_its_partition_in_the_middle_of_a_turn_does_no_harm(step: str, what: str) -> None:
    """Up to the commit it is fenced; after it, what it persists lies in its own folder with the right position."""
    moves = iter([1, 0, 1])

    def move(local: LocalRunner, worker: int, at: str) -> None:
        if at == step and local.time == 5:
            to = next(moves, None)
            if to is not None:
                local.rebalance({0: to})

    local = runner(on_step=move, workers=2)
    local.send("in", event(1, ("add", "x", 1), ("set", "one", "t", 5 if what == "timer" else 50)))
    local.send("in", event(5, ("add", "x", 1)))
    local.send("in", event(9, ("add", "x", 1)))
    local.run()
    assert [out for out in outputs(local) if isinstance(out, int)] == [1, 2, 3]
    assert [out for out in outputs(local) if not isinstance(out, int)] == (
        [{"timer": "one", "due": 5, "now": 5}] if what == "timer" else []
    )
    for worker in (0, 1):
        local.rebalance({0: worker})
        assert local.table("scripted", "a") == {"x": 3}


def test_a_lost_store_is_restored_from_the_changelog() -> None:
    local = runner()
    local.send("in", event(1, ("put", "a", "x", 1), ("put", "a", "y", 1), ("set", "one", "t", 50)))
    local.send("in", event(2, ("delete", "a", "y")))
    local.run()
    local.crash(0, lose_stores=True)
    assert local.table("scripted", "a") == {"x": 1}
    local.send("in", event(60, ("add", "x", 1)))
    local.run()
    assert outputs(local) == [{"timer": "one", "due": 50, "now": 50}, 2]


def test_group_offsets_set_back_double_nothing_where_there_are_tables() -> None:
    local = runner()
    for number in range(3):
        local.send("in", event(number, ("add", "x", 1)))
    local.run()
    local.redeliver("scripted", "in", 0, 0)
    local.run()
    assert outputs(local) == [1, 2, 3]


def test_group_offsets_set_back_read_again_where_there_is_no_state() -> None:
    plain = Agent("plain", sources=("in",), writes=("out",))

    @plain.fold
    def fold(ctx: Context, key: bytes | None, fact: Any) -> None:
        ctx.emit("out", None, fact)

    local = LocalRunner([plain], JsonTopics(), 1)
    for number in range(3):
        local.send("in", number)
    local.run()
    local.redeliver("plain", "in", 0, 1)
    local.run()
    assert outputs(local) == [0, 1, 2, 1, 2]


def test_the_same_input_gives_the_same_bytes() -> None:
    def run() -> list[tuple[Any, Any, Any]]:
        local = LocalRunner([scripted()], JsonTopics(), 8, workers=3)
        for number in range(50):
            name = f"k{number % 7}"
            local.send("in", event(number, ("add", name, 1), ("set", "one", name, number + 3)), key=name)
        local.run()
        local.advance(100)
        return [
            (r.partition(), r.key(), r.value()) for topic in sorted(local.log.order) for r in local.log.order[topic]
        ]

    assert run() == run()
