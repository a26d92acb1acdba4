"""`oms risk`: how other weights would have done on history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Json, console, emit_json, note, time_of
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.domain.risk import Settings

app = typer.Typer(no_args_is_help=True, help="Weak signals of orders: try other weights on history.")

_NEEDLESS = ("inventory", "reports")
"""Agents that have no part in warnings or trouble."""
_HOUR_MS = 3_600_000


@app.callback()
def root() -> None:
    """Weak signals of orders: try other weights on history."""


@app.command("backtest")
def backtest(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON lines, plain or gzip, in order of arrival.")
    ],
    weights: Annotated[
        Path,
        typer.Option(
            "--weights",
            metavar="W.yaml",
            help="What differs from the table in force, in its shape: orange, red, favoured, seasons, limits, signals.",
        ),
    ],
    trouble: Annotated[
        list[str] | None,
        typer.Option(
            "--trouble", metavar="KIND", help="cancelled, refunded, exception, complaint, late; may be repeated."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Move event time on to here at the end (epoch ms or ISO 8601)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Replay history under the weights in force and under others, and compare how early and how rightly they warn."""
    from streams.domain.risk.backtest import TROUBLES
    from streams.domain.rules import data

    kinds = tuple(trouble or TROUBLES)
    if unknown := sorted(set(kinds) - set(TROUBLES)):
        raise UsageError(f"--trouble: no kind {', '.join(unknown)}; there are {', '.join(TROUBLES)}")
    proposed, end = _read(weights), time_of("--until", until)
    result = compared(files, data.risk(), proposed, kinds, end)
    if as_json:
        emit_json(result)
    else:
        _tell(result)
    if result["unreadable"]:
        raise typer.Exit(1)


def compared(
    files: list[Path], in_force: Settings, proposed: Settings, kinds: tuple[str, ...], until: int | None
) -> dict[str, Any]:
    """{lines, unreadable, trouble, in_force, proposed, only_in_force, only_proposed}: for both tables what
    `backtest.judged` says of orange and red, and how many orders only one of them warns of."""
    runs = [_run(files, table, kinds, until) for table in (in_force, proposed)]
    first, second = (run["orange"] for run in runs)
    return {
        "lines": runs[0]["lines"],
        "unreadable": runs[0]["unreadable"],
        "trouble": list(kinds),
        "in_force": _judged(runs[0]),
        "proposed": _judged(runs[1]),
        "only_in_force": len(first.keys() - second.keys()),
        "only_proposed": len(second.keys() - first.keys()),
    }


def _judged(run: dict[str, Any]) -> dict[str, Any]:
    from streams.domain.risk.backtest import judged

    return {level: judged(run[level], run["troubled"]) for level in ("orange", "red")}


def _run(files: list[Path], table: Settings, kinds: tuple[str, ...], until: int | None) -> dict[str, Any]:
    """When orders were first warned of, by level, and when they first came to trouble, by guid (ms)."""
    import orjson

    from streams import catalogue
    from streams.agents.risk import make
    from streams.commands import replay
    from streams.domain.risk.backtest import trouble_of

    agents = [
        make(table) if agent.name == "risk" else agent
        for agent in catalogue.choose(None, "drop")
        if agent.name not in _NEEDLESS
    ]
    found: dict[str, Any] = {"orange": {}, "red": {}, "troubled": {}}

    def first(of: str, guid: str, at: int) -> None:
        found[of][guid] = min(at, found[of].get(guid, at))

    with TemporaryDirectory(prefix="oms-backtest-") as folder:
        out = Path(folder)
        summary = replay.run(files, out, until, agents=agents)
        for record in _values(out / "risk-alerts.jsonl"):
            first(record["level"], record["order_guid"], record["at"])
        for row in _values(out / "audit-log.jsonl"):
            before, after = (orjson.loads(row[side] or "{}") for side in ("before", "after"))
            what = trouble_of(row, before.get("flags", ()), after.get("flags", ()))
            if what in kinds and (what != "cancelled" or after["paid_minor"]):
                first("troubled", row["order_guid"], row["at"])
        for alert in _values(out / "alerts.jsonl"):
            if alert["rule"] == "RSK-10" and "late" in kinds:
                first("troubled", alert["order_guid"], alert["opened_at"])
    return {**found, "lines": summary["lines"], "unreadable": summary["unreadable"]}


def _values(path: Path) -> Iterator[dict[str, Any]]:
    import orjson

    with path.open("rb") as file:
        for line in file:
            value = orjson.loads(line)["value"]
            if value is not None:
                yield value


def _read(path: Path) -> Settings:
    """The table in force with what the file changes. UsageError says what is wrong with it."""
    import yaml

    from streams.domain.risk import Settings
    from streams.domain.risk.backtest import merged
    from streams.domain.risk.settings import RiskError
    from streams.domain.rules import data

    try:
        change = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Settings.parse(merged(data.risk_document(), change))
    except OSError as error:
        raise UsageError(f"--weights: cannot read {path}: {error.strerror}") from None
    except (RiskError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--weights: {path}: {error}") from None


def _tell(result: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("weights", "level", "warned", "in trouble", "in time", "precision", "recall", "lead time (median)")
    for name in ("in_force", "proposed"):
        for level, figures in result[name].items():
            lead = figures["lead_ms"]
            table.add_row(
                name.replace("_", " "),
                level,
                *(f"{figures[field]:,}" for field in ("warned", "troubled", "in_time")),
                *("-" if figures[field] is None else f"{figures[field]:.1%}" for field in ("precision", "recall")),
                "-" if lead is None else f"{lead / _HOUR_MS:.1f} h",
            )
    console().print(table)
    note(
        f"{result['lines']:,} lines; warned of under the weights in force alone: {result['only_in_force']:,} orders, "
        f"under the proposed ones alone: {result['only_proposed']:,}; trouble: {', '.join(result['trouble'])}"
    )
    if result["unreadable"]:
        note(f"{result['unreadable']:,} lines could not be read")
