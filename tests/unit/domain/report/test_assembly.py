"""Parts become one report: when all have come, after the grace, and again for late ones."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.report import assembly
from streams.domain.report.settings import period as period_of
from streams.domain.rules import data

pytestmark = pytest.mark.rule("INV-13")
SETTINGS = data.stock_reports()
DAY = calendar.DAY_MS
FIRST = calendar.at(2026, 1, 24, 2)


def part(place: str, day: int = 0, **more: Any) -> dict[str, Any]:
    due = FIRST + day * DAY
    return {"series": "stock", "period": period_of(due), "due": due, "at": due + 5, "place": place, **more}


class Desk:
    """Keeps index and rows as the agent does; `out`: period, places told, places carried with their period; `lost`:
    what each said of parts that came too late."""

    def __init__(self, *, counted: bool = False) -> None:
        self.counted = counted
        self.lost: list[tuple[int, str, str] | None] = []
        self.index: assembly.Index = assembly.EMPTY
        self.rows: dict[str, Any] = {}
        self.out: list[tuple[str, list[str], dict[str, str]]] = []
        self.timers: dict[str, int] = {}

    def told(self, *parts: dict[str, Any]) -> Desk:
        for each in parts:
            self._take(each["period"], assembly.step(self.index, self.rows.get, each, SETTINGS, self.counted))
        return self

    def grace_over(self, day: int = 0) -> Desk:
        period = period_of(FIRST + day * DAY)
        outcome = assembly.waited(self.index, self.rows.get, period)
        if outcome is not None:
            self._take(period, outcome)
        return self

    def _take(self, period: str, outcome: assembly.Outcome) -> None:
        self.index = outcome.index
        for key, value in outcome.writes:
            if value is None:
                del self.rows[key]
            else:
                self.rows[key] = value
        if outcome.grace_over is not None:
            self.timers[period] = outcome.grace_over
        if outcome.again is not None:
            self.timers[outcome.again[0]] = outcome.again[1]
        if outcome.out:
            assert None not in (*outcome.parts.values(), *outcome.carried.values())
            carried = {place: each["period"] for place, each in outcome.carried.items()}
            self.out.append((period, [*outcome.parts], carried))
            self.lost.append(outcome.lost)


def test_the_first_report_waits_for_the_grace_because_nobody_knows_who_will_speak() -> None:
    desk = Desk().told(part("a"), part("b"))
    assert desk.out == []
    assert desk.timers == {"2026-01-24": FIRST + 600_000}
    assert desk.grace_over().out == [("2026-01-24", ["a", "b"], {})]
    assert len(desk.grace_over().out) == 1


def test_a_report_is_complete_as_soon_as_everybody_known_has_spoken() -> None:
    desk = Desk().told(part("a"), part("b")).grace_over()
    desk.told(part("b", 1))
    assert len(desk.out) == 1
    desk.told(part("a", 1))
    assert desk.out[1:] == [("2026-01-25", ["a", "b"], {})]
    assert len(desk.grace_over(1).out) == 2


def test_the_last_word_of_a_silent_partition_stands_in_after_the_grace() -> None:
    desk = Desk().told(part("a"), part("b")).grace_over().told(part("a", 1)).grace_over(1)
    desk.told(part("a", 2)).grace_over(2)
    assert desk.out[1:] == [("2026-01-25", ["a"], {"b": "2026-01-24"}), ("2026-01-26", ["a"], {"b": "2026-01-24"})]


def test_a_late_part_is_added_and_takes_the_place_of_what_stood_in() -> None:
    desk = Desk().told(part("a"), part("b"), part("c")).grace_over().told(part("a", 1)).grace_over(1)
    desk.told(part("b", 1))
    assert desk.out[-1] == ("2026-01-25", ["a", "b"], {"c": "2026-01-24"})
    desk.told(part("b", 1, told="again"))
    assert desk.out[-1] == ("2026-01-25", ["a", "b"], {"c": "2026-01-24"})
    assert desk.rows[assembly.row_key("2026-01-25", "b")]["told"] == "again"


def test_a_part_for_an_earlier_day_leaves_what_stood_in_there() -> None:
    desk = Desk().told(part("a"), part("b"), part("c")).grace_over()
    desk.told(part("a", 1)).grace_over(1).told(part("a", 2), part("b", 2), part("c", 2))
    desk.told(part("b", 1))
    assert desk.out[-1] == ("2026-01-25", ["a", "b"], {"c": "2026-01-24"})


def test_a_new_partition_joins_without_holding_up_the_others() -> None:
    desk = Desk().told(part("a")).grace_over().told(part("a", 1), part("b", 1))
    assert desk.out[1:] == [("2026-01-25", ["a"], {}), ("2026-01-25", ["a", "b"], {})]


def test_rows_of_past_days_go_but_for_what_may_still_be_asked_for() -> None:
    desk = Desk().told(part("a"), part("b")).grace_over()
    for day in range(1, 40):
        desk.told(part("a", day)).grace_over(day)
        assert len(desk.rows) <= SETTINGS.kept_days + 1
    assert desk.out[-1][2] == {"b": "2026-01-24"}
    assert len(desk.index["open"]) == SETTINGS.kept_days


def test_a_part_from_too_long_ago_does_not_replace_a_full_report() -> None:
    desk = Desk().told(part("a"), part("b")).grace_over()
    for day in range(1, 10):
        desk.told(part("a", day), part("b", day))
    before = len(desk.out), dict(desk.rows)
    desk.told(part("a", 2))
    assert (len(desk.out), desk.rows) == before
    desk.told(part("c", 3))
    assert desk.out[-1] == ("2026-01-27", ["a", "b", "c"], {})


def test_the_last_word_of_a_partition_that_is_behind_stands_in_the_newest_report_however_old_it_is() -> None:
    desk = Desk().told(part("a"), part("b")).grace_over()
    for day in range(1, 20):
        desk.told(part("a", day)).grace_over(day)
    assert desk.out[-1] == ("2026-02-12", ["a"], {"b": "2026-01-24"})
    desk.told(part("b", 3), part("b", 5), part("c", 2), part("b", 4))
    assert desk.grace_over(19).out[-1] == ("2026-02-12", ["a"], {"b": "2026-01-29", "c": "2026-01-26"})
    desk.told(part("b", 17)).grace_over(19)
    assert desk.out[-1] == ("2026-02-12", ["a"], {"b": "2026-02-10", "c": "2026-01-26"})
    count = len(desk.out)
    desk.told(part("b", 19)).grace_over(19)
    assert [told for _, told, _ in desk.out[count:]] == [["a", "b"]]


@pytest.mark.rule("ST-07", "DQ-15")
def test_of_parts_that_count_the_newest_report_says_how_many_came_too_late_for_theirs() -> None:
    desk = Desk(counted=True).told(part("a"), part("b")).grace_over()
    for day in range(1, 20):
        desk.told(part("a", day), part("b", day) if day < 10 else part("a", day)).grace_over(day)
    assert desk.out[-1] == ("2026-02-12", ["a"], {"b": "2026-02-02"})
    assert not any(desk.lost)
    desk.told(part("b", 11), part("b", 10), part("b", 12))  # 9, 8 and 7 days behind
    desk.grace_over(19)
    assert desk.out[-1] == ("2026-02-12", ["a"], {"b": "2026-02-05"})
    assert desk.lost[-1] == (3, "2026-02-03", "2026-02-05")
    assert assembly.sentence(desk.lost[-1], SETTINGS) == (
        "3 parts, of 2026-02-03 to 2026-02-05, are in no report: partitions were 7 days behind the others, or more"
    )
    desk.told(part("b", 13), part("b", 19))
    assert desk.out[-1] == ("2026-02-12", ["a", "b"], {})
    assert desk.lost[-1] == (3, "2026-02-03", "2026-02-05")
    desk.told(part("b", 1), part("a", 20), part("b", 20))
    assert [(out[0], lost) for out, lost in zip(desk.out, desk.lost, strict=True)][-1] == ("2026-02-13", None)
    desk.grace_over(19)
    assert (desk.out[-1][0], desk.lost[-1]) == ("2026-02-12", (4, "2026-01-25", "2026-02-05"))


def test_of_parts_whose_last_word_says_it_all_none_is_missed() -> None:
    desk = Desk().told(part("a"), part("b")).grace_over()
    for day in range(1, 20):
        desk.told(part("a", day), part("b", day))
    made = len(desk.out)
    desk.told(part("b", 10)).grace_over(19)
    assert (len(desk.out), any(desk.lost)) == (made, False)
    assert assembly.sentence((1, "2026-01-25", "2026-01-25"), SETTINGS).startswith("1 part, of 2026-01-25, is in no")


@pytest.mark.parametrize("seed", range(20))
def test_however_far_partitions_are_apart_the_newest_report_ends_with_the_last_word_of_each(seed: int) -> None:
    chance = Random(seed)
    queues = {place: [part(place, day) for day in range(30) if chance.random() < 0.6] for place in "abc"}
    desk = Desk()
    wanted = {place: queue[-1]["period"] for place, queue in queues.items()}
    while any(queues.values()):
        place = chance.choice([place for place, queue in queues.items() if queue])
        for _ in range(min(chance.randrange(1, 12), len(queues[place]))):
            desk.told(queues[place].pop(0))
            for period in [*desk.timers]:
                del desk.timers[period]
                outcome = assembly.waited(desk.index, desk.rows.get, period)
                if outcome is not None:
                    desk._take(period, outcome)
    newest = max(period for period, _, _ in desk.out)
    _, told, carried = [entry for entry in desk.out if entry[0] == newest][-1]
    assert {**dict.fromkeys(told, newest), **carried} == wanted


def test_the_order_of_parts_does_not_matter_for_the_last_version() -> None:
    parts = [part("a"), part("b"), part("c"), part("a", 1), part("b", 1)]
    ends = set()
    for order in permutations(parts):
        desk = Desk().told(*order).grace_over().grace_over(1)
        last = {period: told for period, told, _ in desk.out}
        ends.add(str(sorted(last.items())))
    assert ends == {str([("2026-01-24", ["a", "b", "c"]), ("2026-01-25", ["a", "b"])])}
