"""Names on the broker that state hangs on: spelled in one place, and never changed by a release."""

from __future__ import annotations

import ast
from pathlib import Path

from streams.engine.agent import Agent, changelog_topic, consumer_group

STREAMS = Path(__file__).resolve().parents[2] / "streams"
ONE_PLACE = STREAMS / "engine" / "agent.py"


def test_a_release_finds_the_offsets_and_the_state_of_the_one_before() -> None:
    agent = Agent("orders", sources=("order-facts",))
    assert consumer_group(agent) == consumer_group("orders") == "oms-orders"
    assert changelog_topic(agent) == changelog_topic("orders") == "oms-orders-changelog"


def test_the_names_of_an_agent_on_the_broker_are_spelled_in_one_place() -> None:
    spelled = [
        f"{path.relative_to(STREAMS)}:{node.lineno}: {ast.unparse(node)}"
        for path in sorted(STREAMS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr) and ast.unparse(node)[2:].startswith("oms-") and "agent" in ast.unparse(node)
    ]
    assert {line.partition(":")[0] for line in spelled} == {str(ONE_PLACE.relative_to(STREAMS))}, spelled
