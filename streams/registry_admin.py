"""Brings a schema registry server to the package's schemas, and says where it differs. A lock file needs neither.

A server may require no compatibility at all of new versions (Apicurio's default), or only with the one before. Then a
release could register a schema that cannot read what lies in the topics; so each subject is made to require more.
"""

from collections.abc import Iterator
from typing import Final

from streams.engine.codec.compatibility import problems
from streams.engine.codec.errors import RegistryError
from streams.engine.codec.registry import HttpRegistry, Schema
from streams.topics_admin import Difference
from streams.topology import Topology

LEVEL: Final = "BACKWARD_TRANSITIVE"
"""New schemas can read whatever any earlier one has written: topics keep records for months."""
_ENOUGH: Final = (LEVEL, "FULL_TRANSITIVE")


def diff(topology: Topology) -> list[Difference]:
    """Where the server differs, by topic; empty for a lock file. Raises RegistryError."""
    registry = topology.registry
    if not isinstance(registry, HttpRegistry):
        return []
    found = []
    for topic, subject, schema in _subjects(topology):
        level = registry.required(subject)
        if level is not None and level not in _ENOUGH:
            found.append(Difference(topic, f"the registry requires {level} of {subject}, not {LEVEL}"))
        if level is None or not registry.has(subject, schema):
            found.append(Difference(topic, f"its schema is not in the registry as {subject}"))
            found += _unreadable(registry, topic, subject, schema)
    return found


def apply(topology: Topology) -> list[Difference]:
    """Register what is missing and set what is required; answers what was different. Safe to repeat.

    Raises RegistryError, naming the field, if a schema cannot read what an earlier version in the registry has written:
    nothing is registered then. The server judges too, and has the last word.
    """
    found, registry = diff(topology), topology.registry
    wrong = next((difference for difference in found if not difference.mendable), None)
    if wrong is not None:
        raise RegistryError(str(wrong))
    if isinstance(registry, HttpRegistry):
        different = {difference.topic for difference in found}
        for topic, subject, schema in _subjects(topology):
            if topic in different:
                _mend(registry, subject, schema)
    return found


def _unreadable(registry: HttpRegistry, topic: str, subject: str, schema: Schema) -> Iterator[Difference]:
    """What a reader of `schema` could not read: the first field of each earlier version that stands in the way."""
    for number, written in registry.versions(subject).items():
        wrong = problems(schema, written)
        if wrong:
            text = f"its schema cannot read records of version {number} of {subject}: {wrong[0]}"
            yield Difference(topic, text, mendable=False)


def _mend(registry: HttpRegistry, subject: str, schema: Schema) -> None:
    """What is required comes first: it has to judge the schema. Of a subject that is new it can only come after."""
    known = registry.required(subject) is not None
    if known:
        _require(registry, subject)
    registry.id_of(subject, schema)
    if not known:
        _require(registry, subject)


def _require(registry: HttpRegistry, subject: str) -> None:
    if registry.required(subject) not in _ENOUGH:
        registry.require(subject, LEVEL)


def _subjects(topology: Topology) -> Iterator[tuple[str, str, Schema]]:
    """(topic, subject, schema), each subject once."""
    seen = set()
    for name, topic in topology.topics.items():
        if topic.subject is not None and topic.subject not in seen:
            seen.add(topic.subject)
            yield name, topic.subject, topology.schema(name)
