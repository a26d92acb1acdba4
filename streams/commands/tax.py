"""`oms tax run`: invoices to the tax service, its answers back, until stopped; `oms tax fake`: a service to try it."""

from __future__ import annotations

import os
import sqlite3
import threading
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import (
    Broker,
    DataDir,
    LogLevel,
    MetricsPort,
    alone,
    note,
    on_signals,
    serve_metrics,
    settings_of,
)
from streams.errors import OmsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.config import Settings

NAME = "tax"
"""Its folder beside those of the workers."""
OUTBOX = "outbox.sqlite"
URL, TOKEN = "OMS_TAX_SERVICE", "OMS_TAX_TOKEN"

app = typer.Typer(no_args_is_help=True, help="Invoices: requests to the tax service, its answers back.")


@app.command("run")
def run(
    service: Annotated[
        str | None, typer.Option("--service", metavar="URL", help=f"The tax service; default: {URL}.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Ask what there is, then end; 1 if something waits.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="With --once: seconds to go on at the end.")] = 60.0,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for an answer.")] = 10.0,
    threads: Annotated[int, typer.Option("--threads", min=1, max=64, help="Calls at the same time.")] = 5,
    broker: Broker = None,
    data_dir: DataDir = None,
    web_port: MetricsPort = None,
    log_level: LogLevel = "INFO",
) -> None:
    """Ask the tax service for what stands in tax-requests, at its pace, until stopped (Ctrl-C or SIGTERM)."""
    from streams import logs

    url = service or os.environ.get(URL) or ""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--service, or {URL}: must be an http:// or https:// URL")
    logs.setup(log_level)
    settings = settings_of(broker=broker, data_dir=data_dir, worker_id=NAME, web_port=web_port)
    try:
        left = _run(settings, url, once=once, wait_s=wait, timeout_s=timeout, threads=threads)
    except sqlite3.Error as error:
        raise OmsError(f"the outbox in {settings.data_dir} cannot be used: {error}") from None
    if once and left:
        note(f"{left:,} requests and answers wait")
        raise typer.Exit(1)


@app.command("fake")
def fake(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 8090,
    per_second: Annotated[int, typer.Option("--per-second", min=1, help="Calls that pass; others are throttled.")] = 5,
    fail_every: Annotated[int, typer.Option("--fail-every", min=0, help="Each so-manieth call answers 503.")] = 0,
    break_every: Annotated[int, typer.Option("--break-every", min=0, help="... issues, and answers 500.")] = 0,
    late_every: Annotated[int, typer.Option("--late-every", min=0, help="... answers late.")] = 0,
    late: Annotated[float, typer.Option("--late", min=0, help="So many seconds late.")] = 3.0,
) -> None:
    """A tax service that throttles, fails and answers late, until stopped; at the end it says what it has issued."""
    from streams.tax.fake import FakeTax, serving

    stop = threading.Event()
    on_signals(stop.set)
    made = FakeTax(per_second, fail_every, break_every, late_every, late)
    try:
        with serving(made, port=port) as url:
            note(f"a tax service at {url}")
            stop.wait()
    except OSError as error:
        raise OmsError(f"port {port}: {error.strerror}") from None
    twice = sum(count > 1 for count in made.issued.values())
    note(f"issued {sum(made.issued.values()):,}, twice {twice:,}, throttled {made.throttled:,}")


def _run(settings: Settings, url: str, *, once: bool, wait_s: float, timeout_s: float, threads: int) -> int:
    from streams import topology
    from streams.commands.publish import Deliveries, produce
    from streams.domain.rules import data
    from streams.domain.systems import TAX, TAX_REQUESTS
    from streams.outlet.reader import TopicReader
    from streams.outlet.records import wall_ms
    from streams.tax.adapter import EVENTS, GROUP, TOPIC, Adapter
    from streams.tax.http import HttpService
    from streams.tax.metrics import TaxMetrics
    from streams.tax.outbox import Outbox

    topics = topology.load(registry=settings.registry)
    encode, metrics = topics.encoder(EVENTS), TaxMetrics()
    with alone(settings, "oms tax run"):
        outbox = Outbox(settings.data_dir / OUTBOX, wall_ms())
        reader = TopicReader(settings, topics.decoder(TOPIC), TOPIC, GROUP)
        client = _producer(settings, EVENTS)

        def tell(events: Sequence[tuple[str, dict[str, Any]]]) -> None:
            deliveries = Deliveries()
            for key, event in events:
                produce(client, deliveries, EVENTS, encode(event), key=key)
            while deliveries.done < len(events):
                client.flush(1.0)
                deliveries.check()

        try:
            service = HttpService(url, timeout_s, os.environ.get(TOKEN), threads)
            pace = data.tax().calls_per_second
            breaches = partial(data.systems().check, TAX, TAX_REQUESTS)
            adapter = Adapter(reader, outbox, service, tell, metrics, pace, threads, breaches=breaches)
            on_signals(adapter.stop)
            if not once:
                serve_metrics(settings, metrics.registry)
            return adapter.run(once=once, wait_s=wait_s)
        finally:
            reader.close()
            outbox.close()


def _producer(settings: Settings, topic: str) -> Any:
    from streams.clients import producer, require_topics

    require_topics(settings, [topic])
    return producer(settings, **{"message.timeout.ms": 120_000})
