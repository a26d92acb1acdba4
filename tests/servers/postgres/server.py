"""One PostgreSQL cluster that a test makes, kills and starts again; its data are gone when it ends.

PostgreSQL refuses to run as root: there the cluster belongs to the user `postgres`, which Debian's package brings.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from streams.java import Missing
from streams.tether import free_ports, spawn
from tests.servers.server import Server, wait_answers

MIN_VERSION = 15
START_SECONDS = 60.0
USER, PASSWORD, NAME = "oms", "throw-away", "finance"
# What a crash loses does not matter here, but how fast it is does: a benchmark takes the settings as they ship.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path:
    """The folder of initdb and postgres, of the newest version there is. Raises Missing."""
    found = [Path(path).parent for name in ("initdb",) if (path := shutil.which(name))]
    # Debian keeps the servers of several versions apart, and none of them on PATH.
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    found += sorted(debian, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
            version = re.search(r"(\d+)", said.stdout)
            if version and int(version[1]) >= MIN_VERSION:
                return folder
    raise Missing(f"PostgreSQL {MIN_VERSION} or newer not found (Debian: apt install postgresql)")


def missing() -> str | None:
    """What keeps the server from running here, in one line; None if nothing does."""
    try:
        binaries()
        _owner()
    except Missing as reason:
        return str(reason)
    return None


def _owner() -> dict[str, Any]:
    """As whom its programs run: arguments of Popen, empty for ourselves."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        raise Missing("no user postgres: PostgreSQL does not run as root") from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class PostgresServer(Server):
    """`url` is for OMS_CONNECT_DB, `dsn` for psycopg; both as the user USER, who owns it all and may make roles."""

    def __init__(self, *, fast: bool = True, tls: tuple[Path, Path] | None = None) -> None:
        """`tls`: certificate and key; without them it speaks in the clear."""
        (self.port,) = free_ports(1)
        self._tls = dict(zip(("ssl_cert_file", "ssl_key_file"), tls or (), strict=False))
        self._home = Path(tempfile.mkdtemp(prefix="oms-postgres-"))
        self._settings = FAST if fast else {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{NAME}"

    @property
    def dsn(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{NAME}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        return self._home / "postgres.log"

    def start(self) -> PostgresServer:
        """Make the cluster if there is none, start it and wait until it answers. RuntimeError with the log's end."""
        data = self._home / "data"
        new = not data.exists()
        if new:
            self._make(data)
        owner = _owner()
        # Who gives up root loses the tether to us: setpriv ties it again.
        drop = []
        if owner:
            drop = ["setpriv", f"--reuid={owner['user']}", f"--regid={owner['group']}", "--clear-groups"]
            drop += ["--pdeathsig=QUIT"]
        command = [*drop, str(binaries() / "postgres"), "-D", str(data)]
        with self.log.open("ab") as out:
            self._process = spawn(command, cwd=self._home, log=out)
        wait_answers("PostgreSQL", self._process, self._answers, self.log, START_SECONDS)
        if new:
            with psycopg.connect(self._admin, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {NAME}".encode())
        return self

    def stop(self) -> None:
        """A fast shutdown: connections are cut."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def close(self) -> None:
        """End it at once and remove its data."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def _admin(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def _make(self, data: Path) -> None:
        owner = _owner()
        password = self._home / "password"
        password.write_text(PASSWORD)
        if owner:
            for path in (self._home, password):
                os.chown(path, owner["user"], owner["group"])
        command = [str(binaries() / "initdb"), "-D", str(data), "-U", USER, f"--pwfile={password}",
                   "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]  # fmt: skip
        done = subprocess.run(command, cwd=self._home, capture_output=True, text=True, check=False, **owner)
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")
        settings = {
            "port": str(self.port),
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": f"'{self._home}'",
            **self._settings,
            **self._secured(owner),
        }
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def _secured(self, owner: dict[str, Any]) -> dict[str, str]:
        """The settings for TLS. The server reads its key only from a file that is its own."""
        found = {"ssl": "on"} if self._tls else {}
        for setting, path in self._tls.items():
            ours = self._home / path.name
            ours.write_bytes(path.read_bytes())
            ours.chmod(0o600)
            if owner:
                os.chown(ours, owner["user"], owner["group"])
            found[setting] = f"'{ours}'"
        return found

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._admin, connect_timeout=5).close()
        except psycopg.Error:
            return False
        return True
