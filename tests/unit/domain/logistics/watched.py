"""One order's waybills over plain dicts: say what happens, look at what is asked and told. Times are ms after T0."""

from __future__ import annotations

import json
from typing import Any

from streams.domain import logistics as rules
from streams.domain.rules import data

T0 = 1_769_220_000_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
GUID = "G1"


class Watched:
    """Folds facts and fires timers as the agent does; rows go through JSON, so what is not in a row is lost."""

    def __init__(self, settings: rules.Settings | None = None) -> None:
        self.settings = settings or data.logistics()
        self.rows: dict[str, Any] | None = None
        self.now = T0
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self._told = 0
        self._calls: dict[str, Any] = {}

    def say(self, topic: str, kind: str, at: int, waybill_no: str | None = "W1", **fields: Any) -> Watched:
        """A fact comes in at its own time, or `told` ms after T0."""
        self._told += 1
        told = fields.pop("told", at)
        fact = {
            "topic": topic,
            "event_type": kind,
            "event_time": T0 + at,
            "event_id": f"e{self._told}",
            "source": topic,
        }
        fact |= {"order_guid": GUID, **({"waybill_no": waybill_no} if waybill_no else {}), **fields}
        self.wait(told - 1)
        self.now = max(self.now, T0 + told)
        assert rules.concerns(fact)
        self._take(rules.step(self.rows, fact, self.now, self.settings))
        return self.wait(told)

    def courier(self, kind: str, at: int, courier: str | None = "zto", **fields: Any) -> Watched:
        return self.say("couriers", kind, at, courier=courier, **fields)

    def wait(self, until: int) -> Watched:
        """Fire what is due by then, each at its time."""
        while (due := rules.next_due(self.rows, self.settings)) is not None and due <= T0 + until:
            self.now = max(self.now, due)
            self._fire()
        self.now = max(self.now, T0 + until)
        return self

    def sleep(self, until: int) -> Watched:
        """Nobody works until then; all that was missed comes due at once."""
        self.now = T0 + until
        self._fire()
        return self

    def _fire(self) -> None:
        assert self.rows is not None
        outcome = rules.due(GUID, self.rows, self.now, self.settings)
        assert outcome.following == rules.next_due(outcome.rows, self.settings)
        self._take(outcome)

    def _take(self, outcome: rules.Outcome) -> None:
        self.rows = None if outcome.rows is None else json.loads(json.dumps(outcome.rows))
        for topic, key, value in outcome.sends:
            if topic == rules.CALLS:
                self._calls[key], sends = rules.called(self._calls.get(key), key, value, self.settings)
                self.sent += sends
            else:
                self.sent.append((topic, key, value))

    def requests(self, kind: str) -> list[int]:
        """When requests of a kind were made, ms after T0."""
        return [value["at"] - T0 for topic, _, value in self.sent if topic == rules.REQUESTS and value["kind"] == kind]

    def alerts(self, rule: str) -> list[tuple[str, int]]:
        """What was said to alerts of a rule (or key), and when."""
        found = [(key, value) for topic, key, value in self.sent if topic == rules.ALERTS]
        return [(value["do"], value["at"] - T0) for key, value in found if key.startswith(f"{rule}/")]
