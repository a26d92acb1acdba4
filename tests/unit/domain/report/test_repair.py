"""The mean time from an alert to its closing, by rule and month."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.report import repair
from streams.domain.report.assembly import Outcome, Part
from streams.domain.report.settings import ReportError
from streams.domain.rules import data

pytestmark = pytest.mark.rule("OTH-12")
SETTINGS = data.repair_reports()
HOUR = calendar.HOUR_MS
OPENED = calendar.at(2026, 1, 20)


def closed(row: Any, took: int, rule: str = "ID-08", by: str = "cause") -> Any:
    return repair.closed(
        row, {"rule": rule, "opened_at": OPENED, "closed_at": OPENED + took, "closed_by": by}, SETTINGS
    )


def report(*rows: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    parts: dict[str, Part] = {
        str(place): repair.part(row, "2026-01", place, 5, SETTINGS) for place, row in enumerate(rows)
    }
    [record] = repair.records(Outcome({}, parts=parts), "2026-01", 7, SETTINGS)
    assert (record["report_id"], record["period"], record["generated_at"]) == ("OTH-12/2026-01", "2026-01", 7)
    return {row["rule"]: row for row in json.loads(record["rows"])}, record["highlights"]


def test_a_mean_of_eight_hours_reaches_the_target_and_a_moment_more_does_not() -> None:
    rows, highlights = report(closed(closed(None, 7 * HOUR), 9 * HOUR))
    assert (rows["ID-08"]["mean_h"], rows["ID-08"]["reached"], rows["ID-08"]["within_target"]) == ("8.00", True, 1)
    assert highlights == ["mean time to repair 8.00 h of 2 alerts"]
    rows, highlights = report(closed(closed(None, 7 * HOUR), 9 * HOUR + 1))
    assert (rows["ID-08"]["mean_h"], rows["ID-08"]["reached"]) == ("8.01", False)
    assert highlights[-1] == "ID-08: mean 8.01 h, above the target of 8.00 h"


def test_partitions_and_rules_are_added_up() -> None:
    one = closed(closed(None, HOUR), 3 * HOUR, by="person")
    rows, _ = report(one, closed(closed(None, 5 * HOUR), 100 * HOUR, rule="INV-11"))
    assert [*rows] == ["all", "ID-08", "INV-11"]
    first = rows["ID-08"]
    assert (first["alerts_closed"], first["closed_by_person"], first["mean_ms"]) == (3, 1, 3 * HOUR)
    assert (rows["all"]["alerts_closed"], rows["all"]["longest_ms"]) == (4, 100 * HOUR)


def test_a_closing_older_than_its_opening_took_no_time() -> None:
    rows, _ = report(closed(None, -HOUR))
    assert rows["ID-08"]["mean_ms"] == 0


def test_an_alert_that_nobody_follows_any_more_was_not_repaired_and_is_counted_by_itself() -> None:
    one = closed(closed(closed(None, HOUR), 30 * 24 * HOUR, by="forgotten"), 3 * HOUR)
    rows, highlights = report(one, closed(None, 30 * 24 * HOUR, rule="LOG-01", by="forgotten"))
    first = rows["ID-08"]
    assert (first["alerts_closed"], first["forgotten"], first["mean_h"], first["reached"]) == (2, 1, "2.00", True)
    assert first["longest_ms"] == 3 * HOUR
    nobody = rows["LOG-01"]
    assert (nobody["alerts_closed"], nobody["forgotten"], nobody["mean_h"], nobody["mean_ms"]) == (0, 1, None, None)
    assert (rows["all"]["alerts_closed"], rows["all"]["forgotten"], rows["all"]["mean_ms"]) == (2, 2, 2 * HOUR)
    assert highlights == [
        "mean time to repair 2.00 h of 2 alerts",
        "2 alerts were never seen to, and nobody follows them any more",
    ]


def test_rows_of_before_do_not_tell_of_what_was_forgotten() -> None:
    before = {"ID-08": [1, 1, HOUR, HOUR, 0]}
    rows, _ = report(before, closed(before, 3 * HOUR))
    assert (rows["ID-08"]["alerts_closed"], rows["ID-08"]["forgotten"], rows["ID-08"]["mean_h"]) == (3, 0, "1.67")


def test_nothing_closed_is_an_empty_report() -> None:
    assert report({}) == ({}, [])


def test_a_month_is_one_of_shanghai_and_its_report_comes_on_the_first_of_the_next() -> None:
    assert repair.month_of(calendar.at(2026, 2, 1) - 1) == "2026-01"
    assert repair.month_of(calendar.at(2026, 2, 1)) == "2026-02"
    assert SETTINGS.due("2026-01") == calendar.at(2026, 2, 1, 3)
    assert SETTINGS.due("2026-12") == calendar.at(2027, 1, 1, 3)


@pytest.mark.parametrize("wrong", [{"day": 0}, {"day": 29}, {"hour": 24}, {"target_ms": 0}, {"odd": 1}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    good = {name: getattr(SETTINGS, name) for name in SETTINGS.__slots__}
    assert repair.RepairReports.parse(good) == SETTINGS
    with pytest.raises(ReportError):
        repair.RepairReports.parse({**good, **wrong})
