"""The form of a status table as a JSON Schema (ST-03, OTH-08), for people and tools that write tables."""

from __future__ import annotations

from typing import Any

from streams.domain.rules.nodes import NODES, STATES
from streams.domain.status_map import EVENTS, FLAGS, TOPICS


def _nullable(values: tuple[str, ...]) -> dict[str, Any]:
    return {"enum": [*values, None]}


def _words(about: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "description": about}


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of one table. What it cannot say (duplicates, complete courier words) is checked at load."""
    row = {
        "field": {"type": ["string", "null"], "description": "Absent: any default field. *: any field at all."},
        "code": {"type": "string", "minLength": 1, "description": "What the other system says."},
        "state": {**_nullable(STATES), "description": "Atomic state it stands for, if any."},
        "node": {**_nullable(tuple(node.name for node in NODES)), "description": "Fine node of that state."},
        "flags": {"type": "array", "items": {"enum": list(FLAGS)}},
        "event": {**_nullable(EVENTS), "description": "Atomic event that goes with it."},
        "axis": {
            "type": ["string", "null"],
            "pattern": "^[^:]*:[^:]*$",
            "description": "What is no order state: name:value.",
        },
        "topics": {
            "type": "array",
            "items": {"enum": list(TOPICS)},
            "minItems": 1,
            "description": "Those of the table's topics the row holds for. Absent: all.",
        },
        "not_status": {
            "type": "string",
            "minLength": 1,
            "description": "Why the word is no order status: known, but moves nothing (no state, flags, event).",
        },
        "note": {"type": "string"},
        "event_type": {
            "type": "string",
            "minLength": 1,
            "description": "In a table of all names (*), with field *: the event type it holds for, before any row.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Status table of a platform, courier or warehouse system",
        "type": "object",
        "required": ["version", "topics", "names", "default_fields", "rows"],
        "properties": {
            "about": {"type": "string"},
            "version": {"type": "integer", "minimum": 1},
            "topics": {"type": "array", "items": {"enum": list(TOPICS)}, "minItems": 1},
            "names": _words(
                "Sources, couriers or channels the table holds for; * for all that have none of their own."
            ),
            "default_fields": _words("Fields meant where an event names none."),
            "rows": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["code"], "properties": row, "additionalProperties": False},
            },
        },
        "additionalProperties": False,
    }
