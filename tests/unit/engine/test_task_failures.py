"""What a record that fails, or that nobody can read, leaves behind in a turn - and what it does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.engine import Agent, Context
from streams.engine.codec.errors import RegistryError, RegistryUnavailableError
from streams.engine.dead_letters import TRACEBACK_CHARACTERS
from streams.engine.errors import InfrastructureError
from streams.engine.store import MemoryStore
from tests.unit.engine.agents import event, scripted
from tests.unit.engine.support import Bench, JsonTopics, Unreachable, no_trace, rows

# -- a failing record -------------------------------------------------------------------------------------------------


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


# -- bad input --------------------------------------------------------------------------------------------------------


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
