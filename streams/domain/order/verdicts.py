"""ST-09: whether an `approval` approves. It may say the opposite, in the words of whatever tool its sender uses.

{"approved": false}   {"decision": "reject", "reason": "..."}   {"rejected": true}   rejected   驳回: ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.domain import jsontext
from streams.domain.order.state import Fact

_BROKEN: Final = object()
"""A value that begins as JSON and cannot be read as such."""
_END_OF_WORD: Final = re.compile(r"[:,;.!：，；。！]")


@dataclass(frozen=True, slots=True)
class Words:
    """`fields` of an approval's value that decide; words that approve (`yes`) and reject (`no`), in small letters."""

    fields: frozenset[str] = frozenset({"approved", "decision"})
    yes: frozenset[str] = frozenset({"true", "approved"})
    no: frozenset[str] = frozenset({"false", "rejected"})

    @classmethod
    def parse(cls, document: Mapping[str, list[str]]) -> Words:
        """From {"fields", "yes", "no"}. ValueError if anything else is there."""
        if document.keys() != {"fields", "yes", "no"}:
            raise ValueError(f"words of approvals: fields missing or unknown: {sorted(document)}")
        return cls(**{name: frozenset(word.casefold() for word in words) for name, words in document.items()})


def verdict(fact: Fact, words: Words) -> bool | None:
    """True: it approves; False: it rejects; None: neither can be told. By its type alone it approves."""
    value = _value(fact)
    if value is _BROKEN:
        return None  # it may have said no
    # Who rejects may say so in any of the three; a reason such as "rejected" is no reason to approve.
    if any(_word(fact.get(name)) in words.no for name in ("command", "reason")):
        return False
    if not isinstance(value, Mapping):
        return _word(value) not in words.no
    said = list(_said(value, words))
    return False if False in said else None if None in said else True


def why(fact: Fact) -> str | None:
    """The reason that it gives."""
    value = _value(fact)
    told = fact.get("reason") or (value.get("reason") if isinstance(value, Mapping) else None)
    return told if isinstance(told, str) and told.strip() else None


def _value(fact: Fact) -> Any:
    text = fact.get("value")
    if not text:
        return None
    try:
        return jsontext.parsed(text)
    except ValueError:
        return _BROKEN if text.lstrip()[:1] in ("{", "[") else text  # a word without the quotes of JSON


def _said(value: Mapping[str, Any], words: Words) -> Iterator[bool | None]:
    for name, told in value.items():
        field, word = name.casefold(), _word(told)
        if field in words.fields:
            yield False if word in words.no else True if word in words.yes else None
        elif field in words.no and word in words.yes:
            yield False


def _word(told: Any) -> str:
    """The first words of what is said, up to a mark, in small letters: `Rejected: no stock` is `rejected`."""
    text = told if isinstance(told, str) else "" if isinstance(told, (list, dict)) else json.dumps(told)
    return _END_OF_WORD.split(text, maxsplit=1)[0].strip().casefold()
