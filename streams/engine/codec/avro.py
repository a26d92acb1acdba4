"""Avro in the Confluent wire format: magic byte 0, schema id (4 bytes, big-endian), Avro binary.

Times are plain integers (milliseconds since the epoch, UTC): the logical types stand in the schemas for other readers
and are not turned into objects here. Compiled codecs do the work (compiled.py), fastavro what they do not cover.
"""

import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

import fastavro
from fastavro.schema import SchemaParseException

from streams.engine.codec import compiled
from streams.engine.codec.errors import DecodeError, EncodeError, UnknownSchemaError
from streams.engine.codec.registry import Registry, Schema, fingerprint

MAGIC: Final = 0
HEADER_BYTES: Final = 5

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]
# Payload and the offset its Avro begins at, to the record.
Read = Callable[[bytes, int], dict[str, Any]]


def plain(schema: Any) -> Any:
    """The schema without logical types, so that fastavro gives and takes the underlying numbers."""
    if isinstance(schema, dict):
        return {
            key: value if key == "default" else plain(value) for key, value in schema.items() if key != "logicalType"
        }
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    return schema


def encoder(registry: Registry, subject: str, schema: Schema) -> Encode:
    """Encoder of one topic's values. Raises EncodeError (one line naming the field) on a value that does not fit."""
    prefix = header(registry.id_of(subject, schema))
    return compiled.writer(schema, prefix) or _fastavro_writer(schema, prefix)


def _fastavro_writer(schema: Schema, prefix: bytes) -> Encode:
    parsed = fastavro.parse_schema(plain(schema))

    def encode(value: Mapping[str, Any]) -> bytes:
        out = BytesIO()
        out.write(prefix)
        try:
            fastavro.schemaless_writer(out, parsed, value)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            # fastavro's message holds the value: only the field's name is taken from it.
            field = re.search(r"(?:on field|default for) (\w+)", str(error))
            where = f"field {field[1]}" if field else "the record"
            raise EncodeError(f"{schema['name']}: {where} does not fit ({type(error).__name__})") from None
        return out.getvalue()

    return encode


def decoder(registry: Registry, schema: Schema, *, drop_nulls: bool = False) -> Decode:
    """Decoder of one topic's values: any registered version of the schema in, records of `schema` out.

    `drop_nulls` leaves the null fields out of the record (not of records inside it). Raises DecodeError (one line,
    nothing of the payload) on anything that is not whole and well-formed, RegistryUnavailableError if the registry has
    to be asked and does not answer.
    """
    readers: dict[bytes, Read] = {}

    def decode(data: bytes) -> dict[str, Any]:
        try:
            head = data[:HEADER_BYTES]
        except TypeError:  # a record without a value, which any sender can write
            raise DecodeError("no value: a null record holds no event") from None
        read = readers.get(head)
        if read is None:
            read = readers[head] = _reader(registry, head, schema, drop_nulls)
        return read(data, HEADER_BYTES)

    return decode


def header(schema_id: int) -> bytes:
    """Magic byte and id, as they stand before the Avro binary."""
    return bytes([MAGIC]) + schema_id.to_bytes(4, "big")


def schema_id_of(data: bytes) -> int:
    """The writer's schema id; DecodeError if the payload is not in the wire format."""
    if len(data) < HEADER_BYTES:
        raise DecodeError(f"{len(data)} bytes are too few for a schema id")
    if data[0] != MAGIC:
        raise DecodeError(f"magic byte is {data[0]}, not {MAGIC}: not in the Confluent wire format")
    return int.from_bytes(data[1:HEADER_BYTES], "big")


def _reader(registry: Registry, head: bytes, schema: Schema, drop_nulls: bool) -> Read:
    schema_id = schema_id_of(head)
    try:
        writer = registry.by_id(schema_id)
    except UnknownSchemaError:
        raise DecodeError(f"unknown schema id {schema_id}") from None
    if not isinstance(writer, dict) or _full_name(writer) != _full_name(schema):
        raise DecodeError(f"schema id {schema_id} is not a version of {_full_name(schema)}")
    try:
        same = fingerprint(writer) == fingerprint(schema)
        read = compiled.reader(schema, drop_nulls=drop_nulls) if same else None
        return read or resolving_reader(writer, schema, drop_nulls=drop_nulls)
    except (SchemaParseException, ValueError, TypeError, KeyError) as error:
        reason = type(error).__name__
        raise DecodeError(f"schema id {schema_id} cannot be read as {_full_name(schema)}: {reason}") from None


def _full_name(schema: Schema) -> str:
    name = str(schema.get("name"))
    return name if "." in name or "namespace" not in schema else f"{schema['namespace']}.{name}"


def resolving_reader(writer: Schema, reader: Schema, *, drop_nulls: bool = False) -> Read:
    """A reader of records of `writer` as records of `reader`, by fastavro: exact, general, slow."""
    writes = fastavro.parse_schema(plain(writer))
    reads = None if fingerprint(writer) == fingerprint(reader) else fastavro.parse_schema(plain(reader))

    def read(data: bytes, at: int) -> dict[str, Any]:
        stream = BytesIO(data)
        stream.seek(at)
        try:
            value: Any = fastavro.schemaless_reader(stream, writes, reads)
        except EOFError:
            raise DecodeError("truncated") from None
        except UnicodeDecodeError:
            raise DecodeError("a text is not UTF-8") from None
        except Exception as error:
            # fastavro promises no exception type for bytes that are not Avro (IndexError, KeyError, MemoryError, ...).
            raise DecodeError(f"not an Avro record of {writer['name']}: {type(error).__name__}") from None
        if stream.tell() != len(data):
            raise DecodeError(f"{len(data) - stream.tell()} bytes after the end of the record")
        if drop_nulls:
            return {name: item for name, item in value.items() if item is not None}
        return value  # type: ignore[no-any-return]

    return read
