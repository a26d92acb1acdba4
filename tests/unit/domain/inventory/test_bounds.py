"""How much a SKU can be: what would outgrow 64 bits, in rows or in records, is refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.inventory import messages, quotas
from streams.domain.inventory.change import TOO_MUCH
from streams.domain.inventory.stock import MOST_SUM, MOST_UNITS, Stock
from tests.unit.domain.inventory.shop import DAY, MINUTE, Shop

LONG = 2**63 - 1
LINES = [[number, MOST_UNITS] for number in range(1, 501)]


def everything(it: Shop) -> tuple[Any, ...]:
    return dict(it.rows), list(it.sent), dict(it.timers)


@pytest.mark.rule("INV-01", "INV-10")
def test_a_pool_takes_as_many_units_as_can_be_counted_and_a_receipt_beyond_is_refused() -> None:
    it = Shop()
    it.receive(MOST_UNITS - 1)
    it.receive(1, at=1)
    before = everything(it)
    it.receive(1, at=2)
    assert it.refused == [TOO_MUCH]
    assert everything(it) == before
    it.receive(1, at=3, warehouse="bj")
    it.move(1, "sales", "reserved", at=4)
    it.receive(1, at=5)
    assert it.figures == (MOST_UNITS + 1, 0, 0)
    assert it.adds_up()


@pytest.mark.rule("INV-08", "INV-15")
def test_a_payment_that_would_sell_more_than_can_be_counted_is_refused_whole_and_told_to_the_order() -> None:
    it = Shop()
    it.receive(5)
    before = dict(it.rows), dict(it.timers)
    answers = it.confirm("G1", *LINES, at=MINUTE)
    assert answers == [[number, messages.REFUSED, messages.TOO_MANY_UNITS] for number, _ in LINES]
    assert (it.rows, it.timers) == before
    assert not it.out(messages.BREAKS)
    assert not it.out(messages.ALERTS)
    for number in range(9):
        it.confirm(f"G{number}", MOST_UNITS, at=2 * MINUTE)
    assert it.figures == (5 - MOST_UNITS, 0, MOST_UNITS - 5)
    assert it.adds_up()


@pytest.mark.rule("INV-07")
def test_a_return_beyond_what_a_shelf_can_hold_is_refused_and_told_to_the_order() -> None:
    it = Shop()
    it.receive(3)
    it.confirm("G1", 3, at=1)
    it.count(MOST_UNITS, at=2)
    assert it.release("G1", 3, at=3, do="return", round=2) == [[1, messages.REFUSED, messages.TOO_MANY_UNITS]]
    assert it.figures == (MOST_UNITS, 0, 0)
    assert it.adds_up()


@pytest.mark.rule("INV-10")
def test_goods_told_after_a_count_that_saw_them_add_up_to_no_more_than_can_be_counted() -> None:
    it = Shop()
    it.count(7, at=DAY)
    for number in range(3):
        it.receive(MOST_UNITS - 7, at=number)
    assert it.refused == [TOO_MUCH] * 2
    assert it.figures == (7, 0, 0)
    assert it.adds_up()


@pytest.mark.rule("INV-03", "INV-14")
def test_quotas_and_units_awaiting_confirmation_stay_within_their_sums() -> None:
    stock = Stock(quotas={f"\0c{number}\0": [MOST_UNITS, 0, 1, 1] for number in range(999)})
    told = [quotas.put(stock, quotas.key(name, None, None), MOST_UNITS, 1) for name in ("d", "e")]
    assert told == [None, f"quotas of more than {MOST_SUM} units"]
    it = Shop()
    it.receive(1)
    for guid in ("G1", "G2", "G3"):
        it.command("virtual", guid, *LINES, at=2, enter=True)
    assert it.refused == [f"more than {MOST_SUM} units await confirmation"]
    assert it.state["virtual"] == MOST_SUM
    it.command("virtual", "G3", *LINES, at=3, enter=False)
    it.command("virtual", "G1", *LINES, at=4, enter=False)
    assert it.state["virtual"] == MOST_SUM // 2


def test_a_warehouse_too_many_is_refused_and_a_level_of_before_may_come_back_within_bounds() -> None:
    full = Stock({f"w{number:04}": [0] * 8 for number in range(4_000)})
    assert not full.shift("one-more", 0, 1, 1)
    old = Stock({"hz": [5 * MOST_UNITS, 0, 0, 0, 0, 0, 0, 0]}, sales=5 * MOST_UNITS)
    assert not old.shift("hz", 0, 1, 1)
    assert old.shift("hz", 0, -MOST_UNITS, 1)
    assert 2 * 4_000 * MOST_UNITS < LONG
