"""Declaration of an agent: which topics in, which reducer, which tables, which topics out.

An ``Agent`` is data and three callbacks. What runs it - one partition at a time - is a ``Task``
(``streams.engine.task``), over Kafka (``streams.engine.runner``) or in process (``streams.engine.local``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

if TYPE_CHECKING:
    from streams.engine.context import Context

Fold = Callable[["Context", "bytes | None", Any], None]
OnTimer = Callable[["Context", str, str, int], None]
OnUndecodable = Callable[["Context", "bytes | None", bytes, str], None]
TimeOf = Callable[[Any], int]
OnStart = Callable[["Context"], None]

GATHERS: Final = 0.002
GATHERS_ASIDE: Final = 0.1


class Codecs(Protocol):
    """Encoders and decoders by topic; the topology implements it."""

    def encoder(self, topic: str) -> Callable[[Any], bytes]: ...

    def decoder(self, topic: str) -> Callable[[bytes], Any]: ...


class Clock(Enum):
    """The time of an agent in a live worker.

    LATER   the later of the partition's stream time and the wall clock. For waits of this system for itself.
    WALL    the wall clock, whatever times the events tell. For watching whether something is alive.
    EVENTS  the stream time, which goes on by the wall clock while nothing comes in. For waits of the world outside:
            what ends one comes as late as what began it, so a backlog or events of long ago must not end it before;
            where nothing comes any more, it ends all the same. Time in which nobody worked does not count.
    """

    LATER = 1
    WALL = 2
    EVENTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class TableSpec:
    """One table of an agent: its name and value codec. Keys are text unless ``binary_keys``. ``kept`` is the share of
    the usual number of decoded rows to keep in memory: less where rows are large or read once.

    Compared and hashed as an object: it is looked up several times per record.
    """

    name: str
    encode: Callable[[Any], bytes] = orjson.dumps
    decode: Callable[[bytes], Any] = orjson.loads
    binary_keys: bool = False
    kept: float = 1.0


@dataclass(eq=False)
class Agent:
    """A keyed stateful processor over its source topics.

    All sources have the same number of partitions; partition ``p`` of every source and of the changelog
    is one task with its own tables, timers and position. An agent without tables and timers keeps no
    changelog: its position is the group's committed offset. ``sparse``: its reducer gets records without their null
    fields, which spares it a pass over them; its codecs' ``decoder`` then takes ``drop_nulls=True``. ``clock``: what
    its time is in a live worker; a replay has the stream time alone. ``parts``: the agents it runs as one, see
    `joined`.
    ``aside``: nobody waits for what it tells. After the first record of a batch it gathers more for a moment: a turn
    has a price of its own, a batch and a marker in every partition it writes to. And it stands back while a worker
    cannot keep up, see `engine.precedence`.
    ``skips``: payloads that begin so are none of its business and are passed over undecoded, for a reader of a topic on
    which others talk to each other; nor does their time count.
    """

    name: str
    sources: tuple[str, ...]
    writes: tuple[str, ...] = ()
    sparse: bool = False
    clock: Clock = Clock.LATER
    aside: bool = False
    skips: tuple[bytes, ...] = ()
    parts: tuple[Agent, ...] = ()
    tables: dict[str, TableSpec] = field(default_factory=dict)
    _fold: Fold | None = None
    _on_timer: OnTimer | None = None
    _on_undecodable: OnUndecodable | None = None
    _time_of: TimeOf | None = None
    _on_start: OnStart | None = None

    def table(
        self,
        name: str,
        encode: Callable[[Any], bytes] = orjson.dumps,
        decode: Callable[[bytes], Any] = orjson.loads,
        binary_keys: bool = False,
        kept: float = 1.0,
    ) -> TableSpec:
        """Declare a table; its rows live in this agent's store and changelog under ``name``."""
        if name in self.tables or not name or "\0" in name:
            raise ValueError(f"agent {self.name}: table name {name!r} is empty, taken or has a NUL")
        spec = TableSpec(name, encode, decode, binary_keys, kept)
        self.tables[name] = spec
        return spec

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(part.name for part in self.parts)})" if self.parts else self.name

    @property
    def gathers(self) -> float:
        """Seconds it waits for more records after the first of a batch."""
        return GATHERS_ASIDE if self.aside else GATHERS

    @property
    def stateful(self) -> bool:
        """Has rows to keep: tables, or timers."""
        return bool(self.tables) or self._on_timer is not None or any(part.stateful for part in self.parts)

    def fold(self, function: Fold) -> Fold:
        """Register the reducer: ``fold(ctx, key, event)`` for every decoded record, in partition order."""
        self._fold = function
        return function

    def on_timer(self, function: OnTimer) -> OnTimer:
        """Register the timer callback: ``on_timer(ctx, kind, key, due_ms)``, in order of due time."""
        self._on_timer = function
        return function

    def on_undecodable(self, function: OnUndecodable) -> OnUndecodable:
        """Register a callback for payloads the source codec refuses, in addition to their dead letter."""
        self._on_undecodable = function
        return function

    def on_start(self, function: OnStart) -> OnStart:
        """Register a callback for the first turn of each task after it was opened, before anything else in it: what a
        program that may be another than the last one has to look after. It runs again if that turn is rolled back.
        """
        self._on_start = function
        return function

    def time_of(self, function: TimeOf) -> TimeOf:
        """Register the event time of an event in ms since the epoch; it moves the partition's stream time."""
        self._time_of = function
        return function


def joined(name: str, parts: Sequence[Agent]) -> Agent:
    """One agent of several that read the same topics by the same clock: a sub-topology, in the words of Kafka Streams.

    They share a consumer, a transaction, a store and a changelog, and each record is fetched and decoded once. Their
    tables, timers, refusals and dead letters stay their own. ValueError for parts that do not fit.
    """
    first = parts[0]
    for part in parts:
        if part.parts or part.sparse or part._fold is None or not part.stateful:
            why = "joined itself, sparse, without a fold or without state"  # which alone keeps a part's own position
            raise ValueError(f"agent {part.name} cannot be a part of {name}: {why}")
        if (part.sources, part.clock, part.skips) != (first.sources, first.clock, first.skips):
            raise ValueError(f"agents {first.name} and {part.name} differ in sources, clock or what they skip")
    writes = tuple(dict.fromkeys(topic for part in parts for topic in part.writes))
    aside = all(part.aside for part in parts)
    whole = Agent(name, first.sources, writes, False, first.clock, aside, first.skips, tuple(parts))
    whole._time_of = first._time_of
    return whole


def consumer_group(agent: Agent | str) -> str:
    """The consumer group of the agent's workers; with the worker's id also their instance and transactional id."""
    return f"oms-{agent if isinstance(agent, str) else agent.name}"


def changelog_topic(agent: Agent | str) -> str:
    """The compacted topic with every row of every table of the agent, and its position marker."""
    return f"oms-{agent if isinstance(agent, str) else agent.name}-changelog"


def folded_header(agent: Agent | str) -> str:
    """Name of the header of a record that the agent has folded in the transaction that wrote it."""
    return f"oms-folded-{agent if isinstance(agent, str) else agent.name}"
