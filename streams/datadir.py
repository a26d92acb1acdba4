"""The worker's data folder: one owner at a time, writable, and where the others find it (`web.json`)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from streams.config import Settings
from streams.errors import OmsError

LOCK_FILE = "lock"
WEB_FILE = "web.json"


class DataDirError(OmsError):
    """The data folder cannot be used: read-only, full, or another worker's."""


@dataclass(slots=True)
class DataDirLock:
    """Held for the life of a worker; the kernel lets go of it when the process dies, however it dies."""

    path: Path
    _file: IO[str]

    def release(self) -> None:
        self._file.close()

    def __enter__(self) -> DataDirLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def lock_data_dir(settings: Settings) -> DataDirLock:
    """Create the worker's data folder, prove that it can be written, and take it. Raises DataDirError."""
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise DataDirError(f"data folder {folder} cannot be used: {error.strerror}; set OMS_DATA_DIR") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read(40).strip()
        file.close()
        who = f" (process {owner})" if owner else ""
        raise DataDirError(
            f"data folder {folder} is in use by another worker{who}; "
            "give each worker its own OMS_WORKER_ID or OMS_DATA_DIR"
        ) from None
    try:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _probe(folder)
    except OSError as error:
        with contextlib.suppress(OSError):  # it would write what it could not write before
            file.close()
        raise DataDirError(
            f"data folder {folder} cannot be written: {error.strerror}; free space or set OMS_DATA_DIR"
        ) from None
    return DataDirLock(folder, file)


def _probe(folder: Path) -> None:
    """Write and sync a little more than a block: a full disk shows only then."""
    probe = folder / ".probe"
    try:
        with probe.open("wb") as file:
            file.write(b"\0" * 65536)
            file.flush()
            os.fsync(file.fileno())
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def write_web_file(settings: Settings, url: str) -> Path:
    """Tell the other processes of this machine where this worker's web server is: {"url", "worker_id", "pid"}."""
    path = settings.data_dir / WEB_FILE
    temporary = path.with_suffix(".new")
    temporary.write_text(
        json.dumps({"url": url, "worker_id": settings.worker_id, "pid": os.getpid()}), encoding="utf-8"
    )
    temporary.replace(path)
    return path


def web_files(root: Path) -> Iterator[dict[str, Any]]:
    """The `web.json` of every worker folder under `root`, in folder order; unreadable ones are left out."""
    for path in sorted(root.glob(f"*/{WEB_FILE}")):
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict) and isinstance(content.get("url"), str):
                yield content
