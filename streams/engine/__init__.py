"""The exactly-once engine: batches, transactions, tables, timers. It knows nothing of orders."""

from streams.engine.agent import Agent, Clock, Codecs, TableSpec
from streams.engine.context import Context
from streams.engine.errors import EngineError, InfrastructureError, SourceStopped

__all__ = [
    "Agent",
    "Clock",
    "Codecs",
    "Context",
    "EngineError",
    "InfrastructureError",
    "SourceStopped",
    "TableSpec",
]
