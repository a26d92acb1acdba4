"""Settings of the quality reports, and the small sums they are made of."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from streams.domain import alert, calendar
from streams.domain.quality import look, record
from streams.domain.quality.row import observe
from streams.domain.quality.settings import QualityReports
from streams.domain.report.record import percent
from streams.domain.report.settings import ReportError
from streams.domain.rules import data
from streams.domain.rules.data import FOLDER

SETTINGS = data.quality_reports()
DOCUMENT = json.loads((FOLDER / "reports.json").read_text(encoding="utf-8"))["quality"]


@pytest.mark.rule("ST-07")
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"hour": 24}, "hour"),
        ({"grace_ms": 0}, "out of range"),
        ({"grace_ms": calendar.DAY_MS}, "out of range"),
        ({"rows_per_step": 0}, "out of range"),
        ({"rows_per_step": 100_001}, "too many"),
        ({"forget_days": 7}, "forget_days"),
        ({"differing_per_1000": 1001}, "a limit"),
        ({"tolerance_ms": -1}, "a limit"),
        ({"lag_ms": "300000"}, "a number"),
        ({"ages_ms": [2, 1]}, "rise"),
        ({"ages_ms": []}, "rise"),
        ({"ages_ms": 5}, "quality reports"),
        ({"more": 1}, "more"),
    ],
)
def test_a_number_that_cannot_be_is_named(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ReportError, match=text):
        QualityReports.parse({**DOCUMENT, **wrong})


@pytest.mark.rule("ST-07")
def test_a_missing_number_is_named() -> None:
    with pytest.raises(ReportError, match="ages_ms"):
        QualityReports.parse({name: value for name, value in DOCUMENT.items() if name != "ages_ms"})


@pytest.mark.rule("ST-07")
def test_a_day_is_reported_at_nine_of_the_next_and_sees_what_was_said_until_then() -> None:
    day = calendar.day_number(calendar.at(2026, 1, 23))
    nine = calendar.at(2026, 1, 24, 9)
    assert SETTINGS.due(day) == nine
    assert [SETTINGS.first_day(nine + more) for more in (-1, 0, 1)] == [day, day, day + 1]


@pytest.mark.rule("LOG-12")
def test_lags_are_whole_seconds_rounded_up_and_of_three_digits() -> None:
    assert [look.rounded_s(ms) for ms in (0, 1, 300_000, 300_001, 999_000)] == [0, 1, 300, 301, 999]
    assert [look.rounded_s(seconds * 1000) for seconds in (1000, 1001, 9990, 9991, 40_680)] == [
        1000, 1010, 9990, 10_000, 40_700,
    ]  # fmt: skip


@pytest.mark.rule("ST-03")
def test_of_too_many_codes_the_rest_is_counted_together() -> None:
    settings = replace(SETTINGS, listed=2)
    day = 20_476
    seen = look.begin([day], 0, settings)
    while seen["tasks"][0][0] != "codes":
        seen, _ = look.step(seen, [], False, lambda guid: None, settings)
    rows = [(f"{day:07d}\0{n}", [n, ["orders", "shop", None, None, f"word {n}"]]) for n in range(5)]
    seen, _ = look.step(seen, rows, False, lambda guid: None, settings)
    counts = seen["parts"][str(day)]["codes"]
    assert [entry[0] for entry in counts.values()] == [1, 1, 3]
    assert counts[look.OTHERS] == [3, 2, 4]


@pytest.mark.rule("ST-07")
def test_a_rate_just_above_its_limit_does_not_look_as_if_it_were_at_it() -> None:
    assert [percent(part, 100_000) for part in (0, 299, 300, 301)] == ["0.00", "0.30", "0.30", "0.31"]
    assert percent(0, 0) == "0.00"


@pytest.mark.rule("FIN-14")
def test_age_classes_are_named_by_their_ends() -> None:
    assert record.age_classes(SETTINGS) == ["up to 1 d", "over 1 d to 3 d", "over 3 d to 7 d", "over 7 d"]
    hours = QualityReports.parse({**DOCUMENT, "ages_ms": [90_000, 14_400_000]})
    assert record.age_classes(hours) == ["up to 90 s", "over 90 s to 4 h", "over 4 h"]


@pytest.mark.rule("ST-07")
def test_an_alert_is_told_once_and_a_report_of_a_day_before_wakes_nobody() -> None:
    def found(period: str, *over: str) -> list[dict[str, Any]]:
        about = {"report_id": f"ST-07/{period}", "name": "ST-07", "period": period, "generated_at": 5}
        return [{**about, "rows": "[]", "highlights": ["sums", *over]}]

    def said(sends: list[record.Send]) -> list[tuple[str, str]]:
        return [(finding["do"], key) for _, key, finding in sends]

    sends, told = record.tell(found("2026-01-23", "a"), None, SETTINGS)
    assert said(sends) == [("open", "ST-07/2026-01-23")]
    assert record.tell(found("2026-01-23", "a"), told, SETTINGS) == ([], told)
    assert record.tell(found("2026-01-22", "b"), told, SETTINGS) == ([], told)
    assert said(record.tell(found("2026-01-23"), told, SETTINGS)[0]) == [("close", "ST-07/2026-01-23")]
    sends, told = record.tell(found("2026-01-24", "a"), told, SETTINGS)
    assert said(sends) == [("close", "ST-07/2026-01-23"), ("open", "ST-07/2026-01-24")]
    sends, told = record.tell(found("2026-01-25"), told, SETTINGS)
    assert said(sends) == [("close", "ST-07/2026-01-24")]
    assert record.tell(found("2026-01-26"), told, SETTINGS)[0] == []


@pytest.mark.rule("ST-07")
def test_what_the_title_says_stays_true_when_the_report_is_told_again() -> None:
    row, told = None, None
    for over in (["a: 0.40 % (4 of 1000 orders)"], ["a: 0.40 % (4 of 1000 orders)", "b: 50.00 % (1 of 2 orders)"]):
        about = {"report_id": "ST-07/2026-01-23", "name": "ST-07", "period": "2026-01-23", "generated_at": 5}
        sends, told = record.tell([{**about, "rows": "[]", "highlights": ["sums", *over]}], told, SETTINGS)
        for _, _, finding in sends:
            row = alert.step(row, finding, data.alert_policies())
    assert row is not None
    assert row["title"] == "state consistency 2026-01-23: channels above 0.3 %"
    assert (row["detail"], row["count"]) == ("; ".join(over), 2)


T0 = calendar.at(2026, 1, 23, 12)


def told(topic: str, event_type: str, at: int, source: str, **more: Any) -> dict[str, Any]:
    about = {"order_guid": "G", "event_id": f"{event_type} {at}", "event_time": T0 + at, "channel": source}
    return {**about, "topic": topic, "event_type": event_type, "source": source, **more}


def word(source: str, field: str | None, code: str, at: int) -> dict[str, Any]:
    found = data.status_maps().find("orders", (source,), field, code)
    return told("orders", "status_changed", at, source, raw_status=code, mapped=found)


def differing(*facts: dict[str, Any]) -> list[tuple[str, str]]:
    row: Any = None
    for fact in facts:
        row = observe(row, fact, T0, lambda name: False, SETTINGS).row
    return look.differing(row, calendar.day_number(T0), SETTINGS)


@pytest.mark.rule("ST-07")
@pytest.mark.parametrize(
    "words",
    [
        [word("taobao", None, "SELLER_CONSIGNED_PART", 1_000)],
        [word("shopify", "displayFulfillmentStatus", "PARTIALLY_FULFILLED", 1_000)],
        [
            word("shopify", "displayFulfillmentStatus", "FULFILLED", 1_000),
            word("shopify", "displayFinancialStatus", "PAID", 2_000),
        ],
    ],
)
def test_money_in_a_field_of_its_own_and_parcels_partly_sent_contradict_no_warehouse(words: list[Any]) -> None:
    loaded = told("wms", "loaded", 500, "wms-hz")
    for said in permutations([loaded, *words]):
        assert differing(*said) == []


@pytest.mark.rule("ST-07")
@pytest.mark.parametrize(
    ("field", "code"), [("displayFinancialStatus", "PAID"), ("displayFulfillmentStatus", "UNFULFILLED")]
)
def test_a_shop_that_shows_nothing_of_what_left_is_behind_the_warehouse(field: str, code: str) -> None:
    loaded = told("wms", "loaded", 500, "wms-hz")
    assert differing(loaded, word("shopify", field, code, 1_000)) == [("shopify", "wms-hz")]
