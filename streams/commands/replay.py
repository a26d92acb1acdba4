"""`oms replay`: the agents over files, in one process, on event time only; the same input gives the same bytes."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Json, emit_json, note, progress, settings_of
from streams.errors import OmsError, UsageError

if TYPE_CHECKING:
    from streams.engine.local import LocalRunner
    from streams.topology import Topology

DEAD_LETTERS = "dead-letters"
_STEP = 200


def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON lines, plain or gzip, in order of arrival.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for one TOPIC.jsonl per output topic.")],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Move event time on to here at the end (epoch ms or ISO 8601)."),
    ] = None,
    received_at: Annotated[
        str | None,
        typer.Option(
            "--received-at",
            metavar="TIME",
            help="When the lines came in: events over a day later are refused. Default: now.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the agents over input files without a broker and write one file per output topic."""
    end = _time("--until", until)
    came_in = _time("--received-at", received_at)
    summary = run(files, out, end, came_in if came_in is not None else time.time_ns() // 1_000_000)
    if as_json:
        emit_json(summary)
    else:
        _tell(summary, out)
    if summary["unreadable"]:
        raise typer.Exit(1)


def run(files: list[Path], out: Path, until: int | None, received_at: int) -> dict[str, Any]:
    """Replay the files into `out`; times in ms UTC. Gives the counts: lines, unreadable, seconds, records by topic."""
    from streams import topology
    from streams.agents import catalogue
    from streams.engine.local import LocalRunner

    registry = topology.load()
    agents = catalogue.choose(None, settings_of().audit_raw)
    runner = LocalRunner(agents, registry, received_at=received_at)
    _make_folder(out)
    started = time.monotonic()
    lines = unreadable = 0
    with progress("replaying") as move:
        for good in _feed(runner, registry, files):
            lines += 1
            unreadable += not good
            if lines % _STEP == 0:
                move(_STEP)
        if until is not None:
            runner.advance(until)
    records = _write_all(runner, registry, out)
    return {
        "lines": lines,
        "unreadable": unreadable,
        "seconds": round(time.monotonic() - started, 3),
        "records": records,
    }


def _feed(runner: LocalRunner, registry: Topology, files: list[Path]) -> Any:
    """Each line through all agents before the next one; yields whether it could be read."""
    from streams.commands.inputs import encoded_lines
    from streams.lines import BadLine, code_of

    for entry in encoded_lines(files, registry):
        if isinstance(entry, BadLine):
            runner.send(DEAD_LETTERS, dead_line(entry, runner.time), Path(entry.file).name)
            yield False
            continue
        line, payload = entry
        runner.send_bytes(line.topic, payload, line.key or code_of(line.value))
        runner.run()
        yield True


def dead_line(line: Any, at: int) -> dict[str, Any]:
    """The dead letter of a line that is no event: its file's name as topic, its number as offset, `at` in ms."""
    return {
        "topic": Path(line.file).name,
        "partition": None,
        "offset": line.number,
        "error": line.error,
        "stage": line.stage,
        "key": None,
        "value": line.raw,
        "at": at,
    }


def _write_all(runner: LocalRunner, registry: Topology, out: Path) -> dict[str, int]:
    from streams.engine.codec.json import line

    counts: Counter[str] = Counter()
    try:
        for name in (topic.name for topic in registry.topics.values() if topic.is_output):
            with (out / f"{name}.jsonl").open("wb") as file:
                for key, value in runner.output(name):
                    file.write(line(key, value))
                    counts[name] += 1
    except OSError as error:
        raise OmsError(f"cannot write to {out}: {error.strerror}") from None
    return dict(counts)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OmsError(f"cannot make the folder {out}: {error.strerror}") from None


def _time(option: str, text: str | None) -> int | None:
    from streams.lines import parse_until

    if text is None:
        return None
    try:
        return parse_until(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _tell(summary: dict[str, Any], out: Path) -> None:
    speed = summary["lines"] / summary["seconds"] if summary["seconds"] else 0
    note(f"replayed {summary['lines']:,} lines in {summary['seconds']:.1f} s ({speed:,.0f}/s) into {out}")
    for topic, count in summary["records"].items():
        note(f"  {topic}: {count:,}")
    if summary["unreadable"]:
        note(f"{summary['unreadable']:,} lines could not be read: see {out / (DEAD_LETTERS + '.jsonl')}")
