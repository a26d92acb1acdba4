"""Runs several agents of a worker on one thread, in turns they have together: what one has for another is handed over
within the turn (`engine.handover`), not by way of the broker.

Each agent keeps its group, its stores, its changelog and its limits of dead letters, so a worker with a chain and one
without share partitions like any two. One transaction is for all of them: its offsets carry the generation of every
group that took part, and a worker that has lost a partition of any of them cannot commit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from streams.engine.agent import Agent, Codecs
from streams.engine.align import Place
from streams.engine.errors import SourceStopped
from streams.engine.handover import Handover
from streams.engine.joint import AnyTask
from streams.engine.runner import AgentRunner, Observer, RunnerConfig, Seat, Stopped, tell_stopped, wall_ms
from streams.engine.source import KafkaSource
from streams.engine.takeover import Written
from streams.engine.turn import Batch, Report, Share, Turn

log = logging.getLogger(__name__)

WAIT_SECONDS: Final = 0.01
"""Longest wait for a first record of one agent, while those of the others may come."""
SHARE: Final = 4
"""Its batch is this part of what an agent alone has, as a turn of several agents takes as much longer. Throughput
is the same."""
FEW: Final = 20
"""Records of an agent's batch while one after it in the flow has no partitions yet, or has not read to its end: with
more of them going by its topic it would never come to it, and intake had a whole backlog in there before the others
had joined. Not none: what is to be read may wait for somebody else's transaction."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Agents in the order of the flow, and the topics between them that others read as well."""

    name: str
    agents: tuple[Agent, ...]
    shared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for agent in self.agents:
            if agent.parts or agent.aside:
                raise ValueError(f"agent {agent.name} cannot be in a chain: joined, or aside")

    @property
    def readers(self) -> dict[str, str]:
        """The topics that are handed over, with the agent that reads them: those an agent here writes and another, or
        itself, has as its only source. Of several sources some records are held back to bring them into step."""
        written = {topic for agent in self.agents for topic in agent.writes}
        readers = {agent.sources[0]: agent.name for agent in self.agents if len(agent.sources) == 1}
        return {topic: agent for topic, agent in readers.items() if topic in written}


class _Seat:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.source: KafkaSource | None = None


class ChainRunner(AgentRunner):
    """See the module; the same methods as an `AgentRunner`. ``on_stopped(runner, agent, why)``: the dead-letter limits
    stopped one of its agents; the others go on, and what they have for it waits in its topic."""

    def __init__(
        self,
        chain: Chain,
        codecs: Codecs,
        config: RunnerConfig,
        observer: Observer | None = None,
        wall: Callable[[], int] = wall_ms,
        on_stopped: Stopped | None = None,
    ) -> None:
        own = replace(config, batch_size=max(1, config.batch_size // SHARE))
        super().__init__(chain.agents[0], codecs, own, observer, wall)
        self.name = chain.name
        self._chain = chain
        self._seats = [_Seat(agent) for agent in chain.agents]
        self._on_stopped = on_stopped
        self._written = Written(self._conf)
        self._assignments = 0

    @property
    def seats(self) -> Sequence[Seat]:
        return self._seats

    def open(self) -> None:
        self.transaction = self._opened_transaction(self._group_metadata)
        self._assignments = 0
        readers = self._chain.readers
        for seat in self._seats:
            handed = seat.agent.name in readers.values()
            seat.source = self._opened_source(seat.agent, partial(self._observe, seat.agent.name), handed)
        handover = Handover(readers, self._chain.shared, self._receiver)
        self._turn = Turn(self.name, self.transaction, self._wall, handover=handover)
        self._good_at = time.monotonic()

    def _restoring(self, agent: str, records: int, partitions_left: int) -> None:
        """The others wait for it on the same thread: they are not stuck."""
        super()._restoring(agent, records, partitions_left)
        for seat in self._seats:
            if seat.agent.name != agent:
                self.observer.alive(seat.agent.name, seat)

    def _reader(self, topic: str) -> KafkaSource | None:
        return next((seat.source for seat in self._seats if topic in seat.agent.sources), None)

    def _group_metadata(self, topic: str) -> Any:
        source = self._reader(topic)
        return None if source is None else source.group_metadata()

    def _receiver(self, topic: str, partition: int) -> AnyTask | None:
        source = self._reader(topic)
        return None if source is None else source.receiver(topic, partition)

    def _polled_batch(self, timeout: float, most: int | None) -> Batch:
        """Of all agents, the last of the flow first. Only the first one's topics are waited for, since the others' are
        written by agents like these, and what has to be read before records can be handed over."""
        batch = Batch()
        now = self._wall()
        behind = False
        for seat in reversed(self._seats):
            source = seat.source
            assert source is not None
            waits = source.behind or seat is self._seats[0]
            few = behind and not source.behind
            found = source.poll(
                min(timeout, WAIT_SECONDS) if waits and not batch.parts else 0.0, now, FEW if few else most
            )
            behind |= source.behind
            batch.parts[:0] = found.parts
            batch.records += found.records
        self._read_up()
        return batch

    def _read_up(self) -> None:
        """A partition that came may have had another owner, who wrote to it and to the places of agents further on."""
        sources = [seat.source for seat in self._seats if seat.source is not None]
        assignments = sum(source.assignments for source in sources)
        if assignments != self._assignments:
            places = [place for source in sources for place in source.places]
            self._need(self._written.ends(places) if places else {})
            self._assignments = assignments

    def _need(self, ends: Mapping[Place, int]) -> None:
        """So far the places are to be read before anything is handed over to them."""
        for (topic, partition), end in ends.items():
            source = self._reader(topic)
            if source is not None:
                source.written((topic, partition), end)

    def _turned(self, batch: Batch) -> int:
        try:
            return super()._turned(batch)
        except SourceStopped as error:
            if len(self._seats) == 1:
                raise
            self._stop(error)
            return 0

    def _turned_well(self, report: Report) -> None:
        assert self.transaction is not None
        for seat in self._seats:
            assert seat.source is not None
            seat.source.hold([part for part in report.left if part[0].agent is seat.agent], report.more)
        self._need(self.transaction.ends)
        shared = {step: took / len(report.shares) for step, took in report.seconds.items()}
        for agent, share in report.shares.items():
            self.observer.turn(agent, _of(share, report, shared))

    def _stop(self, error: SourceStopped) -> None:
        """One agent leaves; the turn was rolled back, and the others read again from where they stand."""
        seat = next(seat for seat in self._seats if seat.agent.name == error.agent)
        self._seats.remove(seat)
        if seat.source is not None:  # else it would keep its partitions from every other worker
            seat.source.close()
        for other in self._seats:
            if other.source is not None:
                other.source.rewind()
        self._limits = {place: state for place, state in self._limits.items() if place[0] != error.agent}
        for state in self._limits.values():
            state.rolled_back()
        tell_stopped(self, error, self._on_stopped)


def _of(share: Share, report: Report, seconds: dict[str, float]) -> Report:
    """What one agent did; of what the turn cost in common, an equal part."""
    return Report(
        records=share.records,
        seconds={**seconds, "fold": share.seconds},
        dead=share.dead,
        isolated=report.isolated,
        timers=share.timers,
    )
