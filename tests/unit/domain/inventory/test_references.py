"""What operations set by JSON text: to whom it goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.domain.inventory import references


def said(event_type: str, **value: Any) -> dict[str, Any]:
    return {"event_type": event_type, "event_time": 1, "source": "console", "value": json.dumps(value)}


def routes(fact: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = references.routes(fact)
    assert not isinstance(found, str)
    return [(name, message["set"]) for _, name, message in found]


@pytest.mark.rule("INV-02", "INV-03")
def test_blanks_around_a_name_are_no_part_of_it() -> None:
    ((sku, stock),) = routes(said("reference_set", kind="stock", sku=" BAG", warehouse="hz ", quantity=1))
    assert (sku, stock["warehouse"]) == ("BAG", "hz")
    ((_, quota),) = routes(said("quota_set", sku="BAG", channel="douyin\n", quota=1))
    assert quota["channel"] == "douyin"
    flash = routes(said("activity_set", activity=" flash ", skus=["BAG ", "BAG", "CUP"], starts_at=1, ends_at=2))
    assert [(sku, activity["activity"]) for sku, activity in flash] == [("BAG", "flash"), ("CUP", "flash")]


@pytest.mark.rule("INV-02")
def test_a_blank_name_is_wrong() -> None:
    blank = said("reference_set", kind="stock", sku=" ", warehouse="hz", quantity=1)
    assert references.routes(blank) == "value has a sku that is not a text"
