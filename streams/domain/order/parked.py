"""ST-03: events whose status no map knows yet. They wait with the order and count once a map knows them.

An event that is told again with a status that is known by then is no repetition: it is applied and leaves the list.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.order.state import Fact, OrderState

MAX_PARKED: Final = 32
"""The newest are kept; a source whose every status is unknown must not grow the order without end."""

_KEY: Final = 1


def is_ready(state: OrderState, fact: Fact, key: bytes) -> bool:
    """Whether this repeated event waited for a map that knows it now."""
    mapped = fact.get("mapped")
    return bool(state.unmapped and mapped is not None and mapped["known"] and _find(state, key.hex()))


def update(state: OrderState, fact: Fact, key: bytes, at: int) -> bool:
    """Park the event if its status is unknown, unpark it if it is known. True if the list changed."""
    name = key.hex()
    entry = _find(state, name) if state.unmapped else None
    if fact["mapped"]["known"]:
        if entry is None:
            return False
        state.unmapped = [other for other in state.unmapped if other is not entry]
        return True
    if entry is not None:
        return False
    words = [fact.get("raw_field") or "", fact.get("raw_status") or ""]
    waiting = [at, name, fact["topic"], fact["source"], *words]
    before = state.unmapped
    state.unmapped = sorted([*before, waiting])[-MAX_PARKED:]
    return state.unmapped != before


def _find(state: OrderState, name: str) -> list[Any] | None:
    return next((entry for entry in state.unmapped if entry[_KEY] == name), None)
