"""The compiled codecs give the bytes and values of fastavro, refuse what does not fit, and survive hostile bytes."""

import json
import math
import random
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams import topology
from streams.engine.codec import compiled
from streams.engine.codec import shape as shape_module
from streams.engine.codec.avro import plain
from streams.engine.codec.errors import DecodeError, EncodeError
from streams.engine.codec.shape import Record, shape_of
from tests.unit.codec.strategies import values

TOPOLOGY = topology.load()
AVRO_TOPICS = sorted(name for name, topic in TOPOLOGY.topics.items() if topic.subject is not None)

QUICK = settings(
    max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
)

# What the project's schemas do not use and the compiler knows all the same.
ODD: dict[str, Any] = {
    "type": "record",
    "name": "Odd",
    "fields": [
        {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}},
        {"name": "last", "type": ["string", "null"], "default": ""},
        {"name": "colours", "type": {"type": "map", "values": {"type": "array", "items": "Colour"}}, "default": {}},
        {"name": "number", "type": ["null", "int"], "default": None},
        {"name": "grid", "type": ["null", {"type": "array", "items": {"type": "array", "items": "double"}}]},
        {"name": "switch", "type": "boolean"},
        {"name": "content", "type": "bytes"},
        {"name": "far", "type": ["null", {"type": "enum", "name": "Far", "symbols": ["a", "b", "c"]}], "default": None},
    ],
}


def schema_of(name: str) -> dict[str, Any]:
    return ODD if name == "odd" else TOPOLOGY.schema(name)


def shape(name: str) -> Record:
    found = shape_of(schema_of(name))
    assert isinstance(found, Record)
    return found


def by_fastavro(schema: dict[str, Any], value: Any) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain(schema)), value)
    return out.getvalue()


@pytest.mark.parametrize("name", [*AVRO_TOPICS, "odd"])
def test_every_schema_is_compiled_and_agrees_with_fastavro(name: str) -> None:
    schema = schema_of(name)
    encode = compiled.writer(schema, b"\x00head")
    decode, sparse = compiled.reader(schema), compiled.reader(schema, drop_nulls=True)
    assert encode
    assert decode
    assert sparse
    parsed = fastavro.parse_schema(plain(schema))

    @QUICK
    @given(values(shape(name)))
    def agrees(value: Any) -> None:
        expected = by_fastavro(schema, value)
        assert encode(value) == b"\x00head" + expected
        record = fastavro.schemaless_reader(BytesIO(expected), parsed)
        decoded = decode(b"\x00head" + expected, 5)
        assert decoded == record
        assert list(decoded) == list(record), "fields in the schema's order"
        assert sparse(expected, 0) == {key: item for key, item in record.items() if item is not None}

    agrees()


