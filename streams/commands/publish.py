"""`oms publish`: input events from JSON lines to the broker, as Avro, keyed by the order's code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Broker, Json, emit_json, note, progress, settings_of

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

    from streams.config import Settings

DELIVERY_TIMEOUT_S = 60.0
_STEP = 200


def publish(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON lines, plain or gzip; - is standard input.")
    ],
    rate: Annotated[float | None, typer.Option("--rate", min=0.001, help="Events per second at most.")] = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Send input events (JSON lines) to the broker as Avro; lines that cannot be sent are named and left out."""
    result = send(settings_of(broker=broker), files, rate)
    if as_json:
        emit_json(result)
    else:
        note(f"published {result['sent']:,} events in {result['seconds']:.1f} s, {result['refused']} lines left out")
    if result["refused"]:
        raise typer.Exit(1)


def send(settings: Settings, files: list[Path], rate: float | None = None) -> dict[str, Any]:
    """Publish all lines and wait for the broker's word on each: {"sent", "refused", "seconds"}.

    Raises OmsError when the broker is unreachable, lacks a topic, or does not take a record.
    """
    from streams import topology
    from streams.clients import producer, require_broker
    from streams.commands.inputs import encoded_lines
    from streams.errors import OmsError
    from streams.lines import BadLine, code_of, require_files

    require_files(files)  # a wrong call is one with or without a broker
    registry = topology.load(registry=settings.registry, partitions=settings.partitions)
    known = require_broker(settings).topics
    deliveries = Deliveries()
    client = producer(settings, **{"message.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000)})
    started = time.monotonic()
    sent = refused = 0
    with progress("publishing") as move:
        for entry in encoded_lines(files, registry):
            if isinstance(entry, BadLine):
                refused += 1
                note(f"{entry.file}:{entry.number}: {entry.error}")
                continue
            line, payload = entry
            if line.topic not in known:
                raise OmsError(f"the broker has no topic {line.topic}: run `oms topics apply`")
            if rate:
                _pace(client, started + sent / rate)
            produce(client, deliveries, line.topic, payload, key=line.key or code_of(line.value))
            sent += 1
            if sent % _STEP == 0:
                client.poll(0)
                deliveries.check()
                move(_STEP)
        client.flush(DELIVERY_TIMEOUT_S)
        deliveries.check()
    if deliveries.done < sent:
        raise OmsError(
            f"{sent - deliveries.done} of {sent} events were not taken by the broker within {DELIVERY_TIMEOUT_S:g} s"
        )
    return {"sent": sent, "refused": refused, "seconds": round(time.monotonic() - started, 3)}


def send_all(settings: Settings, topic: str, records: Sequence[tuple[str, Any]], title: str, again: str) -> int:
    """Encode and send (key, value) of each record of one topic and wait for the broker's word on each; how many there
    were. `title` stands beside the progress, `again` says what to do if the broker did not take all. Raises OmsError.
    """
    from streams import topology
    from streams.clients import producer, require_topics
    from streams.errors import OmsError

    encode = topology.load(registry=settings.registry).encoder(topic)
    require_topics(settings, [topic])
    client = producer(settings, **{"message.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000)})
    deliveries = Deliveries()
    with progress(title, len(records)) as move:
        for count, (key, value) in enumerate(records, start=1):
            produce(client, deliveries, topic, encode(value), key=key)
            if count % _STEP == 0 or count == len(records):
                client.poll(0)
                deliveries.check()
                move(count % _STEP or _STEP)
        client.flush(DELIVERY_TIMEOUT_S)
        deliveries.check()
    if deliveries.done < len(records):
        missing = len(records) - deliveries.done
        raise OmsError(f"{missing:,} of {len(records):,} events were not taken by the broker; {again}")
    return len(records)


class Deliveries:
    """Counts what the broker has taken and keeps the first error."""

    def __init__(self) -> None:
        self.done = 0
        self.error: str | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.done += 1
        elif self.error is None:
            self.error = f"the broker did not take an event for {message.topic()}: {error.str()}"

    def check(self) -> None:
        from streams.errors import OmsError

        if self.error is not None:
            raise OmsError(self.error)


def produce(client: Any, deliveries: Deliveries, topic: str, payload: bytes, **more: Any) -> None:
    """Hand a record to the producer, waiting while its queue is full; `more`: key, partition."""
    while True:
        try:
            client.produce(topic, payload, on_delivery=deliveries, **more)
            return
        except BufferError:  # the local queue is full: let deliveries drain it
            client.poll(0.1)


def _pace(client: Any, due: float) -> None:
    """Wait until `due` (monotonic seconds), serving deliveries meanwhile."""
    while (left := due - time.monotonic()) > 0:
        client.poll(min(left, 0.1))
