"""`oms stock`: loads stock and what goes with it, proves that the stock topics add up, and shows one SKU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from streams.commands.common import Broker, Json, a_text, console, emit_json, moment_of, note, settings_of

if TYPE_CHECKING:
    from streams.commands.stock_file import Bad, Event

SHOWN_LINES = 20


class SkuGroup(TyperGroup):
    """A first word that is no command is a SKU: `oms stock SKU` is `oms stock show SKU`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=SkuGroup,
    no_args_is_help=True,
    help="Stock: `oms stock SKU` shows one SKU; load a file; check that everything adds up.",
)

Folder = Annotated[
    Path | None, typer.Option("--from", metavar="DIR", help="Look in a replay's folder instead of the broker.")
]


@app.command("load")
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8, with a header line.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write input lines for `oms replay` or `oms publish` instead."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Event time (epoch ms or ISO 8601); the same file with the same time counts once. Default: now.",
            show_default=False,
        ),
    ] = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Send stock, quotas, activities and reference data of a CSV file as `ops` events.

    A plain stock list has the columns sku,warehouse,pool,quantity (without pool: sales). With a column kind a line
    may also say something else:

    \b
      stock          sku warehouse quantity (pool)     sets a pool's level
      quota          sku quota, and channel, activity or warehouse;
                     quota none takes it away
      activity       activity sku starts_at ends_at (freeze_ratio flash)
      warehouse      warehouse lat lon
      alternative    sku, and alternatives, nearby or next_batch_at
                     (discount)
      channel        channel, and qps (0: no limit) or api
      channel_stock  channel sku quantity              what a channel shows

    Several names in sku (of an activity), alternatives and nearby are divided by semicolons; times are epoch
    milliseconds or ISO 8601 with an offset; discount is a whole percentage.

    Every line is checked first. If one is wrong, each wrong one is named with its number and reason, nothing is sent,
    and the exit code is 1.
    """
    from streams.commands.stock_file import read

    moment = moment_of("--at", at)
    events, wrong = read(file, moment)
    if wrong:
        _refuse(file, wrong, as_json)
    run = _run_name(file, moment)
    sent = _write(events, run, moment, out) if out is not None else _send(events, run, moment, broker)
    if as_json:
        emit_json({"sent": sent, "refused": [], "run": run, "at": moment})
    else:
        note(f"{'wrote' if out else 'sent'} {sent:,} events" + (f" to {out}" if out else ""))


def _run_name(file: Path, at: int) -> str:
    """Names this loading: a second one of the same content at the same time has the same name."""
    from hashlib import sha256

    return f"load-{at}-{sha256(file.read_bytes()).hexdigest()[:12]}"


def _refuse(file: Path, wrong: list[Bad], as_json: bool) -> None:
    if as_json:
        emit_json({"sent": 0, "refused": [{"line": bad.number, "reason": bad.reason} for bad in wrong]})
    else:
        for bad in wrong[:SHOWN_LINES]:
            note(f"{file}:{bad.number}: {bad.reason}")
        more = len(wrong) - SHOWN_LINES
        also = f", {more:,} more than shown" if more > 0 else ""
        note(f"{len(wrong):,} lines are wrong{also}: nothing was sent")
    raise typer.Exit(1)


def _write(events: list[Event], run: str, at: int, out: Path) -> int:
    import orjson

    from streams.commands.stock_file import ops_value
    from streams.errors import OmsError

    try:
        with out.open("wb") as target:
            for event in events:
                line = {"topic": "ops", "key": event.key, "value": ops_value(event, run, at)}
                target.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise OmsError(f"cannot write {out}: {error.strerror}", exit_code=2) from None
    return len(events)


def _send(events: list[Event], run: str, at: int, broker: str | None) -> int:
    """Send all and wait for the broker's word on each. Raises OmsError."""
    from streams.commands.publish import send_all
    from streams.commands.stock_file import ops_value

    records = [(event.key, ops_value(event, run, at)) for event in events]
    return send_all(settings_of(broker=broker), "ops", records, "loading", "load the file again")


@app.command("check")
def check(
    folder: Folder = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Findings to show at most; --json has all.")] = 50,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Prove from stock-ledger, inventory-states and order-states that the stock adds up; exit 1 if it does not.

    Of every SKU: the ledger's rows sum to each pool and to what is held; held + available is the stock of sales;
    below zero stands only what was oversold. Of every finished order: what was held for it has been given back or
    deducted.
    """
    from streams.commands.stock_check import examine

    verdict = examine(settings_of(broker=broker), folder)
    if as_json:
        emit_json(verdict.as_json())
    else:
        from streams.commands.stock_view import show_findings

        show_findings(console(), verdict, limit)
    if verdict.findings:
        raise typer.Exit(1)


@app.command("show")
def show(
    sku: Annotated[str, typer.Argument(metavar="SKU", callback=a_text)],
    folder: Folder = None,
    changes: Annotated[int, typer.Option("--changes", min=0, help="Newest ledger rows to show.")] = 12,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """One SKU: the levels of its pools, what is held and for whom, and the last changes."""
    from streams.commands.stock_topics import find

    sku = sku.strip()  # as events have theirs
    stock = find(settings_of(broker=broker), folder, sku)
    if stock is None:
        note(f"oms: no SKU {sku!r} known in {folder or 'inventory-states and stock-ledger'}")
        raise typer.Exit(1)
    stock["changes"] = stock["changes"][len(stock["changes"]) - changes :] if changes else []
    if as_json:
        emit_json(stock)
        return
    from streams.commands.stock_view import show as show_stock

    show_stock(console(), stock)
