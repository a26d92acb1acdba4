"""RESULTS.md: the figures of the last full run, beside what was to be reached.

Each part of the benchmark puts its figures under its name into ``results.json``; the page is written from that file, so
running one part again leaves the other parts' figures as they were.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import build, report_compare, report_pipeline, report_recall
from streams.java import java

HERE = Path(__file__).parent
SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "compare": report_compare.section,
    "pipeline": report_pipeline.section,
    "stock": report_pipeline.stock,
    "timers": report_pipeline.timers,
    "close": report_pipeline.close,
    "connect": report_pipeline.connect,
    "recall": report_recall.section,
}
PACKAGES = ("confluent-kafka", "faust-streaming", "fastavro", "orjson", "rocksdict")

INTRODUCTION = """# Benchmark results

Written by `python -m bench` (`make bench`); do not edit. Only figures of one run compare: the speed of a machine
varies, its neighbours' load more so.
"""


class Results:
    """The figures gathered by one run; with ``keep`` false they go to the cache folder, for trying things out."""

    def __init__(self, keep: bool) -> None:
        self._folder = HERE if keep else build.CACHE
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._folder / "results.json"
        self._parts: dict[str, Any] = json.loads(self._file.read_text()) if keep and self._file.exists() else {}

    def put(self, part: str, figures: dict[str, Any], command: Sequence[str]) -> None:
        self._parts[part] = {"taken": _taken(command), **figures}

    def write(self) -> Path:
        """Writes results.json and RESULTS.md; the path of the latter."""
        self._file.write_text(json.dumps(self._parts, indent=1) + "\n")
        page = self._folder / "RESULTS.md"
        page.write_text(INTRODUCTION + "".join(self.text(part) for part in SECTIONS if part in self._parts))
        return page

    def text(self, part: str) -> str:
        """One part as Markdown."""
        figures = self._parts[part]
        taken = figures["taken"]
        return (
            f"{SECTIONS[part](figures)}\n\n"
            f"Taken {taken['date']} by `{taken['command']}` at {taken['commit']}, on {taken['machine']}; "
            f"{taken['versions']}.\n"
        )


def _taken(command: Sequence[str]) -> dict[str, str]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join(["python -m bench", *command]),
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
    }


def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=build.ROOT, capture_output=True, text=True, check=False
    )
    return f"commit {said.stdout.strip()}" if said.returncode == 0 else "an unknown commit"


def _machine() -> str:
    model = "unknown CPU"
    memory = 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = round(int(line.split()[1]) / 2**20)
    return f"{os.cpu_count()} cores ({model}), {memory} GB, Linux {platform.release()}"


def _versions() -> str:
    said = subprocess.run([java(), "-version"], capture_output=True, text=True, check=False).stderr
    quoted = said.split('"')[1] if '"' in said else "unknown"
    return ", ".join([
        "Apache Kafka 4.1.0 (one node)",
        f"Python {sys.version.split()[0]}",
        f"Java {quoted}",
        *(f"{name} {version(name)}" for name in PACKAGES),
    ])  # fmt: skip
