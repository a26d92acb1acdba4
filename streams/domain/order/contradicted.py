"""Money and goods of an order that contradict each other, told once; nothing is kept for it.

    FIN-13   paid after its channel had closed it: nothing will be sent. It ends when all the money is back, or the
             goods leave or are confirmed all the same
    WMS-02   refunded in full, and shipped after that: money and goods are both gone. It ends when the parcel is back,
             or the order is paid again; the same of one that its channel had closed before its goods left, until the
             parcel is back or the customer has confirmed and paid for it

It counts when either happened, not what was heard of first. Who closes the alert by hand hears no more of it; closing
what is not open does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from streams.domain.inventory import messages
from streams.domain.order import called_off, money
from streams.domain.order.flags import CLOSED
from streams.domain.order.returned import BACK, left_at
from streams.domain.order.state import Fact, OrderState
from streams.domain.order.stock import Send
from streams.domain.rules.nodes import CUSTOMER_SIGNED, PAID

PAID_CLOSED: Final = "FIN-13/closed"
SHIPPED_REFUNDED: Final = "WMS-02/refunded"
SHIPPED_CLOSED: Final = "WMS-02/closed"
"""Alerts, by the beginning of their keys."""
Said = Mapping[str, "str | None"]
_CLOSE: Final[Said] = {"do": "close"}


def follow(guid: str, old: OrderState, new: OrderState, fact: Fact, sends: list[Send], at: int) -> None:
    """What a change of the order by `fact`, at event time `at` (ms), opens or closes."""
    if not ("closed" in new.marks or new.refunded_minor):
        return
    if (is_now := _is_paid_closed(new)) != _is_paid_closed(old):
        sends.append(_send(PAID_CLOSED, guid, _paid_closed(new) if is_now else _CLOSE, at))
    for what, (holds, title, detail, advice) in _SHIPPED.items():
        was, is_now = holds(old), holds(new)
        if is_now and not was:
            sends.append(_send(what, guid, _opened(new, title, detail, advice), at))
        elif was and (not is_now or _brings_back(new, fact)):
            sends.append(_send(what, guid, _CLOSE, at))


def _paid_closed(state: OrderState) -> Said:
    paid = f"{state.paid_minor - state.refunded_minor} minor units of {state.currency}"
    return _opened(
        state,
        "closed order paid",
        f"{paid} came in after the channel had closed the order",
        "Refund the money, or have the customer order again and the order sent; tell him today.",
    )


def _is_paid_closed(state: OrderState) -> bool:
    """Whether the shop has money for an order that was closed before it was paid, and nothing of it was sent."""
    closed, paid = state.marks.get("closed"), state.reached[PAID]
    if closed is None or paid is None or paid <= closed or not state.paid_minor or money.is_refunded(state):
        return False
    return left_at(state) is None and state.reached[CUSTOMER_SIGNED] is None


def _brings_back(state: OrderState, fact: Fact) -> bool:
    """Of several parcels one that is back does not say that all are: a person closes it then."""
    return len(state.waybills) <= 1 and (fact.get("mapped") or {}).get("axis") in BACK


def _is_shipped_closed(state: OrderState) -> bool:
    """Whether goods left of an order that was closed by then, and was not paid after that."""
    closed, left, paid = state.marks.get("closed"), left_at(state), state.reached[PAID]
    if closed is None or left is None or not closed < left:
        return False
    if not state.flags & CLOSED and ((held := called_off.since(state)) is None or not held < left):
        return False
    if (paid is not None and paid > closed) or _is_shipped_refunded(state):
        return False
    return state.reached[CUSTOMER_SIGNED] is None or money.is_refunded(state)


def _is_shipped_refunded(state: OrderState) -> bool:
    """Whether goods left after the last of the money had gone back."""
    left = left_at(state)
    if left is None or not money.is_refunded(state):
        return False
    since = money.refunded_since(state)
    return since is not None and since < left


_SHIPPED: Final[Mapping[str, tuple[Callable[[OrderState], bool], str, str, str]]] = {
    SHIPPED_CLOSED: (
        _is_shipped_closed,
        "closed order shipped",
        "the goods left after the channel had closed the order",
        "Have the parcel stopped or called back; pay nothing back before it has returned.",
    ),
    SHIPPED_REFUNDED: (
        _is_shipped_refunded,
        "refunded order shipped",
        "the goods left after all the money had gone back",
        "Have the parcel stopped or called back; if the customer keeps it, ask for the money.",
    ),
}
"""Alert -> when it holds, title, detail, advice."""


def _opened(state: OrderState, title: str, detail: str, advice: str) -> Said:
    return {"do": "open", "title": title, "detail": detail, "channel": state.channel, "advice": advice}


def _send(what: str, guid: str, said: Said, at: int) -> Send:
    return messages.ALERTS, f"{what}/{guid}", {**said, "rule": what[:6], "at": at, "order_guid": guid}
