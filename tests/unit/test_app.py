"""A worker whose agent stops its source."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.app import IDLE_SECONDS, SourceService, run_worker, web_port
from streams.config import Settings
from streams.engine import SourceStopped
from streams.engine.codec.access import Access
from streams.engine.codec.errors import RegistryUnavailableError
from streams.engine.errors import InfrastructureError, Unreachable
from streams.engine.runner import Observer
from streams.engine.turn import Batch
from streams.errors import OmsError

AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT, "the broker is away"))


class Stopped(Observer):
    def __init__(self) -> None:
        self.why: list[str] = []

    def stopped(self, agent: str, why: str) -> None:
        self.why.append(why)


@pytest.mark.parametrize("trouble", [None, AWAY, BufferError("full"), Unreachable("no broker"),
                                     RegistryUnavailableError("no registry")])  # fmt: skip
def test_a_stopped_source_leaves_the_group_whether_or_not_the_alert_of_it_can_be_sent(
    trouble: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Else its partitions would be nobody's until the group gives the silent member up, a quarter of an hour later."""
    did: list[str] = []

    def poll() -> Any:
        raise SourceStopped("one", " reading in: 10 records in a row failed by rule")

    def tell(runner: Any, agent: str, why: str) -> None:
        did.append("tell")
        if trouble is not None:
            raise trouble

    told = Stopped()
    runner: Any = SimpleNamespace(
        name="one", open=lambda: None, poll=poll, close=lambda: did.append("close"), observer=told
    )

    async def main() -> SourceService:
        service = SourceService(runner, None, tell)
        await service.start()
        await asyncio.wait_for(service._idle.wait(), 5)
        assert not service.app_failed.is_set()
        await service.stop()
        return service

    service = asyncio.run(main())
    assert did[:2] == ["tell", "close"]
    assert service.failure is None
    assert len(told.why) == 1
    assert ("no alert of it could be sent" in caplog.text) == (trouble is not None)


def test_an_idle_agent_polls_on_its_own_thread_until_a_batch_a_while_or_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("streams.app.time.monotonic", lambda: clock.now)
    some: Any = SimpleNamespace(parts=[1])
    batches = [Batch(), Batch(), some]

    def poll() -> Any:
        clock.now += IDLE_SECONDS / 4
        return batches.pop(0) if batches else Batch()

    service = SourceService(SimpleNamespace(name="one", poll=poll), None, None)  # type: ignore[arg-type]
    assert service.poll() is some
    assert (service.poll().parts, clock.now) == ([], IDLE_SECONDS * 7 / 4)
    service._stopped.set()
    assert (service.poll().parts, clock.now) == ([], IDLE_SECONDS * 7 / 4)


def test_a_port_that_is_taken_is_one_line_and_may_pass() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InfrastructureError, match=rf"^127\.0\.0\.1:{port}: .*in use; set OMS_WEB_PORT$"):
            web_port(Settings(web_port=port))
    assert web_port(Settings(web_port=port)) == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
@pytest.mark.parametrize("port", [0, 29_999])
def test_an_address_of_another_machine_is_one_line_that_names_the_setting(host: str, port: int) -> None:
    with pytest.raises(OmsError, match=rf"^{host}:{port}: .*; set OMS_WEB_HOST$"):
        web_port(Settings(web_host=host, web_port=port))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_port_zero_is_some_free_one(host: str) -> None:
    try:
        assert web_port(Settings(web_host=host)) > 0
    except OmsError:
        if host != "::1":  # not every machine has IPv6
            raise


def test_a_registry_that_is_away_is_noticed_before_the_worker_takes_partitions_from_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("streams.app.check_topics", lambda *_: {})
    with pytest.raises(RegistryUnavailableError):
        run_worker(Settings(registry=Access.at("http://127.0.0.1:1"), data_dir=tmp_path / "w"), agents=["estimates"])
    assert not (tmp_path / "w").exists()
