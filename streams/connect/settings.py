"""Settings of `oms connect`, beside those of every command.

OMS_CONNECT_DB (postgresql://USER@HOST:PORT/NAME, and ?sslmode= and the like), OMS_CONNECT_DB_PASSWORD or a file named
by OMS_CONNECT_DB_PASSWORD_FILE, OMS_CONNECT_URL (where the Connect worker listens), OMS_CONNECT_JAVA (its options).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from streams.config import ConfigError, Secret, value_of

DEFAULT_URL: Final = "http://127.0.0.1:8083"
DEFAULT_JAVA: Final = "-Xms64m -Xmx512m -XX:+UseSerialGC"
_CCOMPAT: Final = re.compile(r"/apis/ccompat/v\d+$")
# Parameters that libpq and the JDBC driver both know by that name.
_PARAMETERS: Final = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"})


@dataclass(frozen=True, slots=True)
class Database:
    """Where the tables are."""

    host: str
    port: int
    name: str
    user: str
    password: Secret
    parameters: Mapping[str, str]

    @property
    def jdbc(self) -> str:
        """For the sink; without user and password, which it gets apart. Its batches go as statements of many rows."""
        more = urlencode({**self.parameters, "reWriteBatchedInserts": "true"})
        return f"jdbc:postgresql://{self.host}:{self.port}/{self.name}?{more}"

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.name}"


@dataclass(frozen=True, slots=True)
class ConnectSettings:
    """`url`: of the Connect worker's REST interface; `database` is None if none is set."""

    url: str = DEFAULT_URL
    database: Database | None = None
    java: tuple[str, ...] = tuple(DEFAULT_JAVA.split())

    @property
    def needed_database(self) -> Database:
        """The database; ConfigError if none is set."""
        if self.database is None:
            raise ConfigError("OMS_CONNECT_DB is not set: postgresql://USER@HOST:PORT/NAME, where finance reads")
        return self.database

    @staticmethod
    def from_env(environ: Mapping[str, str] | None = None) -> ConnectSettings:
        """Raises ConfigError."""
        env = os.environ if environ is None else environ
        url = (env.get("OMS_CONNECT_URL") or DEFAULT_URL).rstrip("/")
        if not re.fullmatch(r"http://[^/:@]+:\d+", url):
            raise ConfigError("OMS_CONNECT_URL: must be http://HOST:PORT")
        java = tuple((env.get("OMS_CONNECT_JAVA") or DEFAULT_JAVA).split())
        if not all(option.startswith("-") for option in java):
            raise ConfigError("OMS_CONNECT_JAVA: must be options such as -Xmx512m")
        text = env.get("OMS_CONNECT_DB")
        return ConnectSettings(url, _database(text, env) if text else None, java)


def _database(text: str, env: Mapping[str, str]) -> Database:
    wrong = ConfigError("OMS_CONNECT_DB: must be postgresql://USER@HOST:PORT/NAME")
    try:
        parts = urlsplit(text)
        port = parts.port or 5432
    except ValueError:
        raise wrong from None
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.username or not name:
        raise wrong
    if parts.password is not None:
        raise ConfigError("OMS_CONNECT_DB: the password does not belong here: set OMS_CONNECT_DB_PASSWORD")
    parameters = dict(parse_qsl(parts.query))
    if unknown := sorted(parameters.keys() - _PARAMETERS):
        raise ConfigError(f"OMS_CONNECT_DB: unknown parameter {unknown[0]}; there are {', '.join(sorted(_PARAMETERS))}")
    password = Secret(value_of(env, "OMS_CONNECT_DB_PASSWORD") or "")
    return Database(parts.hostname, port, name, unquote(parts.username), password, parameters)


def registry_of(registry: str) -> str:
    """The address of the registry that `OMS_REGISTRY` names, for the converter: another API of the same server.

    Raises ConfigError where there is none.
    """
    if not registry.startswith("http"):
        raise ConfigError("OMS_REGISTRY: Connect needs a registry server, a lock file is not enough")
    if not _CCOMPAT.search(registry):
        raise ConfigError("OMS_REGISTRY: Connect needs Apicurio's address, http://HOST:PORT/apis/ccompat/v7")
    return _CCOMPAT.sub("/apis/registry/v2", registry)
