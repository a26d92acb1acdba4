"""ST-14: shipped, and the channel still shows it as waiting.

The order has left by the word of its warehouse or courier, and the last state its channel showed (any claim on
`orders`) is one before that: after more than 5 minutes operations are told, until the channel shows it or the order
ends. A channel that never shows a state is none to lag behind.

As with SLAs: what a worker reads when the time is up already gets it once more from now, for the channel's next word
most likely stands behind in the same backlog; what is days late raises nothing.
"""

from __future__ import annotations

from typing import Any, Final

from streams.domain.inventory import messages
from streams.domain.order.asides import NONE, Aside, Lag
from streams.domain.order.flags import CLOSED, REFUNDED
from streams.domain.order.state import OrderState
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import LOGISTICS_SIGNED, SHIPPED, STATES

RULE: Final = "ST-14"
_OVER: Final = CLOSED | REFUNDED


def show(state: OrderState, rank: int, at: int, field: str | None = None) -> bool:
    """Note the state that the channel showed at `at`, in a field of its own or not; of equally late ones the highest.
    True if it shows another one now.
    """
    aside = state.aside or NONE
    before = aside.shown
    plain, fields = before[:2] if before else [0, -1], before[2] if before and len(before) > 2 else {}
    last = fields.get(field) if field else (plain if plain[1] >= 0 else None)
    if last is not None and [at, rank] <= last:
        return False
    if field:
        fields = dict(sorted({**fields, field: [at, rank]}.items()))
    else:
        plain = [at, rank]
    after = [*plain, fields] if fields else plain
    state.aside = Aside(aside.warehouse, after, *aside[2:])
    return before is None or rank_of(before) != rank_of(after)


def rank_of(shown: list[Any]) -> int:
    """The state that the channel shows: its order's status, or the furthest of its fields where it has none. "Paid" in
    the field of the money does not take back "shipped" in that of the parcels."""
    rank: int = shown[1]
    return rank if rank >= 0 else max(word[1] for word in shown[2].values())


def watch(guid: str, state: OrderState, at: int, now: int, limit_ms: int, history_ms: int, sends: list[Send]) -> None:
    """After a change of the order whose channel shows a state, at event time `at`. Replaces `state.aside`."""
    aside = state.aside
    if aside is None or aside.shown is None:
        return
    begun = _left(state)
    if begun is None or rank_of(aside.shown) >= SHIPPED or state.flags & _OVER:
        if aside.lag is not None:
            if aside.lag.is_raised:
                said = {"do": "close", "rule": RULE, "at": at, "order_guid": guid}
                sends.append((messages.ALERTS, f"{RULE}/{guid}", said))
            state.aside = aside._replace(lag=None)
        return
    if aside.lag is not None and (aside.lag.begun <= begun or aside.lag.is_raised):
        return
    due, passed = begun + limit_ms + 1, now - state.created_at
    if due <= passed:
        due_or_never = None if passed - due >= history_ms else passed + limit_ms + 1
        state.aside = aside._replace(lag=Lag(begun, due_or_never))
    else:
        state.aside = aside._replace(lag=Lag(begun, due))


def fire(guid: str, state: OrderState, at: int, sends: list[Send]) -> None:
    """The order's timer is due at `at` (ms): tell of the lag. Replaces `state.aside`."""
    aside = state.aside
    lag = None if aside is None else aside.lag
    if aside is None or aside.shown is None or lag is None or lag.due is None or lag.due > at - state.created_at:
        return
    finding = {
        "do": "open",
        "rule": RULE,
        "title": "state_lag",
        "detail": f"shipped {(at - state.created_at - lag.begun) // 60_000} min ago, and {state.channel} shows it as"
        f" {STATES[rank_of(aside.shown)]}; all of it: oms order {guid}",
        "at": at,
        "order_guid": guid,
        "channel": state.channel,
    }
    sends.append((messages.ALERTS, f"{RULE}/{guid}", finding))
    state.aside = aside._replace(lag=Lag(lag.begun, None, True))


def _left(state: OrderState) -> int | None:
    """When the order left, by warehouse or courier; a signature proves it as well."""
    shipped, signed = state.reached[SHIPPED], state.reached[LOGISTICS_SIGNED]
    if shipped is None or signed is None:
        return signed if shipped is None else shipped
    return min(shipped, signed)
