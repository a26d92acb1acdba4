"""`oms replay`: the agents over files, in one process, on event time only; the same input gives the same bytes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Json, emit_json, note, progress, settings_of, time_of
from streams.errors import OmsError

if TYPE_CHECKING:
    from streams.engine import Agent
    from streams.engine.local import LocalRunner
    from streams.engine.record import LocalRecord
    from streams.topology import Topology

DEAD_LETTERS = "dead-letters"
_STEP = 200
_LEAP_MS = 730 * 86_400_000
"""An event that lies in the future, and so far beyond all before it, is none of the story: taken in, it would end every
wait of the others."""


def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON lines, plain or gzip, in order of arrival.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for one TOPIC.jsonl per output topic.")],
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Move event time on to here at the end (epoch ms or ISO 8601, of Asia/Shanghai without an offset).",
        ),
    ] = None,
    received_at: Annotated[
        str | None,
        typer.Option(
            "--received-at",
            metavar="TIME",
            help="When the lines came in: events over a day later are refused. Default: now, or two years after all"
            " events before them.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the agents over input files without a broker and write one file per output topic."""
    end = time_of("--until", until)
    _require_reachable(end)
    summary = run(files, out, end, time_of("--received-at", received_at))
    if as_json:
        emit_json(summary)
    else:
        _tell(summary, out)
    if summary["unreadable"]:
        raise typer.Exit(1)


def _require_reachable(end: int | None) -> None:
    """What repeats by the day or month until somebody sees to it would be told for thousands of years."""
    from streams.domain.rules import data
    from streams.errors import UsageError

    if end is not None and end > data.contract().limits.latest:
        raise UsageError("--until: is after the year 2099, as no event can be")


def run(
    files: list[Path],
    out: Path,
    until: int | None,
    received_at: int | None = None,
    agents: Sequence[Agent] | None = None,
) -> dict[str, Any]:
    """Replay the files into `out` through `agents` (all without); times in ms UTC. Gives the counts: lines,
    unreadable, seconds, records by topic. Without `received_at` the clock is asked only about events in the future."""
    from streams import catalogue, topology
    from streams.engine.local import LocalRunner
    from streams.lines import require_files

    require_files(files)  # before the outputs of an earlier replay are overwritten
    registry = topology.load()
    settings = settings_of()
    agents = agents or catalogue.choose(None, settings.audit_raw, settings.maps_dir, settings.hash_salt)

    today = time.time_ns() // 1_000_000

    def received() -> int:
        if received_at is not None:
            return received_at
        return max(today, runner.time + _LEAP_MS)

    runner = LocalRunner(agents, registry, received_at=received)
    started = time.monotonic()
    lines = unreadable = 0
    with Outlet(runner, registry, out) as outlet, progress("replaying") as move:
        for good in _feed(runner, registry, files, received):
            lines += 1
            unreadable += not good
            if lines % _STEP == 0:
                outlet.drain()
                move(_STEP)
        if until is not None:
            runner.advance(until)
        outlet.drain()
    return {
        "lines": lines,
        "unreadable": unreadable,
        "seconds": round(time.monotonic() - started, 3),
        "records": {topic: count for topic, count in outlet.counts.items() if count},
    }


