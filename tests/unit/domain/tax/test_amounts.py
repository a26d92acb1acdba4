"""Amounts: split below a cap, tax within, what a refund takes back; pace of an interface, and its failures."""

from __future__ import annotations

import pytest

from streams.domain import calendar
from streams.domain.rules import data
from streams.domain.tax import pace, rate
from streams.domain.tax.reds import allocate, overpaid
from streams.domain.tax.split import Line, greedy, tax_within

SETTINGS = data.tax()
T0 = calendar.at(2026, 1, 20, 9)


def lines(*amounts: int, quantity: int | None = 1) -> list[Line]:
    return [Line("G", number, "S", quantity, amount) for number, amount in enumerate(amounts, 1)]


def amounts(parts: list[list[Line]]) -> list[list[int]]:
    return [[line.amount for line in part] for part in parts]


@pytest.mark.rule("TAX-06")
@pytest.mark.parametrize(
    ("given", "cap", "expected"),
    [
        ([1_000_000], 1_000_000, [[1_000_000]]),
        ([600_000, 500_000, 20_000], 1_000_000, [[600_000], [500_000, 20_000]]),
        ([600_000, 400_000, 1], 1_000_000, [[600_000, 400_000], [1]]),
        ([1_000_001], 1_000_000, [[1_000_000], [1]]),
        ([0, 5, 0], 10, [[5]]),
        ([], 10, []),
    ],
)
def test_lines_are_kept_whole_and_in_order(given: list[int], cap: int, expected: list[list[int]]) -> None:
    assert amounts(greedy(lines(*given), cap)) == expected


@pytest.mark.rule("TAX-06")
def test_a_line_above_the_cap_is_cut_into_units_where_one_fits() -> None:
    parts = greedy(lines(700, quantity=7), 250)
    assert [[(line.quantity, line.amount) for line in part] for part in parts] == [
        [(2, 200)], [(2, 200)], [(2, 200)], [(1, 100)]
    ]  # fmt: skip
    assert [[(line.quantity, line.amount) for line in part] for part in greedy(lines(700, quantity=2), 250)] == [
        [(None, 250)], [(None, 250)], [(None, 200)]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "rate_", "tax"), [(11300, 1300, 1300), (10000, 1300, 1150), (10000, 0, 0), (1, 1300, 0), (5, 1300, 1)]
)
def test_the_tax_in_an_amount_is_rounded_half_up(amount: int, rate_: int, tax: int) -> None:
    assert tax_within(amount, rate_) == tax


@pytest.mark.rule("TAX-09")
@pytest.mark.parametrize(
    ("amount", "line_no", "takes", "over"),
    [
        (30, 1, [30, 0, 0], 0),
        (66, 1, [60, 4, 2], 0),
        (80, None, [40, 27, 13], 0),
        (130, 2, [60, 40, 20], 10),
        (5, 9, [2, 2, 1], 0),
    ],
)
def test_a_refund_takes_its_line_first_and_the_rest_in_proportion(
    amount: int, line_no: int | None, takes: list[int], over: int
) -> None:
    assert allocate(amount, line_no, [(1, 60), (2, 40), (3, 20)]) == (takes, over)


@pytest.mark.rule("TAX-09")
def test_what_was_overpaid_goes_back_once() -> None:
    assert overpaid(120, 100, {}) == 20
    assert overpaid(120, 100, {"one": 15}) == 5
    assert overpaid(100, 100, {}) == overpaid(500, None, {}) == 0


@pytest.mark.rule("TAX-11")
def test_five_calls_in_any_second() -> None:
    assert pace.next_call([T0, T0 + 1, T0 + 2, T0 + 3], T0 + 4, 5) == T0 + 4
    assert pace.next_call([T0, T0 + 1, T0 + 2, T0 + 3, T0 + 4], T0 + 999, 5) == T0 + 1000
    assert pace.next_call([T0, T0 + 1, T0 + 2, T0 + 3, T0 + 4], T0 + 1000, 5) == T0 + 1000
    assert pace.next_call([T0 + 9_999_999] * 9, T0, 5) == T0, "the clock was set back"


def test_waits_grow_twofold_up_to_five_minutes() -> None:
    assert [pace.wait_ms(attempts) for attempts in (1, 2, 3, 9, 10, 99)] == [
        1_000, 2_000, 4_000, 256_000, 300_000, 300_000
    ]  # fmt: skip
    assert [pace.wait_ms(1, asked) for asked in (0, 30_000, 10**9)] == [1_000, 30_000, 3_600_000]


@pytest.mark.rule("TAX-16")
@pytest.mark.parametrize(("failures", "told"), [(1, False), (2, True)])
def test_more_than_one_percent_of_a_day(failures: int, told: bool) -> None:
    row, found = None, []
    for number in range(100):
        row, more = rate.count(row, T0 + number, f"E{number}" if number < failures else None, SETTINGS)
        found += more
    assert row is not None
    assert not found, "too few to be judged before the day is over, or not the last"
    assert rate.ends_at(row) == calendar.at(2026, 1, 21)
    row, found = rate.over(row, rate.ends_at(row), SETTINGS)
    assert [(name, said["do"]) for name, said in found] == ([("rate", "open")] if told else [])
    row, _ = rate.count(row, calendar.at(2026, 1, 21, 8), None, SETTINGS)
    _, found = rate.over(row, rate.ends_at(row), SETTINGS)
    assert [(name, said["do"]) for name, said in found] == ([("rate", "close")] if told else [])


@pytest.mark.rule("TAX-16")
def test_a_bad_day_is_told_while_it_lasts_and_once() -> None:
    row, found = None, []
    for number in range(200):
        row, more = rate.count(
            row, T0 + number * 600_000 // 200, f"E{number % 9}" if number % 50 == 49 else None, SETTINGS
        )
        found += more
    assert [(name, said["detail"]) for name, said in found] == [("rate", "2 of 100 requests of the day failed")]


@pytest.mark.rule("TAX-16")
@pytest.mark.parametrize(
    ("times", "told"),
    [
        ((0, 1, 599_999), 1),
        ((0, 1, 600_000), 0),
        ((599_999, 0, 1), 1),
        ((0, 1), 0),
        ((0, 900_000, 300_000, 599_999), 1),
        ((900_000, 0, 1, 2), 1),
        ((900_000, 0, 1, 600_001), 0),
        ((0, 599_999, 1_199_998), 0),
    ],
)
def test_three_times_the_same_error_within_ten_minutes(times: tuple[int, ...], told: int) -> None:
    row, found = None, []
    for at in times:
        row, more = rate.count(row, T0 + at, "busy", SETTINGS)
        row, other = rate.count(row, T0 + at, "other" if at == 0 else None, SETTINGS)
        found += more + other
    assert [name for name, _ in found] == ["busy"] * told
