"""Hypothesis strategies for values of an Avro schema, as the project's codecs take them (times are integers)."""

import itertools
from typing import Any

from hypothesis import strategies as st

from streams.engine.codec.shape import NO_DEFAULT, Array, Enum, Field, Map, Nullable, Primitive, Record, Shape, shape_of

# Text of every width: ASCII, longer than one length byte, Chinese, astral, NUL; no surrogates, which UTF-8 cannot say.
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["", "a" * 63, "b" * 64, "福" * 40, "c" * 8191, "d" * 8192, "\x00", "\x7f\x80ÿ", "𝕊"]),
)
EDGES = [1 << bits for bits in (6, 12, 13, 27, 31, 41)]
LONG = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from([sign * edge + by for edge in EDGES for sign in (1, -1) for by in (-1, 0, 1)]),
    st.sampled_from([(1 << 63) - 1, -(1 << 63)]),
    st.integers(0, 20_000),
)
PRIMITIVE = {
    "boolean": st.booleans(),
    "int": st.integers(-(1 << 31), (1 << 31) - 1),
    "long": LONG,
    "double": st.floats(allow_nan=False) | st.integers(-1000, 1000),
    "string": TEXT,
    "bytes": st.binary(max_size=80),
}


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Values that fit; fields with a default are sometimes missing."""
    match shape:
        case Primitive(kind, _):
            return PRIMITIVE[kind]
        case Nullable(inner, _):
            return st.none() | values(inner)
        case Enum(symbols):
            return st.sampled_from(symbols)
        case Array(items):
            return st.lists(values(items), max_size=4)
        case Map(items):
            return st.dictionaries(TEXT, values(items), max_size=4)
        case Record(_, fields):
            return records(fields)


def records(fields: tuple[Field, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Records with a few fields filled at a time: drawing all 31 of them spends the effort on noise."""
    needed = {field.name: values(field.shape) for field in fields if field.default is NO_DEFAULT}
    other = {field.name: values(field.shape) for field in fields if field.default is not NO_DEFAULT}
    if not other:
        return st.fixed_dictionaries(needed)

    def filled(names: frozenset[str]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({**needed, **{name: other[name] for name in sorted(names)}})

    return st.frozensets(st.sampled_from(sorted(other)), max_size=8).flatmap(filled)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Schemas of records of all the compiled codecs know, a few levels deep; every named type has a name of its own."""
    names = (f"N{number}" for number in itertools.count())

    def kind(depth: int) -> Any:
        plain = draw(st.sampled_from([*PRIMITIVE, "enum", *(("array", "map", "record") if depth < 3 else ())]))
        if plain == "enum":
            symbols = draw(st.sampled_from(["a", "abc", [f"s{n}" for n in range(70)]]))
            return {"type": "enum", "name": next(names), "symbols": list(symbols)}
        if plain == "array":
            return {"type": "array", "items": union(depth + 1)}
        if plain == "map":
            return {"type": "map", "values": union(depth + 1)}
        return record(depth + 1) if plain == "record" else plain

    def union(depth: int) -> Any:
        inner = kind(depth)
        return draw(st.sampled_from([inner, inner, ["null", inner], [inner, "null"]]))

    def record(depth: int) -> dict[str, Any]:
        fields = []
        for number in range(draw(st.integers(1, 12 if depth == 0 else 4))):
            field = {"name": f"f{number}", "type": union(depth)}
            shape = shape_of(field["type"])
            if "bytes" not in str(field["type"]) and draw(st.integers(0, 3)) == 0:
                field["default"] = draw(values(shape))
            fields.append(field)
        return {"type": "record", "name": next(names), "fields": fields}

    return record(0)
