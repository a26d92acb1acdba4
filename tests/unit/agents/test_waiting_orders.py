"""BRK-07 in the orders agent: orders that wait for their first answer of the stock share one timer."""

from __future__ import annotations

from typing import Any

import pytest

from streams import topology
from streams.agents.orders import orders
from streams.domain import calendar
from streams.domain.inventory.messages import reply
from streams.engine.local import LocalRunner

T0 = calendar.at(2026, 1, 22, 10)
LIMIT = 30_000
GAP = 7_000


def told_of(*numbers: int) -> LocalRunner:
    """A runner of the orders agent alone: no stock answers by itself. Order n comes n * GAP after the first."""
    runner = LocalRunner([orders], topology.load(), partitions=1)
    for number in numbers:
        runner.send("order-facts", created(number), guid(number))
        runner.run()
    return runner


def guid(number: int) -> str:
    return f"G{number}"


def created(number: int) -> dict[str, Any]:
    line = {"line_no": 1, "sku": "BAG", "quantity": 1, "unit_price_minor": 500, "is_gift": False}
    return {
        "event_id": f"created-{number}", "event_type": "order_created", "event_time": T0 + number * GAP,
        "source": "douyin", "topic": "orders", "order_guid": guid(number), "channel": "douyin",
        "order_no": f"A{number}", "total_minor": 500, "currency": "CNY", "lines": [line],
    }  # fmt: skip


def silent(runner: LocalRunner) -> list[tuple[str | None, str, int]]:
    return [
        (key, said["do"], said["at"] - T0)
        for key, said in runner.output("alert-facts")
        if str(key).startswith("BRK-07/stock/")
    ]


@pytest.mark.rule("BRK-07")
def test_each_order_is_told_of_once_a_millisecond_after_its_own_limit() -> None:
    runner = told_of(0, 1, 2)
    runner.advance(T0 + LIMIT)
    assert silent(runner) == []
    runner.advance(T0 + LIMIT + 1)
    assert silent(runner) == [("BRK-07/stock/G0", "open", LIMIT + 1)]
    runner.advance(T0 + calendar.DAY_MS)
    assert silent(runner) == [
        (f"BRK-07/stock/{guid(number)}", "open", number * GAP + LIMIT + 1) for number in (0, 1, 2)
    ]
    assert runner.table("orders", "asked") == {}


@pytest.mark.rule("BRK-07")
def test_an_order_that_was_answered_leaves_the_others_to_wait() -> None:
    runner = told_of(0, 1)
    answer = reply("BAG", guid(0), "reserve", 1, T0 + 2 * GAP, [[1, "held"]])
    runner.send("order-facts", answer, guid(0))
    runner.run()
    assert len(runner.table("orders", "asked")) == 1
    runner.advance(T0 + calendar.MINUTE_MS)
    assert silent(runner) == [("BRK-07/stock/G1", "open", GAP + LIMIT + 1)]
