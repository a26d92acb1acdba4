"""When nobody need call the customer about oversold units any more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    Run,
    answered,
    created,
    fact,
    line,
    paid,
    refunded,
)

pytestmark = [pytest.mark.rule("INV-08")]

OVERSOLD = answered("confirm", 2, T0 + HOUR, [1, "oversold", None, []])
LEAVES = fact("wms", "loaded", T0 + DAY)
SIGNED = fact("orders", "buyer_confirmed", T0 + 2 * DAY)


def oversold(*skus: str) -> Run:
    """Paid late: of BAG nothing is there, of the other SKUs all."""
    run = Run()
    run.tell(created(lines=[line(n, sku) for n, sku in enumerate(("BAG", *skus), 1)]))
    run.tell(answered("reserve", 1, T0, [1, "refused", "out_of_stock"]))
    for n, sku in enumerate(skus, 2):
        run.tell(answered("reserve", 1, T0, [n, "held"], sku=sku), answered("release", 2, T0, [n, "released"], sku=sku))
    run.tell(paid(T0 + HOUR))
    for n, sku in enumerate(skus, 2):
        run.tell(answered("confirm", 3, T0 + HOUR, [n, "confirmed"], sku=sku))
    return run


def closed(run: Run) -> list[tuple[str, dict[str, Any]]]:
    return [(key, value) for topic, key, value in run.sent if topic == "alert-facts" and key.startswith("INV-08")]


def test_goods_that_leave_after_all_end_the_alert() -> None:
    run = oversold()
    run.tell(OVERSOLD)
    assert closed(run) == []
    run.tell(LEAVES, fact("couriers", "picked_up", T0 + DAY + MINUTE))
    said = {"do": "close", "rule": "INV-08", "at": T0 + DAY, "order_guid": GUID}
    assert closed(run) == [(f"INV-08/BAG/{GUID}", said)]


def test_where_others_may_have_left_first_the_customers_word_ends_it() -> None:
    run = oversold("CUP")
    run.tell(OVERSOLD, LEAVES)
    assert closed(run) == []
    run.tell(SIGNED)
    assert [(key, value["at"]) for key, value in closed(run)] == [(f"INV-08/BAG/{GUID}", T0 + 2 * DAY)]


def test_an_answer_that_comes_when_the_order_was_served_ends_it_at_once() -> None:
    run = oversold()
    run.tell(LEAVES)
    assert closed(run) == []
    run.tell(OVERSOLD, OVERSOLD)
    assert [key for key, _ in closed(run)] == [f"INV-08/BAG/{GUID}"]


def test_what_becomes_of_the_other_lines_when_it_has_left_ends_it_too() -> None:
    run = Run()
    run.tell(created(lines=[line(1, "BAG"), line(2, "CUP")]), paid(T0 + HOUR))
    run.tell(refunded(T0 + HOUR + 1, 15000, line_no=2))
    run.tell(answered("reserve", 1, T0, [1, "refused", "out_of_stock"]), OVERSOLD, LEAVES)
    assert closed(run) == [], "the other may be there"
    run.tell(answered("release", 3, T0 + HOUR, [2, "released"], sku="CUP"))
    assert [key for key, _ in closed(run)] == [f"INV-08/BAG/{GUID}"]


@pytest.mark.parametrize(("cup", "ends"), [("confirmed", False), ("oversold", True)])
def test_lines_that_were_paid_after_they_left_count_by_their_answers_whichever_comes_first(
    cup: str, ends: bool
) -> None:
    """Their holds had ended: until they are answered, they may be there."""
    told = [OVERSOLD, answered("confirm", 3, T0 + DAY, [2, cup, None, []], sku="CUP")]
    for answers in (told, told[::-1]):
        run = Run()
        run.tell(created(lines=[line(1, "BAG"), line(2, "CUP")]), answered("reserve", 1, T0, [1, "unmanaged", None]))
        run.tell(answered("reserve", 1, T0, [2, "held"], sku="CUP"))
        run.tell(answered("expire", 1, T0 + HOUR, [2, "expired"], sku="CUP"), LEAVES)
        run.tell(*answers)
        assert {key for key, _ in closed(run)} == ({f"INV-08/BAG/{GUID}", f"INV-08/CUP/{GUID}"} if ends else set())


def test_a_customer_who_confirms_proves_no_shipment() -> None:
    run = oversold()
    run.tell(OVERSOLD, SIGNED)
    assert closed(run) == []
