"""BRK-07: the invoice branch of an order; a limit just reached is not passed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streams.domain.order import OrderSettings, StockRules, from_row, to_row
from tests.unit.domain.order.facts import (
    GUID,
    HOUR,
    MINUTE,
    T0,
    Fact,
    Run,
    answered,
    created,
    fact,
    next_due,
    paid,
    refunded,
)

SECOND = 1000
LIMIT = 30 * SECOND
KEY = "BRK-07/invoice"
HELD = answered("reserve", 1, T0, [1, "held"])
UNMANAGED = answered("reserve", 1, T0, [1, "unmanaged"])
BUYER = {"type": "person", "name": "李雷"}


def request(when: int = T0 + MINUTE) -> Fact:
    return fact("orders", "invoice_requested", when, invoice=BUYER)


def told(when: int, status: str = "accepted", number: int = 1, **fields: Any) -> Fact:
    said = {"status": status, "rule": "TAX-03", "reason": None, "refused": status == "refused", **fields}
    about = {"event_type": "_invoice", "order_guid": GUID, "event_time": when, "event_id": f"{GUID}/{number}"}
    return {**about, "source": "invoices", "topic": "invoices", **said}


def opened(run: Run) -> dict[str, str]:
    return {key: do for key, do in run.alerts().items() if key == KEY}


@pytest.mark.rule("BRK-07")
@pytest.mark.parametrize("status", ["accepted", "refused"])
def test_a_request_without_an_answer_for_more_than_30_s_is_told_once_and_closed_by_it(status: str) -> None:
    run = Run()
    run.tell(created(), HELD, request())
    assert run.wait_until(T0 + MINUTE + LIMIT) == []
    ((topic, key, alert),) = run.wait_until(T0 + MINUTE + LIMIT + 1)
    assert (topic, key) == ("alert-facts", f"{KEY}/{GUID}")
    assert (alert["do"], alert["rule"], alert["order_guid"], alert["channel"]) == ("open", "BRK-07", GUID, "douyin")
    assert (alert["at"], alert["title"]) == (T0 + MINUTE + LIMIT + 1, "invoice branch silent")
    assert run.wait_until(T0 + HOUR) == []
    run.tell(told(T0 + HOUR, status))
    assert opened(run) == {KEY: "close"}
    assert next_due(run.state) is None


@pytest.mark.rule("BRK-07")
@pytest.mark.parametrize("stock", [[HELD], [UNMANAGED], []])
def test_an_order_that_brings_the_request_with_it_is_timed_from_its_creation(stock: list[Fact]) -> None:
    run = Run()
    run.tell(created(invoice=BUYER), *stock)
    run.wait_until(T0 + LIMIT)
    assert opened(run) == {}
    run.wait_until(T0 + LIMIT + 1)
    assert opened(run) == {KEY: "open"}


@pytest.mark.rule("BRK-07")
def test_an_answer_in_time_leaves_no_timer_and_no_alert() -> None:
    run = Run()
    run.tell(created(), HELD, request())
    assert next_due(run.state) == T0 + MINUTE + LIMIT + 1
    run.tell(told(T0 + MINUTE + LIMIT))
    assert next_due(run.state) is None
    run.wait_until(T0 + HOUR)
    assert opened(run) == {}


@pytest.mark.rule("BRK-07")
def test_each_request_is_waited_for() -> None:
    run = Run()
    run.tell(created(), HELD, request(), told(T0 + MINUTE, "refused"), request(T0 + HOUR))
    run.wait_until(T0 + HOUR + LIMIT)
    assert opened(run) == {}
    run.wait_until(T0 + HOUR + LIMIT + 1)
    assert opened(run) == {KEY: "open"}
    run.tell(told(T0 + 2 * HOUR, number=2))
    assert opened(run) == {KEY: "close"}


@pytest.mark.rule("BRK-07")
@pytest.mark.parametrize("late", [False, True])
def test_an_order_that_ended_is_not_waited_for(late: bool) -> None:
    run = Run()
    run.tell(created(), HELD, request())
    if late:
        run.wait_until(T0 + HOUR)
    run.tell(fact("orders", "cancel_marked", T0 + (2 * HOUR if late else MINUTE)))
    assert next_due(run.state) is None
    assert opened(run) == ({KEY: "close"} if late else {})
    run.tell(told(T0 + 2 * HOUR))
    assert [key for _, key, value in run.sent if key.startswith(KEY)] == [f"{KEY}/{GUID}"] * (2 * late), "closed once"


@pytest.mark.rule("BRK-07")
def test_the_limit_is_that_of_all_branches() -> None:
    run = Run(dataclasses.replace(OrderSettings(), stock=StockRules(branch_ms=5 * SECOND)))
    run.tell(created(invoice=BUYER), HELD)
    run.wait_until(T0 + 5 * SECOND)
    assert opened(run) == {}
    run.wait_until(T0 + 5 * SECOND + 1)
    assert opened(run) == {KEY: "open"}
    assert "for 5 s" in next(value["detail"] for _, key, value in run.sent if key.startswith(KEY))


@pytest.mark.rule("BRK-06", "BRK-07")
@pytest.mark.parametrize("status", ["accepted", "refused"])
@pytest.mark.parametrize("stock", [HELD, UNMANAGED])
def test_a_paid_order_that_wants_an_invoice_waits_for_the_branch_to_report(stock: Fact, status: str) -> None:
    run = Run()
    run.tell(created(invoice=BUYER), stock, paid())
    assert run.view()["lane"] is None
    run.tell(told(T0 + MINUTE, status))
    assert run.view()["lane"] == "wms"
    lanes = [(value["enter"], value["lane"]) for topic, _, value in run.sent if topic == "channel-facts"]
    assert lanes == [(True, "wms")]


@pytest.mark.rule("BRK-06", "BRK-07")
def test_a_request_takes_no_order_out_of_its_lane() -> None:
    run = Run()
    run.tell(created(), UNMANAGED, paid(), request(T0 + HOUR), refunded(T0 + HOUR, 1))
    assert run.view()["lane"] == "wms"
    run.tell(told(T0 + HOUR))
    assert run.view()["lane"] == "wms"


@pytest.mark.rule("BRK-07")
def test_an_order_without_a_request_has_no_such_branch() -> None:
    run = Run()
    run.tell(created(), UNMANAGED)
    assert run.state is not None
    assert (run.state.aside, next_due(run.state)) == (None, None)


def test_the_row_keeps_the_branch() -> None:
    run = Run()
    run.tell(created(), HELD, request())
    for _ in range(2):
        assert run.state is not None
        assert from_row(to_row(run.state)) == run.state
        run.wait_until(T0 + HOUR)
    assert run.state is not None
    assert run.state.aside is not None
    assert run.state.aside.invoice is not None
    assert run.state.aside.invoice.is_raised
