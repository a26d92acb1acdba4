"""A broker that demands TLS and SASL: the settings go through to every client, and secrets never come out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.servers.secured import PASSWORD, SecureBroker, secured
from tests.support.process import OMS
from tests.support.progress import wait_until

pytestmark = pytest.mark.integration

AGENTS = "intake,channels,identity,orders,inventory"
EVENT = {
    "event_id": "s-1",
    "event_type": "order_created",
    "event_time": 1769220000000,
    "source": "douyin",
    "channel": "douyin",
    "order_no": "S1",
    "total_minor": 9900,
    "currency": "CNY",
    "lines": [{"line_no": 1, "sku": "BAG", "name": None, "quantity": 1, "unit_price_minor": 9900, "is_gift": False}],
}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    with secured(tmp_path_factory.mktemp("secure")) as broker:
        applied = broker.run("topics", "apply")
        assert applied.returncode == 0, applied.stderr
        yield broker


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_every_mechanism_reaches_the_broker_over_tls(secure: SecureBroker, mechanism: str) -> None:
    compared = secure.run("topics", "diff", mechanism=mechanism)

    assert compared.returncode == 0, compared.stderr


@pytest.mark.parametrize(
    ("mechanism", "number", "said"),
    [("PLAIN", "S1", 0), ("SCRAM-SHA-512", "S2", 0), ("OAUTHBEARER", "S3", 1)],
)
def test_a_worker_processes_over_tls_and_sasl(
    secure: SecureBroker, tmp_path: Path, mechanism: str, number: str, said: int
) -> None:
    """By our own producer where it knows the mechanism, else by librdkafka's, and the log says so of each producer."""
    events = tmp_path / "events.jsonl"
    event = {**EVENT, "order_no": number, "event_id": f"event-{number}"}
    events.write_bytes(orjson.dumps({"topic": "orders", "value": event}) + b"\n")
    assert secure.run("publish", str(events)).returncode == 0
    log = tmp_path / "worker.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*OMS, "worker", "--agents", AGENTS], env=secure.env(mechanism=mechanism), stdout=out, stderr=out
        ) as worker,
    ):
        try:
            wait_until(
                lambda: f'"order_no":"{number}"' in secure.run("topics", "read", "order-states", "--last").stdout,
                60,
                f"the state of order {number}",
            )
        finally:
            worker.terminate()
    assert worker.returncode == 0
    text = log.read_text()
    assert PASSWORD not in text
    assert text.count(f"librdkafka's producer: SASL mechanism {mechanism}") >= said
    assert said or "librdkafka's producer" not in text


def test_a_wrong_password_is_one_clear_line_without_the_password(secure: SecureBroker) -> None:
    refused = secure.run("worker", password="wrong-horse-8")

    assert refused.returncode == 1
    assert "wrong-horse-8" not in refused.stdout + refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr
