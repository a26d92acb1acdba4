"""The topics: read from topics.yaml and schemas/, the only place that lists them.

`load()` finds both in a checkout and in an installed package; nothing else in the package opens these files.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import yaml

from streams.engine.agent import changelog_topic
from streams.engine.codec import avro
from streams.engine.codec import json as json_codec
from streams.engine.codec.access import Access
from streams.engine.codec.registry import Registry, Schema, connect
from streams.errors import OmsError

Cleanup = Literal["delete", "compact"]
JSON: Final = "json"
BYTES: Final = "bytes"
"""Whatever came: nothing is encoded or decoded."""
EXTERNAL: Final = "external"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where the package has it: a worker that was killed is back 0.2 s sooner."""
_DAY_MS: Final = 86_400_000
_UNITS: Final = {"d": _DAY_MS, "h": 3_600_000, "min": 60_000}


class TopologyError(OmsError):
    """topics.yaml or a schema is missing or wrong, or a topic is unknown: one line."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention_ms` is None where nothing expires (compacted); `config` holds every broker setting."""

    name: str
    key: str
    schema: str
    partitions: int
    cleanup: Cleanup
    retention_ms: int | None = None
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    internal: bool = False
    about: str = ""
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_input(self) -> bool:
        """Written by other systems."""
        return EXTERNAL in self.writers

    @property
    def is_output(self) -> bool:
        """Part of the contract and written here."""
        return not self.internal and not self.is_input

    @property
    def subject(self) -> str | None:
        """The registry's subject of the values; None for JSON and bytes."""
        return None if self.schema in (JSON, BYTES) else f"{self.schema}-value"


