"""What no sender should say, and one will: nothing of it stops the desk, and no row grows without end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.domain.risk.desk import DAY, GUID, T0, Desk, created, fact, paid

FIELDS = (
    "customer_id", "city_tier", "total_minor", "currency", "ip", "page_dwell_s", "coupon_count", "discounts", "lines",
    "promised_delivery_at",
)  # fmt: skip
LATEST = 4_102_415_999_999
"""The last time that the contract takes."""


@pytest.mark.rule("RSK-01")
@pytest.mark.parametrize("gone", [(name,) for name in FIELDS] + [FIELDS])
def test_an_order_without_a_field_is_an_order(gone: tuple[str, ...]) -> None:
    nothing: dict[str, Any] = dict.fromkeys(gone)
    desk = Desk().say(created(T0, GUID, **nothing), paid()).pass_to(T0 + 2 * DAY)
    assert desk.findings("RSK-10") == ["open"]


@pytest.mark.rule("RSK-02")
@pytest.mark.parametrize(
    ("topic", "kind", "fields"),
    [
        ("service", "chat_message", {"text": None}),
        ("service", "chat_message", {"text": "急" * 262_144}),
        ("wms", "label_printed", {"duration_ms": 0}),
        ("wms", "label_printed", {"duration_ms": 10**15}),
        ("payments", "refund_settled", {"amount_minor": None}),
        ("orders", "refund_requested", {"ip": None}),
        ("ops", "manual_command", {"command": None}),
        ("couriers", "scanned", {}),
    ],
)
@pytest.mark.parametrize("at", [0, T0, LATEST])
def test_a_fact_that_says_little_fires_nothing_and_stops_nothing(
    topic: str, kind: str, fields: dict[str, Any], at: int
) -> None:
    desk = Desk().say(created(), fact(topic, kind, at, **fields))
    assert not {"urgent_words", "label_surge", "ip_refunds"} & desk.signals()
    assert desk.levels() == []


@pytest.mark.rule("RSK-01")
def test_a_sender_that_never_stops_does_not_make_a_row_grow() -> None:
    def size(events: int) -> int:
        desk = Desk().say(created(customer_id="C1", ip="203.0.113.9"))
        for n in range(events):
            desk.say(
                fact("payments", "refund_settled", T0 + n, amount_minor=1),
                fact("orders", "address_changed", T0 + n),
                fact("orders", "refund_requested", T0 + n, ip="203.0.113.9"),
                fact("service", "chat_opened", T0 + n, text="催单"),
                fact("payments", "payment_failed", T0 + n),
            )
        return len(str(desk.tables["orders"][GUID])) + len(str(desk.tables["counts"]))

    assert size(200) == size(400)


@pytest.mark.rule("RSK-01")
def test_facts_of_an_order_that_was_never_created_leave_nothing_behind() -> None:
    desk = Desk().say(paid(), fact("couriers", "signed"), fact("orders", "refund_requested", ip="203.0.113.9"))
    assert desk.tables == {"orders": {}, "counts": {}, "tallies": {}}
    assert (desk.out, desk.timers) == ([], {})
