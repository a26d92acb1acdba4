"""Runs one agent in one worker, on a thread of its own: source, transaction and turns, and what to do when they fail.
Several agents on one thread, in turns they have together: `engine.chain`.

record fails in a reducer    isolated and buried by the turn; too many of them: ``SourceStopped``
abortable error              aborted, rolled back, read again from where the tasks stand
fenced, lost, broken         all clients are opened anew, stores restored from their position
nothing works for a while    ``InfrastructureError``: the worker stops with one line
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from streams.engine.agent import Agent, Codecs, consumer_group
from streams.engine.codec.errors import RegistryError
from streams.engine.dead_letters import TIMERS, Limits, LimitState
from streams.engine.errors import EngineError, InfrastructureError, Misconfigured, SourceStopped, Unreachable
from streams.engine.precedence import SMALL, Precedence
from streams.engine.source import KafkaSource
from streams.engine.task import OnOutcome
from streams.engine.transaction import (
    TRANSACTION_TIMEOUT_MS,
    KafkaTransaction,
    failure,
    is_fatal,
    is_timeout,
    reason,
)
from streams.engine.turn import Batch, Report, Turn
from streams.engine.wire.producer import WireTransaction, open_transaction

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.1
"""Longest wait for a first record: how late a timer may fire by the wall clock on an idle partition."""
GIVE_UP_SECONDS: Final = 120.0
"""Without one good turn or idle poll for this long the worker stops; supervisors and people take over."""
CALM_SECONDS: Final = 5.0
"""An idle poll sooner after a failure is no good one: the client may not have read yet what failed."""
LEAST_BATCH: Final = 50
TAKEN_TIMES: Final = 3
TAKEN_SECONDS: Final = 60.0
"""Losing the place in the group to the same worker id this often within this long means a second worker."""
_AWAY: Final[tuple[type[BaseException], ...]] = (Unreachable, *KafkaTransaction.fatal)
_CANNOT_TELL: Final[tuple[type[BaseException], ...]] = (EngineError, RegistryError, *KafkaTransaction.fatal)
"""What may keep the alert of a stopped source from being sent."""
_CANNOT_OPEN: Final[tuple[type[BaseException], ...]] = (InfrastructureError, *KafkaTransaction.fatal)


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """What all agents of a worker share. ``conf`` is librdkafka's: bootstrap servers and security. ``producer``: `auto`
    (our own where it can) or `librdkafka`."""

    conf: Mapping[str, Any] = field(repr=False)  # has passwords
    worker_id: str
    data_dir: Path
    client_id: str = "oms"
    batch_size: int = 4_000
    session_timeout_ms: int = 6000
    group_protocol: str = "classic"
    producer: str = "auto"
    limits: Limits = field(default_factory=Limits)
    precedence: Precedence = field(default_factory=Precedence)


class Seat(Protocol):
    """An agent in a worker; ``source`` is None while nothing is open."""

    agent: Agent
    source: KafkaSource | None


class Observer:
    """What a runner reports; metrics and health override it. Called on the agent's thread."""

    def turn(self, agent: str, report: Report) -> None: ...

    def aborted(self, agent: str) -> None: ...

    def stood_back(self, agent: str, seconds: float) -> None: ...

    def fenced(self, agent: str) -> None: ...

    def restoring(self, agent: str, records: int, partitions_left: int) -> None: ...

    def alive(self, agent: str, seat: Seat) -> None:
        """After every loop, idle ones included."""

    def stopped(self, agent: str, why: str) -> None: ...


def wall_ms() -> int:
    """The live clock."""
    return time.time_ns() // 1_000_000


