"""`oms couriers`: daily lists of couriers without an interface (LOG-08), back-offices of the others (LOG-07)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.commands.common import Broker, Json, emit_json, moment_of, settings_of

COURIER_LENGTH = 64

_ABOUT = "Import the daily lists of couriers without an interface; check what the others' back-offices hold."
app = typer.Typer(no_args_is_help=True, help=_ABOUT)


@app.callback()
def root() -> None:
    """Import the daily lists of couriers without an interface; check what the others' back-offices hold."""


@app.command("import")
def import_(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Excel (.xlsx) or CSV, with a heading.", show_default=False)
    ] = None,
    courier: Annotated[str, typer.Option("--courier", metavar="NAME", help="Whose list it is, such as zto.")] = "",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            metavar="FIELD=HEADING",
            help="Headings of this list, before the usual ones; several by commas or by repeating the option.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Judge every row, send nothing.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.jsonl", help="Write input lines for `oms replay` or `oms publish` instead."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="When it is imported (epoch ms or ISO 8601): decides what is too old. Default: now.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option("--watch", metavar="DIR", help="Import every new file of a folder, again and again."),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option("--every", metavar="SECONDS", min=1, help="How often --watch looks. Default: every 2 hours."),
    ] = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Send the rows of a courier's daily list of statuses and signatures as `couriers` events.

    The columns are told by their headings, in any order, below any titles:

    \b
      waybill      运单号 快递单号 物流单号      needed
      status       状态 物流状态 签收状态        or a signature's time
      signed_at    签收时间 妥投时间             signed_day  签收日期
      time         时间 操作时间 更新时间        day         日期
      signed_by    签收人                        location    网点
      sign_type    签收类型 签收方式

    Times are those of Asia/Shanghai, unless the heading says otherwise, as in 签收时间(UTC). A row's event_id is
    made of courier, waybill, time and status: the same row in another file, or the same file again, changes nothing.

    A row that cannot be read in just one way is named by its number with the reason, and so is one older than 30 days;
    the others are sent all the same. Exit code 1 if any row was left out, 2 if the file is no such list.
    """
    import time

    from streams.commands.courier_import import content_of, judge, send, write
    from streams.errors import UsageError

    _check_use(file, courier, watch, check=check, out=out, at=at, every=every)
    named = _columns(columns or [])
    settings = settings_of(broker=broker)

    def take(path: Path, content: bytes) -> bool:
        report = judge(path, content, courier, moment_of("--at", at), named)
        done = 0
        if out is not None:
            done = write(report.values, out)
        elif not check:
            done = send(settings, report.values)
        if as_json:
            emit_json(report.as_json(0 if out is not None else done))
        elif check:
            report.show(f"{len(report.values):,} would be sent")
        else:
            report.show(f"{done:,} {'written to ' + str(out) if out else 'sent'}")
        return report.findings

    if file is not None:
        if take(file, content_of(file)):
            raise typer.Exit(1)
        return
    if watch is None:
        raise UsageError("name a FILE, or a folder with --watch")
    from streams.commands.courier_watch import Memory, memory_of
    from streams.commands.courier_watch import watch as watch_folder
    from streams.domain.rules.data import courier_numbers

    watch_folder(
        watch,
        Memory(memory_of(settings.data_root, courier)),
        take,
        every_s=every or courier_numbers().poll_ms / 1000,
        clock=time.time,
        sleep=time.sleep,
    )


@app.command("check")
def check_interfaces(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="What each back-office shows, and what we run.")],
    tell: Annotated[bool, typer.Option("--tell", help="Tell the workers, which open and close alerts.")] = False,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Compare whitelist and callback of each courier's back-office with what we run; no network is needed.

    \b
      exit_ips: [203.0.113.7]                       the addresses that we call couriers from
      callback: https://oms.example.com/couriers    where we listen
      retired_domains: [old.example.com]            where nobody listens any more
      couriers:
        zto: {whitelist: [203.0.113.0/24], callback: "https://old.example.com/zto"}

    Exit code 1 if anything is wrong.
    """
    import time

    from streams.commands.courier_interfaces import events, judge, read

    found = read(file)
    wrong = judge(found)
    if tell:
        from streams.commands.publish import send_all

        records = events(found, time.time_ns() // 1_000_000)
        send_all(settings_of(broker=broker), "ops", records, "telling", "run the check again")
    if as_json:
        emit_json(wrong)
    else:
        for name, lines in wrong.items():
            typer.echo(f"{name}: {'; '.join(lines) or 'as it should be'}")
    if any(wrong.values()):
        raise typer.Exit(1)


def _check_use(
    file: Path | None, courier: str, watch: Path | None, *, check: bool, out: Path | None, at: str | None,
    every: float | None,
) -> None:  # fmt: skip
    from streams.errors import UsageError

    if not courier or courier == "*" or len(courier) > COURIER_LENGTH or not courier.isprintable():
        raise UsageError(f"--courier: name the courier, in 1 to {COURIER_LENGTH} characters")
    if (file is None) == (watch is None):
        raise UsageError("name either a FILE or a folder with --watch")
    if watch is not None and (check or out is not None or at is not None):
        raise UsageError("--check, --out and --at are for one FILE, not for --watch")
    if watch is None and every is not None:
        raise UsageError("--every goes with --watch")
    if check and out is not None:
        raise UsageError("--check writes nothing: leave --out away")


def _columns(options: list[str]) -> dict[str, str]:
    from streams.domain.courier_file.layout import FIELDS
    from streams.errors import UsageError

    found: dict[str, str] = {}
    for option in options:
        for pair in option.split(","):
            field, _, heading = pair.partition("=")
            if field not in FIELDS or not heading.strip():
                raise UsageError(f"--columns: FIELD=HEADING, with a field of {', '.join(FIELDS)}")
            if field in found or heading in found.values():
                raise UsageError("--columns: a field or a heading is named twice")
            found[field] = heading
    return found
