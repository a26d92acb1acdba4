"""The example of the contract, as facts: one order, five events, out of order."""

from __future__ import annotations

import pytest

from streams.domain.order import record
from tests.unit.domain.order.facts import GUID, at, fact, fold, mapped, told, verdicts

TXN = "4200001234202601240000000001"
SIGNED = mapped("logistics_signed", "logistics_signed", event="signed")
PICKED_UP = mapped("shipped", "picked_up", event="shipped")

# The payment waited for the order, so it comes second.
EVENTS = [
    fact(
        "orders",
        "order_created",
        at("2026-01-24 10:00:00"),
        channel="douyin",
        order_no="6921234567890",
        platform_txn_no=TXN,
        customer_id="c-1",
        lines=[{"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}],
        total_minor=9900,
        currency="CNY",
        alias18="DB2601240000000001",
    ),
    fact(
        "payments",
        "payment_succeeded",
        at("2026-01-24 10:00:05"),
        platform_txn_no=TXN,
        amount_minor=9900,
        currency="CNY",
    ),
    fact("wms", "loaded", at("2026-01-24 15:30:00"), waybill_no="ZTO731", package_id="PK1", warehouse="hz"),
    fact("couriers", "signed", at("2026-01-26 09:12:00"), waybill_no="ZTO731", raw_status="门卫代收", mapped=SIGNED),
    fact("couriers", "picked_up", at("2026-01-24 18:00:00"), waybill_no="ZTO731", raw_status="201", mapped=PICKED_UP),
]


@pytest.mark.rule("ST-01")
def test_five_events_out_of_order_end_in_the_state_of_the_example() -> None:
    state, _ = fold(EVENTS)

    assert record(GUID, state) == {
        "order_guid": GUID,
        "channel": "douyin",
        "order_no": "6921234567890",
        "codes": {
            "platform_txn_no": TXN,
            "internal_no": None,
            "waybills": ["ZTO731"],
            "package_ids": ["PK1"],
            "alias18": "DB2601240000000001",
        },
        "state": "logistics_signed",
        "node": "awaiting_confirm",
        "flags": [],
        "tiers": {"base": "DELIVERED", "business": "please_confirm", "finance": "revenue_pending"},
        "entered_at": {
            "pending_payment": at("2026-01-24 10:00:00"),
            "paid": at("2026-01-24 10:00:05"),
            "shipped": at("2026-01-24 15:30:00"),
            "logistics_signed": at("2026-01-26 09:12:00"),
        },
        "claims": {
            "wechatpay": {"raw": "payment_succeeded", "state": "paid", "at": at("2026-01-24 10:00:05")},
            "wms-hz": {"raw": "loaded", "state": "shipped", "at": at("2026-01-24 15:30:00")},
            "zto": {"raw": "门卫代收", "state": "logistics_signed", "at": at("2026-01-26 09:12:00")},
        },
        "tier": "L1",
        "score": None,
        "paid_minor": 9900,
        "refunded_minor": 0,
        "total_minor": 9900,
        "currency": "CNY",
        "sla_due_at": None,
        "version": 5,
        "updated_at": at("2026-01-26 09:12:00"),
        "customer_id": "c-1",
        "sales_type": None,
        "status_text": "待确认",
        "created_at": at("2026-01-24 10:00:00"),
        "lane": None,
        "stock": None,
        "held_ms": None,
        "node_step": 15,
        "node_entered_at": at("2026-01-26 09:12:00"),
        "node_owner": None,
        "expected_next": None,
        "pending_approvals": None,
        "estimated_arrival_at": None,
        "estimate_basis": None,
        "customer_text": None,
        "invoice": None,
    }


@pytest.mark.rule("ST-06")
def test_the_audit_of_the_example_has_four_accepted_and_one_filled_in() -> None:
    _, decisions = fold(EVENTS)

    assert verdicts(decisions) == ["accepted", "accepted", "accepted", "accepted", "filled_in"]


@pytest.mark.rule("ST-12")
def test_the_example_tells_created_paid_shipped_and_one_signature() -> None:
    _, decisions = fold(EVENTS)

    assert told(decisions) == [("created", None), ("paid", None), ("shipped", None), ("signed", "logistics")]
