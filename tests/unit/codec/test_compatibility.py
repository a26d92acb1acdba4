"""Schemas may grow, and never so that a record already written becomes unreadable."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from streams import topology
from streams.engine.codec import avro
from streams.engine.codec.avro import resolving_reader
from streams.engine.codec.compatibility import problems
from streams.engine.codec.registry import fingerprint, read_lock
from streams.engine.codec.shape import shape_of
from tests.unit.codec.strategies import values

TOPOLOGY = topology.load()
FOLDER = TOPOLOGY.schemas_folder
LOCK = read_lock(FOLDER)
STORED = [(subject, entry) for subject, entries in LOCK.items() for entry in entries]
NAMES = [f"{subject}-{entry.version}" for subject, entry in STORED]


def stored(file: str) -> dict[str, Any]:
    return json.loads((FOLDER / file).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def present(subject: str) -> dict[str, Any]:
    return TOPOLOGY.schema(subject.removesuffix("-value"))


@pytest.mark.parametrize(("subject", "entry"), STORED, ids=NAMES)
def test_the_present_schema_reads_every_stored_version(subject: str, entry: Any) -> None:
    old, new = stored(entry.file), present(subject)
    assert problems(new, old) == []
    encode, read = avro.encoder(TOPOLOGY.registry, subject, old), resolving_reader(old, new)

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(values(shape_of(old)))
    def reads(value: Any) -> None:
        assert list(read(encode(value), avro.HEADER_BYTES)) == [field["name"] for field in new["fields"]]

    reads()


@pytest.mark.parametrize("subject", sorted(LOCK))
def test_the_present_schema_is_the_last_stored_version(subject: str) -> None:
    last = LOCK[subject][-1]
    said = f"{subject} changed: run `python -m streams.engine.codec.registry lock`"
    assert fingerprint(present(subject)) == last.fingerprint, said


@pytest.mark.parametrize(("subject", "entry"), STORED, ids=NAMES)
def test_a_stored_version_is_as_it_was_locked(subject: str, entry: Any) -> None:
    assert fingerprint(stored(entry.file)) == entry.fingerprint


def test_ids_are_unique_and_versions_count_from_one() -> None:
    ids = [entry.id for _, entry in STORED]
    assert len(ids) == len(set(ids))
    for entries in LOCK.values():
        assert [entry.version for entry in entries] == list(range(1, len(entries) + 1))


def record(*fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": list(fields)}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


OLD = record(
    field("id", "string"),
    field("count", ["null", "int"]),
    field("kind", enum("a", "b")),
    field("lines", {"type": "array", "items": {"type": "record", "name": "L", "fields": [field("n", "int")]}}),
    field("by", {"type": "map", "values": "int"}),
)


def changed(name: str, **more: Any) -> dict[str, Any]:
    return record(*({**f, **more} if f["name"] == name else f for f in OLD["fields"]))


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        (OLD, None),
        (record(*OLD["fields"][1:]), None),
        (record(*OLD["fields"], field("more", ["null", "string"], default=None)), None),
        (record(*OLD["fields"], field("more", "string")), "R.more: new and without a default"),
        (changed("count", type=["null", "long"]), None),
        (changed("count", type=["null", "string"]), "R.count: int was written, and no branch of the union reads it"),
        (changed("count", type="int"), "R.count: null was written and cannot be read as int"),
        (changed("id", type=["null", "string"]), None),
        (changed("id", type="long"), "R.id: string was written and cannot be read as long"),
        (changed("kind", type=enum("a", "b", "c")), None),
        (changed("kind", type=enum("a")), "R.kind: symbols b were removed"),
        (changed("kind", type=enum("a", default="a")), None),
        (
            changed("by", type={"type": "map", "values": "string"}),
            "R.by{}: int was written and cannot be read as string",
        ),
        (
            changed(
                "lines",
                type={"type": "array", "items": {"type": "record", "name": "L", "fields": [field("m", "int")]}},
            ),
            "R.lines[].m: new and without a default",
        ),
        ({**OLD, "name": "S"}, "R was written and is not S"),
    ],
)
def test_a_change_that_breaks_readers_is_named_by_its_field(new: dict[str, Any], fault: str | None) -> None:
    found = problems(new, OLD)
    assert found == ([] if fault is None else [found[0]])
    assert fault is None or fault in found[0]


def test_a_type_that_holds_itself_is_compared_once() -> None:
    tree = record(field("value", "int"), field("next", ["null", "R"]))
    assert problems(tree, tree) == []
    assert problems(record(field("value", "string"), field("next", ["null", "R"])), tree)
