"""`oms worker`: runs the agents against a broker until stopped, in one process or under a supervisor in several."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.common import Broker, DataDir, LogLevel, settings_of
from streams.config import MOST_PORT
from streams.errors import BrokerUnreachableError, OmsError, UsageError

if TYPE_CHECKING:
    from streams.config import Settings

# Set by the supervisor in its children's environment: a child whose parent is no longer that process stops gracefully.
SUPERVISOR_VARIABLE = "OMS_SUPERVISOR_PID"
CRASHED = 70  # EX_SOFTWARE: a bug, worth a restart; 1 and 2 are not, they would come again
# EX_TEMPFAIL, from a child to its supervisor: broker, registry or disk is away. To others a finding like any (1).
AWAY = 75

log = logging.getLogger(__name__)


def worker(
    agents: Annotated[
        str | None,
        typer.Option(
            "--agents",
            metavar="A,B",
            help="Only these agents; way: those an order's answer waits for, aside: the others. Default: all.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, max=256, help="Worker processes.")] = 1,
    aside_processes: Annotated[
        int,
        typer.Option(
            "--aside-processes",
            min=0,
            max=256,
            help="So many more for the agents aside (books, risk, reports, alerts), which leave the processor to the "
            "others. 0: every process runs all.",
        ),
    ] = 0,
    broker: Broker = None,
    data_dir: DataDir = None,
    worker_id: Annotated[str | None, typer.Option("--worker-id", help="Stable name; default: OMS_WORKER_ID.")] = None,
    web_port: Annotated[int | None, typer.Option("--web-port", help="0: any free one; default: OMS_WEB_PORT.")] = None,
    log_level: LogLevel = "INFO",
) -> None:
    """Run the agents against a broker until stopped (Ctrl-C or SIGTERM), in N processes."""
    from streams import clients, logs

    logs.setup(log_level)
    settings = settings_of(broker=broker, data_dir=data_dir, worker_id=worker_id, web_port=web_port)
    names = _agent_names(agents)
    if aside_processes and names:
        raise UsageError("--aside-processes: shares all agents out; leave --agents out")
    if processes > 1 or aside_processes:
        from streams.commands.supervisor import Supervisor

        last = settings.web_port + processes + aside_processes - 1
        if settings.web_port and last > MOST_PORT:
            raise UsageError(f"--web-port: each process has the next one, and {last} is none; at most {MOST_PORT}")
        clients.admin(settings)  # a setting that no client takes is said once, not by every child
        arguments = ["--log-level", log_level, *(["--agents", ",".join(names)] if names else [])]
        code = Supervisor(settings, processes, arguments, aside=aside_processes).run()
    else:
        code = _run(settings, names)
    raise typer.Exit(code)


def _agent_names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    from streams import catalogue

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--agents: names separated by commas expected")
    catalogue.choose(names)  # a name nobody has is said once and at once, with or without a broker
    return names


def _run(settings: Settings, names: list[str] | None) -> int:
    """One worker in this process: 0, CRASHED for a bug, or OmsError - to a supervisor AWAY where that may pass."""
    from streams.engine.process import haste

    with haste():
        return _started(settings, names)


def _started(settings: Settings, names: list[str] | None) -> int:
    from streams.app import run_worker
    from streams.clients import require_broker
    from streams.engine.codec.errors import RegistryError
    from streams.engine.errors import EngineError

    supervisor = _supervisor()
    if supervisor:
        _follow(supervisor)
    try:
        require_broker(settings)
        return run_worker(settings, agents=names)
    except (OmsError, EngineError, RegistryError) as error:
        code = AWAY if supervisor and _may_pass(error) else getattr(error, "exit_code", 1)
        raise OmsError(str(error), exit_code=code) from None
    except Exception:
        log.exception("worker %s crashed", settings.worker_id)
        return CRASHED


def _may_pass(error: Exception) -> bool:
    """Whether the same start may work later: something is away or unwell, and nothing is set wrongly."""
    from streams.engine.codec.errors import RegistryUnavailableError
    from streams.engine.errors import InfrastructureError, Misconfigured

    passing = (BrokerUnreachableError, RegistryUnavailableError, InfrastructureError)
    return isinstance(error, passing) and not isinstance(error, Misconfigured)


def _supervisor() -> int | None:
    """Process id of the supervisor that started this worker, if one did."""
    text = os.environ.get(SUPERVISOR_VARIABLE, "")
    return int(text) if text.isdigit() else None


def _follow(supervisor: int) -> None:
    """Stop gracefully when the supervisor is gone, so that a killed supervisor leaves no workers behind."""

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(0.5)
        print("oms: the supervisor is gone, stopping", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
