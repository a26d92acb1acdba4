"""The daily stock reports through all agents: at their hour of event time, whole, and the same bytes each time."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams import agents, topology
from streams.domain import calendar
from streams.domain.inventory import reconcile
from streams.domain.report.settings import StockReports
from streams.domain.rules import data
from streams.engine.local import Crash, LocalRunner
from tests.scenarios.play import Played, run

CODECS = topology.load()
NOON = calendar.at(2026, 1, 23, 12)
TWO = calendar.at(2026, 1, 24, 2)
DAY = calendar.DAY_MS
SKUS = [f"SKU-{number}" for number in range(40)]


def new_runner(**options: Any) -> LocalRunner:
    return LocalRunner(agents.ALL, CODECS, **options)


class Warehouse:
    """Says things to a runner; event ids follow from their number."""

    def __init__(self, runner: LocalRunner) -> None:
        self.runner = runner
        self.said = 0

    def wms(self, event_type: str, sku: str, quantity: int, at: int, warehouse: str = "HZ") -> None:
        value = {"event_type": event_type, "sku": sku, "warehouse": warehouse, "quantity": quantity}
        self._say("wms", "wms-hz", at, sku, **value)

    def shows(self, channel: str, sku: str, quantity: int, at: int) -> None:
        told = {"kind": "channel_stock", "channel": channel, "sku": sku, "quantity": quantity}
        self._say("ops", "erp", at, sku, event_type="reference_set", channel=channel, value=json.dumps(told))

    def _say(self, topic: str, source: str, at: int, key: str, **value: Any) -> None:
        self.said += 1
        self.runner.send(topic, {"event_id": f"e{self.said}", "event_time": at, "source": source, **value}, key)
        run(self.runner)


def a_day(runner: LocalRunner) -> Warehouse:
    """40 SKUs come in at noon; in the evening HZ counts ten of them, one wrong; a channel shows one wrong figure."""
    house = Warehouse(runner)
    for sku in SKUS:
        house.wms("stock_received", sku, 10, NOON)
    for sku in SKUS[:10]:
        house.wms("stock_snapshot", sku, 9 if sku == "SKU-3" else 10, NOON + 8 * calendar.HOUR_MS)
    house.shows("tmall", "SKU-7", 12, NOON + 9 * calendar.HOUR_MS)
    house.shows("tmall", "SKU-8", 10, NOON + 9 * calendar.HOUR_MS)
    return house


def reports(runner: LocalRunner) -> dict[str, dict[str, Any]]:
    """The last version of each."""
    last = {str(key): value for key, value in runner.output("reports")}
    assert all(key == value["report_id"] for key, value in last.items())
    return last


@pytest.mark.rule("INV-13", "INV-16")
def test_at_two_in_the_morning_all_partitions_tell_and_one_report_of_each_kind_comes_out() -> None:
    runner = new_runner()
    a_day(runner)
    runner.advance(TWO - 1)
    assert not runner.output("report-facts")
    runner.advance(TWO)
    assert len(runner.output("report-facts")) == runner.log.partitions
    assert not reports(runner)
    runner.advance(TWO + 600_000)
    found = reports(runner)
    assert [*found] == ["INV-13/2026-01-24", "INV-16/2026-01-24"]
    difference, accuracy = found.values()
    assert [(row["sku"], row["side"], row["ours"], row["theirs"]) for row in json.loads(difference["rows"])] == [
        ("SKU-3", "wms", 10, 9),
        ("SKU-7", "channel", 10, 12),
    ]
    assert difference["highlights"] == [
        "2 differences in 12 figures of 40 SKUs",
        "stock owner: 2 to follow up",
    ]
    assert difference["generated_at"] == TWO + 600_000
    assert [row["accuracy"] for row in json.loads(accuracy["rows"])] == ["90.00", "90.00"]
    assert accuracy["highlights"][0] == "accuracy 90.00 % over all warehouses, below the target of 99.5 %"


@pytest.mark.rule("INV-13")
def test_the_next_day_the_report_comes_as_soon_as_the_last_partition_has_told() -> None:
    runner = new_runner()
    house = a_day(runner)
    runner.advance(TWO + 600_000)
    for sku in SKUS:
        house.wms("stock_received", sku, 1, NOON + DAY)
    runner.advance(TWO + DAY + 1_000)
    found = reports(runner)["INV-13/2026-01-25"]
    assert found["generated_at"] < TWO + DAY + 1_000
    assert [(row["sku"], row["side"]) for row in json.loads(found["rows"])] == [("SKU-7", "channel")]
    assert "INV-16/2026-01-25" not in reports(runner)


@pytest.mark.rule("INV-13")
def test_years_without_events_set_off_no_timers_and_an_open_difference_is_carried_over_them() -> None:
    runner = new_runner()
    house = a_day(runner)
    runner.advance(TWO + 20 * 365 * DAY)
    assert len(runner.output("report-facts")) == runner.log.partitions
    later = NOON + 20 * 365 * DAY + DAY
    house.wms("stock_received", "SKU-8", 1, later)
    runner.advance(later + DAY)
    assert len(runner.output("report-facts")) == runner.log.partitions + 1
    last = [*reports(runner).values()][-1]
    assert last["period"] == (datetime(2026, 1, 25, tzinfo=UTC) + timedelta(days=20 * 365)).date().isoformat()
    assert [(row["sku"], row["side"]) for row in json.loads(last["rows"])] == [("SKU-7", "channel")]
    assert last["highlights"][-1] == "7 partitions told nothing new: theirs is of 2026-01-24 or later"


@pytest.mark.rule("INV-13")
def test_a_channel_that_shows_the_right_figure_closes_its_difference() -> None:
    runner = new_runner()
    house = a_day(runner)
    runner.advance(TWO + 600_000)
    house.shows("tmall", "SKU-7", 10, NOON + DAY)
    runner.advance(TWO + DAY + 600_000)
    assert json.loads(reports(runner)["INV-13/2026-01-25"]["rows"]) == []


@pytest.mark.rule("INV-13", "INV-16")
@pytest.mark.parametrize("counted", [-60_000, 0], ids=["before the hour, told after it", "at the hour"])
def test_a_count_that_is_told_when_the_report_is_made_is_in_the_next_one(counted: int) -> None:
    runner = new_runner()
    house = a_day(runner)
    runner.advance(TWO + 120_000 if counted else TWO)
    house.wms("stock_snapshot", "SKU-5", 7, TWO + counted)
    runner.advance(TWO + DAY)
    house.wms("stock_received", "SKU-6", 1, TWO + DAY + 1)
    runner.advance(TWO + 2 * DAY + 600_000)
    differ = {name: json.loads(report["rows"]) for name, report in reports(runner).items() if name.startswith("INV-13")}
    told = {name: [row["sku"] for row in rows if row["side"] == "wms"] for name, rows in differ.items()}
    assert told == {"INV-13/2026-01-24": ["SKU-3"], "INV-13/2026-01-25": ["SKU-5"], "INV-13/2026-01-26": []}
    assert json.loads(reports(runner)["INV-16/2026-01-25"]["rows"])[0]["skus_counted"] == 1


@pytest.mark.rule("INV-13")
def test_two_runs_give_the_same_bytes_and_so_does_a_worker_that_dies() -> None:
    died = 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if agent in ("inventory", "reports") and step in ("commit", "persist") and died < 40:
            died += 1
            if died % 3 == 0:
                raise Crash

    def played(**options: Any) -> dict[str, Any]:
        runner = new_runner(**options)
        a_day(runner)
        for end in (TWO, TWO + 600_000, TWO + DAY):
            while True:
                try:
                    runner.advance(end)
                    break
                except Crash:
                    continue
        return Played(runner).bytes()

    plain = played()
    assert len(plain["reports"]) == 2
    assert played() == plain
    assert played(fault=fault)["reports"] == plain["reports"]
    assert died == 40


@pytest.mark.rule("INV-13")
def test_a_partition_of_many_skus_is_looked_through_in_steps_and_tells_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def facts(per_step: int) -> list[dict[str, Any]]:
        known = {name: getattr(data.stock_reports(), name) for name in StockReports.__slots__}
        small = StockReports(**{**known, "skus_per_step": per_step})
        monkeypatch.setattr(sys.modules["streams.agents.inventory"], "_REPORTS", small)
        runner = new_runner(partitions=2)
        a_day(runner)
        runner.advance(TWO + 600_000)
        assert not runner.table("inventory", reconcile.TABLE)
        told = [value for _, value in runner.output("report-facts")]
        assert all(value["at"] >= TWO + value["skus"] // per_step for value in told)
        return sorted(({**value, "at": 0} for value in told), key=lambda value: str(value["place"]))

    assert facts(3) == facts(20) == facts(10_000)
