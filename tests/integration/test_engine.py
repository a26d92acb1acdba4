"""The engine on a real broker: what survives a kill, a lost disk, a rebalance, wrong offsets, bad records."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.engine.source import JOIN_SECONDS
from streams.engine.transaction import COMMIT_SECONDS, STUCK_SECONDS
from streams.engine.turn import MOST_FIRED
from tests.integration.conftest import Family
from tests.servers.kafka import KafkaServer
from tests.support.process import WorkerProcess
from tests.support.progress import Groups, wait_until
from tests.support.records import read

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

# Ahead of the wall clock: timers go by stream time, so the oracle knows when they fire.
START_MS = (int(time.time()) + 3600) * 1000


def events(count: int, first: int = 0, **more: object) -> list[dict[str, object] | bytes]:
    return [
        {"id": first + number, "name": f"n{number % 50}", "n": 1, "at": START_MS + (first + number) * 10, **more}
        for number in range(count)
    ]


def assigned(worker: WorkerProcess, times: int = 1) -> None:
    wait_until(lambda: worker.text().count(": assigned [") >= times, 30, f"assignment {times} of {worker.name}")


def owned(worker: WorkerProcess) -> set[int]:
    """Its partitions by its own log (with the next group protocol they come and go one by one)."""
    mine: set[int] = set()
    for verb, listed in re.findall(r": (assigned|revoked) \[([0-9, ]*)\]", worker.life()):
        numbers = {int(number) for number in listed.split(",") if number.strip()}
        mine = mine | numbers if verb == "assigned" else mine - numbers
    return mine


def test_it_folds_everything_once_and_in_order(family: Family) -> None:
    family.feed(events(5000))
    family.start()
    family.wait_for_steps(5000)
    assert family.findings() == []


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_killed_worker_goes_on_where_it_stood(family: Family, protocol: str) -> None:
    worker = family.start("w1", "--batch", "100", "--protocol", protocol)
    family.feed(events(3000))
    family.wait_for_steps(200)
    worker.kill()
    family.feed(events(3000, first=3000))
    worker.start()
    family.wait_for_steps(6000)
    assert family.findings() == []


def test_a_lost_disk_is_restored_from_the_changelog(family: Family) -> None:
    worker = family.start()
    family.feed(events(3000))
    family.wait_for_steps(3000)
    worker.kill()
    shutil.rmtree(worker.data)
    family.feed(events(1000, first=3000))
    worker.start()
    family.wait_for_steps(4000)
    assert "restored 0 records" not in worker.text().rpartition("--- w1 starts")[2]
    assert family.findings() == []


def test_two_workers_share_the_partitions_and_take_over_from_each_other(family: Family) -> None:
    first = family.start("w1")
    family.feed(events(1000))
    family.wait_for_steps(1000)
    second = family.start("w2")
    assigned(second)
    family.feed(events(1000, first=1000))
    family.wait_for_steps(2000)
    assert first.stop() == 0
    family.feed(events(1000, first=2000))
    family.wait_for_steps(3000)
    assert "assigned [0, 1, 2, 3]" in second.text()
    assert family.findings() == []


def test_more_timers_than_a_turn_fires_all_come_before_the_next_record_and_once_each(family: Family) -> None:
    """Records of their partitions are held back meanwhile; after a kill the next worker reads them again."""
    due = 10 * MOST_FIRED  # on four partitions
    worker = family.start("w1", "--batch", "500")
    for number, told in ((0, 0), (1, 2 * due + 1000)):
        at = START_MS + number * 1000
        timers = [{"id": n, "name": f"due-{n}", "n": 1, "at": at, "timer": 100} for n in range(due)]
        family.feed([*timers, *events(1000, first=due, at=at + 100)])
        family.wait_for_steps(told + due + 100)
        if number:
            worker.kill()
            worker.start()
        family.wait_for_steps(told + 2 * due + 1000)
    assert family.findings() == []


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_worker_that_was_paused_past_its_session_cannot_commit(family: Family, protocol: str) -> None:
    first, second = (family.start(name, "--batch", "50", "--protocol", protocol) for name in ("w1", "w2"))
    assigned(first)
    assigned(second)
    family.feed(events(2000, timer=100))
    family.wait_for_steps(500)
    first.pause()
    family.feed(events(2000, first=2000, timer=100))
    wait_until(lambda: owned(second) == {0, 1, 2, 3}, 30, "the other worker takes over")
    first.resume()
    family.feed(events(2000, first=4000, timer=100))
    wait_until(lambda: first.text().count(": assigned [") >= 2, 40, "the paused worker joins again")
    family.wait_for_steps(6000)
    time.sleep(2)
    assert family.findings() == []


@pytest.mark.slow
def test_a_worker_paused_within_a_timer_does_not_fire_it_after_its_successor_did(family: Family) -> None:
    """By the wall clock, with no record at hand: such a turn must still be fenced by the group's generation."""
    first = family.start("w1", "--slow", "1")
    assigned(first)
    family.feed(list(events(1, at=int(time.time() * 1000), timer=1500)))
    first.wait_for("in timer")
    first.pause()
    second = family.start("w2")
    wait_until(lambda: owned(second) == {0, 1, 2, 3}, 30, "the other worker takes over")
    family.wait_for_steps(2)
    first.resume()
    wait_until(lambda: first.text().count(": assigned [") >= 2, 40, "the paused worker joins again")
    time.sleep(2)
    fired = [record.key for record in read(family.broker, f"{family.name}-steps") if b"timer-" in (record.value or b"")]
    assert len(fired) == 1


