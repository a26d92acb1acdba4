"""Event files through all agents in one process, as `oms replay` does it, and what came out by order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from streams import agents, topology
from streams.commands.inputs import encoded_lines
from streams.engine.local import Abort, Crash, LocalRunner
from streams.lines import BadLine, code_of

BY_ARRIVAL = {"version": 0, "estimated_arrival_at": None, "estimate_basis": None, "customer_text": None}
"""Fields of order-states that follow from when things were told, not from what was: turns are counted, and an arrival
is estimated from the parcels told of before."""

Record = tuple[str, bytes, str | None]
"""(topic, payload, key) of an input event."""


def records(*paths: Path) -> list[Record]:
    """The lines of the files as records, in file order; none of them may be unreadable."""
    found = []
    for entry in encoded_lines(paths, topology.load()):
        assert not isinstance(entry, BadLine), f"{entry.file}:{entry.number}: {entry.error}"
        line, payload = entry
        found.append((line.topic, payload, line.key or code_of(line.value)))
    return found


def feed(runner: LocalRunner, events: Iterable[Record]) -> LocalRunner:
    """Each event through all agents before the next; a worker that dies is started again and goes on."""
    for topic, payload, key in events:
        runner.send_bytes(topic, payload, key)
        run(runner)
    run(runner)
    return runner


def run(runner: LocalRunner) -> None:
    while True:
        try:
            return runner.run()
        except Crash:
            continue


def advance(runner: LocalRunner, until: int) -> None:
    """Event time moves on; a worker that dies is started again, a turn that aborts is tried again."""
    while True:
        try:
            return runner.advance(until)
        except (Crash, Abort):
            continue


def flood(runner: LocalRunner, events: Iterable[Record]) -> LocalRunner:
    """All events at once, so that turns hold many records; a worker that dies is started again and goes on."""
    for topic, payload, key in events:
        runner.send_bytes(topic, payload, key)
    return feed(runner, ())


def play(events: Iterable[Record], **options: Any) -> Played:
    """The events through all agents in a new runner; the options are the runner's."""
    return Played(feed(new_runner(**options), events))


def new_runner(**options: Any) -> LocalRunner:
    return LocalRunner(agents.ALL, topology.load(), **options)


class Played:
    """What a run left behind, looked at when it is over."""

    def __init__(self, runner: LocalRunner) -> None:
        self.runner = runner

    def output(self, topic: str) -> list[dict[str, Any]]:
        return [value for _, value in self.runner.output(topic) if value is not None]

    @cached_property
    def states(self) -> dict[str, dict[str, Any]]:
        """The last value of each key of order-states, by order number."""
        last = {str(key): value for key, value in self.runner.output("order-states")}
        return {value["order_no"]: value for value in last.values() if value is not None}

    @property
    def dead(self) -> Counter[str]:
        """Dead letters by stage."""
        return Counter(value["stage"] for value in self.output("dead-letters"))

    def audit(self, order_no: str) -> list[dict[str, Any]]:
        """The audit rows of an order, in order of emission."""
        guid = self.states[order_no]["order_guid"]
        return [value for key, value in self.runner.output("audit-log") if key == guid and value is not None]

    @property
    def decisions(self) -> Counter[str]:
        return Counter(row["decision"] for row in self.output("audit-log"))

    def alerts(self, rule: str | None = None) -> list[dict[str, Any]]:
        """The last value of each alert, of one rule or all."""
        last = {str(key): value for key, value in self.runner.output("alerts")}
        return [value for value in last.values() if value is not None and rule in (None, value["rule"])]

    def bytes(self) -> dict[str, list[tuple[bytes | None, bytes | None]]]:
        """Every output topic as it was written."""
        names = [topic.name for topic in topology.load().topics.values() if topic.is_output]
        log = self.runner.log.order
        return {name: [(entry.key(), entry.value()) for entry in log.get(name, ())] for name in names}
