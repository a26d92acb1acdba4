"""`oms demo`: the main job on the embedded broker, with real orders and the failure cases, from nothing to a result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.common import Json, console, emit_json, settings_of
from streams.errors import OmsError

if TYPE_CHECKING:
    from streams.commands.demo_watch import Watch
    from streams.config import Settings

WORKER_START_S, WORKER_STOP_S, LONGEST_S = 30.0, 15.0, 80.0
_POLL_S = 0.1


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave broker and worker running until Ctrl-C.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the outputs; default: a new one.")
    ] = None,
    partitions: Annotated[int, typer.Option("--partitions", min=1, max=64, help="Partitions of each topic.")] = 4,
    broker: Annotated[
        str | None, typer.Option("--broker", metavar="URL", help="Play on this broker instead of the embedded one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Play real orders and the failure cases through a worker on an embedded broker, and show what came out."""
    from streams.commands.demo_report import report
    from streams.commands.demo_watch import Watch

    folder = out or Path(tempfile.mkdtemp(prefix="oms-demo-"))
    say = console(stderr=as_json)
    with ExitStack() as stack:
        # SIGTERM like Ctrl-C, and Ctrl-C also where a shell started this in the background: all is stopped in order.
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, signal.default_int_handler))
        settings = _settings(stack.enter_context(_broker(broker, folder)), folder, partitions)
        say.print(f"broker   {settings.broker}")
        _make_topics(settings)
        worker = stack.enter_context(_worker(settings, folder))
        say.print(f"worker   process {worker.pid}, log in {folder / 'worker.log'}")
        watch = stack.enter_context(Watch(settings))
        sent = _publish(settings)
        say.print(f"played   {sent:,} events: 1,000 real orders of the Olist marketplace, and the failure cases")
        with _progress(sent) as move:
            _until_done(watch, sent, worker, folder, move)
        seconds = (watch.last_output or 0.0) - (watch.began or 0.0)
        watch.save(folder)
        result = {
            **watch.summary(sample_files()[1:]),
            "events": sent,
            "partitions": partitions,
            "seconds": round(seconds, 2),
            "folder": str(folder),
        }
        if as_json:
            emit_json(result)
        else:
            report(say, result, kept=f"kafka://{settings.broker}" if keep else None)
        if keep:
            say.print("\nrunning until Ctrl-C")
            _stay(worker, folder)


@contextmanager
def _broker(url: str | None, folder: Path) -> Iterator[str]:
    """The broker to play on: the one asked for; else an embedded one; else, where there is none, OMS_BROKER's."""
    from streams.broker import BrokerError, EmbeddedBroker, find_binary

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OmsError(f"cannot write to {folder}: {error.strerror}") from None
    if url is None:
        try:
            find_binary()
        except BrokerError:
            url = os.environ.get("OMS_BROKER")
            if not url:
                raise
    if url is not None:
        yield url
        return
    with EmbeddedBroker(folder / "broker.log") as embedded:
        yield f"kafka://{embedded.url}"


def _settings(url: str, folder: Path, partitions: int) -> Settings:
    return settings_of(
        broker=url,
        data_dir=folder / "state",
        worker_id="demo",
        web_port=0,
        partitions=partitions,
        session_timeout_ms=6000,
    )


def _make_topics(settings: Settings) -> None:
    from streams.commands.topics import bring_up

    bring_up(settings)


@contextmanager
def _worker(settings: Settings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process; ready when its web server answers."""
    from streams.commands.worker import SUPERVISOR_VARIABLE

    environment = {
        **os.environ,
        "OMS_BROKER": f"kafka://{settings.broker}",
        "OMS_DATA_DIR": str(settings.data_root),
        "OMS_WORKER_ID": settings.worker_id,
        "OMS_WEB_PORT": str(settings.web_port),
        "OMS_PARTITIONS": str(settings.partitions),
        "OMS_SESSION_TIMEOUT_MS": str(settings.session_timeout_ms),
        SUPERVISOR_VARIABLE: str(os.getpid()),
    }
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "worker"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _await_worker(settings, process, folder)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(WORKER_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_worker(settings: Settings, process: subprocess.Popen[bytes], folder: Path) -> None:
    from streams.commands.order_workers import get
    from streams.datadir import web_files

    deadline = time.monotonic() + WORKER_START_S
    while time.monotonic() < deadline:
        _check_alive(process, folder)
        if any(get(str(entry["url"]), "/healthz")[1] for entry in web_files(settings.data_root)):
            return
        time.sleep(_POLL_S)
    raise OmsError(f"the worker was not ready within {WORKER_START_S:g} s: see {folder / 'worker.log'}")


def _check_alive(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.poll() is not None:
        lines = (folder / "worker.log").read_text(errors="replace").splitlines()
        raise OmsError(f"the worker ended with code {process.returncode}: {lines[-1] if lines else 'it said nothing'}")


def sample_files() -> list[Path]:
    """The bundled events in the order they are played: real orders, then the failure cases."""
    from streams.data import SAMPLE, cases

    return [SAMPLE, *cases()]


def _publish(settings: Settings) -> int:
    from streams.commands.publish import send

    return int(send(settings, sample_files())["sent"])


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    from streams.commands.common import progress

    with progress("processing", total) as move:
        yield move


def _until_done(watch: Watch, sent: int, worker: subprocess.Popen[bytes], folder: Path, move: Any) -> None:
    deadline = time.monotonic() + LONGEST_S
    moved = 0
    while True:
        watch.poll(_POLL_S)
        done = watch.taken_in()
        move(done - moved)
        moved = done
        if done >= sent and watch.settled():
            return
        _check_alive(worker, folder)
        if time.monotonic() > deadline:
            raise OmsError(f"not all processed after {LONGEST_S:g} s: see {folder / 'worker.log'}")


def _stay(worker: subprocess.Popen[bytes], folder: Path) -> None:
    try:
        while True:
            _check_alive(worker, folder)
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
