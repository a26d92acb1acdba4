"""`oms topics`: brings the broker to topics.yaml, shows the difference, reads a topic."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Broker, Json, emit_json, note, settings_of

if TYPE_CHECKING:
    from streams.config import Settings
    from streams.topics_admin import Difference
    from streams.topology import Topology

app = typer.Typer(no_args_is_help=True, help="Topics: apply, diff, read.")

Partitions = Annotated[
    int | None, typer.Option("--partitions", min=1, max=1000, help="Of topics to be made; default: OMS_PARTITIONS, 8.")
]


@app.command("apply")
def apply(broker: Broker = None, partitions: Partitions = None, as_json: Json = False) -> None:
    """Make missing topics, mend settings, register schemas; exit 1 if something differs that cannot be mended so."""
    found = bring_up(settings_of(broker=broker, partitions=partitions))
    _tell(found, as_json, changed=True)
    if not all(difference.mendable for difference in found):
        raise typer.Exit(1)


@app.command("diff")
def diff(broker: Broker = None, partitions: Partitions = None, as_json: Json = False) -> None:
    """Where broker and schema registry are not as topics.yaml says; exit 1 if they are not."""
    found = differences(settings_of(broker=broker, partitions=partitions))
    _tell(found, as_json, changed=False)
    if found:
        raise typer.Exit(1)


@app.command("read")
def read(
    topic: Annotated[str, typer.Argument(metavar="TOPIC")],
    last: Annotated[bool, typer.Option("--last", help="Only the newest value of each key; no tombstones.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on at the end, until Ctrl-C.")] = False,
    broker: Broker = None,
    _: Annotated[bool, typer.Option("--json", help="What it writes are JSON lines, with or without it.")] = False,
) -> None:
    """A topic as JSON lines, read_committed and decoded; ends at the end unless --follow."""
    import orjson

    from streams import topology
    from streams.clients import require_broker
    from streams.topics_admin import read_topic

    settings = settings_of(broker=broker)
    registry = topology.load(registry=settings.registry)
    require_broker(settings)
    unreadable = 0
    out = sys.stdout.buffer
    try:
        for row in read_topic(settings.client_config(), registry, topic, last=last, follow=follow):
            unreadable += "error" in row
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            if follow:
                out.flush()
    except KeyboardInterrupt:
        pass
    out.flush()
    if unreadable:
        note(f"{unreadable:,} records could not be decoded")
        raise typer.Exit(1)


def bring_up(settings: Settings) -> list[Difference]:
    """Apply topics.yaml, the changelogs of all agents included; what was different. Raises OmsError, and RegistryError
    before any topic is touched."""
    from streams import registry_admin, topics_admin

    conf, topology, agents = _arguments(settings)
    return [*registry_admin.apply(topology), *topics_admin.apply(conf, topology, agents)]


def differences(settings: Settings) -> list[Difference]:
    """Where broker and registry differ from topics.yaml. Raises OmsError or RegistryError."""
    from streams import registry_admin, topics_admin

    conf, topology, agents = _arguments(settings)
    return [*registry_admin.diff(topology), *topics_admin.diff(conf, topology, agents)]


def _arguments(settings: Settings) -> tuple[dict[str, Any], Topology, list[str]]:
    from streams import catalogue, topology
    from streams.clients import require_broker

    require_broker(settings)
    registry = topology.load(registry=settings.registry, partitions=settings.partitions)
    return settings.client_config(), registry, [agent.name for agent in catalogue.choose(None) if agent.stateful]


def _tell(found: list[Difference], as_json: bool, *, changed: bool) -> None:
    if as_json:
        emit_json([{"topic": each.topic, "text": each.text, "mendable": each.mendable} for each in found])
        return
    for each in found:
        typer.echo(f"{'mended ' if changed and each.mendable else ''}{each}")
    if not found:
        typer.echo("all is as topics.yaml says")
