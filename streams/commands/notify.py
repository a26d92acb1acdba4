"""`oms notify`: brings alerts to people, until stopped; `oms notify test TARGET` sends one message."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

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
    from streams.config import Settings
    from streams.domain.notify.text import Message
    from streams.notify.outbox import Waiting
    from streams.notify.requests import Outcome
    from streams.notify.settings import NotifySettings, Target

NAME = "notify"
"""Its folder beside those of the workers."""
OUTBOX = "outbox.sqlite"

app = typer.Typer(help="Alerts to people: DingTalk, WeCom, Feishu, e-mail, SMS, voice, tickets, Alertmanager.")


@app.callback(invoke_without_command=True)
def notify(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Tell what there is, then end; 1 if something waits.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the messages; send and note nothing.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="With --once: seconds to go on at the end.")] = 60.0,
    broker: Broker = None,
    data_dir: DataDir = None,
    web_port: MetricsPort = None,
    log_level: LogLevel = "INFO",
) -> None:
    """Bring alerts to the targets of the file OMS_NOTIFY_CONFIG, until stopped (Ctrl-C or SIGTERM)."""
    if ctx.invoked_subcommand is not None:
        return
    from streams import logs
    from streams.notify import settings as targets

    logs.setup(log_level)
    settings = settings_of(broker=broker, data_dir=data_dir, worker_id=NAME, web_port=web_port)
    try:
        left = _run(settings, targets.from_env(), once=once, dry_run=dry_run, wait_s=wait)
    except sqlite3.Error as error:
        raise OmsError(f"the outbox in {settings.data_dir} cannot be used: {error}") from None
    if once and left:
        note(f"{left:,} messages wait for their targets")
        raise typer.Exit(1)


@app.command("test")
def test(target: Annotated[str, typer.Argument(metavar="TARGET", help="A target of OMS_NOTIFY_CONFIG.")]) -> None:
    """Send one test message to a target; exit 1 with the reason if it does not take it."""
    from streams.domain.notify import text
    from streams.notify import settings as targets
    from streams.notify.senders import Sender
    from streams.outlet.records import wall_ms

    found = targets.from_env().targets
    if target not in found:
        raise UsageError(f"no target {target}; there are {', '.join(found)}")
    outcome = Sender().send(found[target], text.trial(), [], wall_ms())
    if not outcome.took:
        raise OmsError(f"target {target}: {outcome.why}")
    typer.echo(f"target {target} took the message")


def _run(settings: Settings, config: NotifySettings, *, once: bool, dry_run: bool, wait_s: float) -> int:
    from streams import topology
    from streams.domain.rules import data
    from streams.notify.metrics import NotifyMetrics
    from streams.notify.outbox import Outbox
    from streams.notify.senders import Sender
    from streams.notify.service import GROUP, TOPIC, Notifier
    from streams.outlet.reader import TopicReader
    from streams.outlet.records import wall_ms

    decode = topology.load(registry=settings.registry).decoder(TOPIC)
    metrics = NotifyMetrics()
    with nullcontext() if dry_run else alone(settings, "oms notify"):
        outbox = Outbox(None if dry_run else settings.data_dir / OUTBOX, wall_ms())
        reader = TopicReader(settings, decode, TOPIC, GROUP)
        try:
            sender = _Printer() if dry_run else Sender()
            notifier = Notifier(config, data.alert_policies(), reader, outbox, sender, metrics)
            on_signals(notifier.stop)
            if not once and not dry_run:
                serve_metrics(settings, metrics.registry)
            return notifier.run(once=once, wait_s=wait_s)
        finally:
            reader.close()
            outbox.close()


class _Printer:
    """Takes every message and prints it."""

    def send(self, target: Target, message: Message, about: Sequence[Waiting], now: int) -> Outcome:
        from streams.notify.requests import TOOK

        typer.echo(f"--- to {target.name} ({target.kind})\n{message.text}\n")
        return TOOK
