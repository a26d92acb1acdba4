"""The worker and its plugins: built by Maven on the first run and kept, by the content of what they are built from."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

from streams import java

WHAT: Final = "Kafka Connect with the Debezium JDBC sink"
SOURCES: Final = Path(__file__).parent / "java"


def home() -> Path:
    """The folder of the worker (`libs`) and its plugins (`plugins`); another one after a change of the sources."""
    digest = hashlib.sha256()
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file()):
        digest.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return java.cache_dir() / f"connect-{digest.hexdigest()[:12]}"


def missing() -> str | None:
    """What keeps it from running here, in one line; None if nothing does. Downloads nothing."""
    return java.missing(home(), WHAT)


def bring() -> Path:
    """The same folder, filled. Raises Missing."""
    return java.bring(home(), WHAT, _arguments, _tidy)


def _arguments(part: Path) -> list[str]:
    return ["-f", str(SOURCES / "pom.xml"), "package", f"-Dhome={part}"]


def _tidy(part: Path) -> None:
    shutil.rmtree(part / "build")
