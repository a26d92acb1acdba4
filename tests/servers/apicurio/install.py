"""Brings the registry's jars from Maven Central once (some 110 MB)."""

from __future__ import annotations

import tarfile
from pathlib import Path

from streams import java as maven

VERSION = "3.0.9"
WHAT = f"Apicurio Registry {VERSION}"
HOME = maven.cache_dir() / f"apicurio-{VERSION}"
# `dependency:copy` reads no parent POM: that of this version is not on Maven Central.
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"


def missing() -> str | None:
    """What keeps the registry from running here, in one line; None if nothing does. Downloads nothing."""
    return maven.missing(HOME, WHAT)


def jar() -> Path:
    """The registry's runner, fetched on first use; several processes may ask at once. Raises Missing."""
    return maven.bring(HOME, WHAT, _arguments, _unpack) / f"apicurio-registry-app-{VERSION}-runner.jar"


def _arguments(part: Path) -> list[str]:
    return ["dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={part}"]


def _unpack(part: Path) -> None:
    (archive,) = part.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(part, filter="data")
    archive.unlink()
