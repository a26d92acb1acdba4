"""The judge of the recall benchmark: what counts as warned of, as false, and as no reason."""

from __future__ import annotations

from typing import Any

import pytest

from bench.recall import PROMISE, UNEXPLAINED, Order, cause, judge, warn, why_not

DAY = 86_400_000
DUE = 100 * DAY


def order(**fields: Any) -> Order:
    return Order(
        **{"promised": DUE, "created": 80 * DAY, "lines": True, "ship_by": 85 * DAY, "paid": 80 * DAY, **fields}
    )


def alert(guid: str, rule: str, opened_at: int, key: str = "") -> dict[str, Any]:
    return {"key": key or f"{rule}/{guid}", "value": {"rule": rule, "order_guid": guid, "opened_at": opened_at}}


STATES = [{"key": f"g{number}", "value": {"order_no": f"n{number}"}} for number in range(4)]


def test_only_alerts_of_the_order_before_its_promise_count_and_the_first_of_each_rule() -> None:
    orders = {"n0": order(signed=DUE + 1), "n1": order(signed=DUE)}
    alerts = [
        alert("g0", "ST-15", DUE - 5),
        alert("g0", "ST-15", DUE - 7),
        alert("g0", "RSK-10", DUE),
        alert("g0", "ST-03", DUE - 9),
        alert("g0", "RSK-11", DUE - 3, "RSK-11/promise/g0"),
        alert("g0", "RSK-11", DUE - 1),
    ]
    warn(orders, STATES, alerts)
    assert orders["n0"].warned == {"ST-15": DUE - 7, PROMISE: DUE - 3, "RSK-11": DUE - 1}
    assert orders["n1"].warned == {}


def test_recall_and_false_share_are_of_different_wholes() -> None:
    late, early = {"signed": DUE + 1}, {"signed": DUE}
    orders = {"n0": order(**late), "n1": order(**late), "n2": order(**early), "n3": order()}
    warn(orders, STATES, [alert(guid, "RSK-11", DUE - DAY, f"RSK-11/promise/{guid}") for guid in ("g0", "g2", "g3")])
    figures = judge(orders, 9)
    [every, promise] = figures["rules"]
    assert (promise["recall"], promise["false_share"], promise["undelivered"]) == (0.5, 0.5, 1)
    assert (every["late"], every["first"], promise["lead_h"]) == (1, 1, 24.0)
    assert figures["missed_promise"] == {UNEXPLAINED: 1}
    assert not figures["reached"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"lines": False}, "refused"),
        ({"paid": None}, "never paid"),
        ({"closed": DUE}, "cancelled"),
        ({"created": DUE}, "before the order was placed"),
        ({"paid": DUE}, "paid only after"),
        ({}, UNEXPLAINED),
    ],
)
def test_the_reason_why_nobody_was_warned(fields: dict[str, Any], word: str) -> None:
    assert word in why_not(order(signed=DUE + DAY, **fields))


def test_where_a_late_order_lost_its_time() -> None:
    assert "no carrier" in cause(order(signed=DUE + 1))
    assert "after the promised delivery" in cause(order(signed=DUE + 2, carried=DUE + 1))
    assert "after its shipping limit" in cause(order(signed=DUE + 1, carried=85 * DAY + 1))
    assert "last mile" in cause(order(signed=DUE + DAY, carried=85 * DAY))
    assert "on the way" in cause(order(signed=DUE + DAY + 1, carried=85 * DAY))
