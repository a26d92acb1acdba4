"""What an order costs, and what was paid and refunded, in minor units of its currency (FIN-02, FIN-07).

Each amount is kept under the key of its event, so a repeated event never counts twice, however late it comes.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

from streams.domain.currencies import code_of
from streams.domain.order.meanings import FEE, REFUND
from streams.domain.order.state import Fact, OrderState


def price(fact: Fact, most_minor: int) -> tuple[int | None, list[int], int]:
    """Of an order_created: the price (None if neither a total nor prices were told), what each line is worth, and what
    the discounts are said to be; minor units. Lines worth more than `most_minor` together are as good as without
    prices."""
    lines = fact.get("lines") or ()
    gross = [0 if line.get("is_gift") else line["quantity"] * (line.get("unit_price_minor") or 0) for line in lines]
    if sum(gross) > most_minor:
        gross = [0] * len(gross)  # no price a shop could mean, and no number a row could hold: the total counts
    off = sum(entry.get("amount_minor") or 0 for entry in fact.get("discounts") or ())
    total, worth = fact.get("total_minor"), sum(gross)
    if total is None and worth > 0:
        total = max(0, worth - off)
    if total and not worth and total + off <= most_minor:
        sold = [n for n, line in enumerate(lines) if not line.get("is_gift")]
        if len(sold) == 1 and lines[sold[0]].get("unit_price_minor") is None:
            gross[sold[0]] = total + off  # nothing else was sold: what was paid is its price
    return total, gross, off


def currency_of(fact: Fact, default: str) -> str:
    """The currency of an order_created, by its code, whatever the sender calls it."""
    told = fact.get("currency")
    return code_of(told) if told else default


def refusal(currency: str, fact: Mapping[str, Any]) -> str | None:
    """Why the amount cannot be added to the sums of an order in `currency`; None if it can. The ledger asks, too."""
    told = fact.get("currency")
    if told is not None and told != currency and code_of(told) != code_of(currency):  # "RMB" is no other
        return f"amount in {told} for an order in {currency}"
    return None


def add(state: OrderState, fact: Fact, key: bytes, sign: int) -> bool:
    """Count the amount of a receipt or refund, once per event. An event without an amount counts as 0, a fee not."""
    if sign == FEE:
        return False
    entry = b2a_base64(key, newline=False).decode("ascii")
    if entry in state.money:
        return False
    amount: int = fact.get("amount_minor") or 0
    line_no = fact.get("line_no")
    state.money = {**state.money, entry: [sign * amount, line_no, fact["event_time"] - state.created_at]}
    if sign == REFUND:
        state.refunded_minor += amount
    else:
        state.paid_minor += amount
    return True


def is_refunded(state: OrderState) -> bool:
    """All that was paid went back."""
    return state.refunded_minor >= state.paid_minor > 0


def refunded_since(state: OrderState) -> int | None:
    """When the last of what was paid went back, ms after the creation; None: it did not, or a row of before does not
    say when."""
    refunds, left = [entry for entry in state.money.values() if (entry[0] or 0) < 0], state.paid_minor
    told = sorted((entry[2], -(entry[0] or 0)) for entry in refunds if len(entry) > 2 and entry[2] is not None)
    if len(told) < len(refunds):
        return None
    for at, amount in told:
        left -= amount
        if left <= 0:
            return at
    return None


def is_partly_refunded(state: OrderState) -> bool:
    """Some of it did; also a refund whose payment is not known yet."""
    return state.refunded_minor > 0 and not is_refunded(state)
