"""`oms connect`: Kafka Connect with a sink into the database of finance: up, apply, views, status."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.common import (
    Broker,
    DataDir,
    Json,
    LogLevel,
    MetricsPort,
    alone,
    emit_json,
    note,
    on_signals,
    serve_metrics,
    settings_of,
)
from streams.errors import BrokerUnreachableError, OmsError

if TYPE_CHECKING:
    from streams.config import Settings
    from streams.connect.settings import ConnectSettings
    from streams.connect.status import Part

NAME = "connect"
"""Its folder beside those of the workers."""

app = typer.Typer(no_args_is_help=True, help="Kafka Connect to finance: tables and views in PostgreSQL.")


@app.command("up")
def up(
    fetch: Annotated[bool, typer.Option("--fetch", help="Only bring the jars (Maven Central), then end.")] = False,
    broker: Broker = None,
    data_dir: DataDir = None,
    web_port: MetricsPort = None,
    log_level: LogLevel = "INFO",
) -> None:
    """Start a Connect worker, apply, and watch it until stopped (Ctrl-C or SIGTERM): what fails is started again."""
    from streams import logs
    from streams.connect import install

    if fetch:
        typer.echo(install.bring())
        return
    logs.setup(log_level)
    _run(settings_of(broker=broker, data_dir=data_dir, worker_id=NAME, web_port=web_port), _connect())


@app.command("apply")
def apply(broker: Broker = None) -> None:
    """Bring tables, views and role, then the connectors, to what the package says. Safe to repeat."""
    from streams.connect import connectors, security, service
    from streams.connect.rest import Rest

    settings, connect = settings_of(broker=broker), _connect()
    wanted = connectors.load(also=security.of_registry(settings.registry).properties)
    service.prepare(settings, connect, wanted)
    changed = connectors.apply(Rest(connect.url), wanted)
    for connector in wanted:
        typer.echo(f"{connector.name}: {'applied' if connector.name in changed else 'is as it should be'}")


@app.command("views")
def views() -> None:
    """Bring only tables, views and role; needs neither broker nor Connect."""
    from streams import topology
    from streams.connect import connectors, database

    database.apply(_connect().needed_database, topology.load(), connectors.load())
    for name in database.views():
        typer.echo(name)


@app.command("status")
def status(
    restart: Annotated[bool, typer.Option("--restart", help="Start again what has failed, and look again.")] = False,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Connectors, their tasks and how far they are behind; exit 1 with the first that does not run, and why."""
    from streams.connect import connectors, service
    from streams.connect.lag import Lag
    from streams.connect.rest import Rest
    from streams.connect.status import FAILED

    wanted, connect = connectors.load(), _connect()
    found = service.look(connect, wanted)
    if restart and any(part.state == FAILED for part in found):
        for name in sorted({part.connector for part in found if part.state == FAILED}):
            Rest(connect.url).restart_failed(name)
            note(f"{name}: what had failed is started again")
        found = _settled(connect)
    behind: dict[str, int] = {}
    try:
        with Lag(settings_of(broker=broker), wanted) as lag:
            behind = lag.of_all()
    except BrokerUnreachableError as error:
        note(str(error))  # the tasks are what was asked about
    if as_json:
        rows = [
            {"connector": part.connector, "task": part.task, "state": part.state, "why": part.why} for part in found
        ]
        emit_json({"parts": rows, "lag_records": behind})
    else:
        for part in found:
            known = part.task is None and part.connector in behind
            lag_text = f", {behind[part.connector]:,} records behind" if known else ""
            typer.echo(f"{part}{lag_text}")
    still = sorted((part for part in found if not part.runs), key=lambda part: not part.failed)
    if still:
        more = f" (and {len(still) - 1} more)" if len(still) > 1 else ""
        raise OmsError(f"{still[0]}{more}")


def _settled(connect: ConnectSettings, seconds: float = 20.0) -> list[Part]:
    """As it is once nothing is failed any more, or after a while."""
    from streams.connect import connectors, service

    deadline = time.monotonic() + seconds
    while True:
        time.sleep(1.0)
        found = service.look(connect, connectors.load())
        if all(part.runs for part in found) or time.monotonic() > deadline:
            return found


def _connect() -> ConnectSettings:
    from streams.connect.settings import ConnectSettings

    return ConnectSettings.from_env()


def _run(settings: Settings, connect: ConnectSettings) -> None:
    from streams.connect import install
    from streams.connect.metrics import ConnectMetrics
    from streams.connect.service import Service

    metrics = ConnectMetrics()
    with alone(settings, "oms connect up"):
        service = Service(settings, connect, install.bring(), metrics)
        on_signals(service.stop)
        serve_metrics(settings, metrics.registry)
        service.run()
