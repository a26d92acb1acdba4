"""The Faust application of a worker: builds it from the declared agents and runs it until stopped.

Faust carries app, agents, channels, services and web server; Kafka is read and written by ``streams.engine``. For each
declared agent a ``SourceService`` polls batches on the agent's own thread and puts them on a Faust channel; the Faust
agent takes a batch, runs its turn on that same thread, which then polls for the next one. So the event loop never
blocks, and no partition is taken away during a turn.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import faust
from mode import Service
from mode.utils.objects import cached_property

from streams.config import Settings
from streams.datadir import lock_data_dir, write_web_file
from streams.engine import Agent, Codecs
from streams.engine.chain import Chain, ChainRunner
from streams.engine.codec import compiled
from streams.engine.codec.errors import RegistryError
from streams.engine.dead_letters import DEAD_LETTERS
from streams.engine.errors import EngineError, InfrastructureError, SourceStopped
from streams.engine.health import Health, Observers
from streams.engine.metrics import Metrics
from streams.engine.precedence import Precedence
from streams.engine.process import give_back, settle
from streams.engine.runner import AgentRunner, Observer, RunnerConfig, Stopped, tell_stopped
from streams.engine.topics import check_topics
from streams.engine.turn import Batch
from streams.errors import OmsError
from streams.tether import free_ports
from streams.web import add_pages

log = logging.getLogger(__name__)
TIDY_SECONDS: Final = 20.0
IDLE_SECONDS: Final = 1.0
T = TypeVar("T")


class Boot(faust.App.BootStrategy):
    """Sensors, web server, our sources and the agents; no Kafka of Faust's own."""

    enable_kafka = False

    def server(self) -> Iterable[Any]:
        app = cast(OmsApp, self.app)
        return [*self.sensors(), *self.web_server(), *self.agents(), *app.sources]


class OmsApp(faust.App):
    """A Faust app whose agents are fed by the engine's sources."""

    BootStrategy = Boot

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sources: list[SourceService] = []


@dataclass(slots=True)
class Job:
    """A batch on its way through the agent's channel, and the promise of the batch to come after its turn."""

    batch: Batch
    following: asyncio.Future[Batch]


