"""The database of finance: tables, views and the reading role are brought to what the package says. Safe to repeat."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from streams.connect import connectors
from streams.connect.connectors import Connector
from streams.connect.settings import Database
from streams.connect.tables import statements
from streams.errors import OmsError
from streams.topology import Topology

WAIT_S: Final = 10
# A reader's open transaction must not hold the sinks up behind us.
_LOCK_MS: Final = 10_000
_NAMED: Final = re.compile(r"^create or replace view (\S+)", re.IGNORECASE | re.MULTILINE)


def scripts(folder: Path | None = None) -> list[Path]:
    """The SQL files, in order."""
    return sorted(((folder or connectors.folder()) / "sql").glob("*.sql"))


def views() -> list[str]:
    """The names of all views."""
    return [name for path in scripts() for name in _NAMED.findall(path.read_text(encoding="utf-8"))]


def open_(database: Database) -> psycopg.Connection[tuple[object, ...]]:
    """A connection. Raises OmsError."""
    try:
        text = make_conninfo(
            host=database.host,
            port=database.port,
            dbname=database.name,
            user=database.user,
            password=database.password.reveal,
            connect_timeout=WAIT_S,
            application_name="oms connect",
            **database.parameters,
        )
        return psycopg.connect(text)
    except psycopg.Error as error:
        raise OmsError(f"database {database}: {_text(error)}") from None


def apply(database: Database, topology: Topology, wanted: Iterable[Connector]) -> None:
    """Tables, views and role, all of it or nothing. Raises OmsError."""
    with open_(database) as connection:
        try:
            connection.execute(f"SET LOCAL lock_timeout = {_LOCK_MS}")
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('oms connect'))")
            # "already exists, skipping" is what a repetition is about.
            connection.execute("SET LOCAL client_min_messages = warning")
            for connector in wanted:
                for statement in statements(connector.table, connector.key, topology.schema(connector.topic)):
                    connection.execute(statement.encode())
            for path in scripts():
                try:
                    connection.execute(path.read_bytes())
                except psycopg.Error as error:
                    raise OmsError(f"database {database}: {path.name}: {_text(error)}") from None
        except psycopg.Error as error:
            raise OmsError(f"database {database}: {_text(error)}") from None


def _text(error: psycopg.Error) -> str:
    said = [error.diag.message_primary or str(error), error.diag.message_hint or ""]
    return " ".join(" ".join(said).split())
