"""A worker whose agent stops its source."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.app import SourceService
from streams.engine import SourceStopped
from streams.engine.codec.errors import RegistryUnavailableError
from streams.engine.errors import Unreachable
from streams.engine.runner import Observer

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
        raise SourceStopped("agent one stopped reading in: 10 records in a row failed by rule")

    def tell(runner: Any, why: str) -> None:
        did.append("tell")
        if trouble is not None:
            raise trouble

    runner: Any = SimpleNamespace(
        agent=SimpleNamespace(name="one"), open=lambda: None, poll=poll, close=lambda: did.append("close")
    )
    told = Stopped()

    async def main() -> SourceService:
        service = SourceService(runner, None, told, tell)
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
