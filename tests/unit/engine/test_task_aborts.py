"""What a turn leaves behind that was aborted, or whose end is not known."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.engine import Agent
from streams.engine.errors import InfrastructureError
from streams.engine.record import LocalRecord
from streams.engine.store import MemoryStore
from tests.unit.engine.agents import event, scripted
from tests.unit.engine.support import Bench, Unreachable, no_trace


def test_an_aborted_turn_leaves_no_trace_and_the_same_records_fold_to_the_same_result() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("add", "x", 1), ("mutate", "list"), ("set", "one", "t", 30)))
    records = [bench.record(event(2, ("add", "x", 1), ("mutate", "list"), ("latest", "s", 1), ("memo", "m", 1)))]
    records.append(bench.record(event(40, ("memo_out", "m"), ("cancel", "one", "t"))))
    for _ in range(3):
        bench.transaction.fail = Unreachable("the broker went away")
        with no_trace(bench), pytest.raises(Unreachable):
            bench.turn(*records)
        assert bench.task.timers.next_due == 30
        assert bench.one.ctx.memo == {}
    bench.turn(*records)
    assert bench.sent("out") == [1, [0], 2, [0, 1], {"timer": "one", "due": 30, "now": 30}, 1]
    assert bench.sent("states") == [1]


def test_an_abort_in_the_first_turn_after_a_restart_goes_back_to_the_marker() -> None:
    bench = Bench(scripted())
    bench.turn(event(5, ("add", "x", 1)))
    again = bench.reopened()
    again.transaction.fail = Unreachable("away")
    with no_trace(again), pytest.raises(Unreachable):
        again.turn(event(9, ("add", "x", 1)))
    assert again.transaction.aborted == 1
    assert again.task.next == {"in": 1}


def test_an_aborted_isolated_turn_leaves_no_trace() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("add", "x", 1)))
    records = [bench.record(event(2, ("add", "x", 1))), bench.record(event(3, ("boom", "no")))]
    bench.transaction.fail = Unreachable("the broker went away")
    with no_trace(bench), pytest.raises(Unreachable):
        bench.turn(*records)
    bench.turn(*records)
    assert bench.sent("out") == [1, 2]
    assert len(bench.dead) == 1


@pytest.mark.parametrize("failure", [OSError("disk"), KeyError(0), InfrastructureError("disk")])
def test_a_turn_that_was_committed_is_never_folded_again(failure: Exception) -> None:
    """Whatever goes wrong after the commit: the worker must stop and catch up from the changelog."""

    class Failing(MemoryStore):
        def write(self, changes: Any, prepared: None = None) -> None:
            raise failure

    bench = Bench(scripted(), Failing())
    with pytest.raises(InfrastructureError):
        bench.turn(event(1, ("add", "x", 1)))
    assert bench.sent("out") == [1]
    assert len(bench.transaction.offsets) == 1


def test_a_committed_turn_whose_changelog_position_is_unknown_is_not_folded_again() -> None:
    bench = Bench(scripted())
    bench.transaction.no_positions = True
    with pytest.raises(InfrastructureError):
        bench.turn(event(1, ("add", "x", 1)))
    assert bench.sent("out") == [1]


def test_a_failure_to_prepare_the_write_during_the_commit_is_not_folded_again() -> None:
    class Failing(MemoryStore):
        def prepare(self, changes: Any) -> None:
            raise TypeError("a row that is no bytes")

    bench = Bench(scripted(), Failing())
    with pytest.raises(InfrastructureError):
        bench.turn(event(1, ("add", "x", 1)))
    assert bench.sent("out") == [1]


def test_an_agent_without_tables_writes_no_changelog_and_no_store() -> None:
    agent = Agent("plain", sources=("in",), writes=("out",))
    agent.fold(lambda ctx, key, fact: ctx.emit("out", "k", fact))
    bench = Bench(agent)
    bench.task.start_at("in", 0)
    bench.turn(1, 2)
    assert bench.transaction.rows == {}
    assert list(bench.store.range(b"", b"\xff")) == []
    assert bench.task.next == {"in": 2}
    bench.transaction.fail = Unreachable("gone")
    with pytest.raises(Unreachable):
        bench.turn(3)
    assert bench.task.next == {"in": 2}


def test_every_source_has_a_marker_of_its_own() -> None:
    bench = Bench(scripted(sources=("in", "other")))
    bench.run({"in": [bench.record(event(1))], "other": [bench.record(event(2), topic="other")] * 1})
    bench.run({"other": [bench.record(event(3), topic="other")]})
    again = bench.reopened()
    assert again.task.next == {"in": 1, "other": 2}
    assert bench.transaction.offsets == [{("in", 0): 1, ("other", 0): 1}, {("other", 0): 2}]


def test_a_position_follows_the_offsets_of_the_log_which_has_gaps() -> None:
    bench = Bench(scripted())
    bench.turn(LocalRecord("in", 0, 4, None, orjson.dumps(event(1))), LocalRecord("in", 0, 9, None, b"oops"))
    assert bench.task.next == {"in": 10}