def test_what_a_killed_worker_left_open_does_not_hold_up_its_successor(family: Family) -> None:
    """Killed in the middle of a turn with outputs sent already: nobody waits for the transaction to time out."""
    first = family.start("w1", "--slow", "30")
    assigned(first)
    family.feed(events(500))
    family.wait_for_steps(500)
    second = family.start("w2")
    assigned(second)
    assigned(first, 2)
    family.feed([*events(200, first=500), *events(50, first=700, pause=True)])
    first.wait_for("in fold")
    time.sleep(0.5)
    killed = time.monotonic()
    first.kill()
    family.wait_for_steps(750)
    assert time.monotonic() - killed < 10
    assert "left open" in second.text()
    assert family.findings() == []


@pytest.mark.slow
def test_a_commit_given_up_that_the_broker_makes_all_the_same_counts_once(family: Family, kafka: KafkaServer) -> None:
    """The broker stands still for longer than a commit is waited for, then finds it among the requests that wait."""
    worker = family.start("w1", "--batch", "20", "--slow", "0.002")  # a fifth of its time it commits
    family.feed(events(2000, pause=True))
    family.wait_for_steps(100)
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        worker.wait_for("turn aborted: ", COMMIT_SECONDS + STUCK_SECONDS + 3)
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    family.wait_for_steps(2000, 2 * JOIN_SECONDS)  # the coordinator may come to itself as the session runs out
    assert worker.alive
    assert family.findings() == []


def test_offsets_set_back_by_hand_double_nothing(family: Family) -> None:
    worker = family.start()
    family.feed(events(2000))
    family.wait_for_steps(2000)
    worker.stop()
    reset(family, 0)
    worker.start()
    family.feed(events(500, first=2000))
    family.wait_for_steps(2500)
    assert family.findings() == []


def test_offsets_set_forward_by_hand_skip_nothing(family: Family) -> None:
    worker = family.start()
    family.feed(events(2000))
    family.wait_for_steps(2000)
    worker.stop()
    family.feed(events(500, first=2000))
    reset(family, 10_000)
    worker.start()
    family.wait_for_steps(2500)
    assert family.findings() == []


def reset(family: Family, offset: int) -> None:
    """What `kafka-consumer-groups --reset-offsets` does, on an empty group."""
    consumer = Consumer({"bootstrap.servers": family.broker, "group.id": f"oms-{family.name}"})
    wait_until(lambda: commits(consumer, family.source, offset), 20, "an empty group")
    consumer.close()


def commits(consumer: Consumer, topic: str, offset: int) -> bool:
    try:
        consumer.commit(offsets=[TopicPartition(topic, number, offset) for number in range(4)], asynchronous=False)
    except Exception:
        return False
    return True


def test_a_poison_record_goes_to_dead_letters_and_the_others_pass(family: Family) -> None:
    family.start()
    family.feed([*events(500), b"\xff not json", *events(1, first=500, fail=True), *events(500, first=501), b"[1]"])
    family.wait_for_steps(1000)
    letters: list[bytes] = []

    def arrived() -> bool:
        letters[:] = [r.value or b"" for r in read(family.broker, "dead-letters") if r.key == family.source.encode()]
        return len(letters) >= 3

    wait_until(arrived, 10, "three dead letters")
    assert len(letters) == 3
    assert sum(b'"stage":"decode"' in value for value in letters) == 2
    (failed,) = [orjson.loads(value) for value in letters if b"asked to fail" in value]
    assert (failed["error"], failed["agent"]) == ("ValueError: asked to fail", family.name)
    assert 'raise ValueError("asked to fail")' in failed["traceback"]
    assert family.findings() == []


def test_a_graceful_stop_finishes_the_turn_and_leaves_nothing_to_do(family: Family) -> None:
    worker = family.start("w1", "--batch", "100")
    family.feed(events(4000))
    family.wait_for_steps(300)
    started = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - started < 8
    assert "stopped" in worker.tail()
    done = family.steps()
    groups = Groups(family.broker, {f"oms-{family.name}": [family.source]})
    committed = sum(groups.committed().values())
    groups.close()
    assert committed == done, "what was committed is what was sent"
    worker.start()
    family.wait_for_steps(4000)
    assert family.findings() == []


def test_sigterm_while_idle_ends_at_once(family: Family) -> None:
    worker = family.start()
    assigned(worker)
    worker.signal(signal.SIGTERM)
    assert wait_until(lambda: not worker.alive, 8, "an idle worker ends") < 5
    assert worker.returncode == 0
