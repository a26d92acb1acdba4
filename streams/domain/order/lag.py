"""ST-14: shipped, and the channel still shows it as waiting.

The order has left by the word of its warehouse or courier, and the last state its channel showed (any claim on
`orders`) is one before that: after more than 5 minutes operations are told, until the channel shows it or the order
ends. A channel that never shows a state is none to lag behind.

As with SLAs: what a worker reads when the time is up already gets it once more from now, for the channel's next word
most likely stands behind in the same backlog; what is days late raises nothing.
"""

from __future__ import annotations

from typing import Final

from streams.domain.inventory import messages
from streams.domain.order.asides import NONE, Aside, Lag
from streams.domain.order.flags import CLOSED, REFUNDED
from streams.domain.order.state import OrderState
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import LOGISTICS_SIGNED, SHIPPED, STATES

RULE: Final = "ST-14"
_OVER: Final = CLOSED | REFUNDED


def show(state: OrderState, rank: int, at: int) -> bool:
    """Note the state that the channel showed at `at`; of equally late ones the highest. True if it is another one."""
    aside = state.aside or NONE
    before = aside.shown
    if before is not None and [at, rank] <= before:
        return False
    state.aside = Aside(aside.warehouse, [at, rank], *aside[2:])
    return before is None or before[1] != rank


def watch(guid: str, state: OrderState, at: int, now: int, limit_ms: int, history_ms: int, sends: list[Send]) -> None:
    """After a change of the order whose channel shows a state, at event time `at`. Replaces `state.aside`."""
    aside = state.aside
    if aside is None or aside.shown is None:
        return
    begun = _left(state)
    if begun is None or aside.shown[1] >= SHIPPED or state.flags & _OVER:
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
        f" {STATES[aside.shown[1]]}; all of it: oms order {guid}",
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
