"""The tables that the sinks write, from the schemas of their topics: as the sink itself would make them. No I/O.

They are made before the first record comes, for views need them; what a schema gains is added. How fields become
columns: a field is a column, the fields of an inner record are columns named OUTER_INNER, a list of texts is an array,
a map or a list of records is JSON. The transform `oms.connect.Row` of the connectors does the same to records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_TYPES: Final = {
    "string": "text",
    "int": "integer",
    "long": "bigint",
    "double": "double precision",
    "boolean": "boolean",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `type` is PostgreSQL's word for it."""

    name: str
    type: str
    nullable: bool


def columns(schema: dict[str, Any]) -> list[Column]:
    """The columns of an Avro record schema, in order."""
    return [*_columns(schema, "", False)]


def _columns(record: dict[str, Any], prefix: str, nullable: bool) -> Iterator[Column]:
    for field in record["fields"]:
        kind, optional = field["type"], nullable
        if isinstance(kind, list):
            optional = True
            (kind,) = (branch for branch in kind if branch != "null")
        if isinstance(kind, dict) and kind["type"] == "record":
            yield from _columns(kind, f"{prefix}{field['name']}_", optional)
        else:
            yield Column(prefix + field["name"], _type(kind), optional)


def _type(kind: Any) -> str:
    if isinstance(kind, str):
        return _TYPES[kind]
    if kind.get("logicalType") == "timestamp-millis":
        return "timestamp(6)"
    if kind["type"] == "array" and isinstance(kind["items"], str):
        return f"{_TYPES[kind['items']]}[]"
    return "json" if kind["type"] in ("array", "map") else _TYPES[kind["type"]]


def statements(table: str, key: str, schema: dict[str, Any]) -> list[str]:
    """What makes the table, and adds to one that is there what it lacks. A column added later can only be nullable."""
    found = columns(schema)
    lines = [f'"{one.name}" {one.type}{"" if one.nullable else " NOT NULL"}' for one in found]
    lines.append(f'PRIMARY KEY ("{key}")')
    made = f'CREATE TABLE IF NOT EXISTS "{table}" ({", ".join(lines)})'
    return [made, *(f'ALTER TABLE "{table}" ADD COLUMN IF NOT EXISTS "{one.name}" {one.type}' for one in found)]
