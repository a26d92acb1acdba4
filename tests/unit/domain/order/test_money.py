"""FIN-07, FIN-02: what was paid and refunded, and what a platform's "closed" means beside it."""

from __future__ import annotations

import pytest

from tests.unit.domain.order.facts import (
    DAY,
    HOUR,
    T0,
    created,
    fact,
    fold,
    mapped,
    paid,
    refunded,
    says,
    told,
    verdicts,
    view,
)

CLOSED = says("orders", "订单关闭", T0 + 2 * HOUR, mapped(flags=["closed"], axis="trade:closed"))


@pytest.mark.rule("FIN-07")
def test_a_partial_refund_called_closed_closes_nothing_and_the_rest_refunds_the_order() -> None:
    one = view(created(), paid(amount=30000), refunded(T0 + HOUR, 10000), CLOSED)
    two = view(created(), paid(amount=30000), refunded(T0 + HOUR, 10000), CLOSED, refunded(T0 + DAY, 20000))

    assert (one["state"], one["flags"], one["refunded_minor"]) == ("paid", ["partially_refunded"], 10000)
    assert (two["state"], two["flags"], two["refunded_minor"]) == ("paid", ["closed", "refunded"], 30000)


@pytest.mark.rule("FIN-07")
@pytest.mark.parametrize(("amount", "flag"), [(29999, "partially_refunded"), (30000, "refunded"), (30001, "refunded")])
def test_refunded_begins_where_the_sum_equals_what_was_paid(amount: int, flag: str) -> None:
    assert view(created(), paid(amount=30000), refunded(T0 + HOUR, amount))["flags"] == [flag]


@pytest.mark.rule("FIN-07")
def test_a_refund_ahead_of_its_payment_is_partial_until_the_payment_is_known() -> None:
    early = refunded(T0 + HOUR, 30000)

    assert view(created(), early)["flags"] == ["partially_refunded"]
    assert view(created(), early, paid())["flags"] == ["refunded"]


@pytest.mark.rule("FIN-07")
def test_an_order_closed_without_any_refund_is_closed() -> None:
    assert view(created(), CLOSED)["flags"] == ["closed"]
    assert view(created(), fact("orders", "cancel_marked", T0 + HOUR))["flags"] == ["closed"]
    assert view(created(), fact("orders", "cancel_requested", T0 + HOUR))["flags"] == []


@pytest.mark.rule("FIN-07")
def test_only_the_channel_closes_an_order() -> None:
    assert view(created(), says("couriers", "closed", T0 + HOUR, mapped(flags=["closed"])))["flags"] == []


@pytest.mark.rule("ST-01")
def test_a_held_flag_holds_as_long_as_it_is_the_last_word() -> None:
    locked = says("orders", "LOCKED", T0 + HOUR, mapped(flags=["locked"]))
    freed = says("orders", "待支付", T0 + 2 * HOUR, mapped("pending_payment", "pending_payment"))

    assert view(created(), locked)["flags"] == ["locked"]
    assert view(created(), locked, freed)["flags"] == []
    assert view(created(), freed, locked)["flags"] == []


@pytest.mark.rule("FIN-02")
def test_a_deposit_adds_to_what_was_paid_and_the_balance_pays_the_order() -> None:
    deposit = paid(T0 + HOUR, 5000, event_type="deposit_paid")
    balance = paid(T0 + DAY, 25000, event_type="balance_paid")

    one, two = view(created(), deposit), view(created(), deposit, balance)

    assert (one["state"], one["paid_minor"]) == ("pending_payment", 5000)
    assert (two["state"], two["paid_minor"]) == ("paid", 30000)


@pytest.mark.rule("FIN-07")
def test_an_amount_in_another_currency_is_refused_and_moves_nothing() -> None:
    state, decisions = fold([created(), paid(currency="USD"), paid(amount=1)])

    assert verdicts(decisions) == ["accepted", "refused", "accepted"]
    assert decisions[1].audit["reason"] == "amount in USD for an order in CNY"
    assert (decisions[1].state.rank, decisions[1].state.claims) == (0, {})
    assert state.paid_minor == 1


RENMINBI = ("cny", "RMB", "rmb", "￥", "¥", "人民币", "元", "156", " CNY ")


@pytest.mark.rule("FIN-07")
@pytest.mark.parametrize("name", RENMINBI)
def test_the_same_currency_by_another_name_is_no_other(name: str) -> None:
    for said, paid_in in (("CNY", name), (name, "CNY"), (name, name), (None, name)):
        found = view(created(currency=said), paid(amount=30000, currency=paid_in))
        assert (found["state"], found["paid_minor"], found["currency"]) == ("paid", 30000, "CNY")


@pytest.mark.rule("BRK-05")
@pytest.mark.parametrize("name", RENMINBI)
def test_a_large_order_is_large_whatever_its_currency_is_called(name: str) -> None:
    assert view(created(currency=name, total_minor=1_000_001), paid(amount=1_000_001))["tier"] == "L3"
    assert view(created(currency="JPY", total_minor=1_000_001), paid(amount=1, currency="jpy"))["tier"] != "L3"


@pytest.mark.rule("FIN-07")
def test_what_finance_recorded_in_another_currency_is_refused() -> None:
    usd = fact("finance", "receipt_recorded", T0 + 1, amount_minor=5, currency="USD")
    cny = fact("finance", "receipt_recorded", T0 + 2, amount_minor=5, currency="CNY")
    _, decisions = fold([created(), usd, cny])

    assert verdicts(decisions) == ["accepted", "refused", "accepted"]
    assert decisions[1].audit["reason"] == "amount in USD for an order in CNY"


@pytest.mark.rule("FIN-07")
def test_an_order_that_names_no_currency_is_in_the_default_one() -> None:
    assert view(created(currency=None), paid(currency="CNY"))["paid_minor"] == 30000
    assert view(created(currency=None), paid(currency="USD"))["paid_minor"] == 0


@pytest.mark.rule("ST-12")
def test_each_refund_is_an_event_of_its_own_with_its_amount() -> None:
    _, decisions = fold([created(), paid(), refunded(T0 + HOUR, 100), refunded(T0 + DAY, 200)])

    refunds = [event for one in decisions for event in one.events if event["event"] == "refunded"]
    assert [(event["amount_minor"], event["currency"], event["at"]) for event in refunds] == [
        (100, "CNY", T0 + HOUR),
        (200, "CNY", T0 + DAY),
    ]
    assert told(decisions)[:2] == [("created", None), ("paid", None)]


@pytest.mark.rule("FIN-07")
def test_lasting_flags_and_the_refund_flags_of_a_map_do_not_mix() -> None:
    red = says("orders", "已冲红", T0 + HOUR, mapped(flags=["invoice_red", "refunded", "gap", "conflict"]))

    assert view(created(), red)["flags"] == ["invoice_red"]
