"""Java programs this project starts: finds Java, and brings jars from Maven Central once, into a cache folder."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from streams.config import home_dir
from streams.errors import OmsError

MIN_JAVA: Final = 17
_CHECKOUT: Final = Path(__file__).resolve().parents[1]
_TRIES: Final = 3


class Missing(OmsError):
    """What a server needs is not on this machine; the message names it in one line."""


def cache_dir() -> Path:
    """OMS_CACHE_DIR; else `.cache` of a checkout, and for an installed package a folder of the user's."""
    if chosen := os.environ.get("OMS_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    if (_CHECKOUT / "pyproject.toml").is_file():
        return _CHECKOUT / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home_dir() / ".cache").absolute() / "oms"


@cache
def java() -> str:
    """Path of a Java of at least version 17, from JAVA_HOME or PATH. Raises Missing."""
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        raise Missing(f"Java {MIN_JAVA} or newer not found (PATH or JAVA_HOME)")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', said.stderr + said.stdout)
    if not match or int(match[1]) < MIN_JAVA:
        raise Missing(f"Java {MIN_JAVA} or newer not found: {found} is {match[1] if match else 'not a Java'}")
    return found


def missing(folder: Path, what: str) -> str | None:
    """What keeps a program of that folder from running here, in one line; None if nothing does. Downloads nothing."""
    try:
        java()
        if not folder.is_dir() and not shutil.which("mvn"):
            raise Missing(f"Maven (mvn) not found: it brings {what} on the first run")
    except Missing as reason:
        return str(reason)
    return None


def bring(
    folder: Path, what: str, arguments: Callable[[Path], list[str]], finish: Callable[[Path], None] | None = None
) -> Path:
    """`folder`, made by Maven if it is not there; several processes may ask at once. Raises Missing.

    `arguments`: of mvn, told where to put it; `finish` has the last hand at that before it gets its name.
    """
    if folder.is_dir():
        return folder
    if reason := missing(folder, what):
        raise Missing(reason)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.part")
            _fetch(part, what, arguments(part))
            if finish is not None:
                finish(part)
            part.rename(folder)
    return folder


def _fetch(part: Path, what: str, arguments: list[str]) -> None:
    for attempt in range(_TRIES):  # a download can break off; Maven keeps what it has, so another try is cheap
        shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run(["mvn", "-B", "-q", *arguments], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        print(f"fetching {what}: try {attempt + 1} of {_TRIES} failed", flush=True)
    tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
    raise Missing(f"Maven could not fetch {what}:\n{tail}")
