"""The engine of this project, exactly once; BENCH_OPTION is the number of worker processes."""

import json
import multiprocessing
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from bench.job import SCHEMAS, fold
from bench.peers.contract import Run, first_event
from streams import topology
from streams.app import build
from streams.app import run as run_app
from streams.config import Settings
from streams.engine import Agent, Context
from streams.engine.agent import changelog_topic
from streams.engine.codec import avro
from streams.engine.codec import json as json_codec
from streams.engine.process import settle
from streams.engine.runner import Observer
from streams.engine.turn import STEPS, Report
from streams.tether import free_ports

PARTITIONS = 4
EVENT_ID, STATE_ID = 1, 2


class Schemas:
    """A registry of the job's two schemas."""

    def __init__(self) -> None:
        self.event = json.loads((SCHEMAS / "order_event.avsc").read_text())
        self.state = json.loads((SCHEMAS / "order_state.avsc").read_text())

    def id_of(self, subject: str, schema: dict[str, Any]) -> int:
        return EVENT_ID if schema["name"] == self.event["name"] else STATE_ID

    def by_id(self, schema_id: int) -> dict[str, Any]:
        schema: dict[str, Any] = self.event if schema_id == EVENT_ID else self.state
        return schema


class Codecs:
    """The engine's own Avro codec over the job's schemas; dead letters, of which there must be none, as JSON."""

    def __init__(self, run: Run) -> None:
        schemas = Schemas()
        self._schemas = schemas
        self._encoders: dict[str, Callable[[Any], bytes]] = {
            run.output: avro.encoder(schemas, "state", schemas.state),
        }

    def encoder(self, topic: str) -> Callable[[Any], bytes]:
        return self._encoders.get(topic, json_codec.encode)

    def decoder(self, topic: str, *, drop_nulls: bool = False) -> Callable[[bytes], Any]:
        return avro.decoder(self._schemas, self._schemas.event, drop_nulls=drop_nulls)


class Steps(Observer):
    """Adds up where the turns' time went; written to the run's log at the end."""

    def __init__(self) -> None:
        self.turns = self.records = 0
        self.seconds = dict.fromkeys(STEPS, 0.0)

    def turn(self, agent: str, report: Report) -> None:
        self.turns += 1
        self.records += report.records
        for step, seconds in report.seconds.items():
            self.seconds[step] += seconds

    def __str__(self) -> str:
        steps = ", ".join(f"{step} {seconds * 1e6 / self.records:.1f}" for step, seconds in self.seconds.items())
        return f"{self.records:,} records in {self.turns:,} turns; us per record: {steps}"


def order_agent(run: Run) -> Agent:
    """The job as an agent of the engine."""
    agent = Agent(run.run_id, sources=(run.source,), writes=(run.output,))
    orders = agent.table("orders")
    output = run.output
    started = False

    @agent.fold
    def merge(ctx: Context, key: bytes | None, event: dict[str, Any]) -> None:
        nonlocal started
        if not started:
            started = True
            first_event()
        guid = event["order_guid"]
        table = ctx[orders]
        state, merged = fold(table.get(guid), event)
        if merged is not None:
            table[guid] = state
            ctx.emit(output, guid, merged)

    return agent


def work(run: Run, number: int) -> None:
    """One worker process as `oms worker` runs it - Faust app, metrics, web server - until SIGTERM."""
    settings = Settings(broker=run.broker, worker_id=f"w{number}", data_dir=Path(run.state_dir) / f"w{number}")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    steps = Steps()
    port = free_ports(1, settings.web_host)[0]
    app = build(settings, [order_agent(run)], Codecs(run), web_port=port, observer=steps)
    settle()
    run_app(app)
    if steps.records:
        print(steps)


def main() -> int:
    run = Run.from_env()
    log = topology.load().changelog(run.run_id, PARTITIONS)
    admin = AdminClient({"bootstrap.servers": run.broker, "log.connection.close": False})
    name = changelog_topic(run.run_id)
    admin.create_topics([NewTopic(name, PARTITIONS, 1, config=dict(log.config))])[name].result()

    if run.option == "1":
        work(run, 1)
        return 0
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(run, number)) for number in range(1, int(run.option) + 1)]
    for worker in workers:
        worker.start()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for worker in workers:
            worker.terminate()

    signal.signal(signal.SIGTERM, stop)
    for worker in workers:
        worker.join()
    return max(abs(worker.exitcode or 0) for worker in workers)


if __name__ == "__main__":
    sys.exit(main())