class Topology:
    """All topics of the package and their codecs. Encoders and decoders are made at first use and kept."""

    def __init__(
        self, folder: Path, document: Mapping[str, Any], *, registry: Access | str, partitions: int | None
    ) -> None:
        self.folder = folder
        self.schemas_folder = folder / "schemas"
        self._access = registry
        self._registry: Registry | None = None
        self._changelog = document["changelog"]
        self._settings = document["config"]
        default = int(document["defaults"]["partitions"])
        self.partitions = partitions
        self.topics: Mapping[str, Topic] = MappingProxyType(
            {name: self._topic(name, entry, default) for name, entry in document["topics"].items()}
        )
        self._codecs: dict[tuple[str, ...], Callable[[Any], Any]] = {}

    @property
    def registry(self) -> Registry:
        """The schema registry, opened at first use; RegistryError if it cannot be."""
        if self._registry is None:
            self._registry = connect(self._access, self.schemas_folder)
        return self._registry

    def topic(self, name: str) -> Topic:
        """The topic of a name; TopologyError with the name if there is none."""
        try:
            return self.topics[name]
        except KeyError:
            raise TopologyError(f"unknown topic {name!r}: topics.yaml has none of that name") from None

    def schema(self, name: str) -> Schema:
        """The present Avro schema of a topic; TopologyError if it has none."""
        topic = self.topic(name)
        if topic.subject is None:
            raise TopologyError(f"topic {name} holds {topic.schema.replace(JSON, 'JSON')} and has no Avro schema")
        path = self.schemas_folder / f"{topic.schema}.avsc"
        try:
            return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
        except (OSError, ValueError) as error:
            raise TopologyError(f"{path}: cannot be read ({error})") from None

    def encoder(self, name: str) -> Callable[[Any], bytes]:
        """Value (dict) to bytes for a topic. The encoder raises EncodeError, this call also RegistryError."""
        return self._codec(("encode", name), lambda: self._make_encoder(name))

    def decoder(self, name: str, *, drop_nulls: bool = False) -> Callable[[bytes], Any]:
        """Bytes to value for a topic. `drop_nulls` leaves null fields of the record out: less work for sparse events.

        The decoder raises DecodeError on an undecodable payload, RegistryUnavailableError if the registry is needed
        and does not answer.
        """
        return self._codec(("decode", name, str(drop_nulls)), lambda: self._make_decoder(name, drop_nulls))

    def changelog_topic(self, agent: str) -> str:
        """The name of an agent's changelog."""
        return changelog_topic(agent)

    def is_changelog(self, name: str) -> bool:
        """Whether this is the name of some agent's changelog."""
        return name.startswith("oms-") and name.endswith("-changelog")

    def changelog(self, agent: str, partitions: int | None = None) -> Topic:
        """An agent's changelog: compacted, one partition per partition of its source."""
        entry = self._changelog
        topic = self._topic(self.changelog_topic(agent), entry, int(entry["partitions"]))
        return replace(
            topic,
            key="table and key",
            partitions=partitions or topic.partitions,
            writers=(agent,),
            readers=(agent,),
            internal=True,
            about=f"the tables of {agent}",
        )

    def _codec(self, key: tuple[str, ...], make: Callable[[], Callable[[Any], Any]]) -> Callable[[Any], Any]:
        if key not in self._codecs:
            self._codecs[key] = make()
        return self._codecs[key]

    def _make_encoder(self, name: str) -> Callable[[Any], bytes]:
        subject = self.topic(name).subject
        if self.topic(name).schema == BYTES:
            return bytes
        return json_codec.encode if subject is None else avro.encoder(self.registry, subject, self.schema(name))

    def _make_decoder(self, name: str, drop_nulls: bool) -> Callable[[bytes], Any]:
        if self.topic(name).schema == BYTES:
            return bytes
        if self.topic(name).schema == JSON:
            return json_codec.decode
        return avro.decoder(self.registry, self.schema(name), drop_nulls=drop_nulls)

    def _topic(self, name: str, entry: Mapping[str, Any], default_partitions: int) -> Topic:
        cleanup = entry["cleanup"]
        if cleanup not in self._settings:
            known = ", ".join(self._settings)
            raise TopologyError(f"topics.yaml: cleanup of {name} is {cleanup!r}, not one of {known}")
        retention = _milliseconds(name, entry["retention"]) if "retention" in entry else None
        if (retention is None) != (cleanup == "compact"):
            raise TopologyError(f"topics.yaml: {name} needs a retention if it is deleted, none if it is compacted")
        config = {**self._settings[cleanup], **entry.get("config", {})}
        if retention is not None:
            config["retention.ms"] = retention
        return Topic(
            name=name,
            key=entry.get("key", ""),
            schema=entry.get("schema", JSON),
            partitions=self.partitions or int(entry.get("partitions", default_partitions)),
            cleanup=cleanup,
            retention_ms=retention,
            writers=tuple(entry.get("writers", ())),
            readers=tuple(entry.get("readers", ())),
            internal=bool(entry.get("internal", False)),
            about=entry.get("about", ""),
            config=MappingProxyType({key: str(value) for key, value in sorted(config.items())}),
        )


def load(*, registry: Access | str = "file:", partitions: int | None = None, folder: Path | None = None) -> Topology:
    """The topology of the package (or of `folder`, which then holds topics.yaml and schemas/).

    `registry` is a URL, or what OMS_REGISTRY_* say; `partitions` overrides the number of every topic (OMS_PARTITIONS).
    Raises TopologyError.
    """
    home = folder or data_folder()
    path = home / "topics.yaml"
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
        return Topology(home, document, registry=registry, partitions=partitions)
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise TopologyError(f"{path}: cannot be used ({type(error).__name__}: {reason})") from None


def data_folder() -> Path:
    """Where topics.yaml and schemas/ are: inside the installed package, or at the top of the checkout."""
    packaged = Path(str(resources.files("streams"))) / "_data"
    return packaged if (packaged / "topics.yaml").exists() else Path(__file__).resolve().parent.parent


def _milliseconds(name: str, text: str) -> int:
    match = re.fullmatch(r"(\d+) (d|h|min)", str(text))
    if match is None:
        raise TopologyError(f"topics.yaml: retention of {name} is {text!r}, not like '90 d', '12 h' or '30 min'")
    return int(match[1]) * _UNITS[match[2]]
