"""Avro codecs compiled for one schema at a time: a plan that a C extension follows, or Python source, generated once.

Why not fastavro alone: it walks the schema for every record. Measured by bench/codec_bench.py on a busy machine of two
cores (CPython 3.11, fastavro 1.13, cavro 1.0; microseconds of CPU per record, best of 21 rounds):

    ENCODE               fastavro  cavro  Python     C      DECODE               fastavro  cavro  Python     C
    order event              31.9   11.3     5.0  0.65      order event              21.1    5.3     6.9  1.12
    payment                  11.2    4.4     2.0  0.35      payment                   9.2    2.7     3.1  0.52
    order state              48.9   20.9    11.4  0.94      order state              33.0   12.8    16.2  2.67
    audit row                11.0    5.2     2.0  0.29      audit row                 9.8    3.8     3.2  0.64

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


def _record(schema: Any) -> Record | None:
    try:
        shape = shape_of(schema)
    except UnsupportedError:
        return None
    return shape if isinstance(shape, Record) else None
