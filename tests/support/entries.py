"""Orders whose money makes many ledger entries, as facts and as the entries that the rules make of them."""

from __future__ import annotations

from functools import cache
from typing import Any

from streams.domain import ledger as rules
from streams.domain.ledger import periods
from streams.domain.rules import data

T0 = 1_769_220_000_000
LINES = 20
PER_ORDER = 63
"""A receipt, a fee, a revenue and a discount for each line, a refund and what it takes back."""
_SETTINGS = data.ledger()

Entry = dict[str, Any]
Fact = dict[str, Any]


def guid(number: int) -> str:
    return f"DB20260124E{number:011d}"


def facts(number: int) -> list[Fact]:
    """Of one order, in order of time: created, paid, charged and refunded in part."""
    sold = [(n, 1 + n % 3, 900 + 10 * n + number % 7) for n in range(1, LINES + 1)]
    lines = [{"line_no": n, "sku": f"S{n}", "quantity": units, "unit_price_minor": price} for n, units, price in sold]
    worth = sum(units * price for _, units, price in sold)
    total = worth - 1_000
    money: dict[str, Any] = {"topic": "payments", "source": "wechatpay", "currency": "CNY"}
    story: list[Fact] = [
        {
            "topic": "orders",
            "source": "wechat_mini",
            "event_type": "order_created",
            "channel": "wechat_mini",
            "currency": "CNY",
            "lines": lines,
            "total_minor": total,
            "discounts": [{"amount_minor": 1_000}],
        },
        {**money, "event_type": "payment_succeeded", "amount_minor": total},
        {**money, "event_type": "fee_charged", "fee_type": "commission", "amount_minor": total // 50},
        {**money, "event_type": "refund_settled", "amount_minor": 100 + number % 50},
    ]
    named = {"order_guid": guid(number), "digest": number}
    return [
        {**fact, **named, "event_id": f"{number}-{n}", "event_time": T0 + 60_000 * n} for n, fact in enumerate(story)
    ]


@cache
def entries(number: int) -> list[Entry]:
    """What the rules post for that order; not to be changed."""
    row, found = None, list[Entry]()
    for fact in facts(number):
        outcome = rules.step(row, fact, fact["event_time"], periods.NONE, _SETTINGS)
        row = outcome.row
        found += outcome.entries
    return found
