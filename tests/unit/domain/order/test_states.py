"""ST-01, ST-02, ST-04: the states, the fine nodes, the tiers."""

from __future__ import annotations

import pytest

from streams.commands.order_view import next_sentence
from streams.domain.order import record
from streams.domain.order.tiers import TIERS
from streams.domain.rules import data, nodes
from streams.domain.rules.nodes import NODES, STATES
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    Fact,
    created,
    fact,
    fold,
    mapped,
    paid,
    refunded,
    says,
    step,
    view,
)

SMOOTH = [
    ("created", None, "pending_payment", "pending_payment"),
    ("payments", "payment_succeeded", "paid", "paid"),
    ("wms", "allocated", "paid", "warehouse_allocated"),
    ("wms", "label_print_started", "paid", "label_printing"),
    ("wms", "label_print_failed", "paid", "label_pending"),
    ("wms", "label_print_started", "paid", "label_printing"),
    ("wms", "label_printed", "paid", "label_printed"),
    ("wms", "picking_started", "paid", "picking"),
    ("wms", "quality_checked", "paid", "quality_check"),
    ("wms", "packed", "paid", "packed"),
    ("wms", "loaded", "shipped", "loaded"),
    ("couriers", "waybill_accepted", "shipped", "awaiting_pickup"),
    ("couriers", "picked_up", "shipped", "picked_up"),
    ("couriers", "scanned", "shipped", "in_transit"),
    ("couriers", "exception", "shipped", "transit_stalled"),
    ("couriers", "scanned", "shipped", "in_transit"),
    ("couriers", "out_for_delivery", "shipped", "out_for_delivery"),
    ("couriers", "signed", "logistics_signed", "awaiting_confirm"),
    ("service", "confirmation_scanned", "customer_signed", "customer_signed"),
    ("finance", "settled", "settled", "settled"),
]

MAPPED_NODES = [
    ("orders", "risk_review", "paid"),
    ("orders", "order_review", "paid"),
    ("wms", "outbound_pending", "paid"),
    ("wms", "shipped", "shipped"),
]


@pytest.mark.rule("ST-01")
@pytest.mark.rule("ST-02")
def test_a_smooth_order_walks_through_every_state_and_every_node_an_event_tells() -> None:
    state = None
    for minute, (topic, event_type, expected_state, expected_node) in enumerate(SMOOTH):
        when = T0 + minute * MINUTE
        event = created(when) if topic == "created" else fact(topic, str(event_type), when)
        decision = step(state, event)
        state = decision.state
        assert (STATES[state.rank], NODES[state.node - 1].name) == (expected_state, expected_node)
        assert decision.audit["decision"] == "accepted"


@pytest.mark.rule("ST-02")
@pytest.mark.parametrize(("topic", "node", "state"), MAPPED_NODES)
def test_a_node_without_an_event_type_is_told_by_a_mapped_status(topic: str, node: str, state: str) -> None:
    seen = view(created(), paid(), says(topic, node, T0 + HOUR, mapped(state, node)))

    assert (seen["state"], seen["node"]) == (state, node)


@pytest.mark.rule("ST-02")
def test_all_23_nodes_are_told_by_something() -> None:
    passing = {"logistics_signed"}  # a courier's signature alone leaves the order at awaiting_confirm

    reached = {node for *_, node in SMOOTH} | {node for _, node, _ in MAPPED_NODES}

    assert len(NODES) == 23
    assert reached | passing == {node.name for node in NODES}


@pytest.mark.rule("ST-02")
def test_the_steps_of_a_loop_are_ordered_by_time_not_by_number() -> None:
    printed = fact("wms", "label_printed", T0 + 2 * MINUTE)
    failed = fact("wms", "label_print_failed", T0 + 3 * MINUTE)

    assert view(created(), paid(), printed, failed)["node"] == "label_pending"
    assert view(created(), paid(), failed, printed)["node"] == "label_pending"


@pytest.mark.rule("ST-02")
def test_steps_that_are_no_loop_go_by_number_whatever_the_clocks_say() -> None:
    packed = fact("wms", "packed", T0 + HOUR)
    picking = fact("wms", "picking_started", T0 + 2 * HOUR)

    assert view(created(), paid(), packed, picking)["node"] == "packed"


@pytest.mark.rule("ST-02")
def test_a_node_of_a_later_state_waits_until_the_state_is_reached() -> None:
    accepted = fact("couriers", "waybill_accepted", T0 + HOUR)
    loaded = fact("wms", "loaded", T0 + 2 * HOUR)

    assert view(created(), paid(), accepted)["node"] == "paid"
    assert view(created(), paid(), accepted, loaded)["node"] == "awaiting_pickup"


