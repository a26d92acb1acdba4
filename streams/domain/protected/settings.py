"""The lists of `rules/protected.json`: which fields of which topic are protected, and what is cleaned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.domain.paths import is_path

from . import seal as seals
from .cleaning import Change, wrong


class ProtectedError(ValueError):
    """A list that must not be used; the text names the entry."""


@dataclass(frozen=True, slots=True)
class Protected:
    """`fields`: topic -> paths (see seal). `changes`: topic -> what is cleaned there."""

    fields: Mapping[str, tuple[str, ...]]
    changes: Mapping[str, tuple[Change, ...]]

    def seal(self, topic: str, record: Mapping[str, Any]) -> dict[str, str]:
        """Empty where nothing of the record is protected."""
        return seals.seal(record, self.fields.get(topic, ()))

    def altered(self, fact: Mapping[str, Any]) -> Sequence[seals.Altered]:
        """What of a fact differs from the seal it carries; nothing of one without."""
        sealed = fact.get(seals.SEAL)
        return [] if sealed is None else seals.altered(sealed, fact, self.fields.get(fact["topic"], ()))

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Protected:
        """From the shape of the file. ProtectedError names what must not be used."""
        try:
            fields = {topic: tuple(paths) for topic, paths in document["fields"].items()}
            canary = document["canary"]
            rules = canary["at_least_ms"], canary["first_per_1000"], canary["confirmations"]
            changes = [_change(entry) for entry in document["cleaning"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise ProtectedError(f"protected fields: {type(error).__name__} {error}") from None
        for topic, paths in fields.items():
            if not all(is_path(path) for path in paths) or len({*paths}) < len(paths):
                raise ProtectedError(f"protected fields of {topic}: a path is empty, no text, or stands there twice")
        for change in changes:
            covered = {path.partition(".")[0] for path in fields.get(change.topic, ())}
            reason = wrong(change, change.field in covered, *rules)
            if reason is not None:
                raise ProtectedError(f"cleaning of {change.topic}.{change.field}: {reason}")
        topics = {change.topic for change in changes}
        return cls(fields, {topic: tuple(one for one in changes if one.topic == topic) for topic in sorted(topics)})


def _change(entry: Mapping[str, Any]) -> Change:
    stages = tuple((_ms(stage["from"]), int(stage["per_1000"])) for stage in entry.get("stages", ()))
    confirmed = tuple(entry.get("confirmed_by", ()))
    return Change(entry["topic"], entry["field"], entry["step"], entry.get("asked_by", ""), confirmed, stages)


def _ms(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ProtectedError(f"a stage begins at {text!r}: an ISO 8601 time with an offset is wanted")
    return int(at.timestamp() * 1000)
