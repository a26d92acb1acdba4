"""FIN-11: months, and the keys by which a closing reaches every partition."""

from __future__ import annotations

import pytest

from streams.agents.intake import _keys
from streams.domain import calendar
from streams.domain.ledger import periods
from streams.engine.partitioner import partition_of


@pytest.mark.rule("FIN-11")
@pytest.mark.parametrize("partitions", range(1, 65))
def test_the_keys_of_a_closing_fall_on_every_partition(partitions: int) -> None:
    assert {partition_of(key.encode(), partitions) for key in periods.KEYS} == {*range(partitions)}
    keys = _keys(partitions)
    assert sorted(partition_of(key.encode(), partitions) for key in keys) == [*range(partitions)]
    assert keys[0] == periods.KEYS[0]


@pytest.mark.rule("FIN-11")
def test_a_month_is_one_of_shanghai() -> None:
    begins = calendar.at(2026, 2, 1)
    assert [periods.label_of(periods.month_at(at)) for at in (begins - 1, begins)] == ["2026-01", "2026-02"]
    assert periods.label_of(periods.month_at(calendar.at(2025, 12, 31)) + 1) == "2026-01"
    for label in ("2026-01", "2026-12", "0001-01"):
        month = periods.month_of(label)
        assert month is not None
        assert periods.label_of(month) == label
        assert periods.month_at(periods.begins_at(month)) == month


@pytest.mark.rule("FIN-11")
@pytest.mark.parametrize("label", ["", "2026", "2026-1", "2026-00", "2026-13", "0000-01", "2026-01-01", "２０２６-01"])
def test_what_is_no_month_is_none(label: str) -> None:
    assert periods.month_of(label) is None
    assert periods.refusal(label, calendar.at(2026, 2, 1)) == "period is not written as YYYY-MM"


@pytest.mark.rule("FIN-11")
def test_a_month_may_be_closed_from_its_first_moment() -> None:
    begins = calendar.at(2026, 2, 1)
    assert periods.refusal("2026-02", begins) is None
    assert periods.refusal("2026-02", begins - 1) is not None
