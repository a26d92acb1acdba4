"""The C codec and the generated Python are one: same bytes, same values, same faults. And C holds on to nothing."""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tracemalloc
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams import topology
from streams.engine.codec import avro, compile_decode, compile_encode, compiled, native
from streams.engine.codec.errors import CodecError, DecodeError, EncodeError
from streams.engine.codec.shape import Array, Map, Nullable, Record, Shape, shape_of
from tests.conftest import IN_CI
from tests.support.effort import SOAK
from tests.unit.codec.strategies import schemas, values

EXAMPLES = settings(
    max_examples=3000 if SOAK else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=not SOAK,
)
built = pytest.mark.skipif(not native.BUILT, reason="the C codec was not built")


@pytest.fixture(scope="module", autouse=True)
def codec() -> None:
    """Both codecs stand side by side here: no run for each."""


def extension() -> Any:
    """The C module itself, untyped: it is also called in wrong ways here."""
    return import_module("streams.engine.codec._native")


def compiler() -> str | None:
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(str(command).split()[0])


def test_the_extension_is_built_where_a_compiler_is() -> None:
    if not IN_CI:
        pytest.skip("only in CI must it be there: elsewhere the generated Python does")
    if compiler() is None:
        pytest.skip("no C compiler")
    assert native.BUILT, "no C codec beside a C compiler: pip install -e ."


@built
def test_the_extension_is_of_this_source() -> None:
    source = Path(native.__file__).with_name("_native.c")
    assert sha256(source.read_bytes()).hexdigest() == extension().SOURCE, "older than its source: pip install -e ."


def shaped(schema: Any) -> Record:
    shape = shape_of(schema)
    assert isinstance(shape, Record)
    return shape


def encoders(shape: Record) -> tuple[Callable[[Any], bytes], Callable[[Any], bytes]]:
    return (
        native.compile_encoder(shape, b"\x00head", shape.name),
        compile_encode.compile_encoder(shape, b"\x00head", shape.name),
    )


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives, or the error it raises: equal texts are equal outcomes (NaN is unequal to itself)."""
    try:
        return repr(call(*arguments))
    except CodecError as error:
        shown = None if error.__suppress_context__ else error.__context__
        return type(error), str(error), shown
    except Exception as error:  # of a mapping that fails when it is asked what is wrong with it
        return type(error), str(error)


@built
@EXAMPLES
@given(st.data(), schemas())
def test_random_schemas_give_the_same_bytes_and_values(data: st.DataObject, schema: dict[str, Any]) -> None:
    shape = shaped(schema)
    value = data.draw(values(shape))
    quick, plain = encoders(shape)
    expected = plain(value)
    assert quick(value) == expected
    parsed = fastavro.parse_schema(schema)
    out = BytesIO()
    fastavro.schemaless_writer(out, parsed, value)
    assert expected == b"\x00head" + out.getvalue()
    record = native.compile_decoder(shape)(expected, 5)
    assert repr(record) == repr(fastavro.schemaless_reader(BytesIO(out.getvalue()), parsed))
    assert repr(record) == repr(compile_decode.compile_decoder(shape, "R")(expected, 5)), "in the schema's order"
    sparse = native.compile_decoder(shape, drop_nulls=True)
    for _ in range(2):  # the second time it knows how many fields to expect
        assert repr(sparse(expected, 5)) == repr({name: item for name, item in record.items() if item is not None})


@built
@EXAMPLES
@given(st.data(), schemas(), st.binary(max_size=40), st.integers(0, 1 << 32))
def test_hostile_bytes_have_the_same_outcome(
    data: st.DataObject, schema: dict[str, Any], garbage: bytes, seed: int
) -> None:
    shape, chance = shaped(schema), random.Random(seed)
    good = compile_encode.compile_encoder(shape, b"", "R")(data.draw(values(shape)))
    bad = [garbage, good + b"\x00", *(good[:cut] for cut in range(0, len(good), 1 + len(good) // 60))]
    for _ in range(60):
        at = chance.randrange(len(good) + 1)
        wild = chance.choice(
            [
                bytes([chance.randrange(256)]),
                b"\xff" * chance.randrange(12) + bytes([chance.randrange(256)]),
                b"\x80" * chance.randrange(12) + bytes([chance.randrange(4)]),
                b"",
            ]
        )
        bad.append(good[:at] + wild + good[at + chance.randrange(3) :])
    for drop_nulls in (False, True):
        quick = native.compile_decoder(shape, drop_nulls=drop_nulls)
        plain = compile_decode.compile_decoder(shape, "R", drop_nulls=drop_nulls)
        for payload in bad:
            # A copy that ends where the memory ends, for an address sanitizer to see a read beyond it.
            assert outcome(quick, bytes(bytearray(payload)), 0) == outcome(plain, payload, 0), payload
        for at in (1, len(good), len(good) + 1, sys.maxsize):
            assert outcome(quick, good, at) == outcome(plain, good, at), (good, at)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Half(float):
    pass


class Items(list):
    pass


class Pair(tuple):
    __slots__ = ()


class Row(dict):
    pass


class Filling(dict):
    """Knows every key, but not by get()."""

    def __missing__(self, key: str) -> Any:
        return 7


class Closed(Mapping):
    """A mapping whose get() fails."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Any:
        return iter(["a"])

    def get(self, key: str, default: Any = None) -> Any:
        raise ZeroDivisionError

    def items(self) -> Any:
        return [("a",)]


STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1 << 31, -(1 << 31) - 1, 1 << 63, -(1 << 63) - 1, 1 << 2000, 1.5, float("inf"), 1j),
    *("", "a", "é", "福" * 300, "𝕊", "\ud800", "x" * 9000, b"", b"a", bytearray(b"ab"), memoryview(b"a")),
    *([], ["a"], ("a",), [None], {}, {"a": 1}, {"a": None}, {1: 1}, {"\ud800": 1}, {"f0": 1, "f1": "x"}, {"a"}),
    *(Text("a"), Text("é"), Number(3), Number(1 << 40), Half(2.5), Items(["a"]), Items(), Pair("a"), Row(a=1)),
    *(Filling(), Closed(), OrderedDict(a=1), UserDict(a=1), MappingProxyType({"a": 1}), defaultdict(int), object, len),
]


def spoiled(value: Any, chance: random.Random) -> Any:
    """The value with one part of it, or all, exchanged for something that may not fit."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: spoiled(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], spoiled(value[at], chance), *value[at + 1 :]]
    return chance.choice(STRANGE)


@built
@EXAMPLES
@given(st.data(), schemas(), st.integers(0, 1 << 32))
def test_values_that_may_not_fit_have_the_same_outcome(data: st.DataObject, schema: dict[str, Any], seed: int) -> None:
    shape, chance = shaped(schema), random.Random(seed)
    quick, plain = encoders(shape)
    value = data.draw(values(shape))
    for wrong in [value, *STRANGE, *(spoiled(value, chance) for _ in range(60))]:
        assert outcome(quick, wrong) == outcome(plain, wrong), wrong


def record_of(*types: Any) -> dict[str, Any]:
    fields = [{"name": "abcdefgh"[at], "type": kind} for at, kind in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields}


@built
@pytest.mark.parametrize("wrap", [dict, Row, Filling, OrderedDict, UserDict, MappingProxyType])
def test_any_mapping_is_a_record_and_a_map(wrap: Callable[[Any], Any]) -> None:
    inner = {"type": "record", "name": "S", "fields": [{"name": "a", "type": ["null", "long"]}]}
    quick, plain = encoders(shaped(record_of("string", inner, {"type": "map", "values": inner})))
    for value in (
        {"a": "x", "b": wrap({"a": 1}), "c": wrap({"k": wrap({"a": 2}), "l": wrap({})})},
        {"a": "x", "b": wrap({}), "c": wrap({})},
        {"a": "x", "b": wrap({"a": "no"}), "c": wrap({})},
        {"a": "x", "b": wrap({}), "c": wrap({1: wrap({})})},
    ):
        assert outcome(quick, wrap(value)) == outcome(plain, wrap(value))


class Saboteur(dict):
    """Empties what holds it while it is being encoded."""

    def __init__(self, *victims: Any) -> None:
        super().__init__(a=1)
        self.victims = victims

    def get(self, key: str, default: Any = None) -> Any:
        for victim in self.victims:
            victim.clear()
        return default


@built
def test_containers_that_change_while_they_are_encoded_do_no_harm() -> None:
    inner = {"type": "record", "name": "S", "fields": [{"name": "a", "type": ["null", "long"]}]}
    shape = shaped(record_of(inner, {"type": "array", "items": "S"}, {"type": "map", "values": "S"}))

    def sabotaged() -> dict[str, Any]:
        value: dict[str, Any] = {}
        items: list[Any] = []
        table: dict[str, Any] = {}
        items.extend(Saboteur(items) for _ in range(5))
        table.update({str(at) * 20: Saboteur(table) for at in range(5)})
        value.update(a=Saboteur(), b=items, c=table)
        return value

    def undone(place: str) -> dict[str, Any]:
        """All of it is let go, what is being walked through too."""
        value: dict[str, Any] = {}
        value.update(a=Saboteur(), b=[Saboteur() for _ in range(5)], c={"k": Saboteur(), "l": Saboteur()})
        if place == "a":
            value["a"] = Saboteur(value)
        elif place == "b":
            value["b"][0] = Saboteur(value)
        else:
            value["c"]["k"] = Saboteur(value)
        return value

    quick, plain = encoders(shape)
    assert outcome(quick, sabotaged()) == outcome(plain, sabotaged())
    for place in "abc":
        assert outcome(quick, undone(place)) == outcome(plain, undone(place))


@built
def test_what_is_no_exception_of_a_value_passes() -> None:
    class Stop(Mapping):
        def __getitem__(self, key: str) -> Any:
            raise KeyboardInterrupt

        __len__ = __iter__ = __getitem__  # type: ignore[assignment]

    for encode in encoders(shaped(record_of("string"))):
        with pytest.raises(KeyboardInterrupt):
            encode(Stop())


@built
def test_calls_may_nest() -> None:
    inner = {"type": "record", "name": "S", "fields": [{"name": "a", "type": "long"}]}
    quick, _ = encoders(shaped(record_of("string", inner)))

    class Nested(dict):
        def __getitem__(self, key: str) -> Any:
            assert quick({"a": "y" * 5000, "b": {"a": 2}}).endswith(b"y\x04")
            return 1

    assert quick({"a": "x" * 2000, "b": Nested()}) == quick({"a": "x" * 2000, "b": {"a": 1}})


LONGS = {"type": "array", "items": "long"}
HUGE = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"


@built
@pytest.mark.parametrize("kind", ["string", "bytes", LONGS, {"type": "map", "values": "long"}])
@pytest.mark.parametrize("size", [HUGE, b"\xfe\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\xff\xff\xff\x7f"])
def test_nothing_is_allocated_by_a_length_that_a_payload_claims(kind: Any, size: bytes) -> None:
    decode = native.compile_decoder(shaped(record_of(kind)))
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match=r"^truncated$"):
            decode(size + b"\x02a\x02" * 50, 0)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("decoder", [pytest.param("native", marks=built), "generated"])
def test_a_length_near_the_end_of_all_numbers_is_a_truncated_payload(decoder: str) -> None:
    shape = shaped(record_of("string", "double"))
    decode = native.compile_decoder(shape) if decoder == "native" else compile_decode.compile_decoder(shape, shape.name)
    with pytest.raises(DecodeError, match=r"^truncated$"):
        decode(HUGE, 0)


@built
def test_wrong_use_is_a_type_error_and_no_crash() -> None:
    shape = shaped(record_of("string"))
    encode = extension().Encoder(native.plan(shape), b"", EncodeError)
    decode = extension().Decoder(native.plan(shape), DecodeError, False)
    wrong: list[Callable[[], Any]] = [
        lambda: encode(),
        lambda: encode({}, {}),
        lambda: encode(value={}),
        lambda: decode(b""),
        lambda: decode("", 0),
        lambda: decode(None, 0),
        lambda: decode(b"", "0"),
        lambda: extension().Switch(len).learn(b"", len),
        lambda: extension().Switch(len).learn("", decode),
        lambda: extension().Switch(len)(b"", b""),
        lambda: extension().Decoder(native.plan(shape), int, False),
        lambda: extension().Decoder((), DecodeError, False),
        lambda: extension().Encoder(native.plan(shape), "", EncodeError),
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError):
        decode(b"", -1)


class Ids:
    """A registry that numbers the schemas it is given."""

    def __init__(self, *schemas: Any) -> None:
        self.schemas = schemas

    def id_of(self, subject: str, schema: Any) -> int:
        return self.schemas.index(schema)

    def by_id(self, schema_id: int) -> Any:
        return self.schemas[schema_id]


@built
def test_the_short_cut_takes_its_header_only() -> None:
    """Before and after it knows a header: other versions, other headers, and what is no payload go the long way."""
    new = record_of("string", ["null", "long"])
    new["fields"][1]["default"] = None
    old = {**new, "fields": new["fields"][:1]}
    ids = Ids(new, old)
    decode = avro.decoder(ids, new)
    assert type(decode) is extension().Switch

    class Payload(bytes):
        pass

    now, before = avro.encoder(ids, "r", new)({"a": "x", "b": 1}), avro.encoder(ids, "r", old)({"a": "y"})
    for _ in range(3):
        assert decode(before) == {"a": "y", "b": None}
        assert decode(now) == decode(Payload(now)) == {"a": "x", "b": 1}
        for bad, reason in [
            (None, "no value: a null record holds no event"),
            (b"", "0 bytes are too few for a schema id"),
            (now[:4], "4 bytes are too few for a schema id"),
            (now[:5], "truncated"),
            (now[:-1], "truncated"),
            (now + b"\x00", "1 bytes after the end of the record"),
            (b"\x01" + now[1:], "magic byte is 1, not 0: not in the Confluent wire format"),
        ]:
            assert outcome(decode, bad) == (DecodeError, reason, None)


@built
def test_a_decoder_that_nobody_has_is_collected() -> None:
    schema = record_of("string")
    ids = Ids(schema)
    payload = avro.encoder(ids, "r", schema)({"a": "x"})

    def alive() -> int:
        gc.collect()
        return sum(type(thing).__module__ == "streams.engine.codec._native" for thing in gc.get_objects())

    before = alive()
    decode = avro.decoder(ids, schema)
    decode(payload)
    assert alive() == before + 2, "the switch and its decoder"
    del decode
    assert alive() == before


@built
def test_codecs_that_come_and_go_leave_nothing() -> None:
    shape = shaped(topology.load().schema("order-states"))
    plan, field = native.plan(shape), ("a", ("long", -1, None), ["default"])
    default = field[2]

    def run() -> None:
        for _ in range(50):
            with pytest.raises(DecodeError):
                extension().Decoder(plan, DecodeError, False)(b"", 0)
            extension().Encoder(plan, b"", EncodeError)
            extension().Encoder(("record", -1, (field,)), b"", EncodeError)
            with pytest.raises(ValueError):  # half of it is built when the fault is found
                extension().Encoder(("record", -1, (field, ("b", plan), ("c", ("float", -1, None)))), b"", EncodeError)

    run()
    gc.collect()  # the errors' tracebacks
    blocks, held = sys.getallocatedblocks(), sys.getrefcount(default)
    run()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 50
    assert sys.getrefcount(default) == held


def deep(levels: int) -> tuple[Any, ...]:
    return ("array", -1, deep(levels - 1)) if levels else ("long", -1, None)


@built
@pytest.mark.parametrize(
    "plan",
    [
        ("long", -1, None),
        ("record", 0, (("a", ("long", -1, None)),)),
        ("record", -1, ()),
        ("record", -1, None),
        ("record", -1, ("a",)),
        ("record", -1, (("a", "long"),)),
        ("record", -1, (("a", ("float", -1, None)),)),
        ("record", -1, (("a", ("long", 2, None)),)),
        ("record", -1, (("a", ("enum", -1, ["x"])),)),
        ("record", -1, (("a", ("enum", -1, ([],))),)),
        ("record", -1, (("a", ("array", -1, None)),)),
        ("record", -1, (("a", deep(100)),)),
    ],
    ids=str,
)
def test_a_plan_that_is_none_is_refused(plan: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        extension().Decoder(plan, DecodeError, False)


def parts(value: Any, shape: Shape) -> list[Any]:
    """All objects of a decoded value that are its own."""
    if isinstance(shape, Nullable):
        return [] if value is None else parts(value, shape.inner)
    if isinstance(shape, Record):
        return [value, *(part for f in shape.fields for part in parts(value[f.name], f.shape))]
    if isinstance(shape, Array):
        return [value, *(part for item in value for part in parts(item, shape.items))]
    if isinstance(shape, Map):
        return [value, *value, *(part for item in value.values() for part in parts(item, shape.values))]
    return [value]


def samples(shape: Record) -> list[bytes]:
    found: list[bytes] = []
    encode = native.compile_encoder(shape, b"", shape.name)

    @settings(EXAMPLES, max_examples=8)
    @given(values(shape))
    def collect(value: Any) -> None:
        found.append(encode(value))

    collect()
    return found


def work(encode: Any, decoders: tuple[Any, ...], payload: bytes, record: dict[str, Any]) -> None:
    """All that can be done with a record, the ways that end in an error too."""
    encode(record)
    first = next(iter(record))
    outcome(encode, {**record, first: object()})
    outcome(encode, {key: item for key, item in record.items() if key != first})
    for decode in decoders:
        decode(payload, 0)
        for bad in (payload[:-1], payload + b"\x00", payload[: len(payload) // 2], b"\x04\xff\xfe", b"\x05"):
            outcome(decode, bad, 0)


@built
def test_nothing_is_kept_and_nothing_given_back_twice() -> None:
    """Reference counts of everything a record holds, and the number of blocks in use, are the same after many calls."""
    topics = topology.load()
    for name in sorted(topics.topics):
        if topics.topic(name).subject is None:
            continue
        shape = shaped(topics.schema(name))
        encode = native.compile_encoder(shape, b"", name)
        decode, sparse = native.compile_decoder(shape), native.compile_decoder(shape, drop_nulls=True)
        payloads = samples(shape)
        for payload in payloads:
            record = decode(payload, 0)
            held = parts(record, shape)
            before = [sys.getrefcount(part) for part in held]
            for _ in range(20):
                work(encode, (decode, sparse), payload, record)
            assert [sys.getrefcount(part) for part in held] == before, name
        blocks = sys.getallocatedblocks()
        for _ in range(20):
            for payload in payloads:
                work(encode, (decode, sparse), payload, decode(payload, 0))
        assert sys.getallocatedblocks() - blocks < 100, name


@pytest.mark.parametrize("name", ["1", "0"])
def test_the_variable_chooses_and_the_choice_is_said(name: str) -> None:
    code = (
        "import sys; from streams.engine.codec import compiled; from streams import topology;"
        "topology.load().encoder('payments'); print(compiled.in_force());"
        "print('streams.engine.codec.compile_encode' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "OMS_NATIVE": name}
    )
    said, generated = done.stdout.splitlines()
    expected = name == "1" and native.BUILT
    assert said.startswith("C extension" if expected else "generated Python: ")
    assert generated == str(not expected), "and only what is in force is loaded"
    if name == "0" and native.BUILT:
        assert said == "generated Python: OMS_NATIVE=0"


def test_both_are_one_codec_for_those_who_ask() -> None:
    schema = topology.load().schema("payments")
    for chosen in {False, native.BUILT}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiled, "NATIVE", chosen)
            assert type(compiled.reader(schema)).__name__ == ("Decoder" if chosen else "function")
            assert type(compiled.writer(schema, b"")).__name__ == ("Encoder" if chosen else "function")
