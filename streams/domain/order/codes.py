"""The codes an order is known by (ID-01, ID-04): collected from every event, shown in order of first mention."""

from __future__ import annotations

from typing import Any, Final

from streams.domain.order.state import Fact, OrderState

TXN, INTERNAL, WAYBILL, PACKAGE = "platform_txn_no", "internal_no", "waybill_no", "package_id"

MAX_REJECTED: Final = 64
"""Rejected pairings kept per order: one suffices for the conflict, the rest are for people."""


def collect(state: OrderState, fact: Fact, at: int) -> bool:
    """Note the codes the event mentions. True if there was a new one, or an earlier mention of a known one."""
    new = False
    if (code := fact.get(TXN)) and at < state.txns.get(code, at + 1):
        state.txns, new = {**state.txns, code: at}, True
    if (code := fact.get(INTERNAL)) and at < state.internals.get(code, at + 1):
        state.internals, new = {**state.internals, code: at}, True
    if (code := fact.get(WAYBILL)) and at < state.waybills.get(code, at + 1):
        state.waybills, new = {**state.waybills, code: at}, True
    if (code := fact.get(PACKAGE)) and at < state.packages.get(code, at + 1):
        state.packages, new = {**state.packages, code: at}, True
    return new


def reject(state: OrderState, kind: str, code: str, bound_to: str, at: int) -> bool:
    """Note that identity refused, for an event of `at`, to bind the code to this order. True if that is news."""
    told = [kind, code, bound_to]
    known = next((entry for entry in state.rejected if entry[:3] == told), None)
    if known is None:
        entry = [*told, at]
        state.rejected = sorted([*state.rejected, entry], key=_pairing)[:MAX_REJECTED]
        return entry in state.rejected
    told_at, settled = [*known, 0][3], known[4] if len(known) == _SETTLED else None
    if at > told_at:  # the latest time, in whatever order they arrive: what was told last decides
        entry = [*told, at, *known[4:]]
        state.rejected = [entry if other is known else other for other in state.rejected]
    return settled is not None and told_at <= settled < at


def settle(state: OrderState, guid: str, alert_key: str, at: int) -> bool:
    """Somebody closed, at `at`, the alert about a code that is another order's. True if it is one of these."""
    found = False
    entries = list[list[Any]]()
    for entry in state.rejected:
        kind, code = entry[:2]
        if alert_key.startswith(f"ID-04/{kind}/") and alert_key.endswith(f"/{code}/{guid}"):
            told, settled = [*entry, 0][3], entry[4] if len(entry) == _SETTLED else at
            entry, found = [*entry[:3], told, max(at, settled)], True
        entries.append(entry)
    if found:
        state.rejected = entries
    return found


def is_in_conflict(state: OrderState) -> bool:
    """ID-04: whether a code was told with the order that is another's, and nobody has seen to it since."""
    return any(len(entry) < _SETTLED or entry[3] > entry[4] for entry in state.rejected)


_SETTLED: Final = 5
"""Fields of a rejected pairing that somebody has seen to."""


def _pairing(entry: list[Any]) -> list[Any]:
    return entry[:3]


def view(state: OrderState) -> dict[str, Any]:
    """The `codes` of order-states: a code bound to another order is not one of this order's."""
    return {
        TXN: _first(state, TXN, state.txns) if state.txns else None,
        INTERNAL: _first(state, INTERNAL, state.internals) if state.internals else None,
        "waybills": _listed(state, WAYBILL, state.waybills) if state.waybills else [],
        "package_ids": _listed(state, PACKAGE, state.packages) if state.packages else [],
        "alias18": state.alias18,
    }


def _listed(state: OrderState, kind: str, codes: dict[str, int]) -> list[str]:
    if len(codes) > 1:
        listed = [code for _, code in sorted((at, code) for code, at in codes.items())]
    else:
        listed = [*codes]
    if state.rejected:
        refused = {entry[1] for entry in state.rejected if entry[0] == kind}
        listed = [code for code in listed if code not in refused]
    return listed


def _first(state: OrderState, kind: str, codes: dict[str, int]) -> str | None:
    listed = _listed(state, kind, codes)
    return listed[0] if listed else None
