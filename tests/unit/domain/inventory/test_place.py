"""The books follow the warehouse that sends an order, wherever it was deducted first."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.inventory import messages
from tests.unit.domain.inventory.shop import Shop

HOUR = 3_600_000


def shop(hz: int = 10, gz: int = 6) -> Shop:
    """Two warehouses, and an order that was deducted from the fuller one."""
    it = Shop()
    it.receive(hz, warehouse="hz")
    it.receive(gz, warehouse="gz")
    it.confirm("G1", 4, at=HOUR)
    return it


def sales(it: Shop) -> dict[str, int]:
    return {name: pools["sales"] for name, pools in it.state["warehouses"].items()}


def place(it: Shop, warehouse: str, at: int = 2 * HOUR, **fields: Any) -> None:
    assert it.command("place", "G1", 4, at=at, warehouse=warehouse, **fields) == []


@pytest.mark.rule("INV-02", "INV-10")
def test_what_was_deducted_elsewhere_is_booked_where_it_is_sent_from() -> None:
    it = shop()
    assert sales(it) == {"hz": 6, "gz": 6}
    for _ in range(2):
        place(it, "gz")
    assert (sales(it), it.figures) == ({"hz": 10, "gz": 2}, (12, 0, 0))
    rows = [row for row in it.out(messages.LEDGER) if row["reason"] == "moved"]
    assert [(row["warehouse"], row["delta"], row["order_guid"], row["line_no"]) for row in rows] == [
        ("hz", 4, "G1", 1),
        ("gz", -4, "G1", 1),
    ]
    for warehouse, units in (("hz", 10), ("gz", 2)):
        it.count(units, at=3 * HOUR, warehouse=warehouse)
    assert it.out(messages.ALERTS) == []
    it.release("G1", 4, at=4 * HOUR, do="return")
    assert sales(it) == {"hz": 10, "gz": 6}
    assert it.adds_up()


@pytest.mark.rule("INV-10")
def test_no_warehouse_is_booked_below_zero_for_it_and_an_unknown_one_not_at_all() -> None:
    it = shop(gz=3)
    place(it, "gz")
    assert sales(it) == {"hz": 9, "gz": 0}
    place(it, "nowhere")
    assert sales(it) == {"hz": 9, "gz": 0}
    place(it, "hz")
    assert sales(it) == {"hz": 6, "gz": 3}
    assert it.adds_up()


@pytest.mark.rule("INV-10")
def test_counts_between_the_payment_and_the_word_of_the_warehouse_agree_afterwards() -> None:
    it = shop()
    it.count(10, at=HOUR + 1, warehouse="hz")  # nothing is missing here
    it.count(2, at=3 * HOUR, warehouse="gz")  # has gone already
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open", "open"]
    place(it, "gz")
    assert sales(it) == {"hz": 10, "gz": 2}
    assert [alert["do"] for alert in it.out(messages.ALERTS)] == ["open", "open", "close", "close"]
    assert it.adds_up()


@pytest.mark.rule("INV-10")
def test_what_came_back_or_was_never_sold_stays_where_it_is() -> None:
    it = shop()
    it.reserve("G2", 2, at=HOUR)
    it.command("place", "G2", 2, at=HOUR, warehouse="gz")
    it.release("G1", 4, at=HOUR, do="return")
    place(it, "gz")
    place(it, "gz", at=99 * 24 * HOUR)  # forgotten
    assert sales(it) == {"hz": 10, "gz": 6}


@pytest.mark.rule("INV-07", "INV-10")
def test_a_payment_told_after_the_allocation_is_deducted_where_that_says() -> None:
    it = Shop()
    it.receive(10, warehouse="hz")
    it.receive(6, warehouse="gz")
    it.reserve("G1", 4, at=1, warehouse="hz")
    it.confirm("G1", 4, at=2, number=2, warehouse="gz")
    assert sales(it) == {"hz": 10, "gz": 2}
