"""What a runner does when a turn or a poll fails: read again, open anew, take less at a time, or give up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.engine.errors import InfrastructureError, Misconfigured, Unreachable
from streams.engine.precedence import HELD_SECONDS, PRESSING, SMALL, Precedence
from streams.engine.runner import (
    CALM_SECONDS,
    GIVE_UP_SECONDS,
    LEAST_BATCH,
    POLL_SECONDS,
    AgentRunner,
    Observer,
    RunnerConfig,
    Seat,
)
from streams.engine.transaction import TRANSACTION_TIMEOUT_MS
from streams.engine.turn import Batch, Report
from tests.unit.engine.agents import scripted
from tests.unit.engine.support import JsonTopics

ABORTABLE = KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
TIMEOUT = KafkaException(KafkaError(KafkaError._TIMED_OUT))
FATAL = KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))
_TASK: Any = SimpleNamespace()
SOMETHING = Batch([(_TASK, {})], 3)


class Told(Observer):
    def __init__(self) -> None:
        self.all: list[str] = []
        self.alive_at: list[float] = []

    def alive(self, agent: str, seat: Seat) -> None:
        self.alive_at.append(time.monotonic())

    def turn(self, agent: str, report: Report) -> None:
        self.all.append("turn")

    def aborted(self, agent: str) -> None:
        self.all.append("aborted")

    def stood_back(self, agent: str, seconds: float) -> None:
        self.all.append(f"stood back {seconds:.2f}")

    def fenced(self, agent: str) -> None:
        self.all.append("fenced")


class World(AgentRunner):
    """A runner whose clients are stand-ins; ``errors`` are raised by the next turns, ``cannot`` by the next opens."""

    def __init__(self, aside: bool = False, precedence: Precedence | None = None) -> None:
        self.told = Told()
        config = RunnerConfig({}, "w1", Path("data"), batch_size=1000, precedence=precedence or Precedence())
        super().__init__(replace(scripted(), aside=aside), JsonTopics(), config, self.told)
        self.batches: list[Batch] = []
        self.polls: list[tuple[float, int | None]] = []
        self.errors: list[BaseException | None] = []
        self.cannot: list[Exception] = []
        self.did: list[str] = []
        self.open()
        self.did.clear()

    def open(self) -> None:
        self.did.append("open")
        if self.cannot:
            raise self.cannot.pop(0)
        self.source = SimpleNamespace(  # type: ignore[assignment]
            batch_size=self._size,
            lost=False,
            rewind=lambda: self.did.append("rewind"),
            close=lambda: self.did.append("close"),
            poll=self._polled,
            hold=lambda left, more: None,
        )
        self.transaction = SimpleNamespace(broken=False, close=lambda: None)  # type: ignore[assignment]
        self._turn = SimpleNamespace(run=lambda batch: self._next(Report(records=batch.records)))  # type: ignore[assignment]

    def _polled(self, timeout: float, now: int, most: int | None) -> Any:
        self.polls.append((timeout, most))
        return self._next(self.batches.pop(0) if self.batches else Batch())

    def _next(self, answer: Any) -> Any:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    hands = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: hands.now)
    monkeypatch.setattr("time.sleep", lambda seconds: setattr(hands, "now", hands.now + seconds))
    return hands


@pytest.fixture
def world(clock: Any) -> World:
    return World()


def test_an_abortable_error_costs_the_turn_and_the_records_are_read_again(world: World) -> None:
    world.errors = [ABORTABLE]
    assert world.turn(SOMETHING) == 0
    assert world.did == ["rewind"]
    assert world.turn(SOMETHING) == 3
    assert world.told.all == ["aborted", "turn"]


def test_a_poll_that_fails_is_no_batch(world: World) -> None:
    world.errors = [ABORTABLE]
    assert world.poll().parts == []
    assert world.did == ["rewind"]


def test_a_source_that_gets_no_partitions_is_opened_anew(world: World) -> None:
    """A broker that crashes while a task is restored: the group's assignment is void, and no other follows."""
    for error in (Unreachable("cannot restore from x"), ABORTABLE):
        world.did.clear()
        assert world.source is not None
        world.source.lost = True
        world.errors = [error]
        assert world.poll().parts == []
        assert world.did == ["close", "open"]


