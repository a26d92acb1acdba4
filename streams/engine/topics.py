"""Whether the broker has the topics that a worker's agents need, before any of them starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.engine.agent import Agent, changelog_topic
from streams.engine.dead_letters import DEAD_LETTERS
from streams.engine.errors import Misconfigured
from streams.engine.transaction import failure


def check_topics(conf: Mapping[str, Any], agents: Sequence[Agent], timeout: float = 10.0) -> dict[str, int]:
    """Partitions by topic. Raises InfrastructureError for an unreachable broker, Misconfigured for an unfit topic."""
    try:
        found = AdminClient({**conf}).list_topics(timeout=timeout).topics
    except KafkaException as error:
        raise failure(f"no broker answers at {conf.get('bootstrap.servers')}", error) from error
    counts = {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}
    for agent in agents:
        needed = [*agent.sources, *agent.writes, DEAD_LETTERS, *([changelog_topic(agent)] if agent.stateful else [])]
        missing = [name for name in needed if name not in counts]
        if missing:
            raise Misconfigured(
                f"agent {agent.name}: topic {', '.join(missing)} is missing on the broker; run `oms topics apply`"
            )
        same = [*agent.sources, *([changelog_topic(agent)] if agent.stateful else [])]
        if len({counts[name] for name in same}) > 1:
            shown = ", ".join(f"{name} has {counts[name]}" for name in same)
            raise Misconfigured(f"agent {agent.name}: its topics must have equal partition counts, but {shown}")
    return counts
