"""Brings the broker's jars from Maven Central once."""

from __future__ import annotations

from pathlib import Path

from streams import java as maven
from streams.java import Missing, cache_dir, java

__all__ = ["HERE", "Missing", "classpath", "java", "missing"]

VERSION = "4.1.0"
WHAT = f"Apache Kafka {VERSION}"
HERE = Path(__file__).parent
LIBS = cache_dir() / f"kafka-{VERSION}"


def missing() -> str | None:
    """What keeps the broker from running here, in one line; None if nothing does. Downloads nothing."""
    return maven.missing(LIBS, WHAT)


def classpath() -> str:
    """The broker's jars, fetched on first use; several processes may ask at once."""
    return str(maven.bring(LIBS, WHAT, _arguments) / "*")


def _arguments(part: Path) -> list[str]:
    pom = str(HERE / "pom.xml")
    return ["-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}"]