def test_a_store_that_cannot_be_opened_stops_the_runner(world: World) -> None:
    world.errors = [InfrastructureError("cannot open the state store")]
    with pytest.raises(InfrastructureError):
        world.poll()


def test_a_fatal_error_opens_all_clients_anew(world: World) -> None:
    world.errors = [FATAL]
    assert world.turn(SOMETHING) == 0
    assert world.did == ["close", "open"]
    assert world.told.all == ["aborted", "fenced"]


def test_a_producer_that_cannot_even_abort_is_opened_anew(world: World) -> None:
    assert world.transaction is not None
    world.transaction.broken = True
    world.errors = [ABORTABLE]
    world.turn(SOMETHING)
    assert world.did == ["close", "open"]


def test_opening_anew_is_tried_until_it_works(world: World) -> None:
    world.errors = [FATAL]
    world.cannot = [InfrastructureError("no coordinator"), ABORTABLE]
    world.turn(SOMETHING)
    assert world.did.count("open") == 3
    assert world.turn(SOMETHING) == 3


@pytest.mark.parametrize(
    ("error", "says"),
    [(InfrastructureError("no coordinator"), "no coordinator"), (ABORTABLE, "agent scripted: cannot open anew: ")],
)
def test_it_gives_up_when_opening_anew_fails_for_too_long(
    world: World, clock: Any, error: Exception, says: str
) -> None:
    world.errors = [FATAL]
    world.cannot = [error] * 1000
    with pytest.raises(InfrastructureError, match=says):
        world.turn(SOMETHING)
    assert clock.now == pytest.approx(1000 + GIVE_UP_SECONDS, abs=2)


def test_it_gives_up_with_one_line_when_nothing_works_for_a_while(world: World, clock: Any) -> None:
    for _ in range(5):
        world.errors = [ABORTABLE]
        world.turn(SOMETHING)
        clock.now += GIVE_UP_SECONDS / 5
    clock.now += 1
    world.errors = [ABORTABLE]
    with pytest.raises(InfrastructureError, match="agent scripted: nothing works for 120 s") as caught:
        world.turn(SOMETHING)
    assert "\n" not in str(caught.value)


def test_what_the_broker_refuses_all_the_time_is_told_apart_from_one_that_is_away(world: World, clock: Any) -> None:
    clock.now += GIVE_UP_SECONDS + 1
    world.errors = [KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))]
    with pytest.raises(Misconfigured, match=r"nothing works for 120 s: .*authoriz"):
        world.turn(SOMETHING)


def test_a_good_turn_or_an_idle_poll_begins_the_patience_anew(world: World, clock: Any) -> None:
    for _ in range(5):
        clock.now += GIVE_UP_SECONDS - 1
        world.poll()
        clock.now += GIVE_UP_SECONDS - 1
        world.turn(SOMETHING)
        world.errors = [ABORTABLE]
        world.turn(SOMETHING)
    assert world.told.all == ["turn", "aborted"] * 5


def test_a_full_producer_queue_halves_the_batch_down_to_a_least_one(world: World) -> None:
    assert world.source is not None
    sizes = []
    for _ in range(6):
        world.errors = [BufferError("queue full")]
        world.turn(SOMETHING)
        sizes.append(world.source.batch_size)
    assert sizes == [500, 250, 125, 62, LEAST_BATCH, LEAST_BATCH]
    assert world.did == ["rewind"] * 6


def test_a_batch_that_is_set_smaller_than_the_least_one_does_not_grow_by_a_failure(world: World) -> None:
    assert world.source is not None
    world._resize(LEAST_BATCH - 1)
    world.errors = [BufferError("queue full")]
    world.turn(SOMETHING)
    assert world.source.batch_size == LEAST_BATCH - 1


