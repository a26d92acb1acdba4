"""Which targets an alert goes to: those that serve one of its `targets` and whose filters let it pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Route:
    """`serves`: words of an alert's `targets`, or ALL. An empty filter lets everything pass."""

    target: str
    serves: frozenset[str]
    rules: frozenset[str] = frozenset()
    recipients: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()

    def takes(self, alert: Mapping[str, Any], words: Iterable[str]) -> bool:
        """Whether an alert that asks for `words` goes here."""
        return (
            (ALL in self.serves or not self.serves.isdisjoint(words))
            and (not self.rules or alert.get("rule") in self.rules)
            and (not self.recipients or alert.get("recipient") in self.recipients)
            and (not self.severities or alert.get("severity") in self.severities)
        )


def route(routes: Sequence[Route], alert: Mapping[str, Any], words: Iterable[str], default: str | None) -> list[str]:
    """Names of the targets, in the order of the routes; `default` alone where nobody takes it, if there is one."""
    words = [*words]
    found = [each.target for each in routes if each.takes(alert, words)]
    return found or ([default] if default else [])
