"""Agents joined into one give what each of them gives alone, whatever happens, and cost one decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.engine import Agent, Clock, Context
from streams.engine.agent import joined
from streams.engine.joint import AnyTask, JointTask, scopes, task_of
from streams.engine.local import LocalRunner
from streams.engine.record import LocalRecord
from streams.engine.store import MemoryStore
from streams.engine.turn import Batch, Turn
from tests.support.effort import tries
from tests.unit.engine.support import JsonTopics, NotedTransaction

Event = dict[str, Any]


def counting(name: str, *, fails_at: int = -1, waits: int = 10) -> Agent:
    """Counts what each key sends, tells it, and tells it again `waits` later; event `fails_at` is too much for it."""
    agent = Agent(name, sources=("in",), writes=("out", "states"))
    counts = agent.table("counts")

    @agent.time_of
    def time_of(event: Event) -> int:
        return int(event["at"])

    @agent.fold
    def fold(ctx: Context, key: bytes | None, event: Event) -> None:
        who = event["key"]
        ctx[counts][who] = ctx[counts].get(who, 0) + 1
        if event["n"] == fails_at:
            raise ZeroDivisionError(f"{name} cannot")
        ctx.emit("out", who, [name, event["n"], ctx[counts][who]])
        ctx.emit_latest("states", f"{name}/{who}", ctx[counts][who])
        if ctx.timers.due("late", who) is None:
            ctx.timers.set("late", who, event["at"] + waits)

    @agent.on_timer
    def late(ctx: Context, kind: str, key: str, due: int) -> None:
        ctx.emit("out", key, [name, kind, ctx[counts].get(key), due])

    return agent


def told_by(name: str, sent: Sequence[Any]) -> list[Any]:
    return [value for value in sent if value[0] == name]


events = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=25)


@given(events, st.integers(-1, 20), st.integers(0, 12), st.booleans())
@settings(max_examples=tries(200), deadline=None)
def test_each_part_gives_what_it_gives_alone_over_crashes_and_failures(
    sent: list[tuple[str, int]], fails_at: int, dies_at: int, lose_stores: bool
) -> None:
    parts = [counting("left", fails_at=fails_at), counting("right", waits=4)]

    def played(agents: Sequence[Agent]) -> LocalRunner:
        runner = LocalRunner(agents, JsonTopics(), partitions=2)
        for number, (key, at) in enumerate(sent):
            runner.send("in", {"key": key, "n": number, "at": at}, key)
            runner.run()
            if number == dies_at:
                runner.crash(0, lose_stores=lose_stores)
        runner.advance(100)
        return runner

    whole, alone = played([joined("both", parts)]), played(parts)
    for part in parts:
        assert whole.table(part.name, "counts") == alone.table(part.name, "counts")
        for key in "abc":  # of one key, the order is the same
            given, wanted = (
                told_by(part.name, [value for name, value in runner.output("out") if name == key])
                for runner in (whole, alone)
            )
            assert given == wanted
    assert sorted(map(str, whole.output("dead-letters"))) == sorted(map(str, alone.output("dead-letters")))


@given(events, st.integers(1, 3), st.integers(0, 6))
@example([("a", 7), ("b", 0), ("c", 0)], 1, 3)
@settings(max_examples=tries(200), deadline=None)
def test_a_part_whose_timers_are_too_many_for_a_turn_comes_after_and_nothing_is_doubled(
    sent: list[tuple[str, int]], most: int, fails_at: int
) -> None:
    parts = [counting("left", waits=1, fails_at=fails_at), counting("right", waits=7)]
    records = [
        LocalRecord("in", 0, number, key.encode(), JsonTopics().encoder("in")({"key": key, "n": number, "at": at}))
        for number, (key, at) in enumerate(sent)
    ]

    def played(agent: Agent) -> NotedTransaction:
        task = task_over(agent)
        transaction = NotedTransaction()
        turn = Turn(agent.name, transaction, lambda: 0, live=False, most_fired=most)
        parts: Any = [(task, {"in": records})]
        for _ in range(1000):
            report = turn.run(Batch(parts, len(records)))
            if not report.left and not report.more:
                break
            parts = report.left or [(task, {})]
        assert task.next == {"in": len(records)}
        for _ in range(len(records) * 2):  # what became due with the last of them: of each part, one a record
            turn.run(Batch([(task, {})], 0))
        return transaction

    together = outputs(played(joined("both", parts)))
    for part in parts:
        assert told_by(part.name, together) == outputs(played(part))


def outputs(transaction: NotedTransaction) -> list[Any]:
    decode = JsonTopics().decoder("out")
    return [decode(value) for topic, value, _ in transaction.sent if topic == "out" and value is not None]


def task_over(agent: Agent, **options: Any) -> AnyTask:
    return task_of(agent, 0, MemoryStore(), JsonTopics(), fatal=NotedTransaction.fatal, **options)


def records_of(*keys: str) -> list[LocalRecord]:
    encode = JsonTopics().encoder("in")
    return [LocalRecord("in", 0, n, key.encode(), encode({"key": key, "n": n, "at": 5})) for n, key in enumerate(keys)]


def test_a_record_is_decoded_once_for_all_parts_and_again_for_each_when_one_of_them_failed() -> None:
    decoded: list[bytes] = []

    class Noting(JsonTopics):
        def decoder(self, topic: str, **options: Any) -> Any:
            decode = super().decoder(topic, **options)

            def noted(data: bytes) -> Any:
                decoded.append(data)
                return decode(data)

            return noted

    records = records_of("a", "b", "c")
    for fails_at, times in ((-1, 3), (1, 3 + 2 * 2 * 3)):  # an isolated run looks at the time, then folds
        decoded.clear()
        agent = joined("both", [counting("left"), counting("right", fails_at=fails_at)])
        task = task_of(agent, 0, MemoryStore(), Noting(), fatal=NotedTransaction.fatal)
        Turn(agent.name, NotedTransaction(), lambda: 0, live=False).run(Batch([(task, {"in": records})], 3))
        assert len(decoded) <= times
        assert len(decoded) == times or fails_at >= 0
        assert isinstance(task, JointTask)
        assert task._codecs._events == {}, "what is kept of a turn would be kept for ever"


def test_what_one_part_cannot_fold_the_others_do_and_the_record_counts_as_failed_once() -> None:
    outcomes: list[tuple[str, bool]] = []
    agent = joined("both", [counting("left", fails_at=1), counting("right")])
    task = task_over(agent, on_outcome=lambda topic, failed: outcomes.append((topic, failed)))
    transaction = NotedTransaction()
    batch = Batch([(task, {"in": records_of("a", "a", "a")})], 3)
    report = Turn(agent.name, transaction, lambda: 0, live=False).run(batch)
    assert report.dead["rule"] == 1
    assert outcomes == [("in", False), ("in", True), ("in", False)]
    [dead] = [JsonTopics().decoder(name)(value or b"") for name, value, _ in transaction.sent if name == "dead-letters"]
    assert (dead["agent"], dead["offset"]) == ("left", 1)
    counts = {one.agent.name: dict(one.tables[one.agent.tables["counts"]].scan()) for one in task.tasks}
    assert counts == {"left": {"a": 2}, "right": {"a": 3}}


def test_a_part_that_is_new_in_an_old_store_reads_from_the_beginning_and_the_others_count_nothing_twice() -> None:
    runner = LocalRunner([joined("both", [counting("left")])], JsonTopics(), partitions=1, batch=3)
    for n in range(4):
        runner.send("in", {"key": "a", "n": n, "at": n}, "a")
    runner.run()
    runner.restart([joined("both", [counting("left"), counting("right")])])
    runner.send("in", {"key": "a", "n": 4, "at": 4}, "a")
    runner.run()
    assert runner.table("left", "counts") == runner.table("right", "counts") == {"a": 5}
    assert [value[1] for value in told_by("left", [value for _, value in runner.output("out")])] == [0, 1, 2, 3, 4]


def test_parts_must_read_the_same_by_the_same_clock() -> None:
    elsewhere = Agent("elsewhere", sources=("other",))
    later = Agent("later", sources=("in",), clock=Clock.WALL)
    for other in (elsewhere, later):
        other.table("rows")
        other.fold(lambda ctx, key, event: None)
        with pytest.raises(ValueError, match="differ in sources, clock or what they skip"):
            joined("both", [counting("left"), other])
    with pytest.raises(ValueError, match="cannot be a part"):
        joined("both", [Agent("idle", sources=("in",))])
    with pytest.raises(ValueError, match="cannot be a part"):
        joined("more", [joined("both", [counting("left")])])
    passing = Agent("passing", sources=("in",), writes=("out",))
    passing.fold(lambda ctx, key, event: ctx.emit("out", "x", event))
    with pytest.raises(ValueError, match=r"cannot be a part of both: .* without state"):
        joined("both", [counting("left"), passing])  # nothing would say after a restart how far it came


def test_rows_of_parts_lie_apart() -> None:
    agent = joined("both", [counting("left"), counting("right")])
    task = task_over(agent)
    assert isinstance(task, JointTask)
    Turn(agent.name, NotedTransaction(), lambda: 0, live=False).run(Batch([(task, {"in": records_of("a")})], 1))
    found = {key.partition(b"\0")[0] + b"\0" for key, _ in task.store.range(b"a", b"z")}
    assert found == {*scopes(agent)} == {b"left\0", b"right\0"}
    assert task.tasks[0].peek(task.tasks[0].agent.tables["counts"], "") == [("a", 1)]
