"""ST-15, failure case 27: an order that stays at 待打单 because the label service failed, through all agents."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from streams.engine.local import LocalRunner
from tests.scenarios.play import Played, feed, new_runner, records

HOUR = 3_600_000
CREATED = int(datetime(2026, 1, 24, 14, 22, 7, tzinfo=timezone(timedelta(hours=8))).timestamp() * 1000)
FAILED = CREATED + 2_000
ORDER = {"channel": "douyin", "order_no": "DD20260124008872"}
LINE = {"line_no": 1, "sku": "龘-1", "quantity": 1, "unit_price_minor": 9900}

STUCK: list[tuple[str, str, int, dict[str, Any]]] = [
    ("orders", "order_created", CREATED, {"lines": [LINE], "total_minor": 9900, "currency": "CNY"}),
    ("payments", "payment_succeeded", CREATED + 1_000, {"amount_minor": 9900, "currency": "CNY"}),
    ("wms", "label_print_failed", FAILED, {"error": "template rendering failed"}),
]
PRINTED = ("wms", "label_printed", FAILED + 5 * HOUR, dict[str, Any]())


def tell(
    runner: LocalRunner, folder: Path, *events: tuple[str, str, int, dict[str, Any]], first: int = 0
) -> LocalRunner:
    """The events as a file that `oms replay` reads."""
    path = folder / f"{first}.jsonl"
    lines = [
        {
            "topic": topic,
            "value": {"event_id": f"e{n}", "event_type": kind, "event_time": at, "source": topic, **ORDER} | more,
        }
        for n, (topic, kind, at, more) in enumerate(events, first)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return feed(runner, records(path))


def alerts(runner: LocalRunner) -> list[tuple[str, str]]:
    return [(alert["rule"], alert["status"]) for alert in Played(runner).output("alerts") if alert["rule"] == "ST-15"]


@pytest.mark.rule("ST-15")
@pytest.mark.parametrize("lose_stores", [False, True])
def test_a_stuck_label_is_told_once_after_two_hours_whatever_dies_and_closed_when_it_prints(
    tmp_path: Path, lose_stores: bool
) -> None:
    runner = tell(new_runner(workers=2), tmp_path, *STUCK)
    runner.advance(FAILED + 2 * HOUR)
    assert alerts(runner) == []
    for worker in (0, 1):
        runner.crash(worker, lose_stores=lose_stores)
    runner.rebalance(dict.fromkeys(range(8), 1))
    runner.advance(FAILED + 2 * HOUR + 1)
    assert alerts(runner) == [("ST-15", "open")]
    [alert] = [found for found in Played(runner).output("alerts") if found["rule"] == "ST-15"]
    assert (alert["recipient"], alert["targets"], alert["count"]) == ("warehouse supervisor", ["wecom"], 1)
    assert "last error: template rendering failed" in alert["detail"]
    runner.crash(1, lose_stores=lose_stores)
    runner.advance(FAILED + 4 * HOUR)
    tell(runner, tmp_path, PRINTED, first=len(STUCK))
    assert alerts(runner) == [("ST-15", "open"), ("ST-15", "closed")]
    state = Played(runner).states[ORDER["order_no"]]
    assert (state["node"], state["sla_due_at"]) == ("label_printed", FAILED + 7 * HOUR)


@pytest.mark.rule("ST-15", "RSK-08")
def test_an_order_that_waits_for_its_risk_review_is_told_to_the_reviewer(tmp_path: Path) -> None:
    price = {"total_minor": 1_000_000, "currency": "CNY"}
    large = [("orders", "order_created", CREATED, {"lines": [LINE], **price}), STUCK[1]]
    runner = tell(new_runner(), tmp_path, *large)
    runner.advance(CREATED + 1_000 + 2 * HOUR + 1)
    [alert] = [found for found in Played(runner).output("alerts") if found["rule"] == "ST-15"]
    assert (alert["recipient"], alert["title"]) == ("risk reviewer", "order over its SLA at risk_review")
    assert Played(runner).states[ORDER["order_no"]]["node"] == "risk_review"


@pytest.mark.rule("ST-15")
def test_a_label_that_prints_in_time_raises_nothing(tmp_path: Path) -> None:
    printed = ("wms", "label_printed", FAILED + 2 * HOUR, dict[str, Any]())
    runner = tell(new_runner(), tmp_path, *STUCK, printed)
    tell(runner, tmp_path, ("orders", "cancel_marked", FAILED + 3 * HOUR, {}), first=len(STUCK) + 1)
    runner.advance(FAILED + 24 * HOUR)
    assert alerts(runner) == []
    assert not runner.output("dead-letters")
