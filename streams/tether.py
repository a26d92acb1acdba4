"""Starts a server so that it cannot outlive the process that started it, however that one ends."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

# Runs between fork and exec in an interpreter of its own: preexec_fn is unsafe once threads run. Linux only
# (PR_SET_PDEATHSIG = 1); elsewhere the server is stopped by its owner's `finally`.
_EXEC = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def spawn(
    command: list[str], *, cwd: Path, log: IO[bytes], env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A child in its own session (a terminal's Ctrl-C does not reach it), killed when the calling thread's
    process dies. Call from the main thread: the kernel ties the child to the thread that forked it."""
    return subprocess.Popen(
        [sys.executable, "-c", _EXEC, *command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=log,
        stderr=subprocess.STDOUT, start_new_session=True, env=env,
    )  # fmt: skip


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports nobody listens on just now, all different. They lie below those that the system gives to clients: while a
    server is down, a client that tries to reach it could else be given its very port, be connected to itself, and keep
    the server from coming back.
    """
    sockets: list[socket.socket] = []
    candidates = _below_the_clients()
    try:
        for _ in range(count):
            one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            sockets.append(one)
            for port in (*random.sample(candidates, 50), 0):  # in the end, whichever the system gives
                with contextlib.suppress(OSError):
                    one.bind((host, port))
                    break
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _below_the_clients() -> range:
    first = 32_768  # Linux; others begin higher
    with contextlib.suppress(OSError, ValueError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return range(first // 2, first)