def test_a_commit_that_takes_too_long_halves_the_batch_and_opening_anew_keeps_it(world: World) -> None:
    """Else a broker that is too slow for a full batch would be given the same one again and again."""
    world.errors = [TIMEOUT]
    world.turn(SOMETHING)
    assert world.source is not None
    assert world.source.batch_size == 500
    world.errors = [FATAL]
    world.turn(SOMETHING)
    assert world.did == ["rewind", "close", "open"]
    assert world.source.batch_size == 500


def test_a_turn_that_outlasts_its_transaction_halves_the_batch(world: World, clock: Any) -> None:
    """The broker ends what is open for too long and fences its producer: the same batch would take as long again."""
    assert world.source is not None

    def slow(batch: Batch) -> Report:
        clock.now += TRANSACTION_TIMEOUT_MS / 1000 + 1
        raise FATAL

    world._turn.run = slow  # type: ignore[union-attr, method-assign]
    world.turn(SOMETHING)
    assert world.did == ["close", "open"]
    assert world.source.batch_size == 500
    world.errors = [FATAL]
    world.turn(SOMETHING)
    assert world.source.batch_size == 500, "fenced by another after a short turn: no reason"


def test_a_poll_that_has_not_read_yet_what_failed_does_not_hide_that_nothing_works(world: World, clock: Any) -> None:
    def tried() -> None:
        for _ in range(200):
            world.errors = [ABORTABLE]
            world.turn(SOMETHING)
            clock.now += 1
            world.poll()

    with pytest.raises(InfrastructureError, match="nothing works for 120 s"):
        tried()
    assert clock.now < 1000 + GIVE_UP_SECONDS + 3
    assert world.told.alive_at == []


def test_after_a_failure_an_idle_worker_is_well_again_soon(world: World, clock: Any) -> None:
    """What failed may be another worker's by now, so no turn will come."""
    world.errors = [ABORTABLE]
    world.turn(SOMETHING)
    for _ in range(10):
        clock.now += 1
        world.poll()
    assert world.told.alive_at
    assert min(world.told.alive_at) > 1000 + CALM_SECONDS


def test_what_a_runner_is_told_does_not_show_the_password() -> None:
    assert "secret" not in repr(RunnerConfig({"sasl.password": "secret"}, "w1", Path("data")))


def test_after_a_hundred_good_turns_the_batch_grows_again_to_what_is_set(world: World) -> None:
    assert world.source is not None
    world._resize(300)
    for _ in range(99):
        world.turn(SOMETHING)
    assert world.source.batch_size == 300
    world.turn(SOMETHING)
    assert world.source.batch_size == 600
    for _ in range(300):
        world.turn(SOMETHING)
    assert world.source.batch_size == 1000


@pytest.mark.parametrize("error", [InfrastructureError("disk full"), ValueError("a bug")])
def test_what_is_not_the_transport_s_stops_the_runner(world: World, error: Exception) -> None:
    world.errors = [error]
    with pytest.raises(type(error)):
        world.turn(SOMETHING)
    assert world.did == []


# -- standing back ----------------------------------------------------------------------------------------------------


def pressing(world: World, records: int = PRESSING) -> None:
    """An agent on the way has a batch of so many."""
    world.batches = [Batch([(_TASK, {})], records)]
    world.poll()


def test_an_agent_aside_takes_small_turns_and_pauses_after_them_while_another_cannot_keep_up(clock: Any) -> None:
    spent = SimpleNamespace(seconds=0.0)
    both = Precedence(0.2, time.monotonic, lambda: spent.seconds)
    ahead, aside = World(precedence=both), World(aside=True, precedence=both)
    aside.batches = [SOMETHING, SOMETHING]

    pressing(ahead)
    batch = aside.poll()
    assert (batch, aside.polls) == (SOMETHING, [(0.0, SMALL)])
    spent.seconds += 0.1
    assert aside.turn(batch) == 3
    for _ in range(4):  # 0.1 s are a fifth of the half second that ends 0.4 s later
        assert aside.poll().parts == []
    assert aside.polls == [(0.0, SMALL)], "its consumer was asked for nothing"
    assert aside.told.all == ["turn", *["stood back 0.10"] * 4]
    assert aside.poll() == SOMETHING
    assert len(aside.told.alive_at) == 5, "who stands back is alive"


