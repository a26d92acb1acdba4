"""The project speaks of itself alone: no machine's paths, no private hosts, nothing it needs outside the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Written in pieces, so that this file does not find itself.
FORBIDDEN = {
    "an absolute path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|tmp/w)" + r"/"),
    "the host of a package registry": re.compile(
        "py" + r"pi\.org|python" + r"hosted|maven" + r"\.org|npm" + r"js\.|crates" + r"\.io|docker" + r"\.io"
    ),
    "an issue number": re.compile(r"\b[Ii]ssue" + r" #?\d+\b"),
}


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name]


def test_no_tracked_file_names_a_machine_a_registry_or_an_issue() -> None:
    found = []
    for path in tracked():
        if not path.is_file() or path.stat().st_size > 400_000:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()}"
            for what, pattern in FORBIDDEN.items()
            for match in pattern.finditer(text)
        ]
    assert not found
