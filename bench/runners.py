"""The systems that are compared: how each is started, and how many events it gets."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench import build
from streams.java import java

FEW_EVENTS = 30_000  # for stock Faust, which would need half an hour for two million

# Flink's RocksDB backend and serializers reach into the JDK.
_FLINK_OPENS = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.util", "java.util.concurrent", "java.nio", "java.time")
)


@dataclass(frozen=True, slots=True)
class System:
    """One line of the table. ``settle``: seconds without progress after which a run counts as finished."""

    name: str
    title: str
    guarantee: str
    command: Callable[[], list[str]]
    option: str = ""
    few_events: bool = False
    settle: float = 3.0


def _python(module: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-m", f"bench.peers.{module}"]


def _java(name: str, main: str, *options: str) -> Callable[[], list[str]]:
    return lambda: [java(), *options, "-cp", build.java_peer(name), main]


SYSTEMS = (
    System("raw", "raw confluent-kafka loop, dict state", "none", _python("raw")),
    System("ours1", "oms-streams, 1 process", "exactly once", _python("ours"), option="1"),
    System("ours2", "oms-streams, 2 processes", "exactly once", _python("ours"), option="2"),
    System(
        "kstreams", "Kafka Streams 4.1, 2 threads", "exactly once",
        _java("kafka-streams", "bench.kstreams.KafkaStreamsPeer"),
    ),
    System(
        "flink", "Flink 2.2 (Java), parallelism 2", "exactly once",
        _java("flink", "bench.flink.FlinkPeer", *_FLINK_OPENS), settle=25.0,
    ),
    System(
        "quix", "Quix Streams 3.28", "exactly once",
        lambda: [build.quix_python(), "-m", "bench.peers.quix"], option="exactly-once", settle=12.0,
    ),
    System(
        "faust", "Faust 0.15, stock", "at least once",
        _python("stock_faust"), option="at_least_once", few_events=True, settle=6.0,
    ),
    System(
        "faust-eos", "Faust 0.15, stock transactions", "exactly once",
        _python("stock_faust"), option="exactly_once", few_events=True, settle=6.0,
    ),
)  # fmt: skip
BY_NAME = {system.name: system for system in SYSTEMS}
