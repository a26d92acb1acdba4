"""Generates a Python function that decodes the records of one Avro schema.

Hostile bytes are safe without a check per step: every loop step reads at least one byte by index, which fails at the
end of the payload; a slice past the end is short and leaves the position beyond the end, where the next index or the
check after the record fails. Nothing is allocated by a count or a length that the payload claims.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from streams.engine.codec.errors import DecodeError
from streams.engine.codec.shape import Array, Enum, Field, Map, Nullable, Primitive, Record, Shape

# Two varint bytes (little-endian) to 14 bits: MORE if both have a byte to follow, LAST if only the first has; else -1,
# which leaves the whole number negative.
MORE: Final = [(n & 127 | n >> 1 & 0x3F80) if n & 0x8080 == 0x8080 else -1 for n in range(65536)]
LAST: Final = [(n & 127 | n >> 1 & 0x3F80) if n & 0x8080 == 0x0080 else -1 for n in range(65536)]

# First byte of a text's length to the bytes the text takes with it; 0 where that byte does not tell.
TAKES: Final = [0 if n & 129 else 1 + (n >> 1) for n in range(256)]
# Nullable fields are tried for null in runs of this many: measured on the input events and order-states.
RUN: Final = 8

_unpack_double = struct.Struct("<d").unpack_from
_unpack_6 = struct.Struct("<HHH").unpack_from


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Unsigned varint of up to 64 bits at a position, and the position after it."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            if number >> 64:
                raise DecodeError("an integer has more than 64 bits")
            return number, at
        shift += 7
        if shift > 63:
            raise DecodeError("an integer has more than 64 bits")


def long(data: bytes, at: int) -> tuple[int, int]:
    """Zigzag varint of 64 bits; amounts of money have two to four bytes, times six, so these come first."""
    number = data[at]
    second = data[at + 1] if number > 127 else 0
    if number < 128:
        at += 1
    elif second < 128:
        number += (second << 7) - 128
        at += 2
    else:
        third = data[at + 2]
        if third < 128:
            number += (second << 7) + (third << 14) - 0x4080
            at += 3
        elif at + 6 <= len(data):
            first, next_, last = _unpack_6(data, at)
            number = MORE[first] | MORE[next_] << 14 | LAST[last] << 28
            if number >= 0:  # six bytes: a time
                at += 6
            else:
                number, at = varint(data, at)
        else:
            number, at = varint(data, at)
    return (~(number >> 1) if number & 1 else number >> 1), at


def length(data: bytes, at: int) -> tuple[int, int]:
    """A length in bytes that is not negative."""
    number, at = varint(data, at)
    if number & 1:
        raise DecodeError("a length is negative")
    return number >> 1, at


def count(data: bytes, at: int) -> tuple[int, int]:
    """The count of a block; a negative one has the block's size in bytes after it."""
    number, at = long(data, at)
    if number < 0:
        _, at = length(data, at)
        number = -number
    return number, at


def bad_index(what: str) -> DecodeError:
    """A union, boolean or enum value that the schema does not have."""
    return DecodeError(f"{what} that the schema does not have")


def compile_decoder(shape: Record, label: str, *, drop_nulls: bool = False) -> Callable[[bytes, int], dict[str, Any]]:
    """The decoder: payload and the position its Avro begins at, to the record; DecodeError says what is wrong.

    The record has the schema's fields in its order; with `drop_nulls` the null ones are left out (of the record, not of
    records inside it).
    """
    reader = _Reader()
    result = reader.record(shape, 2, drop_nulls=drop_nulls)
    lines = [
        "def decode(b, p):",
        "    try:",
        "        end = len(b)",
        "        end6 = end - 5",
        *reader.lines,
        # OverflowError: the position is beyond any index, after a length near 2**63.
        "    except (IndexError, StructError, OverflowError):",
        "        raise DecodeError('truncated') from None",
        "    except UnicodeDecodeError:",
        "        raise DecodeError('a text is not UTF-8') from None",
        "    if p == end:",
        f"        return {result}",
        "    raise DecodeError('truncated' if p > end else f'{end - p} bytes after the end of the record')",
    ]
    space = reader.constants
    exec(compile("\n".join(lines), f"<decoder of {label}>", "exec"), space)
    return space["decode"]  # type: ignore[no-any-return]


