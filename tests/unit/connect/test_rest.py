"""Connect's REST interface as it behaves on bad days."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from streams.connect import connectors, rest
from streams.connect.connectors import Connector
from streams.connect.rest import ConnectAwayError, ConnectError, Rest


class Stand:
    """Gives the answers it was told to give, in order, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, Any]] = []
        stand = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stand.asked.append((self.command, self.path, json.loads(body) if body else None))
                status, value = stand.answers.pop(0)
                data = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.setattr(rest, "_PAUSE_S", 0.01)
    found = Stand()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_a_request_during_a_rebalance_is_sent_again(stand: Stand) -> None:
    later = {"message": "Request cannot be completed because a rebalance is expected"}
    stand.answers = [(409, {"message": "rebalance in progress"}), (500, later), (200, {"a": "b"})]
    assert Rest(stand.url).config("x") == {"a": "b"}
    assert [path for _, path, _ in stand.asked] == ["/connectors/x/config"] * 3


def test_a_refusal_is_one_line_with_connects_reason(stand: Stand) -> None:
    stand.answers = [(400, {"message": "Connector configuration is invalid\nand contains 1 error"})]
    with pytest.raises(ConnectError, match=r"^Connect answers 400 to PUT /connectors/x/config: Connector .* 1 error$"):
        Rest(stand.url).put("x", {})
    stand.answers = [(500, None)]
    with pytest.raises(ConnectError, match="answers 500 to GET /connectors: no reason given"):
        Rest(stand.url).names()


def test_a_connector_that_is_not_there_has_no_configuration(stand: Stand) -> None:
    stand.answers = [(404, {"message": "not found"})]
    assert Rest(stand.url).config("x") is None


def test_nobody_there_is_one_line() -> None:
    away = Rest("http://127.0.0.1:9")
    assert not away.ready()
    with pytest.raises(ConnectAwayError, match=r"^no Connect worker at http://127.0.0.1:9 \("):
        away.names()


def test_only_what_differs_is_put(stand: Stand) -> None:
    same, other, new = (Connector(name, {"topics": "t", "tasks.max": "1"}) for name in ("same", "other", "new"))
    stand.answers = [
        (200, {"name": "same", "topics": "t", "tasks.max": "1"}),
        (200, {"name": "other", "topics": "t", "tasks.max": "2"}),
        (200, {}),
        (404, {}),
        (201, {}),
    ]
    assert connectors.apply(Rest(stand.url), [same, other, new]) == ["other", "new"]
    puts = [(path, body) for method, path, body in stand.asked if method == "PUT"]
    assert puts == [(f"/connectors/{one.name}/config", one.config) for one in (other, new)]


def test_a_server_that_is_no_connect_worker_is_told_in_one_line(stand: Stand) -> None:
    stand.answers = [(200, b"<html>welcome</html>")]
    with pytest.raises(ConnectError, match="is it a Connect worker"):
        Rest(stand.url).statuses()
