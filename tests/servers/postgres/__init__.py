"""A real PostgreSQL for tests: a throw-away cluster on a free loopback port."""

from tests.servers.postgres.server import PostgresServer, missing

__all__ = ["PostgresServer", "missing"]
