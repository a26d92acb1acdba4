"""`oms order` against running workers, with small web servers in their place."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.config import Settings
from streams.datadir import write_web_file

Pages = dict[str, Any]
STATE = {
    "order_guid": "G1",
    "channel": "douyin",
    "order_no": "6921",
    "state": "paid",
    "node": "paid",
    "flags": [],
    "version": 2,
}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[str, Pages], None]]:
    """Start a web server that answers these pages and 404 else, and make it known as a worker of the data root."""
    servers: list[ThreadingHTTPServer] = []

    def start(name: str, pages: Pages) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.get(unquote(self.path))
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write(json.dumps(body or {"error": "not found here"}).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        (tmp_path / name).mkdir()
        write_web_file(Settings(data_dir=tmp_path / name, worker_id=name), f"http://127.0.0.1:{server.server_port}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.commands.order_workers.BROKER_S", 0.2)


def oms(tmp_path: Path, *arguments: str) -> Result:
    environ = {"OMS_DATA_DIR": str(tmp_path), "OMS_BROKER": "kafka://127.0.0.1:1"}
    return CliRunner(env=environ).invoke(app, ["order", *arguments])


@pytest.mark.rule("ID-03")
def test_one_worker_knows_the_code_and_another_has_the_order(
    tmp_path: Path, worker: Callable[[str, Pages], None]
) -> None:
    alert = {"alert_key": "a", "status": "open", "title": "paid twice", "rule": "X-01", "severity": "high", "count": 2}
    worker("a", {"/api/codes/ZTO 7/31": {"guid": "G1", "kind": "waybill_no"}})
    worker("b", {"/api/orders/G1": {"state": STATE, "alerts": [alert]}})
    shown = oms(tmp_path, "ZTO 7/31")
    assert shown.exit_code == 0, shown.output
    assert "G1" in shown.stdout
    assert "paid twice (2 times)" in shown.stdout
    assert json.loads(oms(tmp_path, "ZTO 7/31", "--json").stdout)["state"] == STATE


@pytest.mark.rule("ID-06")
def test_a_customers_orders_come_from_all_workers(tmp_path: Path, worker: Callable[[str, Pages], None]) -> None:
    worker("a", {"/api/customers/c-1": {"orders": ["G1"]}, "/api/orders/G2": {"state": {**STATE, "order_guid": "G2"}}})
    worker("b", {"/api/customers/c-1": {"orders": ["G2", "G1"]}, "/api/orders/G1": {"state": STATE}})
    found = json.loads(oms(tmp_path, "c-1", "--json").stdout)
    assert [order["state"]["order_guid"] for order in found["orders"]] == ["G1", "G2"]


@pytest.mark.rule("ID-08")
def test_a_code_that_waits_for_its_order_is_told(tmp_path: Path, worker: Callable[[str, Pages], None]) -> None:
    row: Pages = {"guid": None, "kind": "platform_txn_no", "parked": [{}, {}], "since": 1769220000000}
    worker("a", {"/api/codes/T9": row})
    result = oms(tmp_path, "T9")
    assert result.exit_code == 1
    assert "platform_txn_no T9 is known, its order is not: 2 event(s) wait" in result.stderr


@pytest.mark.rule("BRK-01", "BRK-03")
@pytest.mark.parametrize(("since", "why"), [(1769220000000, "suspended since"), (None, "its limit is reached")])
def test_an_order_that_its_channel_holds_back_is_told_with_its_place(
    tmp_path: Path, worker: Callable[[str, Pages], None], since: int | None, why: str
) -> None:
    held = {"channel": "douyin", "position": 3, "suspended": since is not None, "since": since}
    worker("a", {"/api/codes/69": {"guid": None, "kind": "order_no", "parked": 1, "since": 1769220000000}})
    worker("b", {"/api/codes/69": {"guid": None, "kind": "order_no", "held": held}})
    result = oms(tmp_path, "69")
    assert result.exit_code == 1
    assert "order 69 is number 3 in the queue of channel douyin" in result.stderr
    assert why in result.stderr


def test_an_unknown_code_and_no_worker_at_all_are_told_apart(
    tmp_path: Path, worker: Callable[[str, Pages], None]
) -> None:
    nobody = oms(tmp_path, "X")
    assert nobody.exit_code == 1
    assert "no running worker answers" in nobody.stderr
    worker("a", {})
    unknown = oms(tmp_path, "X")
    assert unknown.exit_code == 1
    assert "no order and no customer 'X'" in unknown.stderr
