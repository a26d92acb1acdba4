"""DQ-15: the share of records that could be joined, by source."""

from __future__ import annotations

import pytest

from streams.domain.report import lineage


@pytest.mark.rule("DQ-15")
def test_of_too_many_sources_the_rest_is_counted_together() -> None:
    rows = [(lineage.key(7, f"s{number}"), 1) for number in range(5)]
    assert lineage.counts(rows, 3) == {"s0": 1, "s1": 1, "s2": 1, "*": 2}
