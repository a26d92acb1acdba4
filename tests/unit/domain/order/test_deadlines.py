"""BRK-07, BRK-11 and INV-15: what must have happened by when; a limit just reached is not passed."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.order import asked, asked_of, asked_until, reduce
from tests.unit.domain.order.facts import (
    GUID,
    HOUR,
    MINUTE,
    SETTINGS,
    T0,
    Run,
    answered,
    created,
    fact,
    line,
    mapped,
    next_due,
    paid,
    refunded,
    says,
    step,
)

SECOND = 1000
HELD = answered("reserve", 1, T0, [1, "held"])
SAYS_PAID = says("orders", "已付款", T0 + SECOND, mapped("paid", "paid"))


def findings(sent: list[tuple[str, str, dict[str, Any]]]) -> list[tuple[str, str]]:
    return [(value["do"], key.removesuffix(f"/{GUID}")) for topic, key, value in sent if topic == "alert-facts"]


# -- BRK-07 -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("BRK-07")
def test_a_stock_branch_silent_for_more_than_30_s_is_told_once_and_closed_by_its_answer() -> None:
    run = Run()
    run.tell(created(lines=[line(1, "BAG"), line(2, "CUP")]), answered("reserve", 1, T0, [2, "held"], sku="CUP"))
    assert run.wait_until(T0 + 30 * SECOND) == []
    ((topic, key, alert),) = run.wait_until(T0 + 30 * SECOND + 1)
    assert (topic, key) == ("alert-facts", f"BRK-07/stock/{GUID}")
    assert (alert["do"], alert["rule"], alert["order_guid"], alert["channel"]) == ("open", "BRK-07", GUID, "douyin")
    assert alert["at"] == T0 + 30 * SECOND + 1
    assert "BAG" in alert["detail"]
    assert "CUP" not in alert["detail"]
    assert run.wait_until(T0 + HOUR) == []
    run.tell(answered("reserve", 1, T0 + HOUR, [1, "held"]))
    assert run.alerts() == {"BRK-07/stock": "close"}


@pytest.mark.rule("BRK-07")
def test_an_answer_in_time_leaves_no_timer() -> None:
    run = Run()
    run.tell(created())
    assert next_due(run.state) == T0 + 30 * SECOND + 1
    run.tell(HELD)
    assert next_due(run.state) is None


@pytest.mark.rule("BRK-07")
def test_the_list_of_those_that_wait_for_a_first_answer_goes_by_due_time() -> None:
    run = Run()
    run.tell(created())
    due, key = T0 + 30 * SECOND + 1, asked(GUID, run.state)
    assert key is not None
    assert asked_of(key) == (due, GUID)
    assert asked_until(due - 1) < key < asked_until(due)
    assert asked_until(999) < asked_until(10_000)
    run.tell(HELD)
    assert asked(GUID, run.state) is None
    assert asked(GUID, None) is None


@pytest.mark.rule("BRK-07")
def test_a_payment_the_channel_speaks_of_must_be_told_within_30_s() -> None:
    run = Run()
    run.tell(created(), HELD, SAYS_PAID)
    assert run.wait_until(T0 + 31 * SECOND) == []
    assert findings(run.wait_until(T0 + 31 * SECOND + 1)) == [("open", "BRK-07/payment")]
    run.tell(says("orders", "已发货", T0 + MINUTE, mapped("shipped", "shipped")))
    assert findings(run.wait_until(T0 + HOUR)) == []
    run.tell(paid(T0 + HOUR))
    assert run.alerts() == {"BRK-07/payment": "close"}


@pytest.mark.rule("BRK-07")
@pytest.mark.parametrize(("after", "told"), [(SECOND, {}), (HOUR, {"BRK-07/payment": "close"})])
def test_a_payment_that_is_told_after_the_customer_has_signed_ends_the_waiting_too(
    after: int, told: dict[str, str]
) -> None:
    run = Run()
    run.tell(created(), HELD, fact("orders", "buyer_confirmed", T0 + MINUTE))
    run.wait_until(T0 + MINUTE + after)
    run.tell(paid(T0 + SECOND))
    run.wait_until(T0 + 2 * HOUR)
    assert {name: do for name, do in run.alerts().items() if name.startswith("BRK-07")} == told


@pytest.mark.rule("BRK-07")
@pytest.mark.parametrize("before", [True, False])
def test_a_payment_told_in_time_is_not_waited_for(before: bool) -> None:
    run = Run()
    run.tell(created(), HELD, *((paid(T0), SAYS_PAID) if before else (SAYS_PAID, paid(T0 + 31 * SECOND))))
    run.wait_until(T0 + MINUTE)
    assert run.alerts() == {}


# -- INV-15 -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("INV-15")
def test_paid_and_not_deducted_for_more_than_60_s_is_an_alert_three_more_confirms_and_a_ticket() -> None:
    run = Run()
    run.tell(created(), HELD, paid(T0 + MINUTE))
    assert run.wait_until(T0 + 2 * MINUTE) == []
    told = []
    for minute in range(2, 8):
        sent = run.wait_until(T0 + minute * MINUTE + 1)
        confirms = [(v["do"], v["round"], v["at"], v["lines"]) for topic, _, v in sent if topic == "stock-commands"]
        told.append((findings(sent), confirms))
    again = [([("open", "INV-15")], [("confirm", number, T0 + MINUTE, [[1, 2]])]) for number in (3, 4, 5)]
    # The lane is left within 5 minutes after the payment, or that is told too.
    assert told[:4] == [*again, ([("open", "INV-15/ticket")], [])]
    ticket = next(value for _, key, value in run.sent if key.startswith("INV-15/ticket"))
    assert (ticket["targets"], ticket["severity"]) == (["ticket"], "critical")
    assert told[5] == ([], [])
    assert run.tell(answered("confirm", 2, T0 + HOUR, [1, "confirmed"])) == []
    assert run.alerts()["INV-15"] == "open", "an answer to an older confirm: the newest is still to come"
    run.tell(answered("confirm", 5, T0 + HOUR, [1, "confirmed"]))
    assert (run.alerts()["INV-15"], run.alerts()["INV-15/ticket"]) == ("close", "close")


@pytest.mark.rule("INV-15")
def test_a_paid_order_of_too_many_lines_to_be_reserved_is_told_to_a_person() -> None:
    run = Run()
    run.tell(created(lines=[line(n, "BAG") for n in range(501)]))
    assert run.wait_until(T0 + MINUTE) == []
    run.tell(paid(T0 + MINUTE))
    assert run.wait_until(T0 + 2 * MINUTE) == []
    sent = run.wait_until(T0 + 2 * MINUTE + 1)
    assert findings(sent) == [("open", "INV-15"), ("open", "INV-15/ticket")]
    assert sent[0][2]["detail"] == "501 lines, of at most 500, were neither reserved nor deducted"
    run.tell(refunded(T0 + HOUR, 30000))
    assert (run.alerts()["INV-15"], run.alerts()["INV-15/ticket"]) == ("close", "close")


@pytest.mark.rule("INV-15")
def test_units_deducted_in_time_are_no_alert() -> None:
    run = Run()
    run.tell(created(), HELD, paid(), answered("confirm", 2, T0 + MINUTE, [1, "confirmed"]))
    run.wait_until(T0 + 6 * MINUTE)
    assert run.alerts() == {}


@pytest.mark.rule("INV-15")
def test_the_second_confirm_that_succeeds_closes_the_alert_and_counts_from_the_beginning_next_time() -> None:
    run = Run()
    run.tell(created(), HELD, paid())
    run.wait_until(T0 + 2 * MINUTE + 1)
    run.tell(
        answered("confirm", 2, T0 + MINUTE, [1, "confirmed"]), answered("confirm", 3, T0 + MINUTE, [1, "confirmed"])
    )
    assert run.alerts() == {"INV-15": "close"}
    assert run.state is not None
    assert run.state.stock is not None
    assert run.state.stock.tries == 0


@pytest.mark.rule("INV-15")
@pytest.mark.parametrize("end", ["refund", "closed"])
def test_an_order_that_ended_is_not_waited_for(end: str) -> None:
    run = Run()
    run.tell(created(), HELD, paid())
    run.wait_until(T0 + 2 * MINUTE + 1)
    run.tell(refunded(T0 + 3 * MINUTE, 30000) if end == "refund" else fact("orders", "cancel_marked", T0 + 3 * MINUTE))
    assert run.alerts() == {"INV-15": "close"}
    assert next_due(run.state) is None


@pytest.mark.rule("INV-15")
def test_a_payment_that_waited_for_its_order_is_timed_from_when_it_was_told() -> None:
    state = step(None, created()).state
    late = step(state, paid(T0 + MINUTE))
    assert next_due(late.state) == T0 + 30 * SECOND + 1
    later = reduce(step(None, created()).state, paid(T0 + MINUTE), T0 + HOUR, SETTINGS).state
    assert later.stock is not None
    assert later.stock.deduct_due == HOUR + MINUTE + 1


# -- BRK-11 -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("BRK-11")
def test_an_order_in_the_lane_wms_must_be_with_the_warehouse_within_5_minutes() -> None:
    run = Run()
    run.tell(created(), HELD, paid(T0), answered("confirm", 2, T0, [1, "confirmed"]))
    assert run.wait_until(T0 + 5 * MINUTE) == []
    ((_, key, alert),) = run.wait_until(T0 + 5 * MINUTE + 1)
    assert (key, alert["title"], alert["do"]) == (f"BRK-11/{GUID}", "missing_stage", "open")
    assert "warehouse" in alert["detail"]
    run.tell(fact("wms", "allocated", T0 + HOUR))
    assert run.alerts() == {"BRK-11": "close"}
    assert next_due(run.state) is None


@pytest.mark.rule("BRK-11")
@pytest.mark.parametrize("answer_first", [True, False])
def test_an_order_under_no_stock_control_must_be_with_the_warehouse_in_time_as_well(answer_first: bool) -> None:
    run, unmanaged = Run(), answered("reserve", 1, T0, [1, "unmanaged"])
    run.tell(created(), *((unmanaged, paid(T0)) if answer_first else (paid(T0), unmanaged)))
    run.tell(answered("confirm", 2, T0, [1, "unmanaged"]))
    assert run.wait_until(T0 + 5 * MINUTE) == []
    assert findings(run.wait_until(T0 + 5 * MINUTE + 1)) == [("open", "BRK-11")]
    assert run.wait_until(T0 + HOUR) == []
    run.tell(fact("wms", "allocated", T0 + HOUR))
    assert run.alerts() == {"BRK-11": "close"}
    assert run.state is not None
    assert (run.state.stock, next_due(run.state)) == (None, None)


@pytest.mark.rule("BRK-11")
@pytest.mark.parametrize("over", [fact("wms", "allocated", T0 + MINUTE), fact("orders", "cancel_marked", T0 + MINUTE)])
def test_of_an_order_under_no_stock_control_nothing_is_kept_once_it_is_no_longer_due(over: dict[str, Any]) -> None:
    run = Run()
    run.tell(created(), answered("reserve", 1, T0, [1, "unmanaged"]))
    assert run.state is not None
    assert run.state.stock is None
    run.tell(paid(T0), over)
    assert (run.state.stock, next_due(run.state)) == (None, None)
    assert run.wait_until(T0 + HOUR) == []


@pytest.mark.rule("BRK-11")
def test_a_sku_that_comes_under_control_while_its_order_is_due_is_deducted_and_the_time_stays() -> None:
    run = Run()
    run.tell(created(), answered("reserve", 1, T0, [1, "unmanaged"]), paid(T0))
    run.tell(answered("confirm", 2, T0 + MINUTE, [1, "confirmed"]))
    assert run.state is not None
    assert run.state.stock is not None
    assert (run.state.stock.groups[0].told, run.state.stock.stage_due) == ("c", 5 * MINUTE + 1)


@pytest.mark.rule("BRK-11")
def test_an_allocated_order_is_where_it_should_be() -> None:
    run = Run()
    run.tell(created(), HELD, paid(T0), answered("confirm", 2, T0, [1, "confirmed"]))
    run.tell(fact("wms", "allocated", T0 + 5 * MINUTE))
    assert run.wait_until(T0 + HOUR) == []


@pytest.mark.rule("BRK-11")
def test_a_paid_order_that_reaches_no_lane_is_missing_there() -> None:
    run = Run()
    run.tell(created(), paid(T0))
    run.wait_until(T0 + 5 * MINUTE)
    assert "BRK-11" not in run.alerts()
    assert ("open", "BRK-11") in findings(run.wait_until(T0 + 5 * MINUTE + 1))
    assert "in a lane" in next(v["detail"] for _, key, v in run.sent if key.startswith("BRK-11"))
    run.tell(answered("reserve", 1, T0 + 6 * MINUTE, [1, "held"]))
    assert run.alerts()["BRK-11"] == "close"
    run.wait_until(T0 + 11 * MINUTE + 1)
    assert run.alerts()["BRK-11"] == "open", "now it is the warehouse that is missing"


@pytest.mark.rule("BRK-11")
def test_neither_an_unpaid_order_nor_one_that_people_review_is_timed() -> None:
    unpaid, reviewed = Run(), Run()
    unpaid.tell(created(), HELD)
    reviewed.tell(created(sales_type="custom"), HELD, paid(T0), answered("confirm", 2, T0, [1, "confirmed"]))
    for run in (unpaid, reviewed):
        assert run.wait_until(T0 + 24 * HOUR) == []