class AgentRunner:
    """See the module. ``open``, then ``step`` again and again, then ``close``; all from one thread."""

    def __init__(
        self,
        agent: Agent,
        codecs: Codecs,
        config: RunnerConfig,
        observer: Observer | None = None,
        wall: Callable[[], int] = wall_ms,
    ) -> None:
        self.agent = agent
        self.name = agent.name
        self.config = config
        self.observer = observer or Observer()
        self.source: KafkaSource | None = None
        self.transaction: WireTransaction | KafkaTransaction | None = None
        self._codecs = codecs
        self._conf = {**config.conf, "client.id": config.client_id}
        self._size = config.batch_size
        self._wall = wall
        self._turn: Turn | None = None
        self._precedence = config.precedence
        self._limits: dict[tuple[str, str], LimitState] = {}
        """By agent and source topic, or `TIMERS`."""
        self._good_at = time.monotonic()
        self._failed_at: float | None = None
        self._calm = 0
        self._taken_at: list[float] = []

    @property
    def seats(self) -> Sequence[Seat]:
        """The agents it runs, those that were stopped left out."""
        return (self,)

    @property
    def _id(self) -> str:
        """Transactional id, and name of the member in its group: of this worker for ever."""
        return f"{consumer_group(self.name)}-{self.config.worker_id}"

    def open(self) -> None:
        """Fence a predecessor of this worker id, join the group. Assignment and restore happen in later steps."""
        self.transaction = self._opened_transaction(lambda topic: self.source.group_metadata() if self.source else None)
        self.source = self._opened_source(self.agent, self._outcome)
        self._turn = Turn(self.name, self.transaction, self._wall)
        self._good_at = time.monotonic()

    def _opened_transaction(self, group_metadata: Callable[[str], Any]) -> WireTransaction | KafkaTransaction:
        transaction, why = open_transaction(self._conf, self._id, group_metadata, self.config.producer)
        if why:
            log.info("%s: librdkafka's producer: %s", self.name, why)
        return transaction

    def _opened_source(self, agent: Agent, on_outcome: OnOutcome, handed: bool = False) -> KafkaSource:
        config = self.config
        return KafkaSource(
            agent,
            self._codecs,
            self._conf,
            group=consumer_group(agent),
            instance=self._id,
            folder=config.data_dir / agent.name,
            batch_size=self._size,
            session_timeout_ms=config.session_timeout_ms,
            group_protocol=config.group_protocol,
            on_outcome=on_outcome,
            on_restore=partial(self._restoring, agent.name),
            handed=handed,
        )

    def _restoring(self, agent: str, records: int, partitions_left: int) -> None:
        self.observer.restoring(agent, records, partitions_left)

    def poll(self) -> Batch:
        """The next batch; empty when there is nothing to do. Rebalances and restores happen in here."""
        aside = self.agent.aside
        pressed = aside and self._precedence.pressed
        if pressed and (seconds := self._precedence.wait(self)):
            return self._stand_back(min(seconds, POLL_SECONDS))
        try:
            timeout, most = (0.0, SMALL) if pressed else (POLL_SECONDS, None)
            batch = self._polled_batch(timeout, most)
        except _AWAY as error:
            self._precedence.done(self)
            self._recover(error)
            return Batch()
        if not aside:
            self._precedence.polled(self, batch.records)
        elif pressed and not batch.parts:
            self._precedence.done(self)
            self._stand_back(POLL_SECONDS)
        if not batch.parts and (self._failed_at is None or time.monotonic() - self._failed_at > CALM_SECONDS):
            self._good()
        return batch

    def _polled_batch(self, timeout: float, most: int | None) -> Batch:
        assert self.source is not None
        return self.source.poll(timeout, self._wall(), most)

    def turn(self, batch: Batch) -> int:
        """One turn over the batch; answers the number of records folded (0 if it had to be aborted)."""
        try:
            return self._turned(batch)
        finally:
            if self.agent.aside:
                self._precedence.done(self)

    def _turned(self, batch: Batch) -> int:
        assert self._turn is not None
        began = time.monotonic()
        try:
            report = self._turn.run(batch)
        except KafkaTransaction.fatal as error:
            for state in self._limits.values():
                state.rolled_back()
            self._recover(error, time.monotonic() - began)
            return 0
        self._regrow()
        if self._limits:
            self._count(batch, report)
        self._turned_well(report)
        self._good()
        return report.records

    def _turned_well(self, report: Report) -> None:
        assert self.source is not None
        self.source.hold(report.left, report.more)
        self.observer.turn(self.name, report)

    def step(self) -> int:
        """Poll and, if there is anything to do, one turn; answers the number of records folded."""
        batch = self.poll()
        return self.turn(batch) if batch.parts else 0

    def _stand_back(self, seconds: float) -> Batch:
        """Others go first; no batch for now."""
        time.sleep(seconds)
        self.observer.stood_back(self.agent.name, seconds)
        if self._failed_at is None:
            self._good()
        return Batch()

    def _good(self) -> None:
        self._good_at, self._failed_at = time.monotonic(), None
        for seat in self.seats:
            self.observer.alive(seat.agent.name, seat)

    def announce(self, topic: str, key: str, value: bytes) -> None:
        """Send one record in a transaction of its own (the alert that a source was stopped)."""
        assert self.transaction is not None
        self.transaction.begin()
        self.transaction.sink(topic, value, key)
        self.transaction.commit({})

    def close(self) -> None:
        """Leave the group, close the stores, drop the producer. The turn in hand is over: ``step`` is not running."""
        self._precedence.polled(self, 0)
        for seat in self.seats:
            if seat.source is not None:
                seat.source.close()
                seat.source = None
        if self.transaction is not None:
            self.transaction.close()
            self.transaction = None

    # -- failures ---------------------------------------------------------------------------------------------------

    def _recover(self, error: BaseException, seconds: float = 0.0) -> None:
        """``seconds``: what the turn took that failed."""
        assert self.transaction is not None
        sources = [seat.source for seat in self.seats if seat.source is not None]
        self._failed_at = time.monotonic()
        if self._failed_at - self._good_at > GIVE_UP_SECONDS:
            raise failure(f"agent {self.name}: nothing works for {GIVE_UP_SECONDS:.0f} s", error)
        if _static_member_taken(error):
            self._taken()
        self.observer.aborted(self.name)
        log.warning("%s: turn aborted: %s", self.name, reason(error))
        # Too much for the producer's queue, or perhaps more than a slow broker takes in the time of a commit, or than
        # can be folded before the broker ends the transaction.
        much = isinstance(error, BufferError) or is_timeout(error) or seconds * 1000 > TRANSACTION_TIMEOUT_MS
        if much and self._size > LEAST_BATCH:
            self._resize(max(LEAST_BATCH, self._size // 2))
            log.warning("%s: batches of %d from now on", self.name, self._size)
        lost = any(source.lost for source in sources)
        if lost or self.transaction.broken or is_fatal(error) or _static_member_taken(error):
            self.observer.fenced(self.name)
            self._reopen()
        else:
            for source in sources:
                source.rewind()

    def _resize(self, size: int) -> None:
        self._size = size
        for seat in self.seats:
            if seat.source is not None:
                seat.source.batch_size = size

    def _taken(self) -> None:
        """Our place in the group is another's. Once or twice that may be the client's own confusion after a broker
        restart (it beats without its member id); two workers of one id take it from each other again and again."""
        now = time.monotonic()
        self._taken_at = [at for at in self._taken_at if now - at < TAKEN_SECONDS] + [now]
        if len(self._taken_at) >= TAKEN_TIMES:
            raise Misconfigured(f"agent {self.name}: another worker runs under worker id {self.config.worker_id}")

    def _reopen(self) -> None:
        started = self._good_at
        while True:
            try:
                self.close()
                self.open()
                break
            except _CANNOT_OPEN as error:
                if time.monotonic() - started > GIVE_UP_SECONDS:
                    if isinstance(error, InfrastructureError):
                        raise
                    raise failure(f"agent {self.name}: cannot open anew", error) from error
                log.warning("%s: cannot open anew yet: %s", self.name, reason(error))
                time.sleep(1.0)
        self._good_at = started

    def _regrow(self) -> None:
        if self._size < self.config.batch_size:
            self._calm += 1
            if self._calm >= 100:
                self._calm = 0
                self._resize(min(self.config.batch_size, self._size * 2))

    def _outcome(self, topic: str, failed: bool) -> None:
        """A record or timer of an isolated run is done, in order."""
        self._observe(self.agent.name, topic, failed)

    def _observe(self, agent: str, topic: str, failed: bool) -> None:
        kind = TIMERS if topic == TIMERS else "records"
        state = self._limits.setdefault((agent, topic), LimitState(self.config.limits, kind))
        if not failed:
            state.observe(1, self._wall())
            return
        why = state.failure(self._wall())
        if why is not None:
            reading = "" if topic == TIMERS else f" reading {topic}"
            raise SourceStopped(agent, f"{reading}: {why}")

    def _count(self, batch: Batch, report: Report) -> None:
        """The turn is durable, and so are the counts of an isolated run; else all its records were good."""
        now = self._wall()
        for sign, parts in () if report.isolated else ((1, batch.parts), (-1, report.left)):
            for task, sources in parts:
                for topic, records in sources.items():
                    self._observe_good(task.agent.name, topic, sign * len(records), now)
        if not report.isolated:
            for (agent, topic), count in report.handed.items():
                self._observe_good(agent, topic, count, now)
            for agent in {agent for agent, _ in self._limits}:
                share = report.shares.get(agent)
                self._observe_good(agent, TIMERS, report.timers if share is None else share.timers, now)
        for state in self._limits.values():
            state.committed()

    def _observe_good(self, agent: str, topic: str, count: int, now: int) -> None:
        state = self._limits.get((agent, topic))
        if state is not None:
            state.observe(count, now)


def _static_member_taken(error: BaseException) -> bool:
    """FENCED_INSTANCE_ID, on its own or wrapped in the client's _FATAL."""
    return "Static consumer fenced" in reason(error)


Stopped = Callable[[AgentRunner, str, str], None]
"""Called with an agent's name and why, on its thread, when its source was stopped by the dead-letter limits."""


def tell_stopped(runner: AgentRunner, error: SourceStopped, on_stopped: Stopped | None) -> None:
    """Say so in the log, to the observer and by ``on_stopped``; that this cannot is no reason to fail."""
    log.error("%s", error)
    runner.observer.stopped(error.agent, str(error))
    try:
        if on_stopped is not None:
            on_stopped(runner, error.agent, str(error))
    except _CANNOT_TELL as unheard:
        log.error("%s: no alert of it could be sent: %s", error.agent, reason(unheard))
