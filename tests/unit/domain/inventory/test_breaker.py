"""INV-11: when selling of a SKU is paused, what still goes through, and who may release it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.inventory import messages
from tests.unit.domain.inventory.shop import MINUTE, SECOND, SKU, T0, Shop

pytestmark = [pytest.mark.rule("INV-11")]


def oversell(it: Shop, *sales: tuple[int, int]) -> None:
    """(units, at) paid without stock, each by an order of its own."""
    for units, at in sales:
        number = len(it.out(messages.REPLIES))
        assert it.confirm(f"G{number}", units, at=at)[0][1] == "oversold"


def empty() -> Shop:
    it = Shop()
    it.receive(1)
    it.confirm("first", 1, at=1)
    return it


def is_paused(it: Shop) -> bool:
    return it.stock.paused


def breaks(it: Shop) -> list[dict[str, Any]]:
    return it.out(messages.BREAKS)


@pytest.mark.parametrize(("units", "paused"), [(30, False), (31, True)])
def test_more_than_30_units_pause_the_sku(units: int, paused: bool) -> None:
    it = empty()
    oversell(it, (units - 1, 2), (1, 3))
    assert it.stock.paused is paused
    assert len(breaks(it)) == paused
    assert [a["do"] for a in it.out(messages.ALERTS) if a["rule"] == "INV-11"] == ["open"] * paused


def test_the_break_says_how_many_units_when_and_of_which_orders() -> None:
    it = empty()
    oversell(it, (20, MINUTE), (11, 2 * MINUTE))
    [record] = breaks(it)
    assert record == {
        "sku": SKU,
        "action": "pause",
        "units": 31,
        "window_start": T0 - 3 * MINUTE,
        "window_end": T0 + 2 * MINUTE,
        "at": T0 + 2 * MINUTE,
        "guids": ["G1", "G2"],
    }


@pytest.mark.parametrize(("later", "paused"), [(5 * MINUTE - 1, True), (5 * MINUTE, False)])
def test_the_window_is_five_minutes_of_event_time(later: int, paused: bool) -> None:
    it = empty()
    oversell(it, (20, SECOND), (11, SECOND + later))
    assert it.stock.paused is paused


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_same_payments_pause_the_sku_whatever_their_order_of_arrival(order: tuple[int, ...]) -> None:
    it = empty()
    sales = [(16, MINUTE), (15, 6 * MINUTE - 1), (5, 20 * MINUTE)]
    oversell(it, *(sales[n] for n in order))
    [record] = breaks(it)
    assert (record["units"], len(record["guids"])) == (31, 2)
    assert (record["window_start"], record["window_end"]) == (T0 + MINUTE - 1, T0 + 6 * MINUTE - 1)


def test_a_late_payment_is_in_no_window_with_sales_five_minutes_before_or_after_it() -> None:
    it = empty()
    oversell(it, (20, MINUTE), (20, 11 * MINUTE), (11, 6 * MINUTE))
    assert not is_paused(it)


def test_what_is_kept_for_late_payments_ends_after_half_an_hour() -> None:
    it = empty()
    oversell(it, *((1, minute * MINUTE) for minute in range(1, 200)))
    assert not is_paused(it)
    assert len(it.stock.window) == 30


def test_units_count_not_orders_and_whatever_the_channel() -> None:
    it = empty()
    oversell(it, *((1, second * SECOND) for second in range(1, 31)))
    assert not is_paused(it)
    it.confirm("last", 1, at=31 * SECOND, channel="another")
    assert is_paused(it)
    assert len(breaks(it)[0]["guids"]) == 31


def test_only_the_units_beyond_stock_count() -> None:
    it = Shop()
    it.receive(100)
    oversell(it, (130, 1))
    assert (it.stock.paused, it.stock.window) == (False, [[T0 + 1, 30, "G0"]])


def paused() -> Shop:
    it = empty()
    it.receive(2, at=2)
    it.reserve("held", 1, at=3)
    oversell(it, (32, 4))
    assert is_paused(it)
    return it


def test_while_paused_every_reserve_is_refused_and_a_payment_goes_through() -> None:
    it = paused()
    it.receive(100, at=5)
    [answer] = it.reserve("new", 1, at=6)
    assert answer[:3] == [1, "refused", "out_of_stock"]
    it.cart("customer", 1, at=7)
    assert it.stock.vouchers == 0
    assert it.confirm("held", 1, at=8) == [[1, "confirmed", None]]


def test_a_release_needs_somebody_and_availability_of_at_least_zero() -> None:
    it = paused()
    assert it.stock.available == -31
    it.receive(30, at=5)
    assert it.fact("manual_command", 6, command="release_sku", target=SKU).refusal is not None
    assert is_paused(it)
    it.receive(1, at=7)
    assert it.stock.available == 0
    assert it.fact("manual_command", 8, command="release_sku", target=SKU).refusal is None
    assert not is_paused(it)
    assert [record["action"] for record in breaks(it)] == ["pause", "release"]
    assert [alert["do"] for alert in it.out(messages.ALERTS) if alert["rule"] == "INV-11"] == ["open", "close"]


def test_after_a_release_the_count_begins_anew() -> None:
    it = paused()
    it.receive(31, at=5)
    it.fact("manual_command", 6, command="resume_sku", target=SKU)
    oversell(it, (30, 7))
    assert not is_paused(it)
    oversell(it, (1, 8))
    assert is_paused(it)


def test_a_release_of_what_is_not_paused_is_refused() -> None:
    it = empty()
    it.fact("manual_command", 2, command="release_sku", target=SKU)
    it.fact("manual_command", 2, command="release_sku", target="never heard of")
    assert it.refused == ["the SKU is not paused"] * 2


def test_pause_and_units_come_out_of_the_same_step() -> None:
    it = empty()
    done = it.fold(
        {"do": "confirm", "sku": SKU, "order_guid": "G", "lines": [[1, 31]], "at": T0 + 9, "round": 1, "channel": "x"}
    )
    assert {topic for topic, _, _ in done.sends} == {
        messages.REPLIES, messages.LEDGER, messages.BREAKS, messages.ALERTS,
    }  # fmt: skip
    assert done.stock.paused
    assert done.changed
