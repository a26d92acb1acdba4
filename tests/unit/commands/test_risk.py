"""`oms risk backtest`: other weights on history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.domain.risk.backtest import judged, merged, trouble_of
from streams.domain.risk.settings import RiskError
from streams.domain.rules import data
from tests.unit.commands.test_replay import ORDER, PAYMENT, line, oms

HOUR = 3_600_000
OF_A = {"channel": "douyin", "order_no": "6921"}


def history(tmp_path: Path) -> Path:
    """One order that is asked for urgently, chats after payment and is cancelled; one that is only chased for."""
    chat = {"event_type": "chat_opened", "source": "desk", "text": "急用", **OF_A}
    cancel = {"event_type": "cancel_marked", "source": "douyin", **OF_A}
    quiet = {"event_id": "o-2", "order_no": "7000", "platform_txn_no": "4300", "page_dwell_s": 200}
    lines = [
        line("orders", ORDER),
        line("payments", PAYMENT),
        line("service", chat, event_id="s-1", event_time="2026-01-24T10:00:09+08:00"),
        line("orders", ORDER, **quiet),
        line("orders", cancel, event_id="o-3", event_time="2026-01-24T13:00:09+08:00"),
    ]
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(lines))
    return path


def run(tmp_path: Path, weights: str, *options: object) -> Any:
    (tmp_path / "w.yaml").write_text(weights)
    return oms("risk", "backtest", history(tmp_path), "--weights", tmp_path / "w.yaml", *options)


@pytest.mark.rule("RSK-12")
def test_other_weights_are_judged_by_the_trouble_that_came(tmp_path: Path) -> None:
    # 24 January is peak season: the chat weighs 1.56 and the words 0.91 under the weights in force: 2.47, no warning.
    result = run(tmp_path, "signals: {urgent_words: 0.8, page_dwell: {weight: 2.5}}", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["in_force"]["orange"] | {"lead_ms": None} == {
        "warned": 0, "troubled": 1, "in_time": 0, "precision": None, "recall": 0.0, "lead_ms": None,
    }  # fmt: skip
    assert said["proposed"]["orange"] == {
        "warned": 2, "troubled": 1, "in_time": 1, "precision": 0.5, "recall": 1.0, "lead_ms": 3 * HOUR,
    }  # fmt: skip
    assert (said["only_in_force"], said["only_proposed"]) == (0, 2)
    assert (said["lines"], said["unreadable"]) == (5, 0)


def test_people_read_a_table(tmp_path: Path) -> None:
    result = run(tmp_path, "orange: 2.4")
    assert result.exit_code == 0, result.output
    assert "100.0%" in result.output
    assert "3.0 h" in result.output


def test_trouble_may_be_narrowed_down(tmp_path: Path) -> None:
    said = json.loads(run(tmp_path, "orange: 2.4", "--json", "--trouble", "complaint").stdout)
    assert said["proposed"]["orange"]["troubled"] == 0


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ("[1]", "no table"),
        ("signals: {luck: 1}", "luck"),
        ("colour: red", "colour"),
        ("limits: {night_from: 22:00}", "in quotes"),
        ("limits: {night_to: '24:01'}", "from 00:00 to 24:00"),
        ("limits: {moon: 1}", "the unknown moon"),
        ("seasons: [{season: peak, from: 2026-11-01, to: 2026-11-12}]", "in quotes"),
        ("orange: 5", "orange"),
        ("signals: {urgent_words: {advice: ''}}", "urgent_words has no advice"),
        ("orange: [", "w.yaml"),
    ],
)
def test_weights_that_are_wrong_are_one_clear_line(tmp_path: Path, weights: str, named: str) -> None:
    result = run(tmp_path, weights)
    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output


def test_a_kind_of_trouble_that_nobody_knows_is_wrong_use(tmp_path: Path) -> None:
    result = run(tmp_path, "{}", "--trouble", "rain")
    assert (result.exit_code, "rain" in result.output) == (2, True)


@pytest.mark.rule("RSK-12")
def test_a_warning_at_the_time_of_the_trouble_or_after_it_is_no_early_one() -> None:
    troubled = {"A": 100, "B": 100, "C": 100, "D": 100}
    said = judged({"A": 99, "B": 100, "C": 101, "E": 1}, troubled)
    assert (said["in_time"], said["precision"], said["recall"], said["lead_ms"]) == (1, 0.25, 0.25, 1)


@pytest.mark.rule("RSK-12")
def test_refused_and_repeated_events_are_no_trouble() -> None:
    row = {"decision": "refused", "topic": "orders", "event_type": "complaint"}
    assert trouble_of(row, (), ()) is None
    assert trouble_of({**row, "decision": "accepted"}, (), ()) == "complaint"
    assert trouble_of({**row, "decision": "accepted"}, ("closed",), ("closed", "refunded")) == "refunded"


def test_what_the_file_does_not_name_stays_as_it_is_in_force() -> None:
    table = data.risk_document()
    assert merged(table, {}) == table
    assert merged(table, {"limits": {"coupons": 4}})["limits"] == {**table["limits"], "coupons": 4}
    with pytest.raises(RiskError):
        merged(table, None)
