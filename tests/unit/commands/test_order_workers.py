"""`oms order` against running workers, with small web servers in their place."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.commands.order_workers import member_urls
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
MONEY = {
    "currency": "CNY",
    "recognised_at": None,
    "ready_at": None,
    "waits_for": None,
    "recognised_minor": 0,
    "advances_minor": 9900,
    "fees_minor": 0,
}


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Start a web server that answers these pages (a number: with that status) and 404 else, and make it known as a
    worker of the data root; `far`: as one of another machine, by its place in the groups."""
    servers: list[ThreadingHTTPServer] = []
    members: list[str] = []

    def start(name: str, pages: Pages, far: bool = False) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.get(unquote(self.path))
                self.send_response(404 if body is None else body if isinstance(body, int) else 200)
                self.end_headers()
                self.wfile.write(json.dumps(body or {"error": "not found here"}).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        if far:
            members.append(f"http://127.0.0.1:{server.server_port}")
            monkeypatch.setattr("streams.commands.order_workers.member_urls", lambda _: members)
            return
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


@pytest.mark.rule("ID-03")
def test_the_code_is_known_to_a_worker_here_and_the_order_is_on_another_machine(
    tmp_path: Path, worker: Callable[..., None]
) -> None:
    worker("a", {"/api/codes/T1": {"guid": "G1", "kind": "platform_txn_no"}, "/api/money/G1": MONEY})
    worker("b", {"/api/orders/G1": {"state": STATE}}, far=True)
    found = json.loads(oms(tmp_path, "T1", "--json").stdout)
    assert (found["state"], found["money"]) == (STATE, MONEY)


@pytest.mark.rule("ID-06")
def test_a_customers_orders_come_from_other_machines_too(tmp_path: Path, worker: Callable[..., None]) -> None:
    worker("a", {"/api/customers/c-1": {"orders": ["G1"]}, "/api/orders/G1": {"state": STATE}})
    other = {**STATE, "order_guid": "G2"}
    worker("b", {"/api/customers/c-1": {"orders": ["G2"]}, "/api/orders/G2": {"state": other}}, far=True)
    found = json.loads(oms(tmp_path, "c-1", "--json").stdout)
    assert [order["state"]["order_guid"] for order in found["orders"]] == ["G1", "G2"]


@pytest.mark.rule("ID-03", "ID-06")
def test_a_worker_that_cannot_tell_now_is_named_rather_than_the_order_unknown(
    tmp_path: Path, worker: Callable[..., None]
) -> None:
    restoring = dict.fromkeys(("/api/codes/T1", "/api/customers/T1", "/api/customers/c-1"), 503)
    worker("a", {**restoring, "/api/codes/T2": 404})
    alone = oms(tmp_path, "T1")
    assert alone.exit_code == 1
    assert "known in 1 running worker(s); http://127.0.0.1:" in alone.stderr
    assert "may know: away, or given partitions that it has not restored yet; ask again" in alone.stderr
    assert "may know" not in oms(tmp_path, "T2").stderr
    worker("b", {"/api/customers/c-1": {"orders": ["G1"]}, "/api/orders/G1": {"state": STATE}})
    some = oms(tmp_path, "c-1", "--json")
    assert json.loads(some.stdout)["state"] == STATE
    assert "may know of more orders" in some.stderr


@pytest.fixture
def killed(tmp_path: Path) -> str:
    """The address that a worker left behind which had no time to take it back."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    (tmp_path / "killed").mkdir()
    write_web_file(Settings(data_dir=tmp_path / "killed", worker_id="killed"), url)
    return url


@pytest.mark.rule("ID-03", "ID-06")
def test_the_address_of_a_worker_that_was_killed_is_passed_over_in_one_line(
    tmp_path: Path, worker: Callable[..., None], killed: str
) -> None:
    passed = f"oms: passed over {killed}: no worker listens there, one that was killed left it\n"
    nobody = oms(tmp_path, "X")
    assert nobody.stderr.startswith(passed)
    assert "no running worker answers" in nobody.stderr
    worker("a", {"/api/customers/c-1": {"orders": ["G1"]}, "/api/orders/G1": {"state": STATE}})
    assert oms(tmp_path, "X").stderr == f"{passed}oms: no order and no customer 'X' known in 1 running worker(s)\n"
    some = oms(tmp_path, "c-1", "--json")
    assert (json.loads(some.stdout)["state"], some.stderr) == (STATE, passed)


@pytest.mark.rule("ID-03")
def test_a_worker_whose_partitions_nobody_has_taken_over_yet_may_know(
    tmp_path: Path, worker: Callable[..., None], killed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker("a", {})
    monkeypatch.setattr("streams.commands.order_workers.member_urls", lambda _: [killed])
    said = oms(tmp_path, "X").stderr
    assert f"{killed} may know: away" in said
    assert "passed over" not in said


def test_a_worker_that_listens_everywhere_is_asked_where_the_broker_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def member(client: str, host: str) -> Any:
        return SimpleNamespace(client_id=client, host=host)

    members = [member("oms-w@0.0.0.0:8080", "/10.0.0.5"), member("oms-v@worker-2:8080", "/10.0.0.6")]
    group = SimpleNamespace(result=lambda: SimpleNamespace(members=members))
    client = SimpleNamespace(describe_consumer_groups=lambda names, **_: dict.fromkeys(names, group))
    monkeypatch.setattr("streams.clients.require_broker", lambda *_: None)
    monkeypatch.setattr("streams.clients.admin", lambda _: client)
    assert member_urls(Settings()) == ["http://10.0.0.5:8080", "http://worker-2:8080"]


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
