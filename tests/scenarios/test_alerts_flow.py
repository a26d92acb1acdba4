"""Alerts through all agents, codecs and timers: levels to the millisecond, closed by hand, and the month's report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.engine.local import LocalRunner
from tests.scenarios.play import Played, new_runner, run

T0 = calendar.at(2026, 1, 22, 20)
HOUR = calendar.HOUR_MS
LIMIT = 24 * HOUR
"""ST-03 is a warning."""
WORD = {"event_type": "status_changed", "channel": "nobody", "order_no": "N-1", "raw_status": "gibberish"}
KEY = "ST-03/shop/gibberish"


def say(runner: LocalRunner, topic: str, at: int, **fields: Any) -> None:
    number = len(runner.log.order.get(topic, ()))
    runner.send(topic, {"event_id": f"e-{number}", "event_time": at, "source": "shop", **fields}, "k")
    run(runner)


def closes(runner: LocalRunner, at: int, target: str = KEY, **fields: Any) -> None:
    say(runner, "ops", at, event_type="manual_command", command="alert_close", target=target, operator="o-7", **fields)


def alert(runner: LocalRunner) -> dict[str, Any]:
    [found] = Played(runner).alerts("ST-03")
    return found


@pytest.mark.rule("OTH-05", "AS-08")
def test_an_open_alert_goes_up_to_the_millisecond_of_event_time() -> None:
    runner = new_runner()
    say(runner, "orders", T0, **WORD)
    assert (alert(runner)["status"], alert(runner)["level"]) == ("open", 0)
    runner.advance(T0 + LIMIT - 1)
    assert alert(runner)["status"] == "open"
    runner.advance(T0 + LIMIT)
    up = alert(runner)
    assert (up["status"], up["level"], up["recipient"], up["escalated_at"]) == (
        "escalated", 1, "supervisor", T0 + LIMIT,
    )  # fmt: skip
    runner.advance(T0 + LIMIT * 3 // 2)
    assert (alert(runner)["level"], alert(runner)["recipient"]) == (2, "operations lead")


@pytest.mark.rule("OTH-05", "OTH-13")
def test_a_person_closes_it_in_time_and_it_opens_anew() -> None:
    runner = new_runner()
    say(runner, "orders", T0, **WORD)
    closes(runner, T0 + HOUR, order_no="N-1", channel="nobody")
    runner.advance(T0 + 3 * LIMIT)
    closed = alert(runner)
    assert (closed["status"], closed["closed_at"], closed["closed_by"]) == ("closed", T0 + HOUR, "person")
    assert (closed["last_event"], closed["first_event"]) == ("ops/shop/e-0", "orders/shop/e-0")
    say(runner, "orders", T0 - HOUR, **{**WORD, "order_no": "N-2"})
    assert (alert(runner)["status"], alert(runner)["count"], alert(runner)["opened_at"]) == ("open", 1, T0 - HOUR)


def test_closing_what_is_not_open_is_refused_with_a_reason() -> None:
    runner = new_runner()
    closes(runner, T0, target="ID-08/nothing")
    closes(runner, T0, target=None)  # type: ignore[arg-type]
    said = sorted(letter["error"] for letter in Played(runner).output("dead-letters"))
    assert len(said) == 2
    assert "no alert of that key is open" in said[1]


@pytest.mark.rule("OTH-12")
def test_the_month_is_reported_on_the_first_and_once_more_for_what_comes_late() -> None:
    runner = new_runner()
    say(runner, "orders", T0, **WORD)
    closes(runner, T0 + 9 * HOUR)
    due = calendar.at(2026, 2, 1, 3)
    runner.advance(due + 600_000 - 1)
    assert not [r for r in Played(runner).output("reports") if r["name"] == "OTH-12"]
    runner.advance(due + 600_000)
    [report] = [r for r in Played(runner).output("reports") if r["name"] == "OTH-12"]
    rows = {row["rule"]: row for row in json.loads(report["rows"])}
    assert (report["period"], rows["ST-03"]["mean_h"], rows["ST-03"]["reached"]) == ("2026-01", "9.00", False)
    say(runner, "orders", T0 + HOUR, **{**WORD, "order_no": "N-3"})
    closes(runner, T0 + 2 * HOUR)
    runner.advance(due + HOUR)
    late = [r for r in Played(runner).output("reports") if r["name"] == "OTH-12"][-1]
    rows = {row["rule"]: row for row in json.loads(late["rows"])}
    assert (rows["ST-03"]["alerts_closed"], rows["ST-03"]["mean_h"]) == (2, "5.00")
