"""`oms topics`: brings the broker to topics.yaml, shows the difference, reads a topic."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from streams.commands.common import Broker, Json, emit_json, note, settings_of

app = typer.Typer(no_args_is_help=True, help="Topics: apply, diff, read.")

Partitions = Annotated[
    int | None, typer.Option("--partitions", min=1, help="Of topics to be made; default: OMS_PARTITIONS, topics.yaml.")
]


@app.command("apply")
def apply(broker: Broker = None, partitions: Partitions = None, as_json: Json = False) -> None:
    """Create missing topics and bring settings to topics.yaml; exit 1 if a difference cannot be mended this way."""
    _compare(broker, partitions, as_json, change=True)


@app.command("diff")
def diff(broker: Broker = None, partitions: Partitions = None, as_json: Json = False) -> None:
    """What `apply` would do; exit 1 if there is a difference."""
    _compare(broker, partitions, as_json, change=False)


@app.command("read")
def read(
    topic: Annotated[str, typer.Argument(metavar="TOPIC")],
    last: Annotated[
        bool, typer.Option("--last", help="Only the newest value of each key; tombstones left out.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on at the end, until Ctrl-C.")] = False,
    broker: Broker = None,
) -> None:
    """A topic as JSON lines, read_committed and decoded; ends at the end unless --follow."""
