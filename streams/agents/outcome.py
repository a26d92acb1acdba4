"""Carries out what the outcome of a rule asks for: sends, writes and timers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from streams.domain.rules import data
from streams.engine import Context
from streams.engine.agent import TableSpec

_SYSTEMS: Final = data.systems()


class Outcome(Protocol):
    """Sends are (topic, key, value), writes (table, key, new value or None to delete), timers (kind, key, due time, ms,
    or None to cancel)."""

    @property
    def sends(self) -> Sequence[tuple[str, str, Any]]: ...

    @property
    def writes(self) -> Sequence[tuple[str, str, Any]]: ...

    @property
    def timers(self) -> Sequence[tuple[str, str, int | None]]: ...


def apply(ctx: Context, outcome: Outcome, tables: Mapping[str, TableSpec], numbered: Collection[str]) -> None:
    """In the turn in hand. Rows of `numbered` tables are new whenever they are written."""
    send(ctx, outcome.sends)
    for name, key, value in outcome.writes:
        table = ctx[tables[name]]
        if value is None:
            del table[key]
        elif name in numbered:
            table.add(key, value)
        else:
            table[key] = value
    for kind, key, at in outcome.timers:
        if at is None:
            ctx.timers.cancel(kind, key)
        else:
            ctx.timers.set(kind, key, at)


def send(ctx: Context, sends: Iterable[tuple[str, str, Any]]) -> None:
    """What is for other systems goes only to those that take it as it is (DQ-10)."""
    for one in sends:
        if one[0] in _SYSTEMS.receivers:
            passed, told = _SYSTEMS.through(one)
            for finding in told:
                ctx.emit(*finding)
            if passed is None:
                continue
            one = passed
        ctx.emit(*one)
