"""What the ledger takes from a fact: prices by line, and which money counts, as the order has it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.ledger.row import concerns, observe
from streams.domain.order import from_row, to_row
from streams.domain.rules import data
from tests.unit.domain.order.facts import HOUR, T0, Fact, created, fact, fold, mapped, paid, refunded, says

SETTINGS = data.ledger()
LINE = {"line_no": 1, "sku": "A", "quantity": 2, "unit_price_minor": 5000, "is_gift": False}
BARE = {"sku": "A", "quantity": 2, "unit_price_minor": None}
GIFT = {"line_no": 2, "sku": "B", "quantity": 1, "unit_price_minor": 999, "is_gift": True}


def row_of(*facts: Fact) -> dict[str, Any]:
    row = None
    for one in facts:
        row, _ = observe(row, one, SETTINGS)
    assert row is not None
    return row


@pytest.mark.rule("FIN-06")
@pytest.mark.parametrize(
    ("fields", "parts", "other", "total"),
    [
        ({"total_minor": 10000}, [[1, 10000, 0]], None, 10000),
        ({"total_minor": 10800}, [[1, 10000, 0]], 800, 10800),
        ({"total_minor": 9000}, [[1, 10000, 1000]], None, 9000),
        ({"total_minor": 9800, "discounts": [{"amount_minor": 1000}]}, [[1, 10000, 1000]], 800, 9800),
        ({"total_minor": None, "discounts": [{"amount_minor": 1000}]}, [[1, 10000, 1000]], None, 9000),
        ({"total_minor": None, "discounts": [{"amount_minor": 99999}]}, [[1, 10000, 10000]], None, 0),
        ({"total_minor": 500, "lines": [GIFT]}, [], 500, 500),
        ({"total_minor": 0, "lines": [GIFT]}, [], None, 0),
        ({"total_minor": None, "lines": [{"sku": "A", "quantity": 1}]}, None, None, None),
        ({"total_minor": 500, "lines": [{**BARE, "line_no": 3}, GIFT]}, [[3, 500, 0]], None, 500),
        ({"total_minor": 500, "lines": [BARE], "discounts": [{"amount_minor": 100}]}, [[1, 600, 100]], None, 500),
        ({"total_minor": 500, "lines": [BARE, {**BARE, "sku": "C"}]}, [], 500, 500),
        ({"total_minor": 500, "lines": [{**LINE, "unit_price_minor": 0}]}, [], 500, 500),
        ({"total_minor": 7, "lines": [{**LINE, "quantity": 10**15, "unit_price_minor": 2}]}, [], 7, 7),
        (
            {"total_minor": 7, "lines": [{**LINE, "quantity": 10**15, "unit_price_minor": 1}]},
            [[1, 10**15, 10**15 - 7]],
            None,
            7,
        ),
    ],
)
def test_the_price_decides_what_is_discount_and_what_is_freight(
    fields: dict[str, Any], parts: Any, other: int | None, total: int | None
) -> None:
    row = row_of(created(**{"lines": [LINE, GIFT], **fields}))
    assert (row.get("parts"), row.get("other"), row.get("total")) == (parts, other, total)


@pytest.mark.rule("FIN-03", "FIN-06")
@pytest.mark.parametrize(
    ("told", "numbers"), [([0, 1], [0, 1]), ([None, 1], [1, 2]), ([4, 4], [1, 2]), ([7, 3], [7, 3]), ([0], [0])]
)
def test_each_line_has_a_number_of_its_own(told: list[int | None], numbers: list[int]) -> None:
    row = row_of(created(lines=[{**LINE, "line_no": number} for number in told], total_minor=None))
    assert [number for number, _, _ in row["parts"]] == numbers


@pytest.mark.rule("FIN-07", "ST-03")
def test_ledger_and_order_count_the_same_money() -> None:
    unknown = mapped(known=False)
    stories: list[list[Fact]] = [
        [paid(), paid(), refunded(T0 + HOUR, 5)],
        [paid(event_id="p"), paid(event_id="p")],
        [paid(event_id="p"), paid(event_id="p", amount=7)],
        [paid(event_id="p", currency="USD"), paid(event_id="p", amount=7)],
        [paid(event_type="deposit_paid", amount=100), paid(event_type="balance_paid", amount=200)],
        [paid(raw_status="?", mapped=unknown, event_id="p")],
        [paid(raw_status="?", mapped=unknown, event_id="p"), paid(raw_status="?", mapped=mapped("paid"), event_id="p")],
        [paid(event_type="fee_charged", amount=9)],
    ]
    for story in stories:
        state, _ = fold([created(), *story])
        row = row_of(created(), *story)
        money = [amount if kind != "refund" else -amount for kind, amount, _, _ in row.get("money", {}).values()]
        fees = [amount for kind, amount, _, _ in row.get("money", {}).values() if kind == "fee"]
        assert sorted(money) == sorted([*(amount for amount, *_ in state.money.values() if amount is not None), *fees])


@pytest.mark.rule("ST-05")
def test_a_resolved_conflict_stays_with_the_order() -> None:
    told: dict[str, Any] = {"command": "resolve_conflict", "operator": "li", "reason": "photo"}
    state, decisions = fold(
        [created(), paid(), fact("orders", "buyer_confirmed"), fact("ops", "manual_command", **told)]
    )
    assert [decision.audit["decision"] for decision in decisions][-1] == "accepted"
    assert from_row(to_row(state)) == state
    assert "resolved" in state.marks


def test_most_facts_do_not_concern_the_ledger() -> None:
    assert not concerns(fact("wms", "packed"))
    assert not concerns(fact("service", "chat_opened"))
    assert not concerns(says("wms", "LOADED", T0, mapped("shipped", "loaded")))
    assert not concerns(says("orders", "PAID", T0, mapped("paid")))
    assert concerns(says("orders", "已完成", T0, mapped("customer_signed")))
    assert concerns(paid())
