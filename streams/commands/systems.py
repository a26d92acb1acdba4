"""`oms systems`: what other systems demand of what they are sent (DQ-10): show, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.common import Json, emit_json
from streams.errors import OmsError, UsageError

app = typer.Typer(no_args_is_help=True, help="What other systems demand: show, check.")


@app.command("show")
def show(name: Annotated[str | None, typer.Argument(metavar="[SYSTEM]")] = None, as_json: Json = False) -> None:
    """The register of hidden contracts, or one system's entry. Exit 1 if nothing is known of it."""
    from dataclasses import asdict

    from streams.domain.rules import data

    systems = data.systems().systems
    if name is not None and name not in systems:
        raise OmsError(f"nothing is known of {name}; there are {', '.join(systems)}")
    found: dict[str, dict[str, Any]] = {one: asdict(system) for one, system in systems.items() if name in (None, one)}
    if as_json:
        emit_json(found)
        return
    for one, entry in found.items():
        typer.echo(f"{one}: {entry['found']} (owner: {entry['owner']})")
        if entry["per_second"] is not None:
            typer.echo(f"  at most {entry['per_second']} requests a second")
        for topic, demands in entry["demands"].items():
            for path, demand in demands.items():
                said = ", ".join(f"{key} {value}" for key, value in demand.items() if value not in (None, False))
                typer.echo(f"  {topic} {path}: {said}")


@app.command("check")
def check(
    system: Annotated[str, typer.Argument(metavar="SYSTEM")],
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="What they are records of: order-pushes ...")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines: records, or lines of `oms topics read`.")],
    as_json: Json = False,
) -> None:
    """Whether the system would take the records of a file. Exit 1 if it would not take one of them."""
    import orjson

    from streams.domain.rules import data

    register = data.systems()
    if system not in register.systems:
        raise OmsError(f"nothing is known of {system}; there are {', '.join(register.systems)}")
    if topic not in register.topics:
        raise OmsError(f"no system is sent {topic}; there are {', '.join(register.topics)}")
    found = []
    try:
        for number, text in enumerate(file.read_bytes().splitlines(), 1):
            if not text.strip():
                continue
            record = orjson.loads(text)
            record = record.get("value", record)
            found += [{"line": number, **breach._asdict()} for breach in register.check(system, topic, record)]
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError):
        raise OmsError(f"{file}, line {number}: no JSON record") from None
    if as_json:
        emit_json(found)
    else:
        for each in found:
            typer.echo(f"line {each['line']}: {each['field']} {each['reason']}")
    if found:
        raise typer.Exit(1)
