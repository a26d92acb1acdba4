"""The bundled sample: what it holds, and that it can be made again from the source."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from streams.convert.sample import KINDS, SIZE, TARGET, choose, main, sample, survey


@pytest.fixture(scope="module")
def bundled() -> list[dict[str, Any]]:
    with gzip.open(TARGET, "rt", encoding="utf-8") as lines:
        return [json.loads(entry) for entry in lines]


def test_the_sample_is_small_and_carries_its_attribution() -> None:
    assert TARGET.stat().st_size < 1_000_000
    text = (TARGET.parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "Olist" in text
    assert "MIT" in text


def test_the_sample_has_a_thousand_orders_and_every_status(bundled: list[dict[str, Any]]) -> None:
    created = [entry for entry in bundled if entry["value"]["event_type"] == "order_created"]
    assert len(created) == SIZE
    statuses = {entry["value"]["raw_status"] for entry in bundled if "raw_status" in entry["value"]}
    assert statuses == {"approved", "canceled", "delivered", "invoiced", "processing", "unavailable"}
    types = {entry["value"]["event_type"] for entry in bundled}
    assert types == {"order_created", "payment_succeeded", "picked_up", "signed", "status_changed"}


def test_the_sample_names_no_person(bundled: list[dict[str, Any]]) -> None:
    for entry in bundled:
        assert {"ip", "operator"}.isdisjoint(entry["value"])
        assert set(entry["value"].get("address", {})) <= {"province", "city"}


def test_every_kind_of_disorder_is_chosen(reference: Path) -> None:
    marks_of, full = survey(reference / "olist")
    chosen = choose(marks_of, full)
    for name, quota, matches in KINDS:
        there = sum(matches(marks) for marks in marks_of.values())
        assert sum(matches(marks_of[order_id]) for order_id in chosen) >= min(quota, there), name
        assert there, name


def test_the_bundled_file_is_what_the_source_gives(reference: Path, bundled: list[dict[str, Any]]) -> None:
    assert sample(reference / "olist") == bundled


def test_wrong_use_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main([str(tmp_path)]) == 2
    assert "no table of orders" in capsys.readouterr().err
