"""Avro codecs generated for one schema at a time: Python source, written once per schema and compiled by Python.

Why not fastavro alone: it walks the schema for every record. Measured by bench/codec_bench.py on a busy machine of two
cores (CPython 3.11, fastavro 1.13, cavro 1.0; microseconds of CPU per record, best of 21 rounds):

    ENCODE                 fastavro  cavro  compiled        DECODE                 fastavro  cavro  compiled
    order event, 31 fields     15.8    6.2       2.9        order event, 31 fields     11.4    2.9       3.5
    payment, 17 fields          5.6    2.5       1.2        payment, 17 fields          4.9    1.4       1.6
    order state, 23 fields     24.6   11.2       6.2        order state, 23 fields     17.9    7.2       8.4
    audit row, 13 fields        5.3    2.9       1.0        audit row, 13 fields        5.1    1.9       1.5

Without its null fields a record takes as long to decode; what is saved is the caller's own pass over them.

Decision: the compiled codecs are the default. They give the same bytes as fastavro (a property test over all schemas
says so), encode two to three times as fast as cavro and decode about as fast, and need no compiled wheel. fastavro does
what is left: records of another version of a schema, and schemas with constructs that are not compiled. cavro stays a
measured alternative of the benchmark and the tests and is not used.

Stricter than fastavro on purpose: a bool is no int, a float no long, a number no boolean, a text no array.
"""

from collections.abc import Callable
from typing import Any

from streams.engine.codec.compile_decode import compile_decoder
from streams.engine.codec.compile_encode import compile_encoder
from streams.engine.codec.shape import Record, UnsupportedError, shape_of


def writer(schema: Any, prefix: bytes) -> Callable[[Any], bytes] | None:
    """An encoder that puts `prefix` before the Avro binary; None if the schema has to be left to fastavro."""
    shape = _record(schema)
    return None if shape is None else compile_encoder(shape, prefix, shape.name)


def reader(schema: Any, *, drop_nulls: bool = False) -> Callable[[bytes, int], dict[str, Any]] | None:
    """A decoder of (payload, position of its Avro); None if the schema has to be left to fastavro."""
    shape = _record(schema)
    return None if shape is None else compile_decoder(shape, shape.name, drop_nulls=drop_nulls)


def _record(schema: Any) -> Record | None:
    try:
        shape = shape_of(schema)
    except UnsupportedError:
        return None
    return shape if isinstance(shape, Record) else None