@pytest.mark.parametrize("name", ["orders", "order-states", "dead-letters", "odd"])
def test_bytes_that_are_no_record_end_in_a_decode_error_and_nothing_else(name: str) -> None:
    decode = compiled.reader(schema_of(name))
    assert decode
    parsed = fastavro.parse_schema(plain(schema_of(name)))
    chance = random.Random(7)

    @QUICK
    @given(values(shape(name)), st.binary(max_size=40))
    def survives(value: Any, garbage: bytes) -> None:
        good = by_fastavro(schema_of(name), value)
        bad = [garbage, good + b"\x00", *(good[:cut] for cut in range(0, len(good), 1 + len(good) // 40))]
        for _ in range(40):
            at = chance.randrange(len(good))
            bad.append(good[:at] + bytes([chance.randrange(256)]) + good[at + 1 :])
        for data in bad:
            try:
                record = decode(data, 0)
            except DecodeError:
                continue
            # What is accepted is what fastavro reads (NaN is unequal to itself, hence repr).
            assert repr(record) == repr(fastavro.schemaless_reader(BytesIO(data), parsed))

    survives()


def record_of(field_type: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": "x", "type": field_type, **more}]}


@pytest.mark.parametrize(
    ("field_type", "data", "reason"),
    [
        ("string", b"\x05ab", "a length is negative"),
        ("string", b"\x08ab", "truncated"),
        ("string", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01ab", "truncated"),
        ("string", b"\x04\xff\xfe", "a text is not UTF-8"),
        ("string", b"\x06\xed\xa0\x80", "a text is not UTF-8"),
        ("string", b"\x02ab", "1 bytes after the end of the record"),
        ("string", b"", "truncated"),
        ("long", b"\xff" * 12, "an integer has more than 64 bits"),
        ("long", b"\xff" * 9 + b"\x7f", "an integer has more than 64 bits"),
        ("int", b"\x80\x80\x80\x80\x20", "an int has more than 32 bits"),
        ("boolean", b"\x02", "a boolean that the schema does not have"),
        ("double", b"\x00" * 7, "truncated"),
        (["null", "string"], b"\x04", "a union index that the schema does not have"),
        (["null", "string"], b"\x01", "a union index that the schema does not have"),
        (["string", "null"], b"\x04", "a union index that the schema does not have"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, b"\x02", "an enum index that the schema does not have"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, b"\x01", "an enum index that the schema does not have"),
        ({"type": "array", "items": "string"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02a", "truncated"),
        ({"type": "array", "items": "string"}, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x02a", "truncated"),
        ({"type": "array", "items": "string"}, b"\x01\x01\x02a\x00", "a length is negative"),
        ({"type": "map", "values": "long"}, b"\x02\x02a", "truncated"),
    ],
)
def test_a_malformed_payload_names_its_fault(field_type: Any, data: bytes, reason: str) -> None:
    decode = compiled.reader(record_of(field_type))
    assert decode
    with pytest.raises(DecodeError) as caught:
        decode(data, 0)
    assert str(caught.value) == reason


def test_blocks_with_a_size_and_several_blocks_are_read() -> None:
    decode = compiled.reader(record_of({"type": "array", "items": "string"}))
    assert decode
    assert decode(b"\x03\x08\x02a\x02b\x02\x02c\x00", 0) == {"x": ["a", "b", "c"]}


WRONG = [
    True,
    1,
    1.5,
    "a",
    b"a",
    None,
    1 << 63,
    -(1 << 63) - 1,
    1 << 31,
    ["a"],
    ("a",),
    {"a": 1},
    {1: 1},
    "\ud800",
    [1],
]
TYPES: list[Any] = [
    "long",
    "int",
    "string",
    "double",
    "boolean",
    "bytes",
    {"type": "array", "items": "string"},
    {"type": "map", "values": "long"},
    {"type": "enum", "name": "E", "symbols": ["a", "b"]},
    {"type": "record", "name": "S", "fields": [{"name": "a", "type": "long"}]},
]
# fastavro converts these in silence where a field is not nullable; here they are refused.
LENIENT = {
    "long": (bool, float),
    "int": (bool, float, int),
    "double": (bool, str),
    "boolean": (object,),
    "array": (str, dict),
}


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("field_type", TYPES, ids=str)
def test_what_fastavro_refuses_is_refused_and_the_field_is_named(field_type: Any, nullable: bool) -> None:
    schema = record_of(["null", field_type] if nullable else field_type)
    encode, decode = compiled.writer(schema, b""), compiled.reader(schema)
    assert encode
    assert decode
    for value in WRONG:
        if nullable and isinstance(value, tuple):
            continue  # fastavro takes a tuple in a union for a branch by name
        try:
            expected = by_fastavro(schema, {"x": value})
        except Exception:
            with pytest.raises(EncodeError, match=r"^R\.x"):
                encode({"x": value})
            continue
        kind = field_type if isinstance(field_type, str) else field_type["type"]
        try:
            encoded = encode({"x": value})
        except EncodeError:
            lenient = isinstance(value, LENIENT.get(kind, ()))
        else:
            lenient = encoded == expected and decode(encoded, 0) is not None
        assert lenient, (field_type, value)


def test_the_error_of_a_value_gives_the_path_and_not_the_value() -> None:
    encode = TOPOLOGY.encoder("orders")
    event = {"event_id": "1", "event_type": "t", "event_time": 1, "source": "s"}
    wrong = [
        ({**event, "lines": [{"sku": "a"}, {"sku": 5551234}]}, "Orders.lines[1].sku is int, not string"),
        ({**event, "address": {"phone": ["5551234"]}}, "Orders.address.phone is list, not string"),
        ({"event_id": "5551234"}, "Orders.event_type is missing"),
        ({**event, "event_time": 1.5}, "Orders.event_time is float, not long"),
        ({**event, "coupon_count": 5551234 << 20}, "Orders.coupon_count is out of the range of int"),
        ({**event, "ip": "\ud8005551234"}, "Orders.ip is text that is not valid Unicode"),
        (["5551234"], "Orders is list, not a record"),
    ]
    for value, reason in wrong:
        with pytest.raises(EncodeError) as caught:
            encode(value)
        assert str(caught.value) == reason


def test_not_a_number_survives() -> None:
    schema = record_of("double")
    encode, decode = compiled.writer(schema, b""), compiled.reader(schema)
    assert encode
    assert decode
    assert math.isnan(decode(encode({"x": math.nan}), 0)["x"])


def nested(inner: Any, depth: int) -> Any:
    return {"type": "array", "items": nested(inner, depth - 1)} if depth else inner


@pytest.mark.parametrize("kind", ["array", "map"])
def test_the_deepest_schema_that_is_compiled_is_really_compiled(kind: str) -> None:
    content: Any = 7
    schema: Any = "long"
    for _ in range(shape_module.DEEPEST - 1):
        content = [content] if kind == "array" else {"a": content}
        schema = ["null", {"type": "array", "items": schema} if kind == "array" else {"type": "map", "values": schema}]
    encode, decode = compiled.writer(record_of(schema), b""), compiled.reader(record_of(schema))
    assert encode
    assert decode
    assert decode(encode({"x": content}), 0) == {"x": content}


@pytest.mark.parametrize(
    "field_type",
    [
        "null",
        "float",
        ["null", "string", "long"],
        ["string", "long"],
        {"type": "fixed", "name": "F", "size": 2},
        {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}},
        ["null", "R"],
        ["null", ["null", "string"]],
        nested("long", 10),
    ],
    ids=str,
)
def test_what_is_not_compiled_is_left_to_fastavro(field_type: Any) -> None:
    assert compiled.writer(record_of(field_type), b"") is None
    assert compiled.reader(record_of(field_type)) is None


@pytest.mark.parametrize("name", AVRO_TOPICS)
def test_cavro_agrees_with_the_compiled_bytes(name: str) -> None:
    cavro = pytest.importorskip("cavro")
    schema = schema_of(name)
    encode, decode = compiled.writer(schema, b""), compiled.reader(schema)
    assert encode
    assert decode
    peer = cavro.Schema(json.dumps(plain(schema)))

    @QUICK
    @given(values(shape(name)))
    def agrees(value: Any) -> None:
        record = decode(encode(value), 0)
        assert peer.binary_encode(record) == encode(value)

    agrees()
