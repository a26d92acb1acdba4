"""What a step of a channel rule wants done, and how its tables, topics and timers are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from streams.domain import outcome
from streams.domain.outcome import Get, Message, Row

__all__ = ["Get", "Message", "Outcome", "Row", "place"]

FACTS: Final = "channel-facts"
ORDERS: Final = "identity-facts"
BREAKS: Final = "channel-breaks"
ALERTS: Final = "alert-facts"
REPORTS: Final = "report-facts"

GATES: Final = "gates"
HELD: Final = "held"
BUCKETS: Final = "buckets"
INTERFACES: Final = "interfaces"
SERVICES: Final = "services"
HEALTH: Final = "health"
LANES: Final = "lanes"
SWITCHES: Final = "switches"
PUSHES: Final = "pushes"
TABLES: Final = (GATES, HELD, BUCKETS, INTERFACES, SERVICES, HEALTH, LANES, SWITCHES, PUSHES)

TOKENS: Final = "tokens"
SILENCE: Final = "silence"
PROBE: Final = "probe"
LATE: Final = "late"
CALM: Final = "calm"
DEPTH: Final = "depth"
PUSH: Final = "push"
HEALTH_DUE: Final = "health"


@dataclass(slots=True)
class Outcome(outcome.Outcome):
    """`passed`: the order in hand goes on to `identity-facts` as it came. `refused`: why the record in hand is not
    obeyed.
    """

    passed: bool = False
    refused: str | None = None

    def tell(self, channel: str, rule: str, action: str, at: int, **more: Any) -> None:
        """A record of `channel-breaks`; `more`: its other fields."""
        self.sends.append((BREAKS, channel, {"channel": channel, "rule": rule, "action": action, "at": at, **more}))

    def alarm(self, key: str, rule: str, channel: str, at: int, title: str, detail: str, **more: Any) -> None:
        """Opens the alert of a cause, or counts one more."""
        said = {"do": "open", "rule": rule, "title": title, "detail": detail, "at": at, "channel": channel, **more}
        self.sends.append((ALERTS, key, said))

    def calm(self, key: str, at: int) -> None:
        """The cause of an alert is gone."""
        self.sends.append((ALERTS, key, {"do": "close", "at": at}))


def place(channel: str, name: str) -> str:
    """The key of a row of one interface of a channel; the channel in front, so that all of them stand together."""
    return f"{channel}\0{name}"