def _feed(runner: LocalRunner, registry: Topology, files: list[Path], received: Callable[[], int]) -> Any:
    """Each line through all agents before the next one; yields whether it could be read.

    What is due by the time of a line goes through all agents before it: the runner by itself fires the timers first,
    but lets what they say queue up behind a record that is under way.
    """
    from streams.commands.inputs import encoded_lines
    from streams.domain import streak
    from streams.domain.rules import data
    from streams.lines import BadLine, Line, code_of

    contract = data.contract()

    def advance(entry: tuple[Line, bytes] | BadLine) -> None:
        """An event that is refused moves no clock. One given by its bytes does so by itself."""
        if isinstance(entry, BadLine):
            return
        topic, value = entry[0].topic, entry[0].value
        if value and value["event_time"] > runner.time and contract.check(topic, value, received()) is None:
            runner.advance(value["event_time"])

    lines = encoded_lines(files, registry)
    # What is refused before the first event was refused when the story began, not in 1970.
    first = []
    for entry in lines:
        first.append(entry)
        advance(entry)
        if runner.time or len(first) == _STEP:
            break
    unread: str | None = None  # the file of which the last line could not be read
    for entry in chain(first, lines):
        if isinstance(entry, BadLine):
            name = Path(entry.file).name
            runner.send(DEAD_LETTERS, dead_line(entry, runner.time), name)
            _tell_alerts(runner, streak.failed(name, f"line {entry.number}", entry.error, runner.time))
            unread = name
            yield False
            continue
        if unread is not None:
            _tell_alerts(runner, streak.recovered(unread, runner.time))
            unread = None
        line, payload = entry
        advance(entry)
        runner.send_bytes(line.topic, payload, line.key or code_of(line.value))
        runner.run()
        yield True


def _tell_alerts(runner: LocalRunner, said: tuple[str, dict[str, Any]]) -> None:
    key, finding = said
    runner.send("alert-facts", finding, key)
    runner.run()


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
        "agent": None,
        "traceback": None,
    }


class Outlet:
    """Writes what the runner has put out to DIR/TOPIC.jsonl, and lets go of records that everybody has read.

    A long replay would otherwise hold every record of every topic, changelogs included, until its end.
    """

    def __init__(self, runner: LocalRunner, registry: Topology, out: Path) -> None:
        self._log = runner.log
        self._registry = registry
        self._out = out
        self._files: dict[str, IO[bytes]] = {}
        self._blank: Counter[tuple[str, int]] = Counter()
        self.counts: dict[str, int] = {}

    def __enter__(self) -> Outlet:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            for topic in self._registry.topics.values():
                if topic.is_output:
                    self._files[topic.name] = (self._out / f"{topic.name}.jsonl").open("wb")
                    self.counts[topic.name] = 0
        except OSError as error:
            self._close()
            raise OmsError(f"cannot write to {self._out}: {error.strerror}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._close()
        except OSError as late:
            raise OmsError(f"cannot write to {self._out}: {late.strerror}") from None

    def _close(self) -> None:
        for file in self._files.values():
            file.close()

    def drain(self) -> None:
        """Only when the runner is quiescent. Raises OmsError on a full disk."""
        try:
            for name, records in self._log.order.items():
                if name in self._files:
                    self._write(name, records)
                records.clear()
        except OSError as error:
            raise OmsError(f"cannot write to {self._out}: {error.strerror}") from None
        # Positions are indices: a record that was read is blanked, not removed.
        for name, partitions in self._log.topics.items():
            for number, log in enumerate(partitions):
                read = self._blank[name, number]
                log[read:] = [None] * (len(log) - read)  # type: ignore[list-item]
                self._blank[name, number] = len(log)

    def _write(self, name: str, records: list[LocalRecord]) -> None:
        from streams.engine.codec.json import line

        decode, file = self._registry.decoder(name), self._files[name]
        for record in records:
            key, value = record.key(), record.value()
            file.write(line(None if key is None else key.decode(), None if value is None else decode(value)))
        self.counts[name] += len(records)


def _tell(summary: dict[str, Any], out: Path) -> None:
    speed = summary["lines"] / summary["seconds"] if summary["seconds"] else 0
    note(f"replayed {summary['lines']:,} lines in {summary['seconds']:.1f} s ({speed:,.0f}/s) into {out}")
    for topic, count in summary["records"].items():
        note(f"  {topic}: {count:,}")
    if summary["unreadable"]:
        note(f"{summary['unreadable']:,} lines could not be read: see {out / (DEAD_LETTERS + '.jsonl')}")
