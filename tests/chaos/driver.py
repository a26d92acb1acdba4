"""Faults at random moments under load, from one seed; and how long it took until everything moved again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from confluent_kafka import Producer

from streams.engine import Agent
from streams.engine.agent import consumer_group
from tests.servers.kafka import KafkaServer
from tests.support.process import WorkerProcess
from tests.support.progress import QUIET, Groups, Place, wait_until

Encoded = tuple[str, bytes | None, bytes | None]
"""(topic, key, value)"""

SESSION_SECONDS = 6.0
RECOVERY_SECONDS = 10.0
SELDOM = {"alerts", "reports", "invoices", "calls"}
"""Agents that may have nothing to read for a while: few orders want an invoice, and couriers are called about parcels
long on their way. That they move cannot be asked."""
AT_FIRST = {"ops"}
"""Topics that are filled once, at the beginning."""


class Load:
    """Sends records at `rate` per second from a thread of its own, until stopped."""

    def __init__(self, broker: str, records: Iterator[Encoded], rate: float) -> None:
        # Waits out a broker restart: the load itself must not lose anything.
        self._producer = Producer(
            {"bootstrap.servers": broker, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 120_000},
            logger=QUIET,
        )
        self._records = records
        self._rate = rate
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.sent = 0
        self.failed: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> int:
        """Ends the load; answers how many records the broker has acknowledged."""
        self._done.set()
        self._thread.join(30)
        assert self._producer.flush(120) == 0, "the broker did not acknowledge the load"
        assert not self.failed, self.failed[0]
        return self.sent

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._done.is_set():
            due = int((time.monotonic() - begun) * self._rate) - self.sent
            for _ in range(due):
                topic, key, value = next(self._records)
                self._producer.produce(topic, value, key, on_delivery=self._delivered)
                self.sent += 1
            self._producer.poll(0)
            self._done.wait(0.02)

    def _delivered(self, error: object, _: object) -> None:
        if error is not None:
            self.failed.append(str(error))


@dataclass
class Chaos:
    """Plays faults on workers and broker while `agents` are at work."""

    kafka: KafkaServer
    workers: list[WorkerProcess]
    seed: int
    agents: list[Agent]
    recoveries: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.names = [agent.name for agent in self.agents]
        self.groups = Groups(self.kafka.bootstrap, {consumer_group(agent): agent.sources for agent in self.agents})

    def play(self, faults: list[str]) -> None:
        """Each fault at a random moment of the next seconds; the one after it once all agents are at work again."""
        for number, fault in enumerate(faults, 1):
            self.settled()
            time.sleep(self.chance.uniform(0, 2))
            victim = self.chance.choice(self.workers)
            seconds = getattr(self, f"_{fault}")(victim, self._moving())
            self.recoveries.append((fault, seconds))
            who = "broker" if fault in ("broker", "crash") else victim.name
            print(f"  {number:>2}/{len(faults)} {fault} {who}: processing again after {seconds:.1f} s", flush=True)

    def settled(self, seconds: float = 60) -> None:
        """Every worker has been given partitions for every agent since it was started."""
        for worker in self.workers:
            for agent in self.names:
                wait_until(
                    lambda worker=worker, agent=agent: f" {agent}: assigned [" in worker.life(),  # type: ignore[misc]
                    seconds,
                    f"{worker.name} has partitions for {agent}",
                )

    def _moving(self) -> dict[Place, int]:
        """Where the groups stand, of those places that moved when each was last seen to move; every agent has some.
        What is read now and then is left out: silence would be taken for a stand-still."""
        found: dict[str, dict[Place, int]] = {}
        fed = {consumer_group(agent) for agent in self.names if agent not in SELDOM}
        stand = self.groups.committed()

        def all_move() -> bool:
            nonlocal stand
            before, stand = stand, self.groups.committed()
            for group in fed:
                moved = {
                    place: offset
                    for place, offset in stand.items()
                    if place[0] == group and place[1] not in AT_FIRST and offset > before.get(place, 0)
                }
                if moved:
                    found[group] = moved
            return found.keys() == fed

        try:
            wait_until(all_move, 60, "every agent moves", every=0.7)
        except AssertionError:
            raise AssertionError(f"do not move: {sorted(fed - found.keys())}") from None
        return {place: offset for moved in found.values() for place, offset in moved.items()}

    def _recovered(self, before: dict[Place, int], since: float) -> float:
        """Until every place that moved before has moved on; seconds since `since`."""
        waiting = dict(before)
        when: dict[str, float] = {}  # by group: when its last place moved

        def moved() -> bool:
            now = self.groups.committed(sorted({place[0] for place in waiting}))
            for place in [place for place, offset in waiting.items() if now.get(place, 0) > offset]:
                del waiting[place]
                when[place[0]] = time.monotonic() - since
            return not waiting

        try:
            wait_until(moved, 60, "everything moves again", every=0.2)
        except AssertionError:
            raise AssertionError(f"seed {self.seed}: these do not move any more: {sorted(waiting)}") from None
        print("      " + ", ".join(f"{group} {seconds:.1f} s" for group, seconds in when.items()), flush=True)
        return max(when.values(), default=0.0)

    def _kill(self, victim: WorkerProcess, before: dict[Place, int]) -> float:
        """SIGKILL, and a supervisor that starts it again at once."""
        since = time.monotonic()
        victim.kill()
        stand = {place: offset for place, offset in self.groups.committed().items() if place in before}
        victim.start()
        return self._recovered(stand, since)

    def _lose(self, victim: WorkerProcess, before: dict[Place, int]) -> float:
        """SIGKILL, and nobody starts it again until the other worker has taken over."""
        since = time.monotonic()
        victim.kill()
        stand = {place: offset for place, offset in self.groups.committed().items() if place in before}
        seconds = self._recovered(stand, since)
        victim.start()
        return seconds

    def _pause(self, victim: WorkerProcess, before: dict[Place, int]) -> float:
        """SIGSTOP past the session timeout: the other takes over; then SIGCONT: a zombie that must be fenced."""
        since = time.monotonic()
        victim.pause()
        stand = {place: offset for place, offset in self.groups.committed().items() if place in before}
        seconds = self._recovered(stand, since)
        time.sleep(max(0.0, SESSION_SECONDS + 3 - (time.monotonic() - since)))
        victim.resume()
        return seconds

    def _broker(self, victim: WorkerProcess, before: dict[Place, int], hard: bool = False) -> float:
        """The broker is stopped and started again on the same port; seconds since it is back."""
        begun = time.monotonic()
        self.kafka.restart(hard=hard)
        since = time.monotonic()
        print(f"      broker stopped and started in {since - begun:.1f} s", flush=True)
        names = sorted({place[0] for place in before})
        stand: dict[Place, int] = {}

        def loaded() -> bool:
            stand.update({place: offset for place, offset in self.groups.committed(names).items() if place in before})
            return set(stand) == set(before)

        wait_until(loaded, 60, "the broker has loaded its groups")
        return self._recovered(stand, since)

    def _crash(self, victim: WorkerProcess, before: dict[Place, int]) -> float:
        """The same with SIGKILL."""
        return self._broker(victim, before, hard=True)