class SourceService(Service):
    """Feeds one agent, or a chain; owns the thread on which everything blocking of it runs."""

    abstract = False

    def __init__(self, runner: AgentRunner, channel: Any, on_stopped: Stopped | None) -> None:
        super().__init__()
        self.runner = runner
        self.failure: BaseException | None = None
        self._channel = channel
        self._on_stopped = on_stopped
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=runner.name)
        self._idle = asyncio.Event()

    @cached_property
    def name(self) -> str:
        return self.runner.name

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run ``function`` on the agent's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def turn(self, batch: Batch) -> Batch:
        """One turn, then at once the next poll: every hop between threads waits for the interpreter's lock, and under
        load the others hold it. After a stop nothing more is polled."""
        self.runner.turn(batch)
        return self.poll()

    def poll(self) -> Batch:
        """The next batch, an empty one after `IDLE_SECONDS` without or a stop. An agent with nothing to do, or that
        stands back, polls ten times a second: by way of the loop that took 7 % of the interpreter in a rush."""
        until = time.monotonic() + IDLE_SECONDS
        while not self.should_stop:
            batch = self.runner.poll()
            if batch.parts or time.monotonic() >= until:
                return batch
        return Batch()

    @Service.task
    async def pump(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self.call(self.runner.open)
            batch = await self.call(self.poll)
            while not self.should_stop:
                if batch.parts:
                    job = Job(batch, loop.create_future())
                    await self._channel.put(job)
                    batch = await job.following
                else:
                    batch = await self.call(self.poll)
        except SourceStopped as error:
            try:
                await self.call(tell_stopped, self.runner, error, self._on_stopped)
            finally:  # else it would keep its partitions from every other worker
                await self.call(self.runner.close)
        except BaseException as error:
            self.failure = error
            self.app_failed.set()
            if not isinstance(error, (EngineError, RegistryError, asyncio.CancelledError)):
                log.exception("%s: unexpected failure", self.name)
            raise
        finally:
            self._idle.set()

    @cached_property
    def app_failed(self) -> asyncio.Event:
        return asyncio.Event()

    async def on_stop(self) -> None:
        """The turn in hand is finished first; then leave the group and close the stores."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout=20.0)
            await self.call(self.runner.close)
        except (TimeoutError, EngineError) as error:
            log.warning("%s: did not stop cleanly: %s", self.name, error)
        self._thread.shutdown(wait=False)


def declare(app: OmsApp, runner: AgentRunner, on_stopped: Stopped | None) -> SourceService:
    """Add one agent, or a chain, to the app: its channel, its Faust agent and the service that feeds it."""
    channel = app.channel(maxsize=1)
    service = SourceService(runner, channel, on_stopped)

    async def process(jobs: Any) -> None:
        async for job in jobs:
            try:
                job.following.set_result(await service.call(service.turn, job.batch))
            except BaseException as error:
                if not job.following.done():
                    job.following.set_exception(error)

    app.agent(channel, name=runner.name)(process)
    app.sources.append(service)
    return service


def build(
    settings: Settings,
    units: Sequence[Agent | Chain],
    codecs: Codecs,
    *,
    web_port: int,
    observer: Observer | None = None,
    on_stopped: Stopped | None = None,
) -> OmsApp:
    """The Faust app of one worker, not started: of agents that have a thread each, and chains that share one. Nothing
    is opened before ``start``."""
    app = OmsApp(
        "oms",
        broker=f"kafka://{settings.broker}",
        store="memory://",
        datadir=str(settings.data_dir / "faust"),
        autodiscover=False,
        web_enabled=True,
        web_bind=settings.web_host,
        web_port=web_port,
    )
    agents = [agent for unit in units for agent in (unit.agents if isinstance(unit, Chain) else (unit,))]
    metrics, health = Metrics(), Health(tuple(agent.name for agent in agents))
    observers = Observers(metrics, health, *([observer] if observer else []))
    config = RunnerConfig(
        conf={"bootstrap.servers": settings.broker, **settings.kafka},
        worker_id=settings.worker_id,
        data_dir=settings.data_dir,
        client_id=f"oms-{settings.worker_id}@{settings.web_address(web_port)}",
        batch_size=settings.batch_size,
        session_timeout_ms=settings.session_timeout_ms,
        group_protocol=settings.group_protocol,
        producer=settings.producer,
        precedence=Precedence(settings.aside_percent / 100),
    )
    for unit in units:
        runner = (
            ChainRunner(unit, codecs, config, observers, on_stopped=on_stopped)
            if isinstance(unit, Chain)
            else AgentRunner(unit, codecs, config, observers)
        )
        declare(app, runner, on_stopped)
    add_pages(app, metrics, health)
    return app


async def tidy() -> None:
    """Now and then hand free memory back, for ever."""
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        await asyncio.to_thread(give_back)


async def serve(app: OmsApp, stop: asyncio.Event) -> None:
    """Start the app and keep it up until ``stop`` is set or a source fails; raises what made it fail."""
    app.flow_control.resume()  # without Faust's own consumer nobody else would, and channels stay shut
    await app.start()
    failed = [asyncio.create_task(source.app_failed.wait()) for source in app.sources]
    stopped = asyncio.create_task(stop.wait())
    tidying = asyncio.create_task(tidy())
    try:
        await asyncio.wait([stopped, *failed], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopped, tidying, *failed):
            task.cancel()
        await app.stop()
    for source in app.sources:
        if source.failure is not None and not isinstance(source.failure, asyncio.CancelledError):
            raise source.failure


def run(app: OmsApp) -> int:
    """Run to the end: SIGTERM and SIGINT stop gracefully. 0, or raises EngineError with one clear line."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(app, stop)

    asyncio.run(main())
    return 0


def web_port(settings: Settings) -> int:
    """The port of the web server, free just now. InfrastructureError for one that is taken, OmsError for an address
    that is none of this machine: known before the worker takes partitions from others, not after."""
    host, port = settings.web_host, settings.web_port
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InfrastructureError(f"{settings.web_address(port)}: {error.strerror}; set OMS_WEB_PORT") from None
        setting = "OMS_WEB_PORT" if isinstance(error, PermissionError) else "OMS_WEB_HOST"
        raise OmsError(f"{settings.web_address(port)}: {error.strerror}; set {setting}") from None
    return port or free_ports(1, host)[0]


def run_worker(settings: Settings, agents: Sequence[str] | None = None) -> int:
    """Run the project's agents (all, or these by name) as one worker until stopped. 0, or raises OmsError, EngineError
    or RegistryError with one clear line."""
    from streams import catalogue, topology

    chosen = catalogue.choose(agents, settings.audit_raw, settings.maps_dir, settings.hash_salt)
    reg = topology.load(registry=settings.registry)
    check_topics({"bootstrap.servers": settings.broker, **settings.kafka}, chosen)
    for topic in {DEAD_LETTERS, *(topic for agent in chosen for topic in agent.writes)}:
        reg.encoder(topic)  # a registry that is away shows now, not when partitions have been taken from others
    with lock_data_dir(settings):
        port = web_port(settings)
        kept = settings.handover == "kept"
        units = chosen if settings.handover == "off" else catalogue.chained(chosen, reg.topics, kept)
        app = build(settings, units, reg, web_port=port, on_stopped=catalogue.source_stopped(reg))
        url = f"http://{settings.web_address(port)}"
        web_file = write_web_file(settings, url)
        log.info("worker %s: %s; web at %s", settings.worker_id, ", ".join(map(str, chosen)), url)
        log.info("avro codec: %s", compiled.in_force())
        if any(agent.name == "risk" for agent in chosen) and settings.hash_salt is None:
            log.warning("OMS_HASH_SALT is not set: hashes of ip addresses can be guessed by whoever knows this program")
        settle()
        try:
            return run(app)
        finally:
            web_file.unlink(missing_ok=True)
