"""A task and its turns: what a failing record, timer or transaction leaves behind - and what it does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.engine import Agent, Clock, Context, EngineError
from streams.engine.codec.errors import DecodeError, RegistryError, RegistryUnavailableError
from streams.engine.dead_letters import TRACEBACK_CHARACTERS
from streams.engine.errors import InfrastructureError, SourceStopped
from streams.engine.local import LocalRecord
from streams.engine.store import MemoryStore
from streams.engine.task import MARK, POSITION, Task, _pair
from streams.engine.turn import Batch, Report, Turn
from tests.unit.engine.agents import event, scripted
from tests.unit.engine.support import Bench, JsonTopics, NotedTransaction, Unreachable, no_trace


def rows(bench: Bench, table: str) -> dict[str, Any]:
    return dict(bench.one.tables[bench.agent.tables[table]].scan())


# -- the good case ------------------------------------------------------------------------------------------------


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


# -- emit_latest --------------------------------------------------------------------------------------------------


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


# -- a failing record ---------------------------------------------------------------------------------------------


def test_a_failing_record_alone_is_buried_with_traceback_and_position_and_the_others_are_kept() -> None:
    bench = Bench(scripted())
    report = bench.turn(
        event(1, ("add", "x", 1)),
        event(2, ("add", "x", 10), ("put", "b", "left", 1), ("emit", "x", "left"), ("boom", "no such word")),
        event(3, ("add", "x", 100)),
    )
    assert report.isolated
    assert report.dead == {"decode": 0, "contract": 0, "rule": 1}
    assert bench.sent("out") == [1, 101]
    assert rows(bench, "a") == {"x": 101}
    assert rows(bench, "b") == {}
    (letter,) = bench.dead
    assert (letter["topic"], letter["partition"], letter["offset"], letter["stage"]) == ("in", 0, 1, "rule")
    assert letter["error"] == "Boom: no such word"
    assert letter["agent"] == "scripted"
    told = letter["traceback"].splitlines()
    assert told[0] == "Traceback (most recent call last):"
    assert re.fullmatch(r'  File "tests/unit/engine/agents.py", line \d+, in run', told[-3])
    assert told[-2:] == ["    raise Boom(text)", "tests.unit.engine.agents.Boom: no such word"]
    assert letter["key"] == "k"
    assert orjson.loads(letter["value"])["at"] == 2
    assert bench.task.next == {"in": 3}


def test_the_next_turn_after_a_failure_is_a_common_one() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("add", "x", 1)), event(2, ("boom", "no")))
    report = bench.turn(event(3, ("add", "x", 1)))
    assert not report.isolated
    assert bench.sent("out") == [1, 2]


def test_what_a_failing_reducer_did_to_a_value_in_place_is_not_seen() -> None:
    """Reducers must not change a value they got; one that does and fails must still leave no trace."""
    bench = Bench(scripted())
    bench.turn(event(1, ("mutate", "x")))
    bench.turn(event(2, ("mutate", "x"), ("boom", "no")), event(3, ("mutate", "x")))
    assert bench.sent("out") == [[0], [0, 1]]
    bench.turn(event(4, ("boom", "no")), event(5, ("mutate", "x"), ("boom", "no")), event(6, ("mutate", "x")))
    assert rows(bench, "a") == {"x": [0, 1, 2]}


def test_a_failing_record_does_not_move_stream_time() -> None:
    bench = Bench(scripted())
    bench.turn(event(5), event(99, ("boom", "no")), event(7))
    assert bench.task.stream_time == 7


def test_a_record_whose_time_cannot_be_told_is_buried() -> None:
    bench = Bench(scripted())
    bench.turn({"do": []}, event(1, ("emit", "x", 1)))
    assert bench.dead[0]["error"].startswith("KeyError: 'at'")
    assert bench.sent("out") == [1]


@pytest.mark.parametrize("at", [2**63, 2**64 - 1, -(2**63)])
def test_a_time_beyond_all_times_is_buried_and_the_next_records_are_folded(at: int) -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "one", "x", 10)), event(at), event(20, ("emit", "r", "after")))
    bench.turn(event(30, ("emit", "r", "later")))
    assert bench.sent("out")[-2:] == ["after", "later"]
    assert [letter["offset"] for letter in bench.dead] == ([1] if at > 0 else [])


def test_the_last_of_all_times_stops_nothing() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "one", "x", 10)), event(2**63 - 1))
    bench.turn(event(2, ("emit", "r", "later"), ("set", "two", "y", 20)))
    bench.turn(event(3))
    assert [out if out == "later" else out["timer"] for out in bench.sent("out")] == ["one", "later", "two"]


def test_a_failing_record_leaves_no_timer_and_cancels_none() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "kept", "x", 50)))
    bench.turn(event(2, ("cancel", "kept", "x"), ("set", "left", "y", 40), ("boom", "no")), event(3))
    bench.turn(event(60))
    assert [out["timer"] for out in bench.sent("out")] == ["kept"]


def test_a_failing_record_leaves_nothing_in_the_memo() -> None:
    """The memo may be lost at any time, but must never hold what was not done."""
    bench = Bench(scripted())
    bench.turn(event(1, ("memo", "x", 1), ("boom", "no")), event(2, ("memo_out", "x")))
    assert bench.sent("out") == [None]


def test_a_value_that_cannot_be_encoded_fails_its_record_with_all_its_tables() -> None:
    bench = Bench(scripted())
    bench.turn(
        event(1, ("put", "a", "good", 1)),
        event(2, ("put", "a", "left", 1), ("put_odd", "b", "odd"), ("put", "b", "left", 1), ("emit", "x", "left")),
        event(3, ("put", "b", "good", 1)),
    )
    assert rows(bench, "a") == {"good": 1}
    assert rows(bench, "b") == {"good": 1}
    assert bench.sent("out") == []
    assert len(bench.dead) == 1


@pytest.mark.parametrize("odd", [("emit_odd", "x"), ("latest_odd", "x"), ("emit_to", "nowhere", "x", 1)])
def test_an_output_that_cannot_be_encoded_fails_its_record_alone(odd: tuple[Any, ...]) -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("add", "x", 1)), event(2, ("add", "x", 1), odd), event(3, ("add", "x", 1)))
    assert bench.sent("out") == [1, 2]
    assert [letter["offset"] for letter in bench.dead] == [1]


@pytest.mark.parametrize("verb", ["emit_key", "latest_key", "put_key"])
def test_a_key_that_is_not_text_fails_its_record_alone(verb: str) -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("add", "x", 1)), event(2, ("add", "x", 1), (verb, "\\ud800")), event(3, ("add", "x", 1)))
    assert bench.sent("out") == [1, 2]
    assert [letter["offset"] for letter in bench.dead] == [1]


@pytest.mark.parametrize("verb", ["emit", "latest"])
def test_an_output_that_is_too_large_fails_its_record_alone(verb: str) -> None:
    bench = Bench(scripted(), max_value_bytes=1000)
    bench.turn(event(1, ("add", "x", 1)), event(2, ("add", "x", 1), (verb, "y", "z" * 999)), event(3, ("add", "x", 1)))
    assert bench.sent("out") == [1, 2]
    assert bench.sent("states") == []
    (letter,) = bench.dead
    assert letter["offset"] == 1
    assert "1001 bytes, more than 1000" in letter["error"]


def test_an_output_just_within_the_limit_is_sent() -> None:
    bench = Bench(scripted(), max_value_bytes=1000)
    assert not bench.turn(event(1, ("emit", "x", "z" * 998), ("latest", "x", "z" * 998))).isolated


def test_a_row_that_is_too_large_fails_its_record_alone() -> None:
    bench = Bench(scripted(), max_value_bytes=1000)
    bench.turn(event(1, ("put", "a", "good", 1)), event(2, ("put", "a", "left", 1), ("put", "a", "y", "z" * 999)))
    assert rows(bench, "a") == {"good": 1}
    assert "1001 bytes, more than 1000" in bench.dead[0]["error"]


@pytest.mark.parametrize("verb", ["emit", "latest"])
def test_an_output_with_a_key_of_a_megabyte_fails_its_record_alone(verb: str) -> None:
    bench = Bench(scripted())
    report = bench.turn(event(1, ("emit", "x", 1)), event(2, (verb, "k" * 1_000_000, 1)))
    assert report.isolated
    assert bench.sent("out") == [1]
    assert bench.sent("states") == []
    assert [letter["offset"] for letter in bench.dead] == [1]


def test_an_exception_that_cannot_be_shown_is_buried_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("cannot say")

    agent = Agent("mute", sources=("in",), writes=())

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: Any) -> None:
        raise Mute if fact == 1 else ValueError("half \ud800 of a pair")

    bench = Bench(agent)
    bench.turn(1, 2)
    assert [letter["error"] for letter in bench.dead] == ["Mute: (no text)", "ValueError: half \\ud800 of a pair"]
    assert [letter["traceback"].splitlines()[-1].rpartition(".")[2] for letter in bench.dead] == [
        "Mute: <exception str() failed>",
        "ValueError: half \\ud800 of a pair",
    ]


def test_a_traceback_has_its_causes_is_bounded_and_names_no_folder_of_this_machine() -> None:
    agent = Agent("deep", sources=("in",), writes=())

    def sink(levels: int) -> None:
        if levels:
            sink(levels - 1)
        raise ValueError("x" * 3 * TRACEBACK_CHARACTERS)

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: Any) -> None:
        try:
            {}[fact]
        except KeyError as error:
            if fact:
                raise LookupError("no such fact") from error
            sink(50)

    bench = Bench(agent)
    bench.turn(1, 0)
    short, long = (letter["traceback"] for letter in bench.dead)
    assert "KeyError: 1\n\nThe above exception was the direct cause" in short
    assert short.endswith("LookupError: no such fact\n")
    assert str(Path(__file__).parents[3]) not in short
    assert "^" not in short
    assert len(long) == TRACEBACK_CHARACTERS


def test_only_a_failed_rule_has_a_traceback() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("refuse", "too late")), b"?")
    assert [(letter["stage"], letter["agent"], letter["traceback"]) for letter in bench.dead] == [
        ("contract", "scripted", None),
        ("decode", "scripted", None),
    ]


# -- timers -------------------------------------------------------------------------------------------------------


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


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", None])
def test_what_cannot_be_decoded_is_buried_and_the_next_record_is_folded(payload: bytes | None) -> None:
    bench = Bench(scripted())
    report = bench.turn(bench.record(payload), event(1, ("emit", "x", 1)))
    assert not report.isolated, "a payload that cannot be decoded is no reason to fold one by one"
    assert report.dead["decode"] == 1
    assert [(letter["stage"], letter["offset"]) for letter in bench.dead] == [("decode", 0)]
    assert bench.sent("out") == [1]
    assert bench.task.next == {"in": 2}


def test_an_agent_may_ask_to_be_told_of_undecodable_records() -> None:
    agent = Agent("told", sources=("in",), writes=("out",))
    agent.table("t")
    agent.fold(lambda ctx, key, fact: None)

    @agent.on_undecodable
    def told(ctx: Context, key: bytes | None, value: bytes, error: str) -> None:
        ctx.emit("out", None, [ctx.source, ctx.offset, key and key.decode(), value.decode(), error])

    bench = Bench(agent)
    bench.turn(1, b"oops")
    assert [out[:4] for out in bench.sent("out")] == [["in", 1, "k", "oops"]]
    assert len(bench.dead) == 1


def test_an_undecodable_record_whose_callback_fails_is_buried_once() -> None:
    agent = Agent("told", sources=("in",))
    agent.fold(lambda ctx, key, fact: None)

    @agent.on_undecodable
    def told(ctx: Context, key: bytes | None, value: bytes, error: str) -> None:
        raise ValueError("no")

    bench = Bench(agent)
    report = bench.turn(1, b"oops", 2)
    assert [(letter["stage"], letter["offset"]) for letter in bench.dead] == [("rule", 1)]
    assert report.dead == {"decode": 0, "contract": 0, "rule": 1}


def test_a_refusal_is_a_dead_letter_with_position_and_keeps_what_the_reducer_did() -> None:
    bench = Bench(scripted())
    report = bench.turn(event(1, ("add", "x", 1), ("refuse", "an order without lines")))
    (letter,) = bench.dead
    assert (letter["stage"], letter["error"], letter["offset"]) == ("contract", "an order without lines", 0)
    assert bench.sent("out") == [1]
    assert report.dead["contract"] == 1
    assert not report.isolated


def test_a_refusal_after_a_timer_has_fired_is_still_about_the_record() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("set", "one", "x", 10)), event(30, ("refuse", "no")))
    assert [(letter["topic"], letter["offset"]) for letter in bench.dead] == [("in", 1)]


def test_a_refusal_is_counted_once_when_another_record_of_the_turn_fails() -> None:
    bench = Bench(scripted())
    report = bench.turn(event(1, ("refuse", "no")), event(2, ("refuse", "left"), ("boom", "no")))
    assert [(letter["stage"], letter["offset"]) for letter in bench.dead] == [("contract", 0), ("rule", 1)]
    assert report.dead == {"decode": 0, "contract": 1, "rule": 1}


@pytest.mark.parametrize("kind", [RegistryError, RegistryUnavailableError, InfrastructureError, Unreachable])
def test_a_broken_infrastructure_is_never_a_dead_letter(kind: type[Exception]) -> None:
    class Registry(JsonTopics):
        broken = False

        def decoder(self, topic: str) -> Any:
            def decode(data: bytes) -> Any:
                if self.broken and data == b"2":
                    raise kind("the registry does not answer")
                return orjson.loads(data)

            return decode

    registry = Registry()
    agent = Agent("plain", sources=("in",), writes=("out",))
    agent.table("t")

    @agent.fold
    def fold(ctx: Context, key: bytes | None, fact: Any) -> None:
        ctx.emit("out", "k", 1 // fact)

    bench = Bench(agent)
    bench.one._decoders = {"in": registry.decoder("in")}
    bench.turn(1)
    registry.broken = True
    records = [bench.record(value) for value in (1, 0, 2)]
    for batch in (records[:1] + records[2:], records):  # in a common and in an isolated run
        with no_trace(bench), pytest.raises(kind):
            bench.turn(*batch)
    registry.broken = False
    bench.turn(*records)
    assert bench.sent("out") == [1, 1, 0]
    assert len(bench.dead) == 1


def test_a_store_that_cannot_be_read_is_never_a_dead_letter() -> None:
    class Broken(MemoryStore):
        broken = False

        def get(self, key: bytes) -> bytes | None:
            if self.broken:
                raise InfrastructureError("cannot read the state store")
            return super().get(key)

    store = Broken()
    bench = Bench(scripted(), store)
    store.broken = True
    with pytest.raises(InfrastructureError):
        bench.turn(event(1, ("add", "x", 1)))
    assert bench.transaction.sent == []


# -- abort and commit ---------------------------------------------------------------------------------------------


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


# -- several partitions in one turn -------------------------------------------------------------------------------


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
        self._turn = Turn(self.agent, self.transaction, lambda: self.wall, live=False)

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


# -- a reader beside it -------------------------------------------------------------------------------------------


def test_a_look_from_outside_sees_committed_rows_only() -> None:
    bench = Bench(scripted())
    bench.turn(event(1, ("put", "a", "o-1", 1), ("put", "a", "o-2", 2), ("put", "a", "p-1", 3)))
    seen: list[Any] = []
    spec = bench.agent.tables["a"]
    bench._turn._at_step = lambda step: seen.append((step, bench.one.peek(spec, "o-")))
    bench.turn(event(2, ("put", "a", "o-1", 10), ("delete", "a", "o-2")))
    assert [rows for step, rows in seen if step != "done"] == [[("o-1", 1), ("o-2", 2)]] * 4
    assert seen[-1] == ("done", [("o-1", 10)])


# -- limits -------------------------------------------------------------------------------------------------------


def test_isolated_outcomes_are_told_in_order_and_stopping_leaves_no_trace() -> None:
    told: list[tuple[str, bool]] = []

    def outcome(topic: str, failed: bool) -> None:
        told.append((topic, failed))
        if told.count((topic, True)) == 3:
            raise SourceStopped("enough")

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
    bench._turn = Turn(agent, bench.transaction, lambda: bench.wall, live=live)
    bench.turn({"at": 1_000, "due": 5_000}, {"at": 9_000, "due": 5_000})
    bench.wall = 2_000
    bench.turn({"at": 1_500, "due": 5_000})
    ahead = [("event", 1_000), ("timer", 5_000), ("event", 9_000), ("timer", 9_000), ("event", 9_000)]
    assert seen == ([("event", 1_000), ("event", 1_000), ("event", 2_000)] if live else ahead)


@pytest.mark.parametrize("late", [0, 10_000_000])
def test_an_agent_by_its_events_gives_waits_their_time_and_ends_them_where_nothing_comes(late: int) -> None:
    agent, seen = noting(Clock.EVENTS)
    def live(bench: Bench) -> Bench:
        bench._turn = Turn(agent, bench.transaction, lambda: bench.wall, live=True)
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
    bench._turn = Turn(agent, bench.transaction, lambda: bench.wall, live=True)
    bench.turn({"at": 500})
    bench.wall = 2_000
    bench.transaction.fail = Unreachable("the broker is gone")
    with pytest.raises(Unreachable):
        bench.turn({"at": 9_000})
    assert bench.one.clock(2_100) == 500 + 1_100


def few(bench: Bench, most: int) -> Bench:
    """Turns of this bench fire no more than `most` timers."""
    bench._turn = Turn(bench.agent, bench.transaction, lambda: bench.wall, live=False, received_at=7, most_fired=most)
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


# -- the first turn -----------------------------------------------------------------------------------------------


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
