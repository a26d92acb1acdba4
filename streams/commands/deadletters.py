"""`oms deadletters`: looks at what was refused, and sends it again once the cause is mended (DQ-08)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Broker, Json, emit_json, note, settings_of
from streams.errors import OmsError, UsageError

if TYPE_CHECKING:
    from streams.topology import Topology

app = typer.Typer(no_args_is_help=True, help="Refused records: list, replay.")

TOPIC = "dead-letters"
Letter = dict[str, Any]

OfTopic = Annotated[str | None, typer.Option("--topic", help="Only records of this source topic (or replayed file).")]
Folder = Annotated[
    Path | None, typer.Option("--from", metavar="DIR", help="Look in a replay's folder instead of the broker.")
]


@app.command("list")
def list_(
    topic: OfTopic = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the newest so many.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only what this agent refused.")] = None,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where a rule failed.")] = False,
    folder: Folder = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """What was refused, where it stood, by which agent and why; the payload stays out of it."""
    from streams.commands.order_view import clock

    letters = [
        letter
        for letter in _letters(folder, broker)
        if topic in (None, letter["topic"]) and agent in (None, letter.get("agent"))
    ]
    for letter in letters[-limit:] if limit else letters:
        size = len(letter["value"] or b"")
        if as_json:
            shown = {name: item for name, item in letter.items() if name not in ("key", "value")}
            emit_json({**shown, "bytes": size})
            continue
        where = f"{letter['topic']}:{_number(letter['partition'])}:{_number(letter['offset'])}"
        who = letter.get("agent") or "-"
        typer.echo(f"{clock(letter['at'])}  {where}  {letter['stage']}  {who}  {size} bytes  {letter['error']}")
        if traceback and letter.get("traceback"):
            typer.echo(indent(letter["traceback"].rstrip("\n"), "    "))
    note(f"{len(letters):,} dead letters")


@app.command("replay")
def replay(
    topic: OfTopic = None,
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="Of the source topic.")] = None,
    offset: Annotated[int | None, typer.Option("--offset", min=0, help="In the source partition.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them (of --topic, if given).")] = False,
    folder: Folder = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="With --from: input lines to write.")
    ] = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Send refused records again, each once, bytes and key as they came; events already processed are recognised by
    their id."""
    from streams import topology

    if every == (offset is not None) or (
        offset is not None and (topic is None or partition is None) and folder is None
    ):
        raise UsageError("name one record by --topic, --partition and --offset, or say --all")
    if (folder is None) != (out is None):
        raise UsageError("--from DIR and --out FILE go together: a folder has no topic to send to")
    registry = topology.load(registry=settings_of(broker=broker).registry)
    chosen = _chosen(_letters(folder, broker), topic, partition, offset)
    done, left = _to_file(chosen, registry, out) if out else _to_broker(chosen, registry, broker)
    if as_json:
        emit_json({"written" if out else "sent": done, "left": left})
    else:
        note(f"{done:,} records {'written to ' + str(out) if out else 'sent again'}, {left:,} cannot be sent")
    if left or (not done and not every):
        raise typer.Exit(1)


def _chosen(
    letters: Iterable[Letter], topic: str | None, partition: int | None, offset: int | None
) -> Iterator[Letter]:
    """The letters asked for, each record once: one that was refused by several agents, or again after it had been sent
    again, is the same bytes at another place. Else each try would double what the next one sends."""
    seen = set()
    for letter in letters:
        place = (letter["topic"], letter["partition"], letter["offset"])
        if not all(ask in (None, has) for ask, has in zip((topic, partition, offset), place, strict=True)):
            continue
        record = letter["topic"], letter["partition"], _digest(letter["key"]), _digest(letter["value"])
        if record not in seen:
            seen.add(record)
            yield letter


def _digest(content: bytes | None) -> bytes | None:
    return None if content is None else blake2b(content, digest_size=16).digest()


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _letters(folder: Path | None, broker: str | None) -> Iterator[Letter]:
    """The dead letters in order, `key` and `value` as bytes or None. Raises OmsError."""
    return _from_folder(folder) if folder is not None else _from_broker(broker)


def _from_folder(folder: Path) -> Iterator[Letter]:
    from streams.commands.order_files import lines
    from streams.engine.codec.json import unreadable

    path = folder / f"{TOPIC}.jsonl"
    if not path.is_file():
        raise UsageError(f"{folder} is no folder of `oms replay`: it has no {path.name}")
    for number, _, letter in lines(folder, TOPIC):
        try:
            kept = {name: None if letter[name] is None else unreadable(letter[name]) for name in ("key", "value")}
            yield {**letter, **kept}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise OmsError(f"{path}:{number}: no dead letter") from None


def _from_broker(broker: str | None) -> Iterator[Letter]:
    from streams import topology
    from streams.clients import require_topics
    from streams.commands.tail import read_to_end

    settings = settings_of(broker=broker)
    require_topics(settings, [TOPIC])
    decode = topology.load(registry=settings.registry).decoder(TOPIC)
    for message in read_to_end(settings, [TOPIC]):
        value = message.value()
        if value is not None:
            yield decode(value)


def _to_broker(letters: Iterable[Letter], registry: Topology, broker: str | None) -> tuple[int, int]:
    """Produce the records to where they came from; (sent, not possible)."""
    from streams.clients import producer
    from streams.commands.publish import DELIVERY_TIMEOUT_S, Deliveries, produce

    client = producer(settings_of(broker=broker), **{"message.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000)})
    deliveries = Deliveries()
    sent = left = 0
    for letter in letters:
        source = registry.topics.get(letter["topic"])
        if source is None or letter["value"] is None:
            left += 1
            continue
        # The same partition: the key alone would not do for a record that other software partitioned.
        place = {} if letter["partition"] is None else {"partition": letter["partition"]}
        produce(client, deliveries, source.name, letter["value"], key=letter["key"], **place)
        sent += 1
        client.poll(0)
    client.flush(DELIVERY_TIMEOUT_S)
    deliveries.check()
    if deliveries.done < sent:
        raise OmsError(f"{sent - deliveries.done} of {sent} records were not taken by the broker")
    return sent, left


def _to_file(letters: Iterable[Letter], registry: Topology, out: Path) -> tuple[int, int]:
    """Write input lines: events as JSON if they can be decoded, else by their bytes; unreadable lines as they were."""
    done = left = 0
    try:
        with out.open("wb") as file:
            for letter in letters:
                text = _as_line(letter, registry)
                if text is None:
                    left += 1
                else:
                    file.write(text + b"\n")
                    done += 1
    except OSError as error:
        raise OmsError(f"cannot write {out}: {error.strerror}") from None
    return done, left


def _as_line(letter: Letter, registry: Topology) -> bytes | None:
    import base64

    import orjson

    from streams.engine.codec.errors import DecodeError

    source, value = registry.topics.get(letter["topic"]), letter["value"]
    if value is None or (source is not None and not source.is_input):
        return None
    if source is None:  # a line of a file, as it was read
        return bytes(value)
    content: dict[str, Any] = {"topic": source.name}
    if letter["key"] is not None:
        content["key"] = letter["key"].decode("utf-8", "replace")
    try:
        content["value"] = registry.decoder(source.name, drop_nulls=True)(value)
    except DecodeError:
        content["bytes"] = base64.b64encode(value).decode()
    return orjson.dumps(content)
