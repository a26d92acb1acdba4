"""ST-14: shipped, and still shown as waiting for more than five minutes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from streams.domain.order import from_row, reduce, to_row
from streams.domain.order.asides import Lag
from streams.domain.rules import data
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    Fact,
    Run,
    created,
    fact,
    mapped,
    paid,
    says,
    step,
)

SETTINGS = data.order_settings()
LEFT = T0 + HOUR
WAITING = mapped("paid", "outbound_pending")


def shows(when: int, state: str = "paid") -> Fact:
    return says("orders", state, when, mapped(state))


def run(*events: Fact) -> Run:
    order = Run(SETTINGS)
    order.tell(created(lines=[]), paid(), *events)
    return order


def alerts(order: Run) -> list[tuple[str, int]]:
    """(open or close, ms after the order left)."""
    return [(value["do"], value["at"] - LEFT) for _, key, value in order.sent if key == f"ST-14/{GUID}"]


@pytest.mark.rule("ST-14")
@pytest.mark.parametrize(
    "left", [fact("wms", "loaded", LEFT), fact("couriers", "picked_up", LEFT), fact("couriers", "signed", LEFT)]
)
def test_five_minutes_do_not_fire_and_a_millisecond_more_does(left: Fact) -> None:
    order = run(says("orders", "待出库", T0 + 2 * MINUTE, WAITING), left)
    order.wait_until(LEFT + 5 * MINUTE)
    assert alerts(order) == []
    order.wait_until(LEFT + 5 * MINUTE + 1)
    assert alerts(order) == [("open", 5 * MINUTE + 1)]
    [alert] = [value for _, key, value in order.sent if key == f"ST-14/{GUID}"]
    assert (alert["title"], alert["channel"]) == ("state_lag", "douyin")
    assert "shipped 5 min ago, and douyin shows it as paid" in alert["detail"]
    order.wait_until(LEFT + DAY)
    assert alerts(order) == [("open", 5 * MINUTE + 1)]
    order.tell(shows(LEFT + 2 * DAY, "shipped"))
    assert alerts(order) == [("open", 5 * MINUTE + 1), ("close", 2 * DAY)]


@pytest.mark.rule("ST-14")
@pytest.mark.parametrize(
    "end",
    [
        shows(LEFT + 5 * MINUTE, "shipped"),
        fact("orders", "buyer_confirmed", LEFT + MINUTE),
        fact("orders", "cancel_marked", LEFT + MINUTE),
    ],
)
def test_a_channel_that_shows_it_in_time_and_an_order_that_ends_raise_nothing(end: Fact) -> None:
    order = run(shows(T0 + 2 * MINUTE), fact("wms", "loaded", LEFT), end)
    order.wait_until(LEFT + DAY)
    assert alerts(order) == []


@pytest.mark.rule("ST-14")
def test_a_channel_that_shows_no_state_is_not_behind_nor_is_an_order_that_is_packed() -> None:
    silent = run(says("orders", "开票", T0 + MINUTE, mapped(axis="invoice:issued")), fact("wms", "loaded", LEFT))
    packed = run(shows(T0 + 2 * MINUTE), fact("wms", "packed", LEFT))
    for order in (silent, packed):
        order.wait_until(LEFT + DAY)
        assert alerts(order) == []


@pytest.mark.rule("ST-14")
def test_only_the_channel_s_newest_word_counts_in_whatever_order_all_comes() -> None:
    events = [
        shows(T0 + 2 * MINUTE),
        shows(LEFT - MINUTE),
        fact("wms", "loaded", LEFT),
        shows(LEFT + MINUTE, "shipped"),
    ]
    for n in range(len(events) + 1):
        for arrived in permutations(events, n):
            state = run().state
            for event in arrived:
                state = step(state, event, SETTINGS).state
            assert state is not None
            lag = None if state.aside is None else state.aside.lag
            is_behind = events[2] in arrived and events[3] not in arrived and n > 1
            assert (lag is not None) == is_behind, arrived


def word(code: str, when: int, source: str, field: str | None = None) -> Fact:
    found = data.status_maps().find("orders", (source,), field, code)
    return says("orders", code, when, dict(found))


def lags(words: list[Fact]) -> Iterator[Lag | None]:
    """What is kept of the lag of an order that left, after the words in every order of arrival."""
    for said in permutations([fact("wms", "loaded", LEFT), *words]):
        state = run().state
        for event in said:
            state = step(state, event, SETTINGS).state
        assert state is not None
        assert state.aside is not None
        assert from_row(to_row(state)) == state
        yield state.aside.lag


@pytest.mark.rule("ST-14")
@pytest.mark.parametrize(
    "words",
    [
        # The parcels of an order that leaves in parts: the shop shows what is so.
        [word("SELLER_CONSIGNED_PART", LEFT + MINUTE, "taobao")],
        [
            word("PAID", T0 + MINUTE, "shopify", "displayFinancialStatus"),
            word("PARTIALLY_FULFILLED", LEFT + MINUTE, "shopify", "displayFulfillmentStatus"),
        ],
        # Money is another field: paid there does not take back what left.
        [
            word("FULFILLED", LEFT + MINUTE, "shopify", "displayFulfillmentStatus"),
            word("PAID", LEFT + 2 * MINUTE, "shopify", "displayFinancialStatus"),
        ],
        [word("1", LEFT + MINUTE, "shopex", "ship_status"), word("1", LEFT + HOUR, "shopex", "pay_status")],
    ],
)
def test_a_shop_that_shows_the_parcels_as_they_are_is_not_behind(words: list[Fact]) -> None:
    for lag in lags(words):
        assert lag is None


@pytest.mark.rule("ST-14")
@pytest.mark.parametrize(
    "words",
    [
        [word("PAID", T0 + MINUTE, "shopify", "displayFinancialStatus")],
        [word("UNFULFILLED", T0 + MINUTE, "shopify", "displayFulfillmentStatus")],
        [
            word("1", T0 + 2 * MINUTE, "shopex", "ship_status"),
            word("0", LEFT + MINUTE, "shopex", "ship_status"),
            word("1", LEFT + MINUTE, "shopex", "pay_status"),
        ],
        # The order's own status goes before what a field of its says.
        [
            word("TAKEN_IN_SUCCESS", LEFT + MINUTE, "tmall", "cod_status"),
            word("WAIT_SELLER_SEND_GOODS", LEFT, "tmall"),
        ],
    ],
)
def test_a_shop_whose_parcels_are_shown_as_waiting_is_behind(words: list[Fact]) -> None:
    for lag in lags(words):
        assert lag is not None


@pytest.mark.rule("ST-14")
@pytest.mark.parametrize(("late", "is_told"), [(6 * MINUTE, True), (7 * DAY, True), (8 * DAY, False)])
def test_what_is_read_late_has_the_time_once_more_and_history_raises_nothing(late: int, is_told: bool) -> None:
    order = run(shows(T0 + 2 * MINUTE))
    order.state = reduce(order.state, fact("wms", "loaded", LEFT), LEFT + late, SETTINGS).state
    order.wait_until(LEFT + late + 5 * MINUTE)
    assert alerts(order) == []
    order.wait_until(LEFT + late + DAY)
    assert len(alerts(order)) == is_told


@pytest.mark.rule("ST-14")
@pytest.mark.parametrize("is_swapped", [False, True])
def test_an_earlier_proof_that_is_read_later_moves_the_time_back(is_swapped: bool) -> None:
    proofs = [fact("wms", "loaded", LEFT + 3 * MINUTE), fact("couriers", "signed", LEFT)]
    state = run(shows(T0 + 2 * MINUTE)).state
    for event in reversed(proofs) if is_swapped else proofs:
        state = step(state, event, SETTINGS).state
    assert state is not None
    assert state.aside is not None
    assert state.aside.lag is not None
    assert (state.aside.lag.begun, state.aside.lag.due) == (LEFT - T0, LEFT - T0 + 5 * MINUTE + 1)


@pytest.mark.rule("ST-14")
def test_the_row_keeps_the_lag() -> None:
    state = run(shows(T0 + 2 * MINUTE), fact("wms", "loaded", LEFT, warehouse="hz")).state
    assert state is not None
    assert from_row(to_row(state)) == state
