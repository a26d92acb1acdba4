"""Avro codecs compiled for one schema at a time: a plan that a C extension follows, or Python source, generated once.

Why not fastavro alone: it walks the schema for every record. Measured by bench/codec_bench.py on a busy machine of two
cores (CPython 3.11, fastavro 1.13, cavro 1.0; microseconds of CPU per record, best of 21 rounds):

    ENCODE               fastavro  cavro  Python     C      DECODE               fastavro  cavro  Python     C
    order event              30.9   11.2     5.0  0.63      order event              21.0    5.3     6.6  1.10
    payment                  11.0    4.5     1.9  0.34      payment                   9.2    2.6     3.1  0.45
    order state              48.1   20.6    11.3  0.92      order state              32.9   12.6    16.0  2.48
    audit row                10.7    5.1     1.9  0.29      audit row                 9.6    3.7     3.0  0.57

Without its null fields a record takes as long to decode; what is saved is the caller's own pass over them.

Decision: C where it could be built when the project was installed, the generated Python elsewhere or with OMS_NATIVE=0.
This module is where that is chosen; the two are one codec (tests/unit/codec runs for both and compares them over random
schemas). They give the same bytes as fastavro. fastavro does what is left: records of another version of a schema, and
schemas with constructs that are not compiled. cavro stays a measured alternative of the benchmark and the tests and is
not used.

Stricter than fastavro on purpose: a bool is no int, a float no long, a number no boolean, a text no array.
"""

import os
from collections.abc import Callable
from typing import Any

from streams.engine.codec import native
from streams.engine.codec.shape import Record, UnsupportedError, shape_of

NATIVE = native.BUILT and os.environ.get("OMS_NATIVE") != "0"
"""Whether C does the work; read when a codec is made."""


def in_force() -> str:
    """Which codec does the work, and why, in a few words."""
    if NATIVE:
        return "C extension"
    why = "OMS_NATIVE=0" if native.BUILT else "no C compiler or no Python headers when this was installed"
    return f"generated Python: {why}"


def writer(schema: Any, prefix: bytes) -> Callable[[Any], bytes] | None:
    """An encoder that puts `prefix` before the Avro binary; None if the schema has to be left to fastavro."""
    shape = _record(schema)
    if shape is None:
        return None
    if NATIVE:
        return native.compile_encoder(shape, prefix, shape.name)
    from streams.engine.codec import compile_encode  # not at the top: its tables take megabytes

    return compile_encode.compile_encoder(shape, prefix, shape.name)


def reader(schema: Any, *, drop_nulls: bool = False) -> Callable[[bytes, int], dict[str, Any]] | None:
    """A decoder of (payload, position of its Avro); None if the schema has to be left to fastavro."""
    shape = _record(schema)
    if shape is None:
        return None
    if NATIVE:
        return native.compile_decoder(shape, drop_nulls=drop_nulls)
    from streams.engine.codec import compile_decode  # as above

    return compile_decode.compile_decoder(shape, shape.name, drop_nulls=drop_nulls)


def by_header(decode: Callable[[bytes], Any]) -> tuple[Callable[[bytes], Any], Callable[[bytes, Any], None]]:
    """`decode`, which finds a reader by a payload's header, with a short cut: it tells the second what it found."""
    return native.by_header(decode) if NATIVE else (decode, lambda head, read: None)


def _record(schema: Any) -> Record | None:
    try:
        shape = shape_of(schema)
    except UnsupportedError:
        return None
    return shape if isinstance(shape, Record) else None
