"""ST-13: what other systems are told at once of an order: that it was created, paid, picked up.

One record per change names all its targets, and each reads the records that name it. A change is told when it first
becomes true, so a repeated event, or one that says the same, tells nothing again. Which system hears of which change
is data (`rules/limits.json`). There is no name, address or telephone in it, only what a warehouse begins with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.domain.order import codes
from streams.domain.order.flags import names
from streams.domain.order.lanes import TIERS
from streams.domain.order.meanings import Meaning
from streams.domain.order.state import Fact, OrderState
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import LOGISTICS_SIGNED, NODE_NUMBER, NODES, PAID, STATES

TOPIC: Final = "order-pushes"

CREATED, PAID_UP, PICKED_UP = "created", "paid", "picked_up"
CHANGES: Final = (CREATED, PAID_UP, PICKED_UP)

Targets = Mapping[str, tuple[str, ...]]
"""The systems that hear of each of CHANGES."""

_MOVED: Final = frozenset(NODE_NUMBER[name] for name in ("picked_up", "in_transit", "out_for_delivery"))
"""Nodes of a parcel that has been picked up, whether or not the pickup itself was told."""


class PushError(ValueError):
    """Targets that must not be used; names the change."""


def parse(document: Mapping[str, Any]) -> Targets:
    """From {change: [target, ...]}. PushError names what is wrong."""
    if unknown := sorted(document.keys() - {*CHANGES}):
        raise PushError(f"pushes: unknown changes {unknown}, there are {', '.join(CHANGES)}")
    for change, targets in document.items():
        if not isinstance(targets, list) or not all(isinstance(target, str) and target.strip() for target in targets):
            raise PushError(f"pushes: the targets of {change} are no list of names")
        if len({*targets}) < len(targets):
            raise PushError(f"pushes: a target of {change} stands there twice")
    return {change: tuple(targets) for change, targets in document.items() if targets}


def created(state: OrderState, fact: Fact, targets: Targets, sends: list[Send]) -> None:
    """Tell of a new order."""
    if CREATED in targets:
        sends.append(_push(state, fact, CREATED, targets[CREATED]))


def follow(old: OrderState, new: OrderState, fact: Fact, meaning: Meaning, targets: Targets, sends: list[Send]) -> None:
    """Tell what an event with this meaning made true for the first time."""
    if PAID_UP in targets and new.reached[PAID] is not None and old.reached[PAID] is None:
        sends.append(_push(new, fact, PAID_UP, targets[PAID_UP]))
    if (
        PICKED_UP in targets
        and (meaning.node in _MOVED or meaning.rank == LOGISTICS_SIGNED)
        and not _has_moved(old)
        and _has_moved(new)
    ):
        sends.append(_push(new, fact, PICKED_UP, targets[PICKED_UP]))


def _has_moved(state: OrderState) -> bool:
    return state.reached[LOGISTICS_SIGNED] is not None or not _MOVED.isdisjoint(state.nodes)


def _push(state: OrderState, fact: Fact, change: str, targets: tuple[str, ...]) -> Send:
    guid: str = fact["order_guid"]
    has_lines = change != PICKED_UP
    push = {
        "push_id": f"{change}/{guid}",
        "change": change,
        "targets": list(targets),
        "order_guid": guid,
        "at": fact["event_time"],
        "source": fact["source"],
        "channel": state.channel,
        "order_no": state.order_no,
        "codes": codes.view(state),
        "state": STATES[state.rank],
        "node": NODES[state.node - 1].name,
        "flags": list(names(state.flags)),
        "tier": TIERS[state.tier],
        "sales_type": state.sales_type,
        "warehouse": warehouse_of(state),
        "lines": _lines(state.lines) if has_lines else [],
        "total_minor": state.total_minor,
        "paid_minor": state.paid_minor,
        "currency": state.currency,
    }
    return TOPIC, guid, push


def _lines(lines: list[list[Any]]) -> list[dict[str, Any]]:
    return [
        {"line_no": number, "sku": sku, "quantity": quantity, "unit_price_minor": price, "is_gift": bool(gift)}
        for number, sku, quantity, price, gift in lines
    ]


def warehouse_of(state: OrderState) -> str | None:
    """The warehouse that has the order, as far as is known."""
    aside = state.aside
    return None if aside is None or aside.warehouse is None else aside.warehouse[1]
