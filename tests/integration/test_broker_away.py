"""Workers under a supervisor and a broker that is not there yet: they are tried again until it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams import catalogue, topics_admin, topology
from tests.servers.kafka import KafkaServer
from tests.support.process import OMS, WorkerProcess

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]


def test_workers_started_before_their_broker_begin_once_it_is_there(tmp_path: Path) -> None:
    with KafkaServer() as server:
        topics_admin.apply(
            {"bootstrap.servers": server.bootstrap},
            topology.load(partitions=2),
            [agent.name for agent in catalogue.choose(None) if agent.stateful],
        )
        server.stop()
        command = [*OMS, "worker", "--processes", "2", "--agents", "alerts"]
        with WorkerProcess("w", tmp_path, server.url, command) as supervisor:
            for child in ("w-0", "w-1"):
                supervisor.wait_for(f"worker {child} cannot go on for now: restarting in 0.5 s")
            said = [line for line in supervisor.text().splitlines() if line.startswith("oms: ")]
            assert len(said) == 2
            assert all(f"no broker at {server.bootstrap}" in line for line in said)
            assert "Traceback" not in supervisor.text()

            server.start()
            for partition in (0, 1):
                supervisor.wait_for(f"alerts: assigned [{partition}]", 60)
            assert supervisor.stop() == 0


def test_a_topic_that_is_missing_still_stops_all_workers_at_once(kafka: KafkaServer, tmp_path: Path) -> None:
    command = [*OMS, "worker", "--processes", "2", "--agents", "intake"]
    with WorkerProcess("w", tmp_path, kafka.url, command) as supervisor:
        supervisor.wait_for("run `oms topics apply`")
        supervisor.wait_for("cannot run (exit code 1): stopping all")
        assert supervisor._process is not None
        assert supervisor._process.wait(20) == 1
