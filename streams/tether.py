"""Starts a server so that it cannot outlive the process that started it, however that one ends."""

from __future__ import annotations

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


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on just now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
