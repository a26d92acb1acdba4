"""The `oms` command: `oms NOUN VERB` or a single verb. Exit 0 is success, 1 a finding, 2 wrong use.

Everything heavy (Kafka, Avro, Faust, RocksDB) is imported by the commands when they run.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streams.commands import (
    connect,
    convert,
    couriers,
    deadletters,
    demo,
    doctor,
    maps,
    notify,
    order,
    publish,
    replay,
    reports,
    risk,
    stock,
    systems,
    tax,
    topics,
    worker,
)
from streams.errors import OmsError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
"""Of output that the shell sent to a file."""


class OmsGroup(TyperGroup):
    """Turns an error its user can act on into one line on stderr and an exit code; a bug keeps its traceback."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _one_line():  # wrong options of `oms` itself
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if _is_wrong_use(error):
            text, code = _usage(error), 2
        elif isinstance(error, OSError) and error.errno in _NO_ROOM:
            text, code = f"cannot write: {error.strerror}", 1
        elif isinstance(error, _speaking_errors()):
            text, code = str(error), getattr(error, "exit_code", 1)
        else:
            raise
        with suppress(OSError):  # stderr itself is full: the exit code still says it
            typer.echo(f"oms: {' '.join(text.split())}", err=True)
        raise typer.Exit(code) from None


def _is_wrong_use(error: Exception) -> bool:
    """Typer's errors of wrong options and arguments, told by their names: newer versions bring a click of their own.
    What shows the help, for want of any argument, is left to it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return "UsageError" in names and "ClickException" in names and "NoArgsIsHelpError" not in names


def _usage(error: Any) -> str:
    """What is wrong with the call, and whose help says how it is right."""
    names: list[str] = []
    ctx = error.ctx
    while ctx is not None and ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    command = " ".join(("oms", *names))
    return f"{error.format_message().rstrip('.')}; see {command} --help"


def _speaking_errors() -> tuple[type[Exception], ...]:
    """Errors whose text is one line for people. The engine's are looked up only if it has been imported by now."""
    found: list[type[Exception]] = [OmsError]
    for module, name in (("streams.engine.errors", "EngineError"), ("streams.engine.codec.errors", "RegistryError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


app = typer.Typer(
    cls=OmsGroup,
    name="oms",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables, which may hold secrets and personal data
    help="Order, payment, courier and warehouse events from Kafka, merged exactly once into one state per order.",
    epilog="Settings come from OMS_* variables; options override them. Exit: 0 success, 1 a finding, 2 wrong use.",
)


def _version(asked: bool) -> None:
    if asked:
        try:
            typer.echo(f"oms {version('oms-streams')}")
        except PackageNotFoundError:
            typer.echo("oms (not installed)")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Options of `oms` itself."""


app.command("demo")(demo.demo)
app.command("worker")(worker.worker)
app.add_typer(topics.app, name="topics")
app.command("publish")(publish.publish)
app.command("replay")(replay.replay)
app.add_typer(convert.app, name="convert")
app.add_typer(couriers.app, name="couriers")
app.command("order")(order.order)
app.add_typer(maps.app, name="maps")
app.add_typer(stock.app, name="stock")
app.add_typer(risk.app, name="risk")
app.add_typer(reports.app, name="reports")
app.add_typer(systems.app, name="systems")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(notify.app, name="notify")
app.add_typer(connect.app, name="connect")
app.add_typer(tax.app, name="tax")
app.command("doctor")(doctor.doctor)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal's encoding lacks is escaped, not an error
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
