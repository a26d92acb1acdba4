"""Connect where nothing goes in the clear: TLS and SASL to the broker, TLS to the database."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from streams import topology
from streams.connect import connectors, install
from streams.tether import free_ports
from tests.servers.apicurio import ApicurioServer
from tests.servers.postgres import PostgresServer
from tests.servers.postgres.server import PASSWORD as DB_PASSWORD
from tests.servers.secured import PASSWORD, SecureBroker, secured
from tests.support.certificates import Authority
from tests.support.process import OMS, WorkerProcess
from tests.support.progress import wait_until
from tests.support.records import produce
from tests.support.tables import entry

pytestmark = [pytest.mark.integration, pytest.mark.connect]


def _oms(broker: SecureBroker, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    whole = {**broker.env(), **env}
    return subprocess.run([*OMS, *arguments], env=whole, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SecureBroker]:
    home = tmp_path / "broker"
    home.mkdir()
    with secured(home) as one:
        yield one


def test_entries_reach_the_database_over_tls_and_no_secret_is_written_anywhere(
    broker: SecureBroker, registry: ApicurioServer, tmp_path: Path
) -> None:
    install.bring()
    authority = Authority.make(tmp_path)
    (port,) = free_ports(1)
    with PostgresServer(tls=authority.signed("postgres")) as postgres:
        env = {
            **broker.settings(),
            "OMS_PARTITIONS": "1",
            "OMS_REGISTRY": registry.url,
            "OMS_CONNECT_URL": f"http://127.0.0.1:{port}",
            "OMS_CONNECT_DB": f"{postgres.url}?sslmode=verify-full&sslrootcert={authority.ca}",
            "OMS_CONNECT_DB_PASSWORD": DB_PASSWORD,
            "OMS_CONNECT_JAVA": "-Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
            "no_proxy": "127.0.0.1",
        }
        applied = _oms(broker, env, "topics", "apply")
        assert applied.returncode == 0, applied.stderr
        encode = topology.load(registry=registry.url).encoder("ledger-entries")
        produce(broker.plain, [("ledger-entries", f"single/{n}".encode(), encode(entry(n))) for n in range(50)])

        with WorkerProcess("connect", tmp_path, broker.url, [*OMS, "connect", "up"], env) as connect:

            def written() -> bool:
                assert connect.alive, connect.tail()
                with psycopg.connect(postgres.dsn) as connection:
                    known = connection.execute("SELECT to_regclass('ledger_entries')").fetchone()
                    if known == (None,):
                        return False
                    return connection.execute("SELECT count(*) FROM ledger_entries").fetchone() == (50,)

            wait_until(written, 120, "rows in the table", every=0.5)
            with psycopg.connect(postgres.dsn) as connection:
                ours = connection.execute(
                    "SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                    " WHERE application_name LIKE 'PostgreSQL JDBC%'"
                ).fetchone()
            assert ours is not None
            assert ours[0] >= 1
            assert ours[1], "each connection of a sink is encrypted"
            told = _oms(broker, env, "connect", "status", "--json")
            assert told.returncode == 0, told.stderr
            assert told.stdout.count("RUNNING") >= len(connectors.load())
            assert connect.stop() == 0

    kept = [connect.log, *(path for path in connect.data.rglob("*") if path.is_file())]
    assert {"worker.properties", "worker.log"} <= {path.name for path in kept}
    for path in kept:
        said = path.read_bytes()
        assert PASSWORD.encode() not in said, path
        assert DB_PASSWORD.encode() not in said, path
