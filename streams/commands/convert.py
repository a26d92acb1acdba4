"""`oms convert`: published data sets as input events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.common import Json, emit_json, note
from streams.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Turn real data sets into input events.")

Source = Annotated[
    Path, typer.Argument(metavar="SRC", help="Folder (olist) or file (tmall) with the tables, CSV or CSV.gz.")
]
Out = Annotated[Path, typer.Option("--out", help="JSON lines to write; gzip if the name ends in .gz.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many orders.")]


class Sort(str, Enum):  # noqa: UP042 - typer shows the values of a str enum
    TIME = "time"
    SOURCE = "source"


SortBy = Annotated[Sort, typer.Option("--sort", help="time: by event time; source: order by order as in the tables.")]


@app.command("olist")
def olist(src: Source, out: Out, limit: Limit = None, sort: SortBy = Sort.TIME, as_json: Json = False) -> None:
    """The Olist marketplace tables (a folder of CSV files)."""
    from streams.convert.olist import convert

    _write(out, lambda: convert(src, limit=limit, sort=sort.value), as_json)


@app.command("tmall")
def tmall(src: Source, out: Out, limit: Limit = None, sort: SortBy = Sort.TIME, as_json: Json = False) -> None:
    """The Tmall order report (one CSV file, or the folder with it)."""
    from streams.convert.tmall import convert

    _write(out, lambda: convert(src, limit=limit, sort=sort.value), as_json)


def _write(out: Path, lines: Callable[[], Iterable[dict[str, Any]]], as_json: bool) -> None:
    from streams.convert.common import ConvertError, write

    try:
        count = write(out, lines())
    except ConvertError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename or out}: {error.strerror}") from None
    if as_json:
        emit_json({"events": count, "out": str(out)})
    else:
        note(f"wrote {count:,} events to {out}")
