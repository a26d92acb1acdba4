"""Codes find their order, whatever arrives first; nothing is lost, nothing forwarded twice, no binding ever changes."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import calendar, identity, ids
from streams.domain.order.meanings import REPEATED_PAYMENT
from tests.property.identity_world import DELAYS, World, play

T0 = calendar.at(2026, 1, 24, 10)
GUID = ids.order_guid("douyin", "X1", T0)


def fact(event_type: str = "status_changed", number: str = "e", at: int = T0, **fields: Any) -> dict[str, Any]:
    base = {"event_id": number, "event_type": event_type, "event_time": at, "source": "s", "topic": "t", "digest": 1}
    return {**base, **fields}


def created(number: str = "o", order_no: str = "X1", **fields: Any) -> dict[str, Any]:
    return fact("order_created", number, channel="douyin", order_no=order_no, **fields)


def paid(number: str = "p", **fields: Any) -> dict[str, Any]:
    return fact("payment_succeeded", number, **{"source": "wechatpay", "topic": "payments", **fields})


# -- ID-05: repeated payments -----------------------------------------------------------------------------------------

PAYMENT = {"channel": "douyin", "order_no": "X1", "platform_txn_no": "T", "amount_minor": 100, "currency": "CNY"}


def types(world: World) -> list[tuple[str, str]]:
    return [(fact["event_id"], fact["event_type"]) for fact in _payments(world)]


def _payments(world: World) -> list[dict[str, Any]]:
    return [value for to, _, value in world.sent if to == identity.ORDERS and value["topic"] == "payments"]


@pytest.mark.rule("ID-05")
@pytest.mark.parametrize("comes_first", [True, False])
def test_a_payment_told_again_under_another_event_id_is_a_repetition(comes_first: bool) -> None:
    payments = [paid("p", **PAYMENT), paid("p2", **PAYMENT)]
    world = play([created(), *payments] if comes_first else [*payments, created()])
    assert types(world) == [("p", "payment_succeeded"), ("p2", REPEATED_PAYMENT)]
    last = _payments(world)[-1]
    assert (last["told_as"], last["repeats"], last["amount_minor"]) == ("payment_succeeded", "p", 100)


@pytest.mark.rule("ID-05")
@pytest.mark.parametrize(
    "other",
    [
        {"amount_minor": 101},
        {"at": T0 + 1},
        {"platform_txn_no": "T2"},
        {"platform_txn_no": None},
        {"source": "alipay"},
        {"line_no": 2},
        {"event_type": "balance_paid"},
    ],
)
def test_a_payment_that_differs_in_anything_is_one_of_its_own(other: dict[str, Any]) -> None:
    told = {"event_type": "payment_succeeded", "source": "wechatpay", "topic": "payments", **PAYMENT, **other}
    second = fact(told.pop("event_type"), "p2", **told)
    world = play([created(), paid("p", **PAYMENT), second])
    assert REPEATED_PAYMENT not in dict(types(world)).values()


@pytest.mark.rule("ID-05")
def test_the_same_event_again_and_an_event_id_used_twice_are_left_to_the_order() -> None:
    reused = paid("p", **{**PAYMENT, "amount_minor": 200})
    world = play([created(), paid("p", **PAYMENT), paid("p", **PAYMENT), reused, {**reused, "event_id": "p3"}])
    assert types(world) == [("p", "payment_succeeded")] * 3 + [("p3", "payment_succeeded")]


@pytest.mark.rule("ID-05")
def test_a_repetition_that_names_the_transaction_alone_is_one_too() -> None:
    bare = {name: PAYMENT[name] for name in ("platform_txn_no", "amount_minor", "currency")}
    world = play([created(), paid("p", **PAYMENT), paid("p2", **bare)])
    assert types(world) == [("p", "payment_succeeded"), ("p2", REPEATED_PAYMENT)]


REFUND = {"channel": "douyin", "order_no": "X1", "amount_minor": 100, "currency": "CNY", "topic": "payments"}


def refund(number: str, **fields: Any) -> dict[str, Any]:
    return fact("refund_settled", number, **{"source": "wechatpay", **REFUND, **fields})


@pytest.mark.rule("ID-05")
@pytest.mark.parametrize("other", [{}, {"at": T0 + 1}, {"line_no": 2}, {"platform_txn_no": "T"}])
@pytest.mark.parametrize("comes_first", [True, False])
def test_a_refund_told_again_by_its_own_number_is_a_repetition(comes_first: bool, other: dict[str, Any]) -> None:
    told = [refund("r", refund_no="R1"), refund("r2", refund_no="R1", **other)]
    world = play([created(), *told] if comes_first else [*told, created()])
    assert sorted(kind for _, kind in types(world)) == sorted([REPEATED_PAYMENT, "refund_settled"])
    [again] = [value for value in _payments(world) if value["event_type"] == REPEATED_PAYMENT]
    assert (again["told_as"], {again["event_id"], again["repeats"]}) == ("refund_settled", {"r", "r2"})


@pytest.mark.rule("ID-05")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"refund_no": "R1"}, {"refund_no": "R2"}),
        ({"refund_no": "R1"}, {"refund_no": "R1", "amount_minor": 101}),
        ({"refund_no": "R1"}, {"refund_no": "R1", "source": "alipay"}),
        ({"refund_no": "R1"}, {}),
        ({}, {}),
        ({"platform_txn_no": "T"}, {"platform_txn_no": "T"}),
        ({"refund_no": " "}, {"refund_no": " "}),
    ],
)
def test_two_refunds_of_one_price_at_one_time_are_two_where_no_number_makes_them_one(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    world = play([created(), refund("r", **first), refund("r2", **second)])
    assert [kind for _, kind in types(world)] == ["refund_settled"] * 2


@pytest.mark.rule("ID-05")
def test_a_row_remembers_the_newest_payments_and_no_other_event_pays_for_it() -> None:
    payments = [paid(f"p{n}", at=T0 + n, **PAYMENT) for n in range(40)]
    world = play([created(), fact(channel="douyin", order_no="X1", number="a"), *payments])
    assert len(world.tables["codes"]["X1\0order_no/douyin"]["money"]) == identity.Delays().remembered_payments
    assert (
        "money" not in play([created(), fact(channel="douyin", order_no="X1")]).tables["codes"]["X1\0order_no/douyin"]
    )


# -- ID-01, ID-03, ID-06, ID-07: bindings -----------------------------------------------------------------------------


@pytest.mark.rule("ID-01")
def test_an_order_created_binds_every_code_it_names() -> None:
    world = play([created(platform_txn_no="T", internal_no="I", waybill_no="W", package_id="P")])
    assert world.bindings() == {
        "X1\0order_no/douyin": GUID,
        f"{GUID}\0order_guid": GUID,
        "T\0platform_txn_no": GUID,
        "I\0internal_no": GUID,
        "W\0waybill_no": GUID,
        "P\0package_id": GUID,
    }


@pytest.mark.rule("ID-01")
def test_the_order_hears_of_its_creation_first_with_guid_and_alias() -> None:
    world = play([created()])
    assert world.facts() == [{**created(), "order_guid": GUID, "alias18": ids.alias18(GUID)}]


@pytest.mark.rule("ID-01")
def test_one_order_has_many_waybills() -> None:
    world = play([created(), fact(channel="douyin", order_no="X1", waybill_no="W1", number="a")])
    world.send(fact(channel="douyin", order_no="X1", waybill_no="W2", number="b"))
    world.run()
    assert world.guid("waybill_no", "W1") == world.guid("waybill_no", "W2") == GUID


@pytest.mark.rule("ID-03")
@pytest.mark.parametrize(
    "code", [{"platform_txn_no": "T"}, {"internal_no": "I"}, {"waybill_no": "W"}, {"order_guid": GUID}]
)
def test_any_single_code_finds_the_order(code: dict[str, str]) -> None:
    world = play([created(platform_txn_no="T", internal_no="I", waybill_no="W"), paid(**code)])
    assert world.events(GUID) == ["o", "p"]


@pytest.mark.rule("ID-03")
def test_the_same_text_means_different_codes_by_kind_and_channel() -> None:
    world = play([created(order_no="1"), fact("order_created", "o2", channel="jd", order_no="1"), paid(waybill_no="1")])
    assert world.guid("order_no", "1", "douyin") != world.guid("order_no", "1", "jd")
    assert world.guid("waybill_no", "1") is None
    assert world.parked() == {"p": 1}


@pytest.mark.rule("ID-06")
def test_a_customers_orders_stand_together_over_all_channels() -> None:
    both = [created(customer_id="c"), fact("order_created", "o2", channel="jd", order_no="9", customer_id="c")]
    world = play([*both, created(order_no="X2", customer_id="c2")])
    found = sorted(key for key in world.tables["customers"] if key.startswith("c\0"))
    assert found == sorted(f"c\0{guid}" for guid in (GUID, ids.order_guid("jd", "9", T0)))


@pytest.mark.rule("ID-05")
def test_a_second_creation_makes_no_second_order() -> None:
    again = created("o2", at=T0 + calendar.DAY_MS)
    world = play([created(), again])
    assert world.events(GUID) == ["o", "o2"]
    assert world.facts()[1]["alias18"] == ids.alias18(GUID)
    assert len(world.bindings()) == 2


# -- ID-08: orphans ---------------------------------------------------------------------------------------------------


@pytest.mark.rule("ID-08")
def test_an_orphan_is_parked_and_joins_its_order_when_it_appears() -> None:
    world = play([paid(platform_txn_no="T")])
    assert world.parked() == {"p": 1}
    world.send(created(platform_txn_no="T"))
    assert world.run().events(GUID) == ["o", "p"]
    assert not world.parked()
    assert not world.timers


@pytest.mark.rule("ID-08")
def test_what_was_parked_comes_out_in_order_of_arrival_as_often_as_it_came() -> None:
    world = play([paid(str(n), platform_txn_no="T") for n in (3, 1, 2, 1)])
    world.send(created(platform_txn_no="T"))
    assert world.run().events() == ["o", "3", "1", "2", "1"]


@pytest.mark.rule("ID-08")
def test_an_event_parked_at_its_strong_code_brings_its_weak_codes_along() -> None:
    world = play(
        [fact("signed", "c", waybill_no="W"), fact("loaded", "w", channel="douyin", order_no="X1", waybill_no="W")]
    )
    world.send(created())
    assert world.run().events() == ["o", "w", "c"]


@pytest.mark.rule("ID-08")
@pytest.mark.parametrize("bound", ["platform_txn_no", "waybill_no"])
def test_codes_linked_by_a_parked_event_are_bound_by_whichever_is_bound_first(bound: str) -> None:
    parked = [paid(platform_txn_no="T", waybill_no="W"), fact("signed", "c", waybill_no="W")]
    world = play([*parked, created(**{bound: {"platform_txn_no": "T", "waybill_no": "W"}[bound]})])
    assert sorted(world.events()) == ["c", "o", "p"]
    assert world.guid("platform_txn_no", "T") == world.guid("waybill_no", "W") == GUID


def test_a_link_to_a_bound_code_binds_at_once() -> None:
    world = play([created(waybill_no="W")])
    world.send(paid(platform_txn_no="T", waybill_no="W"))
    assert world.run().events() == ["o", "p"]
    assert world.guid("platform_txn_no", "T") == GUID


@pytest.mark.rule("ID-08")
def test_an_order_number_waits_for_its_own_order_whatever_else_the_event_names() -> None:
    world = play([created(waybill_no="W"), fact("loaded", "w", channel="douyin", order_no="X2", waybill_no="W")])
    assert world.parked() == {"w": 1}
    world.send(created("o2", "X2"))
    world.run()
    assert world.events(ids.order_guid("douyin", "X2", T0)) == ["o2", "w"]


@pytest.mark.rule("ID-08")
@pytest.mark.rule("BRK-01")
def test_a_payment_counts_as_paid_but_not_created_after_sixty_seconds_not_at_sixty() -> None:
    world = play([paid(platform_txn_no="T", channel="douyin")])
    assert not world.advance(T0 + 60_000).findings()
    world.advance(T0 + 60_001)
    [(key, finding)] = world.findings()
    assert key == "ID-08/paid/platform_txn_no/T"
    assert (finding["do"], finding["title"], finding["at"]) == ("open", "paid but order not created", T0 + 60_001)
    missed = [(key, value["event_type"]) for topic, key, value in world.sent if topic == "channel-facts"]
    assert missed == [("douyin", "payment_waits"), ("douyin", "paid_without_order")]
    assert world.parked() == {"p": 1}


@pytest.mark.rule("ID-08")
@pytest.mark.rule("BRK-01")
def test_after_a_time_away_a_worker_reads_on_before_it_says_that_an_order_is_missing() -> None:
    """The timer is due long before the orders that have come meanwhile are read."""
    for away_ms, said in ((DELAYS.away_ms, 1), (DELAYS.away_ms + 1, 0)):
        world = play([paid(platform_txn_no="T", channel="douyin")]).advance(T0 + 60_001, away_ms)
        assert len(world.findings()) == said
    again = T0 + 60_001 + DELAYS.away_ms + 1 + 60_000
    assert not world.advance(again - 1).findings()
    assert len(world.advance(again).findings()) == 1
    world = play([paid(platform_txn_no="T", channel="douyin")]).advance(T0 + 60_001, DELAYS.away_ms + 1)
    world.send(created(platform_txn_no="T"))
    assert not world.run().advance(again).findings()


@pytest.mark.rule("BRK-01")
def test_a_channel_hears_at_once_of_a_payment_that_waits_for_its_order_and_once_only() -> None:
    world = play([paid(platform_txn_no="T", channel="douyin"), fact("deposit_paid", "d", platform_txn_no="T")])
    world.send(created(platform_txn_no="T"))
    world.run()
    told = [
        (key, value["event_type"], value["event_time"]) for topic, key, value in world.sent if topic == "channel-facts"
    ]
    assert told == [("douyin", "payment_waits", T0)]


@pytest.mark.rule("ID-08")
def test_the_order_in_time_raises_nothing_and_a_late_one_closes_the_alert() -> None:
    world = play([paid(platform_txn_no="T")]).advance(T0 + 60_001)
    world.send(created(platform_txn_no="T"))
    world.run()
    assert [(key, finding["do"]) for key, finding in world.findings()] == [
        ("ID-08/paid/platform_txn_no/T", "open"),
        ("ID-08/paid/platform_txn_no/T", "close"),
    ]
    assert world.findings()[1][1]["order_guid"] == GUID
    in_time = play([paid(platform_txn_no="T"), created(platform_txn_no="T")]).advance(T0 + 2 * calendar.DAY_MS)
    assert not in_time.findings()


@pytest.mark.rule("ID-08")
def test_only_money_that_came_in_is_paid_without_an_order() -> None:
    others = [
        fact("payment_failed", platform_txn_no="1"),
        fact("refund_settled", platform_txn_no="2"),
        fact("signed", waybill_no="3"),
    ]
    assert not play(others).advance(T0 + calendar.DAY_MS).findings()


@pytest.mark.rule("ID-08")
def test_any_orphan_older_than_a_day_is_on_the_unresolved_list_until_it_joins() -> None:
    world = play([fact("signed", "c", waybill_no="W")])
    assert not world.advance(T0 + calendar.DAY_MS).tables["unresolved"]
    world.advance(T0 + calendar.DAY_MS + 1)
    assert list(world.tables["unresolved"]) == ["W\0waybill_no"]
    assert [key for key, _ in world.findings()] == ["ID-08/unresolved/waybill_no/W"]
    assert world.parked() == {"c": 1}
    world.send(created(waybill_no="W"))
    assert world.run().events() == ["o", "c"]
    assert not world.tables["unresolved"]
    assert world.findings()[-1][1]["do"] == "close"


def test_how_long_an_orphan_may_wait_is_a_setting() -> None:
    world = World(identity.Delays(payment_orphan_ms=5, unresolved_ms=10))
    world.send(paid(platform_txn_no="T"))
    assert len(world.run().advance(T0 + 6).findings()) == 1
    assert len(world.advance(T0 + 11).findings()) == 2


# -- ID-04: conflicts -------------------------------------------------------------------------------------------------


@pytest.mark.rule("ID-04")
def test_a_second_pairing_of_a_code_is_refused_and_told_to_the_order_that_lost() -> None:
    world = play([created(platform_txn_no="T"), created("o2", "X2", platform_txn_no="T")])
    other = ids.order_guid("douyin", "X2", T0)
    assert world.guid("platform_txn_no", "T") == GUID
    [rejected] = world.rejected()
    assert (rejected["order_guid"], rejected["code_kind"], rejected["code"]) == (other, "platform_txn_no", "T")
    assert (rejected["bound_to"], rejected["event_id"]) == (GUID, "o2")
    [(_, finding)] = world.findings()
    assert (finding["title"], finding["first_event"], finding["last_event"]) == ("identity_conflict", "t/s/o", "t/s/o2")


@pytest.mark.rule("ID-04")
def test_processing_goes_on_under_the_first_binding() -> None:
    world = play([created(platform_txn_no="T"), created("o2", "X2", platform_txn_no="T")])
    world.send(paid(platform_txn_no="T"))
    assert world.run().events(GUID) == ["o", "p"]
    assert world.events(ids.order_guid("douyin", "X2", T0)) == ["o2"]


@pytest.mark.rule("ID-04")
def test_a_guid_that_contradicts_the_order_number_beside_it_is_a_conflict() -> None:
    world = play([created(), created("o2", "X2")])
    world.send(fact("loaded", "w", order_guid=GUID, channel="douyin", order_no="X2"))
    world.run()
    assert world.events(GUID) == ["o", "w"]
    [rejected] = world.rejected()
    assert (rejected["code_kind"], rejected["bound_to"]) == ("order_no", ids.order_guid("douyin", "X2", T0))


@pytest.mark.rule("ID-04")
def test_a_new_order_cannot_choose_its_guid() -> None:
    claimed = ids.order_guid("jd", "9", T0)
    world = play([created(order_guid=claimed)])
    assert world.facts()[0]["order_guid"] == GUID
    assert world.rejected()[0]["code_kind"] == "order_guid"
    assert world.guid("order_guid", claimed) is None


def test_a_guid_beside_its_own_order_number_is_no_conflict() -> None:
    world = play([created(), fact("loaded", "w", order_guid=GUID, channel="douyin", order_no="X1")])
    assert world.events() == ["o", "w"]
    assert not world.rejected()


# -- cost -------------------------------------------------------------------------------------------------------------


def test_an_event_with_nothing_new_sends_one_message_and_writes_nothing() -> None:
    world = play([created(platform_txn_no="T"), paid(channel="douyin", order_no="X1", platform_txn_no="T")])
    message = identity.event_message(
        ("order_no", "douyin", "X1"), paid(channel="douyin", order_no="X1", platform_txn_no="T")
    )
    outcome = identity.step(lambda table, key: world.tables[table].get(key), message, T0, identity.Delays())
    assert [topic for topic, _, _ in outcome.sends] == ["order-facts"]
    assert not outcome.writes
    assert not outcome.timers


def test_a_row_stays_small_however_much_is_parked_on_it() -> None:
    world = play([paid(str(n), platform_txn_no="T", waybill_no=f"W{n}") for n in range(200)])
    row = world.tables["codes"]["T\0platform_txn_no"]
    assert row["events"] == 200
    assert len(row["said"]) == identity.Delays().remembered_codes
    world.send(created(platform_txn_no="T"))
    assert world.run().events() == ["o", *map(str, range(200))]
    assert all(world.guid("waybill_no", f"W{n}") == GUID for n in range(200))
    assert not world.tables["links"]


def test_an_unknown_message_is_an_error() -> None:
    with pytest.raises(ValueError, match="no message"):
        identity.step(lambda table, key: None, {"do": "dance", "code": ["waybill_no", "", "W"]}, 0, identity.Delays())


# -- ST-09: approvals that name a request alone ------------------------------------------------------------------------


def asked(number: str, order_no: str, **fields: Any) -> dict[str, Any]:
    given = {"channel": "douyin", "order_no": order_no, "request_id": "R1", "topic": "ops"}
    return fact("manual_command", number, **{**given, **fields})


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize("is_first", [False, True])
def test_an_approval_finds_its_order_by_the_request_whatever_comes_first(is_first: bool) -> None:
    approval = fact("approval", "a", request_id="R1", topic="ops")
    world = World()
    for event in [approval, created(), asked("c", "X1")] if is_first else [created(), asked("c", "X1"), approval]:
        world.send(event)
        world.run()
    assert [event["event_id"] for event in world.facts()] == ["o", "c", "a"]
    assert {event["order_guid"] for event in world.facts()} == {GUID}


@pytest.mark.rule("ST-09")
def test_one_request_of_two_orders_binds_neither_to_the_other() -> None:
    world = play([created(), created("o2", "X2")])
    for number in "12":
        world.send(asked(f"c{number}", f"X{number}", waybill_no=f"W{number}"))
        world.run()
    other = ids.order_guid("douyin", "X2", T0)
    assert (world.guid("waybill_no", "W1"), world.guid("waybill_no", "W2")) == (GUID, other)
    assert world.guid("request_id", "R1") == GUID
    assert not [event for event in world.facts() if event["event_type"] == "_code_rejected"]
    assert world.findings() == []


# -- ID-08: the order has come, and is held at the gate of its channel (BRK-01) ----------------------------------------


def gate(world: World, order: dict[str, Any]) -> World:
    """The gate holds the order back."""
    message = identity.event_message(("order_no", order["channel"], order["order_no"]), order)
    for topic, key, held in identity.held_messages(message):
        assert (topic, key) == (identity.FACTS, held["code"][2])
        world._queue(key, held)
    return world.run()


@pytest.mark.rule("ID-08", "BRK-01")
@pytest.mark.parametrize("first", ["payment", "order"])
def test_a_payment_of_a_held_order_is_not_paid_without_an_order(first: str) -> None:
    order, world = created(platform_txn_no="T"), World()
    if first == "payment":
        world.send(paid(platform_txn_no="T"))
        gate(world.run(), order)
    else:
        gate(world, order).send(paid(platform_txn_no="T"))
        world.run()
    assert not world.advance(T0 + 60_001).findings()
    assert [value["event_type"] for topic, _, value in world.sent if topic == "channel-facts"] == ["payment_waits"]
    world.send(order)
    assert world.run().events(GUID) == ["o", "p"]
    assert not world.timers


@pytest.mark.rule("ID-08", "BRK-01")
def test_an_order_that_comes_late_and_is_held_ends_the_alert_of_its_payment_at_once() -> None:
    world = play([paid(platform_txn_no="T")]).advance(T0 + 60_001)
    gate(world, created(platform_txn_no="T"))
    assert [finding["do"] for _, finding in world.findings()] == ["open", "close"]
    gate(world, created(platform_txn_no="T")).send(created(platform_txn_no="T"))
    assert world.run().events(GUID) == ["o", "p"]
    assert [finding["do"] for _, finding in world.findings()] == ["open", "close"]


@pytest.mark.rule("ID-08", "BRK-01")
@pytest.mark.parametrize("first", ["gate", "events"])
def test_codes_that_a_held_order_will_bind_once_it_is_let_go_are_not_missed_either(first: str) -> None:
    names: dict[str, Any] = {"channel": "douyin", "order_no": "X1"}
    parked = [fact("loaded", "w", internal_no="I", **names), paid("q", platform_txn_no="T", internal_no="I")]
    payments, order, world = [paid(platform_txn_no="T")], created(), World()
    if first == "gate":
        gate(world, order)
    for event in [*parked, *payments]:
        world.send(event)
    if first == "events":
        gate(world.run(), order)
    assert not world.run().advance(T0 + 60_001).findings()
    world.send(order)
    assert sorted(world.run().events(GUID)) == ["o", "p", "q", "w"]


@pytest.mark.rule("ID-08", "ID-04")
def test_a_held_order_speaks_for_no_other_order_that_an_event_of_it_names() -> None:
    other = ids.order_guid("douyin", "X2", T0)
    world = play([fact("loaded", "w", channel="douyin", order_no="X1", order_guid=other)])
    gate(world, created()).send(paid(order_guid=other))
    world.run().advance(T0 + 60_001)
    assert [(key, finding["do"]) for key, finding in world.findings()] == [(f"ID-08/paid/order_guid/{other}", "open")]
