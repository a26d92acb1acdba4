"""A folder of courier lists, looked at again and again (LOG-08), for places without a scheduler of their own.

Files done are remembered by their content. The memory only spares work: a file sent twice is the same events (ID-05).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from streams.commands.common import note
from streams.errors import OmsError

SUFFIXES: Final = frozenset({".xlsx", ".xlsm", ".csv", ".xls"})
"""Old .xls files are looked at too, so that somebody is told that they cannot be read."""
SETTLED_S: Final = 10.0
"""A file changed less than this long ago may still be on its way in: it waits for the next look."""


class Memory:
    """Hashes of the files done, one a line, in a file of the data folder. One watcher per courier writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        except OSError as error:
            raise OmsError(f"cannot read {path}: {error.strerror}") from None
        self._done = set(lines)

    def __contains__(self, digest: str) -> bool:
        return digest in self._done

    def add(self, digest: str) -> None:
        """Remember it. OmsError if it cannot be written."""
        self._done.add(digest)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(digest + "\n")
        except OSError as error:
            raise OmsError(f"cannot write {self.path}: {error.strerror}; set OMS_DATA_DIR") from None


def memory_of(root: Path, courier: str) -> Path:
    """Where the watcher of a courier remembers; any name makes a good file name."""
    return root / "couriers" / f"{json.dumps(courier, ensure_ascii=True).strip(chr(34)).replace('/', '_')}.done"


def waiting(folder: Path, memory: Memory, now_s: float) -> Iterator[tuple[Path, bytes, str]]:
    """(path, content, hash) of each file that is whole and not done yet, by name. OmsError if there is no folder."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise OmsError(f"cannot read {folder}: {error.strerror}", exit_code=2) from None
    for path in paths:
        if path.name.startswith(("~$", ".")):  # Excel's lock files, and files on their way in
            continue
        try:
            if not path.is_file() or now_s - path.stat().st_mtime < SETTLED_S:
                continue
            content = path.read_bytes()
        except OSError as error:
            note(f"cannot read {path}: {error.strerror}; tried again at the next look")
            continue
        digest = sha256(content).hexdigest()
        if digest not in memory:
            yield path, content, digest


def look(folder: Path, memory: Memory, now_s: float, take: Callable[[Path, bytes], object]) -> int:
    """Take each waiting file and remember it; one that fails is told of and tried again at the next look. How many
    were taken."""
    taken = 0
    for path, content, digest in waiting(folder, memory, now_s):
        try:
            take(path, content)
        except OmsError as error:
            note(f"oms: {error}; tried again at the next look")
            continue
        memory.add(digest)
        taken += 1
    return taken


def watch(
    folder: Path,
    memory: Memory,
    take: Callable[[Path, bytes], object],
    *,
    every_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Look at the folder now and every `every_s` seconds, until interrupted. `clock`: seconds since 1970."""
    while True:
        look(folder, memory, clock(), take)
        sleep(every_s)
