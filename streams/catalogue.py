"""Which agents a worker runs, and what is said when one of them has to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from streams.agents import ALL
from streams.agents.intake import make as make_intake
from streams.agents.orders import make as make_orders
from streams.agents.risk import make as make_risk
from streams.domain.rules import data
from streams.domain.status_map import MapError
from streams.engine import Agent, Codecs
from streams.engine.agent import joined
from streams.engine.chain import Chain
from streams.engine.runner import AgentRunner, wall_ms
from streams.errors import OmsError, UsageError
from streams.topology import Topic

ALERT_FACTS = "alert-facts"
WAY, ASIDE = "way", "aside"
"""All agents that the answer to an order waits for, and all others (`Agent.aside`)."""


def choose(
    names: Sequence[str] | None,
    audit_raw: Literal["keep", "hash", "drop"] = "keep",
    maps_dir: Path | None = None,
    hash_salt: str | None = None,
) -> list[Agent]:
    """The agents of these names (all without), in the order of the flow; WAY and ASIDE name groups. The name of a part
    chooses the joined agent with the named parts only: what the others have not read waits for a worker that runs them.
    UsageError for a name nobody has, OmsError for a status table in `maps_dir` that must not be used. `hash_salt`: of
    personal data that the risk agent keeps.
    """
    try:
        maps = data.status_maps(own=maps_dir)
    except MapError as error:
        raise OmsError(f"OMS_MAPS_DIR: {error}") from None
    made = {"intake": make_intake(maps), "orders": make_orders(audit_raw, maps=maps)}
    if hash_salt is not None:
        made["risk"] = make_risk(replace(data.risk(), salt=hash_salt))
    agents = [made.get(agent.name, agent) for agent in ALL]
    if names is None:
        return agents
    known = {one.name for agent in agents for one in (agent, *agent.parts)}
    unknown = [name for name in names if name not in (WAY, ASIDE, *known)]
    if unknown:
        there = ", ".join(sorted(known))
        raise UsageError(f"--agents: no agent {', '.join(unknown)}; there are {there}, or all of {WAY} or {ASIDE}")
    names = [*names, *(agent.name for agent in agents if (ASIDE if agent.aside else WAY) in names)]
    return [chosen for agent in agents if (chosen := _narrowed(agent, names)) is not None]


def _narrowed(agent: Agent, names: Sequence[str]) -> Agent | None:
    parts = [part for part in agent.parts if part.name in names]
    if agent.name in names or (parts and len(parts) == len(agent.parts)):
        return agent
    return joined(agent.name, parts) if parts else None


def chained(agents: Sequence[Agent], topics: Mapping[str, Topic], kept: bool = False) -> list[Agent | Chain]:
    """What a worker runs on a thread each: the agents on the way as one chain, if there are several, and each other
    one by itself. A topic between them is shared if anybody else reads it, whether it runs here or not; if it is to be
    `kept`, in any case."""
    way = tuple(agent for agent in agents if not agent.aside)
    if len(way) < 2:
        return list(agents)
    readers = Chain(WAY, way).readers
    shared = frozenset(topic for topic, agent in readers.items() if kept or set(topics[topic].readers) - {agent})
    return [Chain(WAY, way, shared), *(agent for agent in agents if agent.aside)]


def source_stopped(codecs: Codecs) -> Callable[[AgentRunner, str, str], None]:
    """What an agent does when the dead-letter limits stop its source: raise an alert, in a transaction of its own."""
    encode = codecs.encoder(ALERT_FACTS)

    def announce(runner: AgentRunner, agent: str, why: str) -> None:
        key = f"ENGINE/stopped/{agent}"
        finding = {
            "do": "open",
            "rule": "DQ-08",
            "severity": "critical",
            "title": "source stopped",
            "detail": f"{why}; its records wait in the topic. Mend the cause and start the worker again",
            "at": wall_ms(),
        }
        runner.announce(ALERT_FACTS, key, encode(finding))

    return announce
