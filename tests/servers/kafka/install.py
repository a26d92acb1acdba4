"""Finds Java and brings the broker's jars from Maven Central once, into the repository's cache folder."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

VERSION = "4.1.0"
MIN_JAVA = 17
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("OMS_TEST_CACHE", HERE.parents[2] / ".cache"))
LIBS = CACHE / f"kafka-{VERSION}"


class Missing(RuntimeError):
    """What the real broker needs is not on this machine; the message names it in one line."""


@cache
def java() -> str:
    """Path of a Java of at least version 17, from JAVA_HOME or PATH."""
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        raise Missing(f"Java {MIN_JAVA} or newer not found (PATH or JAVA_HOME)")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', said.stderr + said.stdout)
    if not match or int(match[1]) < MIN_JAVA:
        raise Missing(f"Java {MIN_JAVA} or newer not found: {found} is {match[1] if match else 'not a Java'}")
    return found


def missing() -> str | None:
    """What keeps the broker from running here, in one line; None if nothing does. Downloads nothing."""
    try:
        java()
        if not LIBS.is_dir() and not shutil.which("mvn"):
            raise Missing(f"Maven (mvn) not found: it brings Apache Kafka {VERSION} on the first run")
    except Missing as reason:
        return str(reason)
    return None


def classpath() -> str:
    """The broker's jars, fetched on first use; several processes may ask at once."""
    if not LIBS.is_dir():
        reason = missing()
        if reason:
            raise Missing(reason)
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(CACHE / f"kafka-{VERSION}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not LIBS.is_dir():
                _fetch()
    return str(LIBS / "*")


def _fetch() -> None:
    part = CACHE / f"kafka-{VERSION}.part"
    command = ["mvn", "-B", "-q", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies",
               "-DincludeScope=runtime", f"-DoutputDirectory={part}"]  # fmt: skip
    for attempt in range(3):  # a download can break off; Maven keeps what it has, so another try is cheap
        shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            part.rename(LIBS)
            return
        print(f"fetching Apache Kafka {VERSION}: try {attempt + 1} of 3 failed", flush=True)
    tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
    raise Missing(f"Maven could not fetch Apache Kafka {VERSION}:\n{tail}")
