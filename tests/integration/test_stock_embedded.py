"""`oms stock` against the embedded broker: what was loaded lies in ops, and the books are read from the topics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import Result

from streams import topology
from tests.integration.test_cli_embedded import Oms, broker, oms, pytestmark, rows
from tests.unit.commands.test_stock_check import GUID, HOLDS, RECEIVED, order, row, state

__all__ = ["broker", "oms", "pytestmark"]

Put = Callable[[str, str, dict[str, Any]], None]


@pytest.fixture
def put(broker: str) -> Put:
    codecs = topology.load()
    producer = Producer({"bootstrap.servers": broker.removeprefix("kafka://")})

    def send(topic: str, key: str, value: dict[str, Any]) -> None:
        producer.produce(topic, key=key, value=codecs.encoder(topic)(value))
        assert producer.flush(10) == 0

    return send


def said(result: Result) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.mark.rule("INV-01")
def test_a_file_is_sent_keyed_and_whole_or_not_at_all(oms: Oms, tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("sku,warehouse,quantity\nBAG,HZ,87\nCUP,HZ,x\n")
    assert oms("stock", "load", file).exit_code in (1, 2)
    oms("topics", "apply")
    assert oms("stock", "load", file).exit_code == 1
    assert rows(oms("topics", "read", "ops")) == []
    file.write_text("sku,warehouse,quantity\nBAG,HZ,87\nCUP,HZ,5\n")
    sent = oms("stock", "load", file, "--json")
    assert sent.exit_code == 0, sent.output
    assert said(sent)["sent"] == 2
    read = rows(oms("topics", "read", "ops"))
    assert {each["key"]: json.loads(each["value"]["value"])["quantity"] for each in read} == {"BAG": 87, "CUP": 5}


@pytest.mark.rule("INV-10", "INV-07")
def test_the_books_are_read_from_the_topics_and_a_lasting_difference_is_found(
    oms: Oms,
    put: Put,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.commands.stock_check.BETWEEN_S", 0.3)
    oms("topics", "apply")
    for ledger in (RECEIVED, HOLDS):
        put("stock-ledger", "BAG", ledger)
    put("inventory-states", "BAG", state(held=3, available=84, pools={"HZ": {"sales": 87}}))
    put("order-states", GUID, {**order(GUID, "pending_payment"), "version": 1})
    good = oms("stock", "check")
    assert good.exit_code == 0, good.output
    shown = said(oms("stock", "BAG", "--json"))
    assert [each["units"] for each in shown["held_for"]] == [3]
    assert shown["state"]["available"] == 84

    put("order-states", GUID, {**order(GUID, "pending_payment", "closed"), "version": 2})
    put("stock-ledger", "BAG", row("sales", 1, "received"))
    bad = oms("stock", "check", "--json")
    assert bad.exit_code == 1
    assert [(each["kind"], each["found"] - each["wanted"]) for each in said(bad)["findings"]] == [
        ("level", -1),
        ("order", 3),
    ]
    assert oms("stock", "NONE").exit_code == 1
