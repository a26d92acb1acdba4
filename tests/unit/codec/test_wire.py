"""The Confluent wire format, JSON, and the text form of bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import topology
from streams.engine.codec import avro
from streams.engine.codec import json as json_codec
from streams.engine.codec.errors import DecodeError, EncodeError
from streams.engine.codec.registry import Schema

TOPOLOGY = topology.load()
PAYMENT = {"event_id": "p", "event_type": "payment_succeeded", "event_time": 1769220005000, "source": "wechatpay"}


def test_a_value_carries_magic_byte_and_schema_id() -> None:
    data = TOPOLOGY.encoder("payments")(PAYMENT)
    assert data[:5] == b"\x00" + TOPOLOGY.registry.id_of("payments-value", TOPOLOGY.schema("payments")).to_bytes(
        4, "big"
    )


def test_times_are_integers_and_unknown_event_types_survive() -> None:
    value = {**PAYMENT, "event_type": "no such type", "amount_minor": -(1 << 63)}
    decoded = TOPOLOGY.decoder("payments")(TOPOLOGY.encoder("payments")(value))
    assert decoded == {**dict.fromkeys(decoded), **value}
    assert TOPOLOGY.decoder("payments", drop_nulls=True)(TOPOLOGY.encoder("payments")(value)) == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes are too few for a schema id"),
        (b"\x00\x00", "2 bytes are too few for a schema id"),
        (b'{"event_id": "p"}', "magic byte is 123, not 0: not in the Confluent wire format"),
        (b"\x00\x00\x00\x7f\x00abc", "unknown schema id 32512"),
    ],
)
@pytest.mark.rule("DQ-08")
def test_what_is_not_in_the_wire_format_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        TOPOLOGY.decoder("payments")(data)
    assert str(caught.value) == reason


def test_a_record_of_another_topic_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"is not a version of oms\.Orders$"):
        TOPOLOGY.decoder("orders")(TOPOLOGY.encoder("payments")(PAYMENT))


class Fixed:
    """A registry of two ids."""

    def __init__(self, *schemas: Schema) -> None:
        self.schemas = schemas

    def id_of(self, subject: str, schema: Schema) -> int:
        return self.schemas.index(schema)

    def by_id(self, schema_id: int) -> Schema:
        return self.schemas[schema_id]


def general(*fields: Any) -> Schema:
    return {"type": "record", "name": "R", "fields": list(fields)}


GENERAL = general({"name": "x", "type": ["null", "string", "long"]})


def test_schemas_that_are_not_compiled_work_by_fastavro() -> None:
    encode, decode = avro.encoder(Fixed(GENERAL), "r", GENERAL), avro.decoder(Fixed(GENERAL), GENERAL)
    for value in (None, "text", 7):
        assert decode(encode({"x": value})) == {"x": value}
    assert avro.decoder(Fixed(GENERAL), GENERAL, drop_nulls=True)(encode({"x": None})) == {}
    with pytest.raises(EncodeError, match=r"^R: field x does not fit"):
        encode({"x": 5551234.5})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x02\x08ab", "truncated"),
        (b"\x02\x04\xff\xfe", "a text is not UTF-8"),
        (b"\x00\x00", "1 bytes after the end of the record"),
        (b"\x0e", "not an Avro record of R: IndexError"),
        (b"", "truncated"),
    ],
)
def test_malformed_payloads_of_such_schemas_are_decode_errors_too(payload: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        avro.decoder(Fixed(GENERAL), GENERAL)(b"\x00\x00\x00\x00\x00" + payload)
    assert str(caught.value) == reason


def test_a_version_that_cannot_be_read_is_a_decode_error() -> None:
    new = general({"name": "x", "type": "long"}, {"name": "y", "type": "string"})
    with pytest.raises(DecodeError):
        avro.decoder(Fixed(GENERAL, new), new)(b"\x00\x00\x00\x00\x00\x02\x02a")


def test_json_is_refused_without_its_content() -> None:
    assert json_codec.decode(json_codec.encode({"a": [1, "福"]})) == {"a": [1, "福"]}
    for bad in (b"", b"{", b'{"phone": 5551234', b"\xff"):
        with pytest.raises(DecodeError) as caught:
            json_codec.decode(bad)
        assert "555" not in str(caught.value)
        assert "\n" not in str(caught.value)
    for value in (object(), {1: 2}, 1 << 70, "\ud800"):
        with pytest.raises(EncodeError):
            json_codec.encode(value)


@given(st.binary(max_size=30) | st.sampled_from([b"base64:", b"base64:QQ==", "福".encode(), b"\x00"]))
def test_bytes_shown_as_text_come_back_exactly(data: bytes) -> None:
    shown = json_codec.readable(data)
    assert isinstance(shown, str)
    assert json_codec.unreadable(shown) == data


def test_an_output_line_has_key_and_value() -> None:
    assert json_codec.line("k", {"value": b"\xff", "n": [b"a", None]}) == (
        b'{"key":"k","value":{"value":"base64:/w==","n":["a",null]}}\n'
    )
