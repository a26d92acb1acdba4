"""Brings the registry's jars from Maven Central once (some 110 MB), into the repository's cache folder."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.servers.kafka.install import CACHE, Missing, java

VERSION = "3.0.9"
HOME = CACHE / f"apicurio-{VERSION}"
# `dependency:copy` reads no parent POM: that of this version is not on Maven Central.
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"


def missing() -> str | None:
    """What keeps the registry from running here, in one line; None if nothing does. Downloads nothing."""
    try:
        java()
        if not HOME.is_dir() and not shutil.which("mvn"):
            raise Missing(f"Maven (mvn) not found: it brings Apicurio Registry {VERSION} on the first run")
    except Missing as reason:
        return str(reason)
    return None


def jar() -> Path:
    """The registry's runner, fetched on first use; several processes may ask at once. Raises Missing."""
    if not HOME.is_dir():
        if reason := missing():
            raise Missing(reason)
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(CACHE / f"apicurio-{VERSION}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not HOME.is_dir():
                _fetch()
    return HOME / f"apicurio-registry-app-{VERSION}-runner.jar"


def _fetch() -> None:
    part = CACHE / f"apicurio-{VERSION}.part"
    command = ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={part}"]
    for attempt in range(3):  # a download can break off
        shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            (archive,) = part.glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(part, filter="data")
            archive.unlink()
            part.rename(HOME)
            return
        print(f"fetching Apicurio Registry {VERSION}: try {attempt + 1} of 3 failed", flush=True)
    tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
    raise Missing(f"Maven could not fetch Apicurio Registry {VERSION}:\n{tail}")
