"""The connectors: one file each in `connectors/`, its name the connector's; brought to Connect as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streams import topology
from streams.connect.rest import Rest
from streams.errors import OmsError

DEAD_LETTERS: Final = "connect-dead-letters"


@dataclass(frozen=True, slots=True)
class Connector:
    """One sink: records of `topic` become rows of `table`, whose key is the column `key`."""

    name: str
    config: Mapping[str, str]

    @property
    def topic(self) -> str:
        return self.config["topics"]

    @property
    def table(self) -> str:
        return self.config["collection.name.format"]

    @property
    def key(self) -> str:
        return self.config["primary.key.fields"]

    @property
    def group(self) -> str:
        """The consumer group it reads in."""
        return f"connect-{self.name}"


def folder() -> Path:
    return topology.data_folder() / "connectors"


def load(where: Path | None = None, also: Mapping[str, str] = MappingProxyType({})) -> list[Connector]:
    """All of them, by name; `also`: what their files leave to the settings. Raises OmsError."""
    found = []
    for path in sorted((where or folder()).glob("*.json")):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OmsError(f"{path}: cannot be read ({error})") from None
        found.append(Connector(path.stem, {**config, **also}))
    if not found:
        raise OmsError(f"no connectors in {where or folder()}")
    return found


def apply(rest: Rest, connectors: list[Connector]) -> list[str]:
    """Bring Connect to these; answers which were others, or not there. Those that are as wanted are left alone.

    Raises ConnectError.
    """
    changed = []
    for connector in connectors:
        known = rest.config(connector.name)
        if known is None or {key: value for key, value in known.items() if key != "name"} != connector.config:
            rest.put(connector.name, connector.config)
            changed.append(connector.name)
    return changed
