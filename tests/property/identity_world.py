"""The identity reducer over dictionaries: rows live where their bare value does, messages queue per value."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from streams.domain import identity, ids
from streams.domain.events import primary_code, request_code
from streams.domain.outcome import Outcome

DELAYS = identity.Delays()


class World:
    """`send` events, then `run`; `pick` chooses which value's queue moves next, so every interleaving can be had."""

    def __init__(self, delays: identity.Delays = DELAYS) -> None:
        self.delays = delays
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in identity.TABLES}
        self.queues: dict[str, deque[Any]] = {}
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.timers: dict[tuple[str, str], int] = {}
        self.now = 0

    def send(self, fact: dict[str, Any]) -> None:
        code = primary_code(fact) or request_code(fact)
        assert code is not None
        self._queue(code[2], identity.event_message(code, fact))

    def run(self, picks: Iterable[int] = ()) -> World:
        chosen = iter(picks)
        while self.queues:
            values = sorted(self.queues)
            value = values[next(chosen, 0) % len(values)]
            message = self.queues[value].popleft()
            if not self.queues[value]:
                del self.queues[value]
            self.now = max(self.now, identity.time_of(message))
            self._apply(identity.step(self._get, message, self.now, self.delays))
        return self

    def advance(self, now: int, away_ms: int = 0) -> World:
        """Fires what is due by `now`, each that much late."""
        for (kind, key), due in sorted(self.timers.items(), key=lambda timer: timer[1]):
            if due <= now:
                del self.timers[kind, key]
                self._apply(identity.due(self._get, kind, key, due, due + away_ms, self.delays))
        self.now = max(self.now, now)
        return self.run()

    # -- what came out ------------------------------------------------------------------------------------------------

    def facts(self, guid: str | None = None) -> list[dict[str, Any]]:
        """Facts forwarded to orders, control facts left out."""
        forwarded = [value for topic, key, value in self.sent if topic == identity.ORDERS and guid in (None, key)]
        return [value for value in forwarded if not value["event_type"].startswith("_")]

    def events(self, guid: str | None = None) -> list[str]:
        return [fact["event_id"] for fact in self.facts(guid)]

    def rejected(self) -> list[dict[str, Any]]:
        return [value for _, _, value in self.sent if value.get("event_type") == "_code_rejected"]

    def findings(self) -> list[tuple[str, dict[str, Any]]]:
        return [(key, value) for topic, key, value in self.sent if topic == identity.ALERTS]

    def parked(self) -> Counter[str]:
        return Counter(fact["event_id"] for fact in self.tables[identity.PARKED].values())

    def bindings(self) -> dict[str, str]:
        return {key: row["guid"] for key, row in self.tables[identity.CODES].items() if "guid" in row}

    def guid(self, kind: str, value: str, scope: str = "") -> str | None:
        return self.bindings().get(ids.row_key((kind, scope, value)))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _get(self, table: str, key: str) -> Any:
        return self.tables[table].get(key)

    def _queue(self, value: str, message: Any) -> None:
        # As it comes off the topic: tuples are lists by then.
        self.queues.setdefault(value, deque()).append(json.loads(json.dumps(message)))

    def _apply(self, outcome: Outcome) -> None:
        for topic, key, value in outcome.sends:
            if topic == identity.FACTS:
                assert key == value["code"][2]
                self._queue(key, value)
            else:
                self.sent.append((topic, key, value))
        for table, key, value in outcome.writes:
            if value is None:
                self.tables[table].pop(key, None)
            else:
                before = self.tables[table].get(key) or {}
                assert table != identity.CODES or "guid" not in before or value["guid"] == before["guid"]
                self.tables[table][key] = json.loads(json.dumps(value))
        for kind, key, due in outcome.timers:
            if due is None:
                self.timers.pop((kind, key), None)
            else:
                self.timers[kind, key] = due


def play(facts: Sequence[dict[str, Any]], picks: Iterable[int] = ()) -> World:
    world = World()
    for fact in facts:
        world.send(fact)
    return world.run(picks)