@pytest.mark.rule("ST-04")
def test_packed_moves_the_node_loaded_the_state_and_the_pickup_confirms() -> None:
    packed, loaded = fact("wms", "packed", T0 + HOUR), fact("wms", "loaded", T0 + 2 * HOUR)
    pickup = fact("couriers", "picked_up", T0 + 3 * HOUR)

    one = view(created(), paid(), packed)
    two = view(created(), paid(), packed, loaded)
    three = view(created(), paid(), packed, loaded, pickup)

    assert (one["state"], one["tiers"]["base"], one["tiers"]["finance"]) == ("paid", "PACKED", "advance_received")
    assert (two["state"], two["tiers"]) == (
        "shipped",
        {"base": "LOADED", "business": "on_the_way", "finance": "accrual_ready"},
    )
    assert (three["state"], three["node"]) == ("shipped", "picked_up")
    assert three["entered_at"]["shipped"] == T0 + 2 * HOUR


@pytest.mark.rule("ST-04")
def test_three_systems_mean_different_things_by_shipped() -> None:
    erp = says("orders", "已发货", T0 + HOUR, mapped(axis="erp:posted"), source="erp")
    shop = says("orders", "已发货", T0 + HOUR, mapped("shipped", "shipped"))
    wms = says("wms", "已发货", T0 + HOUR, mapped("shipped", "loaded"))
    courier = says("couriers", "已发货", T0 + HOUR, mapped("shipped", "picked_up"))

    after = [view(created(), paid(), event) for event in (erp, shop, wms, courier)]

    assert [(one["state"], one["node"]) for one in after] == [
        ("paid", "paid"),
        ("paid", "paid"),
        ("shipped", "loaded"),
        ("shipped", "picked_up"),
    ]
    claims = [next(one["claims"][name] for name in one["claims"] if name != "wechatpay") for one in after]
    assert [(claim["raw"], claim["state"]) for claim in claims] == [("已发货", None), *[("已发货", "shipped")] * 3]


@pytest.mark.rule("ST-04")
def test_every_node_has_three_tiers() -> None:
    assert list(TIERS) == [node.name for node in NODES]
    assert all(all(tiers) for tiers in TIERS.values())


_CLOSED: Fact = says("orders", "订单关闭", T0 + 5 * HOUR, mapped(flags=["closed"], axis="trade:closed"))
_LOADED: Fact = fact("wms", "loaded", T0 + 2 * HOUR)


@pytest.mark.rule("ST-04")
@pytest.mark.parametrize(
    ("events", "tiers", "goes_on"),
    [
        ([_CLOSED], ("CANCELLED", "closed", "not_due"), "nothing: closed"),
        ([paid(), _CLOSED], ("CANCELLED", "closed", "refund_due"), "closed: what was paid is to be paid back"),
        ([paid(), refunded(T0 + HOUR, 30000)], ("CANCELLED", "refunded", "refunded"), "nothing: all was paid back"),
        (
            [paid(), fact("wms", "packed", T0 + HOUR), _CLOSED],
            ("PACKED", "closed", "refund_due"),
            "closed: what was paid is to be paid back",
        ),
        (
            [paid(), _LOADED, refunded(T0 + DAY, 30000)],
            ("LOADED", "refunded", "refunded"),
            "nothing: all was paid back",
        ),
        ([_LOADED, _CLOSED], ("LOADED", "closed", "not_due"), "nothing: closed"),
        (
            [paid(), _LOADED, fact("couriers", "signed", T0 + DAY), _CLOSED],
            ("DELIVERED", "closed", "revenue_pending"),
            "nothing: closed",
        ),
        (
            [paid(), fact("finance", "settled", T0 + DAY), refunded(T0 + 2 * DAY, 30000)],
            ("DELIVERED", "refunded", "settled"),
            "nothing: all was paid back",
        ),
    ],
)
def test_what_is_closed_or_paid_back_is_called_so_in_all_three_tiers(
    events: list[Fact], tiers: tuple[str, str, str], goes_on: str
) -> None:
    seen = view(created(), *events)
    assert tuple(seen["tiers"][name] for name in ("base", "business", "finance")) == tiers
    assert next_sentence(seen) == goes_on


@pytest.mark.rule("ST-04", "FIN-07")
def test_a_partial_refund_that_its_platform_calls_closed_leaves_the_tiers_alone() -> None:
    partly = view(created(), paid(), refunded(T0 + HOUR, 10000), _CLOSED)
    assert partly["tiers"] == view(created(), paid())["tiers"]
    assert next_sentence(partly).startswith("waits for")


_OUT = fact("couriers", "out_for_delivery", T0 + 3 * HOUR, waybill_no="W1")
_REFUSED = says("couriers", "203", T0 + 4 * HOUR, mapped(axis="delivery:refused"), waybill_no="W1")
_BACK = says("couriers", "4", T0 + DAY, mapped(axis="return:signed"), event_type="signed", waybill_no="W1")


