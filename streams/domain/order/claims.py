"""ST-05: what an event claims, and whether its topic has the authority for it; ST-03 where the event carries a status.

A mapped status takes the place of what the event type alone would say: a courier's `signed` with the word for
"refused" is no signature. A topic without authority for the mapped state may still have it for the fine node.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from streams.domain.order.meanings import (
    BY_ONE,
    CALL,
    CONFIRM_TIMEOUT,
    CONFIRMED,
    DAMAGED,
    MEANINGS,
    NOTE,
    SCAN,
    TIMED_OUT,
    VOICE_CONFIRMED,
    Meaning,
    answer_of,
    unsigned,
)
from streams.domain.order.state import Claim, Fact, OrderState
from streams.domain.rules.nodes import AUTHORITY, BASE_NODE, NODE_NUMBER, NODE_RANK, NODES, RANK, STATES, UNPROVEN
from streams.domain.status_map import HELD_FLAGS, masked

_SPEAK_BY_STATUS: Final = ("couriers", "wms")
"""Topics whose event type is only the adapter's guess at the status: a status without a state is none either way.
A buyer's confirmation, in contrast, stays one when the status beside it says nothing about the state."""

_BOOKS: Final = "erp:"
"""Axis of what an ERP says of its books. Its 已发货 moves nothing, but whoever asks what each system claims sees it
(ST-04)."""

_FIELD: Final = "\0"
"""Between a source and its field in the key of a claim."""

MAPPING_MISSING: Final = "mapping_missing"

Reading = tuple[Meaning, "str | None"]
"""What the event says, and why it is refused (None: it is not)."""


def read(fact: Fact) -> Reading:
    """What the event says. A refused reading still says what it claims, to be kept; it moves nothing."""
    topic: str = fact["topic"]
    event_type: str = fact["event_type"]
    mapped = fact.get("mapped")
    if mapped is not None:
        if not mapped["known"]:
            return _unknown(fact)
        is_kept = bool(mapped.get("flags")) or (mapped.get("axis") or "").startswith(_BOOKS)
        return _mapped(topic, event_type, mapped.get("state"), mapped.get("node"), is_kept)
    if topic == "service":
        if event_type == CALL and answer_of(fact) == CONFIRMED:
            return VOICE_CONFIRMED, None
        if event_type == SCAN and answer_of(fact) == DAMAGED:
            return NOTE, None  # who says so on the page of the link does not confirm
    if event_type == CONFIRM_TIMEOUT and "digest" not in fact:
        return TIMED_OUT, None
    if event_type == "manual_command" and (meaning := BY_ONE.get(fact.get("command") or "")) is not None:
        return meaning, unsigned(fact)
    return MEANINGS.get((topic, event_type), NOTE), None


_UNKNOWN: Final = Meaning("ST-03")
"""It is no claim to be kept, which would push aside what its source said before; it waits in `parked`."""


def _unknown(fact: Fact) -> Reading:
    field = fact.get("raw_field")
    word = f"{fact['source']}, {field}" if field else str(fact["source"])
    status = masked(fact.get("raw_status") or "")
    return _UNKNOWN, f"{MAPPING_MISSING}: {word} has no known status {status!r}"


@lru_cache(maxsize=4096)
def _mapped(topic: str, event_type: str, state: str | None, node: str | None, is_kept: bool) -> Reading:
    told = MEANINGS.get((topic, event_type), NOTE)
    number = NODE_NUMBER.get(node or "", 0)
    if number and state is None:
        state = NODES[number - 1].state
    if state is None:
        # A word on another axis, such as a refund's progress, is no claim about the order's state.
        if topic in _SPEAK_BY_STATUS:
            return Meaning("ST-03", claims=is_kept, money=told.money, mark=told.mark), None
        return replace(told, claims=told.claims or is_kept), None
    rank = RANK[state]
    shown = Meaning("ST-03", shown=rank, claims=True, money=told.money, mark=told.mark)
    if topic in AUTHORITY[state] and node not in UNPROVEN:
        return replace(shown, rank=rank, node=number if NODE_RANK[number] == rank else BASE_NODE[rank]), None
    if number and topic in NODES[number - 1].told_by:
        return replace(shown, node=number), None
    allowed = " or ".join(AUTHORITY[state])
    return replace(shown, rule="ST-05"), f"{topic} has no authority for {state}, {allowed} has: kept as a claim"


def of_a_field(fact: Fact) -> bool:
    """Whether its status is of a field with holds of its own: then its word counts even where it claims nothing."""
    return "field" in (fact.get("mapped") or ())


_OF_PARCELS: Final = {"ship:none": RANK["paid"], "ship:partial": RANK["shipped"]}
"""What a shop's words about its parcels show, whatever state they stand for: nothing left yet; some of it did."""


def shown(fact: Fact, meaning: Meaning) -> int:
    """The rank of the state that its source shows by it; -1 for none."""
    mapped = fact.get("mapped")
    if mapped is None or fact["topic"] != "orders":
        return meaning.shown
    return _OF_PARCELS.get(mapped.get("axis") or "", meaning.shown)


def keep(state: OrderState, fact: Fact, meaning: Meaning, at: int) -> bool:
    """Store the claim if it is its source's last word: the latest, of equally late ones the highest rank and word.

    Each field of a source has a last word of its own: a refund's progress does not lift the hold on shipping.
    """
    raw = fact.get("raw_status") or fact["event_type"]
    claim: Claim = [raw, meaning.shown, at]
    mapped = fact.get("mapped")
    if mapped is not None and mapped.get("flags") and (held := [f for f in HELD_FLAGS if f in mapped["flags"]]):
        claim.append(held)
    source: str = fact["source"]
    if mapped is not None and "field" in mapped:
        source = f"{source}{_FIELD}{mapped['field']}"
    last = state.claims.get(source)
    if last is None:
        state.claims = dict(sorted([*state.claims.items(), (source, claim)]))
        return True
    if at <= last[2] and _order(claim) <= _order(last):
        return False
    state.claims = {**state.claims, source: claim}
    return True


def _order(claim: Claim) -> tuple[Any, ...]:
    return (claim[2], claim[1], claim[0], claim[3:])


def view(state: OrderState) -> dict[str, dict[str, Any]]:
    """{source: {raw, state, at}}, by name of source; what nobody understands yet is said all the same."""
    t0, last = state.created_at, state.claims
    if state.unmapped or _FIELD in "".join(last):  # else a name is a source, and they are sorted
        last = _last_words(state)
    return {
        source: {"raw": claim[0], "state": STATES[claim[1]] if claim[1] >= 0 else None, "at": claim[2] + t0}
        for source, claim in last.items()
    }


def _last_words(state: OrderState) -> dict[str, Claim]:
    """One claim per source, by name, whatever its fields say and whether or not it is understood."""
    last = dict[str, Claim]()
    waiting = ((entry[3], [entry[5], -1, entry[0]]) for entry in state.unmapped)
    for name, claim in (*state.claims.items(), *waiting):
        source, _, field = name.partition(_FIELD)
        if field and claim[1] < 0 and len(claim) == 3:
            continue  # it only says that nothing is held any more
        if source not in last or _order(claim) > _order(last[source]):
            last[source] = claim
    return dict(sorted(last.items()))
