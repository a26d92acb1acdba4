"""The job every peer runs: one state per order out of Avro order events.

Events come in the Confluent wire format, keyed by order guid. The state keeps the furthest status, the amount paid and
the last 16 event ids, so that an event delivered twice changes nothing; each event that counts gives one Avro record
of the merged state. The Java peers do the same in ``peers/order-job``.
"""

import io
import json
from pathlib import Path
from typing import Any, Final

import fastavro

SCHEMAS: Final = Path(__file__).parent / "schemas"
EVENT_SCHEMA: Final = fastavro.parse_schema(json.loads((SCHEMAS / "order_event.avsc").read_text()))
STATE_SCHEMA: Final = fastavro.parse_schema(json.loads((SCHEMAS / "order_state.avsc").read_text()))
STATUSES: Final = ("CREATED", "PAID", "SHIPPED", "SIGNED", "CONFIRMED", "SETTLED")
RANK: Final = {status: rank for rank, status in enumerate(STATUSES)}
PAID: Final = RANK["PAID"]
EVENT_HEADER: Final = b"\0\0\0\0\1"  # magic byte and schema id, as a registry would give them
STATE_HEADER: Final = b"\0\0\0\0\2"
REMEMBERED: Final = 16


def decode_event(payload: bytes) -> dict[str, Any]:
    """The event of one Kafka value (5 header bytes, then Avro)."""
    stream = io.BytesIO(payload)
    stream.seek(5)
    event: dict[str, Any] = fastavro.schemaless_reader(stream, EVENT_SCHEMA, None)
    return event


def encode_event(event: dict[str, Any]) -> bytes:
    """One event as a Kafka value; ``gen`` writes the same bytes faster and checks itself against this."""
    return _encode(EVENT_HEADER, EVENT_SCHEMA, event)


def encode_state(state: dict[str, Any]) -> bytes:
    """One merged state as a Kafka value."""
    return _encode(STATE_HEADER, STATE_SCHEMA, state)


def _encode(header: bytes, schema: Any, record: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    stream.write(header)
    fastavro.schemaless_writer(stream, schema, record)
    return stream.getvalue()


def fold(state: dict[str, Any] | None, event: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The order's state after ``event`` and the merged state to publish; ``None`` for an event seen before.

    Pure: a state given in is never changed.
    """
    rank = RANK[event["type"]]
    if state is None:
        status, version, updated_at, paid, seen = -1, 0, 0, 0, []
    else:
        seen = state["seen"]
        if event["event_id"] in seen:
            return state, None
        status, version, updated_at, paid = state["status"], state["version"], state["updated_at"], state["paid"]
    guid = event["order_guid"]
    anomaly = "gap" if rank > status + 1 else "late" if rank < status else None
    if rank > status:
        status = rank
    if event["occurred_at"] > updated_at:
        updated_at = event["occurred_at"]
    if rank == PAID:
        paid += event["amount"]
    version += 1
    after = {
        "order_guid": guid,
        "status": status,
        "version": version,
        "updated_at": updated_at,
        "paid": paid,
        "seen": [*seen[1 - REMEMBERED :], event["event_id"]],
    }
    merged = {
        "order_guid": guid,
        "status": status,
        "version": version,
        "updated_at": updated_at,
        "paid": paid,
        "anomaly": anomaly,
    }
    return after, merged