@pytest.mark.rule("ST-04", "ST-10")
@pytest.mark.parametrize(
    ("events", "business"),
    [
        ([_REFUSED], "returning"),
        ([_REFUSED, says("couriers", "退回", T0 + 5 * HOUR, mapped(axis="return:in_transit"))], "returning"),
        ([_REFUSED, _BACK], "returned"),
        ([says("wms", "入库", T0 + DAY, mapped(axis="return:in_warehouse"))], "returned"),
        ([_REFUSED, fact("couriers", "out_for_delivery", T0 + 5 * HOUR)], "out_for_delivery"),  # tried once more
        ([_REFUSED, fact("couriers", "out_for_delivery", T0 + 5 * HOUR), _BACK], "returned"),
        ([_REFUSED, fact("couriers", "signed", T0 + 5 * HOUR)], "please_confirm"),
        ([_REFUSED, fact("couriers", "scanned", T0 + 2 * HOUR, waybill_no="W2")], "out_for_delivery"),
        ([fact("couriers", "signed", T0 + 5 * HOUR), _BACK], "returned"),  # taken back after all
        ([fact("couriers", "signed", T0 + 2 * DAY), _BACK], "please_confirm"),
        ([_REFUSED, _BACK, fact("wms", "label_printed", T0 + 2 * DAY, waybill_no="W2")], "returned"),
        ([_REFUSED, _BACK, fact("couriers", "scanned", T0 + 2 * DAY, waybill_no="W2")], "on_the_way"),
        ([_REFUSED, _BACK, refunded(T0 + 2 * DAY, 30000)], "refunded"),
        ([says("couriers", "?", T0 + DAY, mapped(axis="return:cancelled"))], "out_for_delivery"),
    ],
)
def test_a_parcel_that_does_not_go_to_its_customer_any_more_is_not_said_to_be_on_its_way(
    events: list[Fact], business: str
) -> None:
    story = [created(), paid(), _LOADED, _OUT, *events]
    seen = view(*story)
    assert seen["tiers"]["business"] == view(story[0], *reversed(story[1:]))["tiers"]["business"] == business
    shown = record(GUID, fold(story)[0], data.node_records())
    assert ("goods sent again" in next_sentence(shown)) is business.startswith("return")


@pytest.mark.rule("ST-05")
def test_a_waiting_courier_proves_no_shipment() -> None:
    waiting = says("couriers", "待揽收", T0 + HOUR, mapped("shipped", "awaiting_pickup"))

    assert view(created(), paid(), waiting)["state"] == "paid"


@pytest.mark.rule("ST-05")
@pytest.mark.parametrize("event_type", ["scanned", "out_for_delivery"])
def test_a_parcel_on_its_way_has_been_picked_up(event_type: str) -> None:
    seen = view(created(), paid(), fact("couriers", event_type, T0 + HOUR))

    assert (seen["state"], seen["flags"]) == ("shipped", [])


def _broken_tables() -> list[tuple[dict[str, tuple[str, ...]], str, str]]:
    good = dict(nodes.TRANSITIONS)
    return [
        (good, "draft", "initial"),
        ({**good, "paid": ("sent",)}, "pending_payment", "unknown state sent"),
        ({**good, "paid": ("pending_payment",)}, "pending_payment", "moves back"),
        ({**good, "pending_payment": ()}, "pending_payment", "unreachable"),
        ({**good, "pending_payment": ("paid",)}, "pending_payment", "by way of paid only"),
        ({"paid": ()}, "pending_payment", "without a row"),
    ]


@pytest.mark.rule("ST-01")
@pytest.mark.parametrize(("table", "initial", "fault"), _broken_tables())
def test_a_table_of_transitions_that_is_not_whole_is_refused(
    table: dict[str, tuple[str, ...]], initial: str, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        nodes.check(STATES, table, initial)


@pytest.mark.rule("ST-02")
def test_a_table_of_nodes_that_is_not_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="numbered"):
        nodes.check_nodes(NODES[1:], nodes.STEPS, STATES)
    with pytest.raises(ValueError, match="steps"):
        nodes.check_nodes(NODES, nodes.STEPS[1:], STATES)
    with pytest.raises(ValueError, match="one known state"):
        nodes.check_nodes(NODES, ((1, 2), *nodes.STEPS[2:]), STATES)
    with pytest.raises(ValueError, match="one name"):
        nodes.check_nodes((NODES[0], NODES[1]._replace(name=NODES[0].name), *NODES[2:]), nodes.STEPS, STATES)


def test_the_reducer_never_changes_the_state_it_was_given() -> None:
    events: list[Fact] = [created(), paid(), fact("wms", "loaded", T0 + HOUR, waybill_no="W1", package_id="P1")]
    state, _ = fold(events)
    before = repr(state)

    for event in (
        paid(T0 + HOUR, 1, event_type="balance_paid"),
        fact("couriers", "signed", T0 + HOUR, waybill_no="W2"),
        fact("orders", "cancel_marked", T0 + HOUR),
        says("couriers", "??", T0 + HOUR, mapped(known=False)),
        fact("ops", "_code_rejected", T0 + HOUR, code_kind="waybill_no", code="W1", bound_to="other"),
    ):
        assert step(state, event).changed
    assert repr(state) == before
