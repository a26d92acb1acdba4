"""BRK-05 and BRK-06: which tier an order has, and in which lane it waits."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.order import OrderSettings, TierRules
from streams.domain.rules import data
from tests.unit.domain.order.facts import (
    HOUR,
    MINUTE,
    T0,
    Run,
    answered,
    created,
    fact,
    line,
    mapped,
    paid,
    refunded,
    says,
    view,
)

UNMANAGED = answered("reserve", 1, T0, [1, "unmanaged"])
FREEZE = says("orders", "IN_FROZEN", T0 + 2 * MINUTE, mapped(flags=["frozen"]))
THAW = says("orders", "WAIT_SELLER_SEND_GOODS", T0 + 5 * MINUTE, mapped("paid", "paid"))
LOCK = says("orders", "LOCKED", T0 + 2 * MINUTE, mapped(flags=["locked"]))
UNLOCK = says("orders", "OK", T0 + 3 * MINUTE, mapped("paid", "paid"))


@pytest.mark.rule("BRK-05")
@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({}, "L1"),
        ({"sales_type": "normal"}, "L1"),
        ({"sales_type": "cross_border"}, "L1"),
        ({"sales_type": "presale"}, "L2"),
        ({"sales_type": "custom"}, "L2"),
        ({"total_minor": 999_999}, "L1"),
        ({"total_minor": 1_000_000}, "L3"),
        ({"total_minor": 1_000_000, "sales_type": "presale"}, "L3"),
        ({"total_minor": 999_999, "sales_type": "presale"}, "L2"),
        ({"total_minor": 9_000_000, "currency": "JPY"}, "L1"),
        ({"total_minor": None}, "L1"),
        ({"total_minor": None, "lines": [line(1, "BAG", price=400_000), line(2, "CUP", price=600_000)]}, "L3"),
        ({"total_minor": None, "lines": [line(1, "BAG", price=400_000), line(2, "CUP", price=599_999)]}, "L1"),
        (
            {
                "total_minor": None,
                "lines": [line(1, "BAG", price=400_000), {**line(2, "CUP", price=600_000), "is_gift": True}],
            },
            "L1",
        ),
        ({"total_minor": 999_999, "lines": [line(1, "BAG", price=1_000_000)]}, "L1"),
        ({"total_minor": None, "lines": [{**line(1, "BAG"), "unit_price_minor": None}]}, "L1"),
    ],
)
def test_the_tier_of_an_order(fields: dict[str, Any], tier: str) -> None:
    assert view(created(**fields))["tier"] == tier


@pytest.mark.rule("BRK-05")
def test_a_lock_makes_any_order_l3_for_as_long_as_it_lasts() -> None:
    assert view(created(), LOCK)["tier"] == "L3"
    assert view(created(sales_type="presale"), LOCK, UNLOCK)["tier"] == "L2"


@pytest.mark.rule("BRK-05", "ST-04")
def test_an_order_that_its_platform_has_frozen_is_not_released_to_the_warehouse() -> None:
    run = Run(data.order_settings())
    run.tell(created(), UNMANAGED, paid(), FREEZE)
    frozen = run.view()
    assert (frozen["flags"], frozen["tier"], frozen["node"]) == (["frozen"], "L3", "risk_review")
    assert (frozen["lane"], frozen["tiers"]["base"]) == ("review_l3", "ON_HOLD")
    run.tell(THAW)
    assert (run.view()["lane"], run.view()["tiers"]["base"]) == ("wms", "RELEASED")


@pytest.mark.rule("RSK-04")
def test_a_frozen_order_whose_goods_leave_is_told_until_it_is_free() -> None:
    run = Run(data.order_settings())
    run.tell(created(), UNMANAGED, paid(), FREEZE, fact("wms", "loaded", T0 + 4 * MINUTE), THAW)
    told = [value for _, key, value in run.sent if key.startswith("RSK-04/shipped/")]
    assert [value["do"] for value in told] == ["open", "close"]
    assert told[0]["title"] == "frozen order shipped"


@pytest.mark.rule("BRK-05")
def test_the_limits_are_data_and_those_in_force_are_the_defaults() -> None:
    mine = OrderSettings(tiers=TierRules(co_signed=("cross_border",), large_minor={"JPY": 5}))
    run = Run(mine)
    run.tell(created(sales_type="cross_border", total_minor=1_000_000))
    assert run.view()["tier"] == "L2"
    found, plain = data.order_settings(), OrderSettings()
    assert (found.tiers, found.stock, found.shown_ms) == (plain.tiers, plain.stock, plain.shown_ms)
    assert found.nodes == data.node_records()


def lanes(run: Run) -> list[tuple[str, str]]:
    return [
        ("enter" if value["enter"] else "leave", value["lane"])
        for topic, _, value in run.sent
        if topic == "channel-facts"
    ]


@pytest.mark.rule("BRK-06")
@pytest.mark.parametrize(("sales_type", "lane"), [("normal", "wms"), ("custom", "review_l2")])
def test_a_paid_order_enters_the_lane_of_its_tier_and_leaves_it_for_the_warehouse(sales_type: str, lane: str) -> None:
    run = Run()
    run.tell(created(sales_type=sales_type), UNMANAGED)
    assert run.view()["lane"] is None
    run.tell(paid())
    assert run.view()["lane"] == lane
    run.tell(fact("wms", "allocated", T0 + 2 * MINUTE))
    assert run.view()["lane"] is None
    assert lanes(run) == [("enter", lane), ("leave", lane)]
    (first, _) = [(key, value) for topic, key, value in run.sent if topic == "channel-facts"]
    assert first == (
        "douyin",
        {
            "event_type": "_lane",
            "enter": True,
            "lane": lane,
            "channel": "douyin",
            "order_guid": "DB20260124AAAAAAAAAAAA",
            "event_time": T0 + MINUTE,
            "source": "orders",
        },
    )


@pytest.mark.rule("RSK-08", "BRK-05")
@pytest.mark.parametrize(
    ("fields", "node", "owner"),
    [
        ({}, "paid", "order desk"),
        ({"sales_type": "presale"}, "order_review", "order desk"),
        ({"total_minor": 1_000_000}, "risk_review", "risk reviewer"),
    ],
)
def test_an_order_that_waits_for_a_review_stands_at_its_node(fields: dict[str, Any], node: str, owner: str) -> None:
    run = Run(data.order_settings())
    run.tell(created(**fields), UNMANAGED, paid())
    shown = run.view()
    assert (shown["node"], shown["state"], shown["node_owner"]) == (node, "paid", owner)
    assert shown["node_entered_at"] == T0 + MINUTE
    assert shown["tiers"]["base"] == ("RELEASED" if node == "paid" else "ON_HOLD")
    run.tell(fact("wms", "allocated", T0 + HOUR))
    assert run.view()["node"] == "warehouse_allocated"


@pytest.mark.rule("BRK-06")
def test_a_new_signal_moves_the_order_from_lane_to_lane() -> None:
    run = Run()
    run.tell(created(), UNMANAGED, paid(), LOCK, UNLOCK)
    assert lanes(run) == [
        ("enter", "wms"),
        ("leave", "wms"),
        ("enter", "review_l3"),
        ("leave", "review_l3"),
        ("enter", "wms"),
    ]


@pytest.mark.rule("BRK-06")
@pytest.mark.parametrize("end", ["closed", "refunded", "shipped", "signed"])
def test_an_order_that_ends_or_leaves_the_house_is_in_no_lane(end: str) -> None:
    event = {
        "closed": fact("orders", "cancel_marked", T0 + HOUR),
        "refunded": refunded(T0 + HOUR, 30000),
        "shipped": fact("wms", "loaded", T0 + HOUR),
        "signed": fact("couriers", "signed", T0 + HOUR),
    }[end]
    run = Run()
    run.tell(created(total_minor=2_000_000), UNMANAGED, paid(), event)
    assert lanes(run) == [("enter", "review_l3"), ("leave", "review_l3")]
    assert run.view()["lane"] is None


@pytest.mark.rule("BRK-06")
@pytest.mark.rule("BRK-07")
def test_a_paid_order_waits_for_the_stocks_first_word() -> None:
    run = Run()
    run.tell(created(), paid())
    assert run.view()["lane"] is None
    run.tell(answered("reserve", 1, T0, [1, "held"]))
    assert run.view()["lane"] == "wms"
    assert lanes(run) == [("enter", "wms")]


def test_an_order_without_a_channel_has_a_lane_nobody_counts() -> None:
    run = Run()
    run.tell(created(channel=None), UNMANAGED, paid())
    assert (run.view()["lane"], lanes(run)) == ("wms", [])