class _Reader:
    """Collects source lines; `b` is the payload, `p` the position."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {
            "MORE": MORE,
            "LAST": LAST,
            "TAKES": TAKES,
            "unpack_6": _unpack_6,
            "unpack_double": _unpack_double,
            "long": long,
            "length": length,
            "count": count,
            "bad_index": bad_index,
            "DecodeError": DecodeError,
            "StructError": struct.error,
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

    def record(self, shape: Record, depth: int, *, drop_nulls: bool = False) -> str:
        """Lines that read a record into a variable; returns its name."""
        record = self.name("d")
        names = [field.name for field in shape.fields]
        if drop_nulls:
            self.add(depth, f"{record} = {{}}")
        else:
            # A copy of a template is the fastest dict of known keys, and keeps the schema's order.
            self.add(depth, f"{record} = {self.constant(dict.fromkeys(names))}.copy()")
        run: list[Field] = []
        for field in shape.fields:
            if isinstance(field.shape, Nullable) and field.shape.null_index == 0:
                run.append(field)
                continue
            self.nullables(run, record, depth)
            run = []
            value = self.value(field.shape, depth)
            skip = f"if {value} is not None: " if drop_nulls and isinstance(field.shape, Nullable) else ""
            self.add(depth, f"{skip}{record}[{field.name!r}] = {value}")
        self.nullables(run, record, depth)
        return record

    def nullables(self, run: list[Field], record: str, depth: int) -> None:
        """A run of nullable fields: all null in one comparison, or in parts, or one by one."""
        if len(run) > RUN:
            self.all_null(len(run), depth)
            for first in range(0, len(run), RUN):
                self.nullables(run[first : first + RUN], record, depth + 1)
            return
        if len(run) > 3:
            self.all_null(len(run), depth)
            depth += 1
        for field in run:
            assert isinstance(field.shape, Nullable)
            self.add(depth, "t = b[p]", "p += 1", "if t:", "    if t != 2:", "        raise bad_index('a union index')")
            value = self.value(field.shape.inner, depth + 1)
            self.add(depth + 1, f"{record}[{field.name!r}] = {value}")

    def all_null(self, fields: int, depth: int) -> None:
        # The first byte is looked at alone: that is cheaper than a slice where it is not null.
        zeros = self.constant(bytes(fields))
        self.add(depth, f"if not b[p] and b[p:p + {fields}] == {zeros}:", f"    p += {fields}", "else:")

    def value(self, shape: Shape, depth: int) -> str:
        """Lines that read a value into a variable; returns its name."""
        if isinstance(shape, Record):
            return self.record(shape, depth)
        var = self.name("v")
        match shape:
            case Nullable(inner, null_index):
                self.add(depth, f"if b[p] == {2 - null_index * 2}:", "    p += 1")
                inside = self.value(inner, depth + 1)
                self.add(depth + 1, f"{var} = {inside}")
                self.add(depth, f"elif b[p] == {null_index * 2}:", "    p += 1", f"    {var} = None", "else:")
                self.add(depth + 1, "raise bad_index('a union index')")
            case Primitive("string", _):
                self.slice(var, ".decode()", depth)
            case Primitive("bytes", _):
                self.slice(var, "", depth)
            case Primitive("int" | "long" as kind, time):
                self.integer(var, is_int=kind == "int", time=time, depth=depth)
            case Primitive("double", _):
                self.add(depth, f"{var} = unpack_double(b, p)[0]", "p += 8")
            case Primitive():
                self.add(depth, f"{var} = b[p]", f"if {var} > 1:", "    raise bad_index('a boolean')", "p += 1")
                self.add(depth, f"{var} = {var} == 1")
            case Enum(symbols):
                self.integer(var, is_int=True, time=False, depth=depth)
                self.add(depth, f"if not 0 <= {var} < {len(symbols)}:", "    raise bad_index('an enum index')")
                self.add(depth, f"{var} = {self.constant(symbols)}[{var}]")
            case Array(items):
                self.blocks(var, items, depth, is_map=False)
            case Map(values):
                self.blocks(var, values, depth, is_map=True)
        return var

    def slice(self, var: str, convert: str, depth: int) -> None:
        n = self.name("n")
        self.add(
            depth,
            f"{n} = TAKES[b[p]]",
            f"if {n}:",
            f"    {n} += p",
            f"    {var} = b[p + 1:{n}]{convert}",
            "else:",
            f"    {n}, p = length(b, p)",
            f"    {n} += p",
            f"    {var} = b[p:{n}]{convert}",
            f"p = {n}",
        )

    def integer(self, var: str, *, is_int: bool, time: bool, depth: int) -> None:
        if time:
            # Six bytes and positive: any time from 1971 to 2039.
            x, y, z = self.name("n"), self.name("n"), self.name("n")
            self.add(
                depth,
                "if p < end6:",
                f"    {x}, {y}, {z} = unpack_6(b, p)",
                f"    {var} = MORE[{x}] | MORE[{y}] << 14 | LAST[{z}] << 28",
                f"    if {var} < 0 or {var} & 1:",
                f"        {var}, p = long(b, p)",
                "    else:",
                f"        {var} >>= 1",
                "        p += 6",
                "else:",
                f"    {var}, p = long(b, p)",
            )
        else:
            self.add(
                depth,
                f"{var} = b[p]",
                f"if {var} & 129:",
                f"    {var}, p = long(b, p)",
                "else:",
                "    p += 1",
                f"    {var} >>= 1",
            )
        if is_int:
            self.add(depth, f"if not {-(1 << 31)} <= {var} < {1 << 31}:")
            self.add(depth + 1, "raise DecodeError('an int has more than 32 bits')")

    def blocks(self, var: str, shape: Shape, depth: int, *, is_map: bool) -> None:
        n = self.name("n")
        self.add(
            depth,
            f"{var} = {'{}' if is_map else '[]'}",
            "while True:",
            f"    {n} = b[p]",
            f"    if {n} & 129:",
            f"        {n}, p = count(b, p)",
            "    else:",
            "        p += 1",
            f"        {n} >>= 1",
            f"    if not {n}:",
            "        break",
            f"    for _ in range({n}):",
        )
        key = self.value(Primitive("string"), depth + 2) if is_map else ""
        item = self.value(shape, depth + 2)
        self.add(depth + 2, f"{var}[{key}] = {item}" if is_map else f"{var}.append({item})")
