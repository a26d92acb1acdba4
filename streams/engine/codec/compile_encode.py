"""Generates a Python function that encodes the records of one Avro schema.

A record becomes one f-string of chunks, each byte a character of Latin-1, encoded once at the end: an ASCII text goes
in as it is (checking it costs less than encoding it), and numbers come from tables of ready varints. Measured, that
beats joining, and by far appending, bytes.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from streams.engine.codec.shape import (
    NO_DEFAULT,
    Array,
    Enum,
    Field,
    Map,
    Nullable,
    Primitive,
    Record,
    Shape,
    explainer,
)

# Varints of 14 bits as Latin-1 text: FINAL the shortest form, MORE two bytes with more to follow. With these an integer
# below 2**42 takes one to three look-ups. 2 MB per process.
FINAL: Final = [chr(n) if n < 128 else chr(n & 127 | 128) + chr(n >> 7) for n in range(16384)]
MORE: Final = [chr(n & 127 | 128) + chr(n >> 7 | 128) for n in range(16384)]
# Zigzag of 0..8191 and of every length up to 8191, alone and after the index of a union's second or first branch.
SMALL: Final = FINAL[::2]
SMALL_1: Final = ["\x02" + text for text in SMALL]
SMALL_0: Final = ["\x00" + text for text in SMALL]

_pack_double = struct.Struct("<d").pack


def varint(number: int) -> str:
    """An unsigned number as varint."""
    text = ""
    while number >= 1 << 14:
        text += MORE[number & 16383]
        number >>= 14
    return text + FINAL[number]


def integer(value: Any, bits: int) -> str:
    """Zigzag varint of an int of `bits` bits and a sign; TypeError or OverflowError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    if not -(1 << bits) <= value < 1 << bits:
        raise OverflowError
    return varint(value << 1 if value >= 0 else ~(value << 1))


def text(value: Any) -> str:
    """Any str: length and UTF-8."""
    if not isinstance(value, str):
        raise TypeError
    data = value.encode()
    return varint(len(data) << 1) + data.decode("latin-1")


def binary(value: Any) -> str:
    """Bytes: length and content."""
    if not isinstance(value, bytes | bytearray):
        raise TypeError
    return varint(len(value) << 1) + value.decode("latin-1")


def double(value: Any) -> str:
    """A float, or an int as float."""
    if not isinstance(value, float | int) or isinstance(value, bool):
        raise TypeError
    return _pack_double(value).decode("latin-1")


def boolean(value: Any) -> str:
    """True or False and nothing else."""
    if value is True:
        return "\x01"
    if value is False:
        return "\x00"
    raise TypeError


def sequence(value: Any) -> Any:
    """A list or tuple as it is: a str would iterate too."""
    if not isinstance(value, list | tuple):
        raise TypeError
    return value


def compile_encoder(shape: Record, prefix: bytes, label: str) -> Callable[[Any], bytes]:
    """The encoder: a mapping in, `prefix` and its Avro binary out; EncodeError names the first field that is wrong."""
    writer = _Writer()
    chunks = writer.record(shape, "value", 2)
    lines = ["def encode(value):", "    try:", *writer.lines]
    lines.append(f"        return f{_quoted(repr(prefix.decode('latin-1'))[1:-1], chunks)}.encode('latin-1')")
    lines.append("    except Exception as error:")
    lines.append("        raise explain(value, error) from None")
    space: dict[str, Any] = writer.constants | {"explain": explainer(shape, label)}
    exec(compile("\n".join(lines), f"<encoder of {label}>", "exec"), space)
    return space["encode"]  # type: ignore[no-any-return]


def _quoted(start: str, chunks: list[str]) -> str:
    """The inside of an f-string: literal start, then the chunks' variables."""
    return (
        '"'
        + start.replace('"', '\\"').replace("{", "{{").replace("}", "}}")
        + "".join(f"{{{c}}}" for c in chunks)
        + '"'
    )


