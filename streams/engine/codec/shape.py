"""An Avro schema as a small tree, for the compiled codecs: named types in place, logical types gone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.engine.codec.errors import EncodeError

PRIMITIVES: Final = frozenset({"boolean", "int", "long", "double", "string", "bytes"})
NO_DEFAULT: Final = object()


class UnsupportedError(Exception):
    """The schema uses what the compiled codecs leave to fastavro: other unions, fixed, float, null, recursion."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """`kind` is one of PRIMITIVES; `time` is set for timestamp-millis, whose values are mostly six bytes long."""

    kind: str
    time: bool = False


@dataclass(frozen=True, slots=True)
class Nullable:
    """A union of null and one other type; `null_index` is 0 or 1."""

    inner: "Shape"
    null_index: int


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record; `default` is NO_DEFAULT where the schema has none."""

    name: str
    shape: "Shape"
    default: Any


@dataclass(frozen=True, slots=True)
class Record:
    """At least one field, so that a record takes at least one byte."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """Items in blocks."""

    items: "Shape"


@dataclass(frozen=True, slots=True)
class Map:
    """Text keys and values in blocks."""

    values: "Shape"


@dataclass(frozen=True, slots=True)
class Enum:
    """An index into `symbols`."""

    symbols: tuple[str, ...]


Shape = Primitive | Nullable | Record | Array | Map | Enum


def shape_of(schema: Any, _names: dict[str, Any] | None = None, _open: tuple[str, ...] = ()) -> Shape:
    """The tree of a schema. Raises UnsupportedError; ValueError or KeyError on what is no schema at all."""
    names = {} if _names is None else _names
    if isinstance(schema, str):
        if schema in PRIMITIVES:
            return Primitive(schema)
        short = schema.rpartition(".")[2]
        if short in _open or short not in names:
            raise UnsupportedError(f"type {schema}")
        return shape_of(names[short], names, _open)
    if isinstance(schema, list):
        others = [item for item in schema if item != "null"]
        if len(schema) != 2 or len(others) != 1:
            raise UnsupportedError("a union that is not null and one type")
        return Nullable(shape_of(others[0], names, _open), schema.index("null"))
    kind = schema["type"]
    if kind in PRIMITIVES:
        return Primitive(kind, time=schema.get("logicalType") == "timestamp-millis")
    if kind == "array":
        return Array(shape_of(schema["items"], names, _open))
    if kind == "map":
        return Map(shape_of(schema["values"], names, _open))
    if kind not in ("record", "enum"):
        raise UnsupportedError(f"type {kind}")
    name = str(schema["name"]).rpartition(".")[2]
    names[name] = schema
    if kind == "enum":
        return Enum(tuple(schema["symbols"]))
    if not schema["fields"]:
        raise UnsupportedError("a record without fields")
    fields = tuple(_field(field, names, (*_open, name)) for field in schema["fields"])
    return Record(name, fields)


def _field(field: Mapping[str, Any], names: dict[str, Any], opened: tuple[str, ...]) -> Field:
    shape = shape_of(field["type"], names, opened)
    default = field.get("default", NO_DEFAULT)
    inner = shape.inner if isinstance(shape, Nullable) else shape
    if isinstance(inner, Primitive) and inner.kind == "bytes" and default not in (NO_DEFAULT, None):
        raise UnsupportedError("bytes with a default")
    if default is NO_DEFAULT and isinstance(shape, Nullable):
        default = None
    return Field(str(field["name"]), shape, default)


def explainer(shape: Record, label: str) -> Callable[[Any, Exception], EncodeError]:
    """What says why a value could not be encoded: the first field that is wrong, else only the error's type."""

    def explain(value: Any, error: Exception) -> EncodeError:
        return EncodeError(misfit(shape, value, label) or f"{label} does not fit ({type(error).__name__})")

    return explain


def misfit(shape: Shape, value: Any, path: str) -> str | None:
    """Where and how a value does not fit, in a few words without the value itself; None if it fits."""
    match shape:
        case Nullable(inner, _):
            return None if value is None else misfit(inner, value, path)
        case Record(_, fields):
            if not isinstance(value, Mapping):
                return f"{path} is {_kind(value)}, not a record"
            for field in fields:
                where = f"{path}.{field.name}"
                if field.name not in value and field.default is NO_DEFAULT:
                    return f"{where} is missing"
                found = misfit(field.shape, value.get(field.name, field.default), where)
                if found:
                    return found
            return None
        case Array(items):
            if not isinstance(value, list | tuple):
                return f"{path} is {_kind(value)}, not an array"
            return next(filter(None, (misfit(items, item, f"{path}[{i}]") for i, item in enumerate(value))), None)
        case Map(values):
            if not isinstance(value, Mapping):
                return f"{path} is {_kind(value)}, not a map"
            for key, item in value.items():
                found = misfit(Primitive("string"), key, f"{path} key") or misfit(values, item, f"{path} value")
                if found:
                    return found
            return None
        case Enum(symbols):
            return None if isinstance(value, str) and value in symbols else f"{path} is none of the enum's symbols"
        case Primitive(kind, _):
            return _primitive_misfit(kind, value, path)


def _primitive_misfit(kind: str, value: Any, path: str) -> str | None:
    if kind in ("int", "long"):
        if not isinstance(value, int) or isinstance(value, bool):
            return f"{path} is {_kind(value)}, not {kind}"
        bits = 31 if kind == "int" else 63
        return None if -(1 << bits) <= value < 1 << bits else f"{path} is out of the range of {kind}"
    if kind == "double":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if fits:
            try:
                float(value)
            except OverflowError:
                return f"{path} is out of the range of double"
    elif kind == "boolean":
        fits = isinstance(value, bool)
    elif kind == "bytes":
        fits = isinstance(value, bytes | bytearray)
    else:
        fits = isinstance(value, str)
        if fits:
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"{path} is text that is not valid Unicode"
    return None if fits else f"{path} is {_kind(value)}, not {kind}"


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
