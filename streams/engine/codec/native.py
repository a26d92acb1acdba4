"""The C codec (_native.c), where it could be built: the same codecs as the generated Python, several times faster."""

from collections.abc import Callable
from typing import Any

from streams.engine.codec.errors import DecodeError
from streams.engine.codec.shape import NO_DEFAULT, Array, Enum, Map, Nullable, Primitive, Record, Shape, explainer

try:
    from streams.engine.codec import _native

    BUILT = True
except ImportError:  # no C compiler or no headers when this was installed
    BUILT = False


def compile_encoder(shape: Record, prefix: bytes, label: str) -> Callable[[Any], bytes]:
    """As compile_encode.compile_encoder."""
    return _native.Encoder(plan(shape), prefix, explainer(shape, label))


def compile_decoder(shape: Record, *, drop_nulls: bool = False) -> Callable[[bytes, int], dict[str, Any]]:
    """As compile_decode.compile_decoder."""
    return _native.Decoder(plan(shape), DecodeError, drop_nulls)


def plan(shape: Shape, null: int = -1) -> tuple[Any, ...]:
    """The shape as _native.c takes it: kind, index of null in the union or -1, and what the kind needs."""
    match shape:
        case Nullable(inner, null_index):
            return plan(inner, null_index)
        case Primitive(kind, _):
            return (kind, null, None)
        case Enum(symbols):
            return ("enum", null, symbols)
        case Array(items):
            return ("array", null, plan(items))
        case Map(values):
            return ("map", null, plan(values))
        case Record(_, fields):
            return ("record", null, tuple((f.name, plan(f.shape), *_default(f.default)) for f in fields))


def _default(default: Any) -> tuple[Any, ...]:
    return () if default is NO_DEFAULT else (default,)
