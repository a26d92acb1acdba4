"""A real Apicurio Registry for tests: in memory, loopback only, with the Confluent-compatible API."""

from tests.servers.apicurio.install import missing
from tests.servers.apicurio.server import ApicurioServer

__all__ = ["ApicurioServer", "missing"]
