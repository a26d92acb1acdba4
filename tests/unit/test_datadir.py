"""The data folder: one worker at a time, and a clear line where it cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.config import Settings
from streams.datadir import DataDirError, lock_data_dir, web_files, write_web_file


def test_a_second_worker_on_one_folder_is_refused_and_the_next_owner_is_not(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "w")
    lock = lock_data_dir(settings)
    with pytest.raises(DataDirError, match="in use by another worker") as caught:
        lock_data_dir(settings)
    assert "\n" not in str(caught.value)
    lock.release()
    lock_data_dir(settings).release()


def test_a_dead_worker_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from streams.config import Settings\n"
        "from streams.datadir import lock_data_dir\n"
        "lock = lock_data_dir(Settings(data_dir=Path(sys.argv[1]))); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    lock_data_dir(Settings(data_dir=tmp_path)).release()


def test_a_folder_that_takes_no_byte_is_told_by_its_name(tmp_path: Path) -> None:
    """As on a full disk: closing the file tries once more to write what could not be written."""
    code = (
        "import resource, sys; from pathlib import Path; from streams.config import Settings\n"
        "from streams.datadir import DataDirError, lock_data_dir\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try: lock_data_dir(Settings(data_dir=Path(sys.argv[1])))\n"
        "except DataDirError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"data folder {tmp_path} cannot be written: "), done.stderr
    assert done.stdout.endswith("; free space or set OMS_DATA_DIR\n")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirError, match="OMS_DATA_DIR"):
        lock_data_dir(Settings(data_dir=tmp_path / "file" / "w"))


def test_a_full_disk_is_told_before_anything_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("streams.datadir.os.fsync", full)
    with pytest.raises(DataDirError, match="No space left"):
        lock_data_dir(Settings(data_dir=tmp_path))
    assert not (tmp_path / ".probe").exists()


def test_workers_of_a_machine_find_each_other(tmp_path: Path) -> None:
    for name in ("b", "a"):
        settings = Settings(data_dir=tmp_path / name, worker_id=name)
        lock_data_dir(settings).release()
        write_web_file(settings, f"http://127.0.0.1/{name}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "web.json").write_text("{")
    assert [(entry["worker_id"], entry["url"]) for entry in web_files(tmp_path)] == [
        ("a", "http://127.0.0.1/a"),
        ("b", "http://127.0.0.1/b"),
    ]