def test_an_agent_on_the_way_never_stands_back(clock: Any) -> None:
    both = Precedence(0.2, time.monotonic)
    world = World(precedence=both)
    pressing(world)
    world.batches = [SOMETHING] * 2
    for _ in range(2):
        world.turn(world.poll())
    assert world.polls == [(POLL_SECONDS, None)] * 3


@pytest.mark.parametrize(
    ("records", "later", "share"), [(PRESSING - 1, 0, 0.2), (PRESSING, HELD_SECONDS, 0.2), (9999, 0, 1.0)]
)
def test_all_are_alike_while_nobody_is_pressed(clock: Any, records: int, later: float, share: float) -> None:
    both = Precedence(share, time.monotonic)
    ahead, aside = World(precedence=both), World(aside=True, precedence=both)
    pressing(ahead, records)
    pressing(ahead, PRESSING - 1)
    clock.now += later
    aside.batches = [SOMETHING] * 2
    for _ in range(2):
        aside.turn(aside.poll())
    assert aside.polls == [(POLL_SECONDS, None)] * 2


@pytest.mark.parametrize("ends", [lambda world: pressing(world, 0), World.close])
def test_who_is_pressed_is_so_until_the_next_poll_however_long_the_turn_takes(
    clock: Any, ends: Callable[[World], None]
) -> None:
    both = Precedence(0.2, time.monotonic)
    ahead, aside = World(precedence=both), World(aside=True, precedence=both)
    pressing(ahead)
    clock.now += 10 * HELD_SECONDS
    aside.poll()
    ends(ahead)
    clock.now += HELD_SECONDS / 2
    aside.poll()
    clock.now += HELD_SECONDS / 2
    aside.poll()
    assert aside.polls == [(0.0, SMALL), (0.0, SMALL), (POLL_SECONDS, None)]


def test_agents_aside_take_their_turns_one_after_the_other(clock: Any) -> None:
    both = Precedence(0.2, time.monotonic, lambda: 0.0)
    ahead, one, two = World(precedence=both), World(aside=True, precedence=both), World(aside=True, precedence=both)
    one.batches = two.batches = [SOMETHING]
    pressing(ahead)
    batch = one.poll()
    assert two.poll().parts == []
    one.turn(batch)
    two.batches = [SOMETHING]
    assert two.poll() == SOMETHING


def test_whoever_has_nothing_to_do_or_fails_keeps_nobody_waiting(clock: Any) -> None:
    both = Precedence(0.2, time.monotonic, lambda: 0.0)
    ahead, one, two = World(precedence=both), World(aside=True, precedence=both), World(aside=True, precedence=both)
    pressing(ahead)
    assert one.poll().parts == []
    one.errors = [ABORTABLE]
    assert one.poll().parts == []
    one.batches = [SOMETHING]
    batch = one.poll()
    one.errors = [FATAL]
    assert one.turn(batch) == 0
    two.batches = [SOMETHING]
    assert two.poll() == SOMETHING


def test_a_restore_within_a_poll_keeps_others_waiting_for_five_seconds_only(clock: Any) -> None:
    both = Precedence(0.2, time.monotonic, lambda: 0.0)
    ahead, one, two = World(precedence=both), World(aside=True, precedence=both), World(aside=True, precedence=both)
    one.batches = [SOMETHING]
    pressing(ahead)
    one.poll()
    clock.now += 4.8
    pressing(ahead)
    two.batches = [SOMETHING]
    assert two.poll().parts == []
    clock.now += 0.2
    assert two.poll() == SOMETHING
