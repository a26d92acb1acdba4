"""The contract's example through all agents: one order, five events out of order, its payment named by code alone."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams import agents, topology
from streams.agents.orders import AuditRaw, make
from streams.engine.local import LocalRunner
from tests.scenarios.play import Played, Record, feed, new_runner, play, records

REFERENCE = Path(os.environ.get("OMS_REFERENCE") or Path(__file__).resolve().parents[3] / "shared")
TXN = "4200001234202601240000000001"
ORDER = "6921234567890"


def at(text: str) -> int:
    """ms of a day and time of January 2026 in Shanghai."""
    moment = datetime.fromisoformat(f"2026-01-{text}").replace(tzinfo=timezone(timedelta(hours=8)))
    return int(moment.timestamp() * 1000)


def line(topic: str, event_id: str, event_type: str, when: str, source: str, **fields: Any) -> dict[str, Any]:
    event = {"event_id": event_id, "event_type": event_type, "event_time": at(when), "source": source}
    return {"topic": topic, "value": {**event, **fields}}


GOODS = {"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}
NAMES = {"channel": "douyin", "order_no": ORDER}
MONEY = {"amount_minor": 9900, "currency": "CNY"}
TOTAL = {"total_minor": 9900, "currency": "CNY"}
ZTO = {"waybill_no": "ZTO731", "courier": "zto"}
PARCEL = {"waybill_no": "ZTO731", "package_id": "PK1", "warehouse": "hz"}

PAID = line("payments", "p-1", "payment_succeeded", "24 10:00:05", "wechatpay", platform_txn_no=TXN, **MONEY)
CREATED = line(
    "orders",
    "o-1",
    "order_created",
    "24 10:00:00",
    "douyin",
    **NAMES,
    platform_txn_no=TXN,
    customer_id="c-1",
    lines=[GOODS],
    **TOTAL,
)
LOADED = line("wms", "w-1", "loaded", "24 15:30:00", "wms-hz", **NAMES, **PARCEL)
SIGNED = line("couriers", "c-2", "signed", "26 09:12:00", "zto", **ZTO, raw_status="门卫代收")
PICKED_UP = line("couriers", "c-1", "picked_up", "24 18:00:00", "zto", **ZTO, raw_status="201")
LINES = [PAID, CREATED, LOADED, SIGNED, PICKED_UP]


@pytest.fixture
def events(tmp_path: Path) -> list[Record]:
    path = tmp_path / "example.jsonl"
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in LINES))
    return records(path)


def check(run: Played) -> None:
    (state,) = run.states.values()
    assert (state["state"], state["node"], state["flags"]) == ("logistics_signed", "awaiting_confirm", [])
    assert (state["paid_minor"], state["total_minor"], state["refunded_minor"]) == (9900, 9900, 0)
    assert (state["codes"]["platform_txn_no"], state["codes"]["waybills"]) == (TXN, ["ZTO731"])
    assert state["entered_at"] == {
        "pending_payment": at("24 10:00:00"),
        "paid": at("24 10:00:05"),
        "shipped": at("24 15:30:00"),
        "logistics_signed": at("26 09:12:00"),
    }
    assert state["order_guid"].startswith("DB20260124")
    assert len(state["order_guid"]) == 22
    assert len(state["codes"]["alias18"]) == 18
    assert sorted(state["claims"]) == ["wechatpay", "wms-hz", "zto"]
    events = [(event["event"], event["sign_type"]) for event in run.output("order-events")]
    assert sorted(events, key=str) == sorted(
        [("created", None), ("paid", None), ("shipped", None), ("signed", "logistics")], key=str
    )
    assert len(run.output("audit-log")) == 5
    assert not run.dead


@pytest.mark.rule("ST-01")
@pytest.mark.rule("ST-06")
@pytest.mark.rule("ST-12")
def test_the_example_ends_as_told(events: list[Record]) -> None:
    run = play(events)

    check(run)
    assert [event["event"] for event in run.output("order-events")] == ["created", "paid", "shipped", "signed"]
    assert [(row["event_id"], row["decision"]) for row in run.audit(ORDER)] == [
        ("o-1", "accepted"),
        ("p-1", "accepted"),
        ("w-1", "accepted"),
        ("c-2", "accepted"),
        ("c-1", "filled_in"),
    ]


def test_the_reference_file_says_the_same() -> None:
    path = REFERENCE / "example" / "one-order.jsonl"
    if not path.is_file():
        pytest.skip("reference data not at hand (set OMS_REFERENCE)")
    check(play(records(path)))


@pytest.mark.rule("ST-05")
def test_all_120_orders_of_arrival_end_in_the_same_state(events: list[Record]) -> None:
    registry = topology.load()

    def final(arrived: tuple[Record, ...]) -> dict[str, Any]:
        run = Played(feed(LocalRunner(agents.ALL, registry, partitions=1), arrived))
        check(run)
        return {**run.states[ORDER], "version": 0}

    ends = [final(arrived) for arrived in permutations(events)]

    assert len(ends) == 120
    assert all(end == ends[0] for end in ends)


@pytest.mark.rule("DQ-13")
def test_the_state_comes_back_from_the_changelog_alone(events: list[Record]) -> None:
    runner = feed(new_runner(), events[:3])
    runner.crash(0, lose_stores=True)

    check(Played(feed(runner, events[3:])))


@pytest.mark.rule("DQ-13")
@pytest.mark.rule("ST-06")
def test_the_audit_keeps_the_payload_its_hash_or_nothing(events: list[Record]) -> None:
    def raws(audit_raw: AuditRaw) -> list[Any]:
        flow = [make(audit_raw) if agent.name == "orders" else agent for agent in agents.ALL]
        run = Played(feed(LocalRunner(flow, topology.load()), events))
        return [row["raw"] for row in run.output("audit-log")]

    kept, hashed, dropped = raws("keep"), raws("hash"), raws("drop")

    assert [orjson.loads(raw)["event_id"] for raw in kept] == ["o-1", "p-1", "w-1", "c-2", "c-1"]
    assert hashed == [f"sha256:{sha256(raw.encode()).hexdigest()}" for raw in kept]
    assert dropped == [None] * 5


@pytest.mark.rule("DQ-13")
def test_the_senders_own_text_is_what_the_audit_keeps(tmp_path: Path) -> None:
    raw = '{"trade":"<原文>"}'
    path = tmp_path / "raw.jsonl"
    path.write_bytes(orjson.dumps({**CREATED, "value": {**CREATED["value"], "raw": raw}}))

    assert [row["raw"] for row in play(records(path)).output("audit-log")] == [raw]


def test_a_fact_about_an_order_nobody_created_goes_to_the_dead_letters() -> None:
    runner = new_runner()
    fact = {**PAID["value"], "topic": "payments", "digest": 1, "order_guid": "DB20260124AAAAAAAAAAAA"}
    runner.send("order-facts", fact, fact["order_guid"])
    runner.run()

    letters = [value for _, value in runner.output("dead-letters")]
    assert [(one["topic"], one["stage"]) for one in letters] == [("order-facts", "rule")]
    assert "never created" in letters[0]["error"]
    assert runner.output("order-states") == []
