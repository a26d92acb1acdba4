"""ST-03: events whose status no map knows yet. They wait with the order and count once a map knows them.

An event that is told again with a status that is known by then is no repetition: it is applied and leaves the list.
LOG-05: while a courier's word that is most likely a signature waits here, the order counts as signed, provisionally;
the map that knows the word confirms that or takes it back.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.order.state import Fact, OrderState
from streams.domain.status_map import may_be_signed

MAX_PARKED: Final = 32
"""The newest are kept, first of all those that count as signatures; a source whose every status is unknown must not
grow the order without end."""

_AT, _KEY, _TOPIC, _STATUS = 0, 1, 2, 5


def is_ready(state: OrderState, fact: Fact, key: bytes) -> bool:
    """Whether this repeated event waited for a map that knows it now."""
    mapped = fact.get("mapped")
    return bool(state.unmapped and mapped is not None and mapped["known"] and _find(state, key.hex()))


def update(state: OrderState, fact: Fact, key: bytes, at: int) -> bool:
    """Park the event if its status is unknown, unpark it if it is known. True if the list changed."""
    if fact["mapped"]["known"] and not state.unmapped:
        return False
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
    waiting = [*state.unmapped, [at, name, fact["topic"], fact["source"], *words]]
    kept = sorted(waiting, key=_worth)[-MAX_PARKED:]
    before, state.unmapped = state.unmapped, sorted(kept)
    return state.unmapped != before


def waiting_names(state: OrderState) -> set[str]:
    """A name of each event that waits; in order of event time."""
    return {f"{state.created_at + entry[_AT]:014d}/{entry[_KEY]}" for entry in state.unmapped}


def signed_at(state: OrderState) -> int | None:
    """When the parcel was signed for, if one of the waiting words says so after all; ms after the order's creation."""
    if not state.unmapped:
        return None
    return min((entry[_AT] for entry in state.unmapped if _is_signature(entry)), default=None)


def _is_signature(entry: list[Any]) -> bool:
    return may_be_signed(entry[_TOPIC], entry[_STATUS])


def _worth(entry: list[Any]) -> tuple[bool, list[Any]]:
    return _is_signature(entry), entry


def _find(state: OrderState, name: str) -> list[Any] | None:
    return next((entry for entry in state.unmapped if entry[_KEY] == name), None)
