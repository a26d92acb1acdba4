"""What the commands share: options, the settings behind them, and how they talk."""

from __future__ import annotations

import errno
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.config import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from rich.console import Console

    from streams.datadir import DataDirLock

Broker = Annotated[
    str | None,
    typer.Option(
        "--broker", metavar="URL", help="kafka://HOST:PORT[,HOST:PORT]; default: OMS_BROKER.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON for machines instead of text.")]
DataDir = Annotated[str | None, typer.Option("--data-dir", help="Root of the workers' folders; default: OMS_DATA_DIR.")]
MetricsPort = Annotated[int | None, typer.Option("--web-port", help="Metrics; default: OMS_WEB_PORT.")]
"""Of a process that is no worker."""


def _known_level(level: str) -> str:
    from streams.errors import UsageError

    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise UsageError("--log-level: must be one of DEBUG, INFO, WARNING, ERROR")
    return level


def a_text(code: str) -> str:
    """A code of the command line, as text. UsageError for bytes of another encoding, which no code consists of."""
    from streams.errors import UsageError

    try:
        code.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{code!r} is not UTF-8 text; set the terminal and LANG to UTF-8") from None
    return code


LogLevel = Annotated[str, typer.Option("--log-level", callback=_known_level, help="DEBUG, INFO, WARNING or ERROR.")]


def settings_of(**options: Any) -> Settings:
    """Settings from the environment with the options given on the command line (None: not given) on top."""
    return Settings.from_env(**options)


def time_of(option: str, text: str | None) -> int | None:
    """The time an option gives, ms; None without one. Without an offset it is a time of Asia/Shanghai, as business days
    are. UsageError names the option."""
    from streams.errors import UsageError
    from streams.lines import parse_until

    if text is None:
        return None
    try:
        return parse_until(_with_offset(text))
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _with_offset(text: str) -> str:
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return text
    is_whole = told.tzinfo is not None or text.isdigit()  # digits alone are milliseconds
    return text if is_whole else f"{told.isoformat()}+08:00"


def moment_of(option: str, text: str | None) -> int:
    """The same, and now without one."""
    at = time_of(option, text)
    return time.time_ns() // 1_000_000 if at is None else at


def alone(settings: Settings, command: str) -> DataDirLock:
    """Holds the folder of a process of which there may be one. OmsError if another has it."""
    from streams.datadir import DataDirError, lock_data_dir
    from streams.errors import OmsError

    try:
        return lock_data_dir(settings)
    except DataDirError as error:
        if "in use" not in str(error):
            raise
        raise OmsError(f"another {command} uses {settings.data_dir}; there may be one") from None


def on_signals(stop: Callable[[], Any]) -> None:
    """Call ``stop`` at Ctrl-C and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())


def serve_metrics(settings: Settings, registry: CollectorRegistry) -> None:
    """Serve /metrics at OMS_WEB_HOST and OMS_WEB_PORT from a thread, for a process that is no worker. OmsError if it
    cannot."""
    import logging

    from prometheus_client import start_http_server

    from streams.errors import OmsError

    try:
        server, _ = start_http_server(settings.web_port, settings.web_host, registry)
    except OSError as error:
        setting = "OMS_WEB_PORT" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "OMS_WEB_HOST"
        raise OmsError(f"{settings.web_address(settings.web_port)}: {error.strerror}; set {setting}") from None
    address = f"http://{settings.web_address(server.server_port)}/metrics"
    logging.getLogger(__name__).info("metrics at %s", address)


def note(text: str) -> None:
    """One line for the person, on stderr, so that stdout stays the command's result."""
    typer.echo(text, err=True)


def emit_json(value: Any) -> None:
    """One JSON document on stdout."""
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0).decode())


def console(*, stderr: bool = False) -> Console:
    """Rich output: styled on a terminal, plain text elsewhere, never wrapped when it is not a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=not stream.isatty())


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr when that is a terminal, silence elsewhere; the value is a function that moves it on by n."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    speed = TextColumn("{task.fields[rate]}")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed)
    with Progress(*columns, TimeElapsedColumn(), console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, rate="")

        def move(n: int) -> None:
            bar.advance(task, n)
            state = bar.tasks[0]
            if state.speed:
                bar.update(task, rate=f"{state.speed:,.0f}/s")

        yield move