class _Writer:
    """Collects source lines; every value gets variables of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {
            "FINAL": FINAL,
            "MORE": MORE,
            "SMALL": SMALL,
            "SMALL_0": SMALL_0,
            "SMALL_1": SMALL_1,
            "integer": integer,
            "text": text,
            "binary": binary,
            "double": double,
            "boolean": boolean,
            "sequence": sequence,
            "varint": varint,
        }
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def add(self, depth: int, *lines: str) -> None:
        self.lines.extend("    " * depth + line for line in lines)

    def constant(self, value: Any) -> str:
        name = self.name("K")
        self.constants[name] = value
        return name

    def record(self, shape: Record, var: str, depth: int) -> list[str]:
        """Lines that fill one chunk variable per field; returns their names."""
        get = self.name("get")
        self.add(depth, f"{get} = {var}.get")
        return [self.field(field, var, get, depth) for field in shape.fields]

    def field(self, field: Field, var: str, get: str, depth: int) -> str:
        value = self.name("v")
        if field.default is NO_DEFAULT:
            self.add(depth, f"{value} = {var}[{field.name!r}]")
        elif field.default is None:
            self.add(depth, f"{value} = {get}({field.name!r})")
        else:
            default = field.default
            literal = repr(default) if isinstance(default, int | str) else self.constant(default)
            self.add(depth, f"{value} = {get}({field.name!r}, {literal})")
        return self.value(field.shape, value, depth)

    def value(self, shape: Shape, var: str, depth: int, small: str = "SMALL", before: str = "") -> str:
        """Lines that turn `var` into a chunk; `before` is the index of its union branch, `small` the table with it."""
        chunk = self.name("c")
        lead = f"{before!r} + " if before else ""
        match shape:
            case Nullable(inner, null_index):
                self.add(depth, f"if {var} is None:", f"    {chunk} = {chr(null_index * 2)!r}", "else:")
                index = chr(2 - null_index * 2)
                inside = self.value(inner, var, depth + 1, "SMALL_0" if null_index else "SMALL_1", index)
                self.add(depth + 1, f"{chunk} = {inside}")
            case Primitive("string", _):
                size = self.name("n")
                self.add(
                    depth,
                    f"{size} = len({var})",
                    f"if {size} < 8192 and {var}.isascii():",
                    f"    {chunk} = {small}[{size}] + {var}",
                    "else:",
                    f"    {chunk} = {lead}text({var})",
                )
            case Primitive("int" | "long" as kind, time):
                self.integer(var, chunk, lead, small, 31 if kind == "int" else 63, time, depth)
            case Primitive(kind, _):
                function = {"double": "double", "boolean": "boolean", "bytes": "binary"}[kind]
                self.add(depth, f"{chunk} = {lead}{function}({var})")
            case Enum(symbols):
                table = self.constant({symbol: before + varint(i * 2) for i, symbol in enumerate(symbols)})
                self.add(depth, f"{chunk} = {table}[{var}]")
            case Record():
                chunks = self.record(shape, var, depth)
                self.add(depth, f"{chunk} = f{_quoted(repr(before)[1:-1], chunks)}")
            case Array(items):
                self.block(items, var, chunk, before, depth, is_map=False)
            case Map(values):
                self.block(values, var, chunk, before, depth, is_map=True)
        return chunk

    def integer(self, var: str, chunk: str, lead: str, small: str, bits: int, time: bool, depth: int) -> None:
        n = self.name("n")
        slow = f"    {chunk} = {lead}integer({var}, {bits})"
        # Times of 1970-01-02 to 2039: six bytes. Amounts of money mostly take three.
        six = f"{{MORE[{n} & 16383]}}{{MORE[{n} >> 14 & 16383]}}{{FINAL[{n} >> 28]}}"
        is_time = (
            f"if {var}.__class__ is int and {1 << 27} <= {var} < {1 << 41}:",
            f"    {n} = {var} + {var}",
            f'    {chunk} = {lead}f"{six}"',
        )
        if time:
            self.add(depth, *is_time, "else:", slow)
            return
        self.add(
            depth,
            f"if {var}.__class__ is int and 0 <= {var} < 8192:",
            f"    {chunk} = {small}[{var}]",
            f"elif {var}.__class__ is int and 0 <= {var} < {1 << 27}:",
            f"    {n} = {var} + {var}",
            f"    {chunk} = {lead}MORE[{n} & 16383] + FINAL[{n} >> 14]",
        )
        if bits > 31:
            self.add(depth, "el" + is_time[0], *is_time[1:])
        self.add(depth, "else:", slow)

    def block(self, shape: Shape, var: str, chunk: str, before: str, depth: int, *, is_map: bool) -> None:
        """An array or map: one block with all items, as fastavro writes it, or none, and a zero."""
        parts, item, key = self.name("l"), self.name("v"), self.name("v")
        if not is_map:
            self.add(depth, f"if {var}.__class__ is not list:", f"    sequence({var})")
        self.add(depth, f"if {var}:" if not is_map else f"if len({var}):")
        self.add(depth + 1, f"{parts} = [{before!r}, varint(len({var}) << 1)]")
        if is_map:
            self.add(depth + 1, f"for {key}, {item} in {var}.items():")
            name = self.value(Primitive("string"), key, depth + 2)
            self.add(depth + 2, f"{parts}.append({name})")
        else:
            self.add(depth + 1, f"for {item} in {var}:")
        if isinstance(shape, Record):
            chunks = self.record(shape, item, depth + 2)
            self.add(depth + 2, f"{parts}.append(f{_quoted('', chunks)})")
        else:
            self.add(depth + 2, f"{parts}.append({self.value(shape, item, depth + 2)})")
        self.add(depth + 1, f"{parts}.append('\\x00')", f"{chunk} = ''.join({parts})")
        self.add(depth, "else:")
        if is_map:
            self.add(depth + 1, f"{var}.items")
        self.add(depth + 1, f"{chunk} = {before + chr(0)!r}")
