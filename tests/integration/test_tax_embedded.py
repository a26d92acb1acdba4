"""`oms tax run` against the embedded broker: requests read once over restarts, answers on the topic `tax`."""

from __future__ import annotations

import json
from pathlib import Path

from confluent_kafka import Producer

from streams import topology
from streams.tax.fake import FakeTax, serving
from tests.integration.test_cli_embedded import Oms, broker, oms, pytestmark
from tests.unit.commands.test_cli import one_line
from tests.unit.tax.desk import request

__all__ = ["broker", "oms", "pytestmark"]

EMPTY = {
    "invoice_id": "G/1", "invoice_kind": "normal", "buyer_type": "enterprise", "buyer_name": "云帆", "place": "",
    "lines": [], "tax_minor": 0, "currency": "CNY", "order_guids": ["G"], "waybills": [], "related": [],
    "at": 1_769_000_000_000,
}  # fmt: skip


def ask(broker: str, *names: str) -> None:
    encode = topology.load().encoder("tax-requests")
    producer = Producer({"bootstrap.servers": broker.removeprefix("kafka://")})
    for name in names:
        producer.produce("tax-requests", encode({**EMPTY, **request(name)}), name)
    assert producer.flush(10) == 0


def test_requests_are_asked_once_and_answered_on_the_topic(broker: str, oms: Oms, tmp_path: Path) -> None:
    assert oms("topics", "apply").exit_code == 0
    fake = FakeTax(per_second=100, fail_every=3, break_every=4)
    with serving(fake) as url:
        run = ("tax", "run", "--once", "--service", url, "--wait", "30")
        ask(broker, "R1", "R2", "R3", "R4")
        done = oms(*run)
        assert done.exit_code == 0, done.output
        ask(broker, "R5")
        assert oms(*run).exit_code == 0
        assert fake.issued == dict.fromkeys(("R1", "R2", "R3", "R4", "R5"), 1)
    read = oms("topics", "read", "tax")
    told = [json.loads(row)["value"] for row in read.stdout.splitlines()]
    issued = [event for event in told if event["event_type"] == "invoice_issued"]
    assert sorted(event["request_id"] for event in issued) == ["R1", "R2", "R3", "R4", "R5"]
    assert {event["event_type"] for event in told} == {"invoice_issued", "attempt_failed"}
    assert len({event["event_id"] for event in told}) == len(told)
    with serving(FakeTax()) as url:  # nobody is there any more, and nothing is to be asked
        assert oms("tax", "run", "--once", "--service", url, "--wait", "1").exit_code == 0
    ask(broker, "R6")
    waits = oms("tax", "run", "--once", "--service", url, "--wait", "0.5")
    assert (waits.exit_code, "1 requests and answers wait" in waits.stderr) == (1, True)


def test_wrong_use_is_one_line(oms: Oms) -> None:
    one_line(oms("tax", "run"), 2, "OMS_TAX_SERVICE")
    one_line(oms("tax", "run", "--service", "ftp://x"), 2, "--service")
    one_line(oms("tax", "run", "--service", "http://x", "--log-level", "LOUD"), 2, "--log-level")
