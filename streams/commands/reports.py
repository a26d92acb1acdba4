"""`oms reports`: what is in the topic `reports`: list, export as CSV or XLSX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Broker, Json, emit_json, note, settings_of
from streams.errors import OmsError, UsageError

if TYPE_CHECKING:
    from streams.config import Settings

app = typer.Typer(no_args_is_help=True, help="Reports: list, export.")

Source = Annotated[
    Path | None,
    typer.Option("--from", metavar="DIR", help="A replay's folder, or its reports.jsonl, instead of the broker."),
]
Record = dict[str, Any]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="FIN-04 and the like; default: all.")] = None,
    source: Source = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Names and periods of the reports there are, the newest of each name last."""
    found = [record for record in newest(_records(source, broker)) if name in (None, record["name"])]
    found.sort(key=lambda record: (record["name"], record["period"], record["report_id"]))
    if as_json:
        emit_json([{key: record[key] for key in ("report_id", "name", "period", "highlights")} for record in found])
        return
    for record in found:
        typer.echo("  ".join([record["report_id"], *record["highlights"][:1]]))


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="FIN-04 and the like.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .csv or .xlsx file.")],
    period: Annotated[
        str | None, typer.Option("--period", help="2026-01-24T10:00 and the like; default: the newest.")
    ] = None,
    source: Source = None,
    broker: Broker = None,
) -> None:
    """A report as a table for a spreadsheet. Exit 1 if there is none of that name and period."""
    from streams.convert import tables

    if out.suffix.lower() not in tables.WRITERS:
        raise UsageError(f"--out {out}: a file that ends in {' or '.join(tables.WRITERS)}")
    named = [record for record in newest(_records(source, broker)) if record["name"] == name]
    if not named:
        raise OmsError(f"no report {name}; `oms reports list` shows those there are")
    wanted = period or max(record["period"] for record in named)
    chosen = sorted((one for one in named if one["period"] == wanted), key=_place)
    if not chosen:
        raise OmsError(f"no report {name} of {wanted}; `oms reports list {name}` shows those there are")
    try:
        count = tables.write(out, chosen)
    except OSError as error:
        raise OmsError(f"{out} cannot be written: {error.strerror}") from None
    note(f"{name} of {wanted}: {count:,} rows in {out}")


def _place(record: Record) -> tuple[int, str]:
    """Pages in their order, 2 before 10; channels by name."""
    name = str(record["report_id"])
    page = name.rpartition("/")[2]
    return int(page) if page.isascii() and page.isdigit() else 1, name


def newest(records: Iterable[Record]) -> list[Record]:
    """The last record of each report."""
    return list({record["report_id"]: record for record in records}.values())


def _records(source: Path | None, broker: str | None) -> Iterator[Record]:
    return _of_file(source) if source is not None else _of_topic(settings_of(broker=broker))


def _of_file(path: Path) -> Iterator[Record]:
    import orjson

    if path.is_dir():
        path /= "reports.jsonl"
    try:
        with path.open("rb") as lines:
            for number, text in enumerate(lines, 1):
                try:
                    record = orjson.loads(text)["value"]
                    texts = (*record["highlights"], *(record[field] for field in ("report_id", "name", "period")))
                    rows = orjson.loads(record["rows"])
                    if not all(isinstance(word, str) for word in texts) or not all(
                        isinstance(row, dict) for row in rows
                    ):
                        raise ValueError(f"{path}: another shape")
                except (ValueError, TypeError, KeyError):
                    raise OmsError(f"{path}, line {number}: no record of a report") from None
                yield record
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _of_topic(settings: Settings) -> Iterator[Record]:
    from streams import topology
    from streams.clients import require_broker
    from streams.topics_admin import read_topic

    registry = topology.load(registry=settings.registry)
    require_broker(settings)
    for row in read_topic(settings.client_config(), registry, "reports", last=True, follow=False):
        if row.get("value") is not None:
            yield row["value"]
