"""The business day turns at midnight in Shanghai, whatever the machine's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from streams.domain import calendar

EIGHT = timezone(timedelta(hours=8))


def test_a_day_ends_at_sixteen_hundred_utc() -> None:
    edge = int(datetime(2026, 1, 24, 16, tzinfo=UTC).timestamp() * 1000)
    assert calendar.business_date(edge - 1) == date(2026, 1, 24)
    assert calendar.business_date(edge) == date(2026, 1, 25)


@given(st.integers(-2_000_000_000_000, 4_102_444_800_000))
def test_dates_agree_with_a_fixed_offset_of_eight_hours(ms: int) -> None:
    local = datetime.fromtimestamp(ms // 1000, EIGHT)
    assert calendar.business_date(ms) == local.date()
    assert calendar.compact_date(ms) == local.strftime("%Y%m%d")
    start = calendar.day_start(ms)
    assert start <= ms < start + calendar.DAY_MS
    assert calendar.day_number(start) == calendar.day_number(ms)


def test_a_wall_clock_time_becomes_utc_milliseconds() -> None:
    assert calendar.at(2026, 1, 24, 10, 0, 5) == 1_769_220_005_000
