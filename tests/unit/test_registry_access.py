"""A registry that wants a user, TLS or a client's certificate: it lets us in, or one line says what is wrong."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streams.engine.codec.access import Access
from streams.engine.codec.errors import RegistryError, RegistryUnavailableError
from streams.engine.codec.registry import HttpRegistry
from tests.support.certificates import Authority

SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]}
BASIC = "Basic bWU6cEBzczp3b3Jk"  # me:p@ss:word
PASSWORD = "p@ss:word"


class Server(ThreadingHTTPServer):
    """Answers any id with SCHEMA to whoever has the password; `status` is an answer instead, `target` a redirect."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.status = 200
        self.target = ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust us hangs up: that is what the test wants."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Authorization"))
        status = self.server.status
        if status == 200 and self.server.asked[-1] != BASIC:
            status = 401
        data = json.dumps({"schema": json.dumps(SCHEMA), "message": f"not {PASSWORD}"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if self.server.target:
            self.send_header("Location", self.server.target)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server()
    if context is not None:
        # The handshake belongs to the request's thread: a client that breaks it off must not stop the next one.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.signed("server"))
    return context


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def secure(tls: ssl.SSLContext) -> Iterator[Server]:
    with serving(tls) as running:
        yield running


@pytest.fixture
def strict(authority: Authority) -> Iterator[Server]:
    """Wants a certificate of the client. By TLS 1.2: in 1.3 a client may send before it is told of a refusal."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*authority.signed("strict"))
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(context) as running:
        yield running


def access(server: Server, scheme: str = "https", **more: Any) -> Access:
    given = {"user": "me", "password": PASSWORD} | {name: str(value) for name, value in more.items()}
    return Access.at(f"{scheme}://127.0.0.1:{server.server_port}", **given)


def refusal(place: Access) -> str:
    with pytest.raises(RegistryError) as caught:
        HttpRegistry(place).by_id(1)
    text = str(caught.value)
    assert type(caught.value) is RegistryError, f"would be tried again: {text}"
    assert "\n" not in text
    assert PASSWORD not in text
    return text.replace(place.url, "URL")


def test_user_and_password_are_sent_and_the_url_is_without_them(server: Server) -> None:
    in_url = Access.at(f"http://me:p%40ss%3Aword@127.0.0.1:{server.server_port}/")
    assert in_url == access(server, "http")
    assert "@" not in in_url.url
    assert PASSWORD not in repr(in_url)
    assert HttpRegistry(in_url).by_id(1) == SCHEMA
    assert server.asked == [BASIC]


@pytest.mark.parametrize(
    ("status", "user", "says"),
    [
        (401, "me", "registry URL refuses user me (401): see OMS_REGISTRY_USER and OMS_REGISTRY_PASSWORD"),
        (401, "", "registry URL wants a user (401): see OMS_REGISTRY_USER and OMS_REGISTRY_PASSWORD"),
        (403, "me", "registry URL forbids user me what is asked (403): see OMS_REGISTRY_USER"),
        (403, "", "registry URL forbids user (none) what is asked (403): see OMS_REGISTRY_USER"),
        (302, "me", "registry URL has moved (302): set OMS_REGISTRY to where it is"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_one_line_without_the_password(
    server: Server, status: int, user: str, says: str
) -> None:
    server.status = status
    assert refusal(access(server, "http", user=user)) == says


def test_a_redirect_does_not_take_the_password_to_another_server(server: Server) -> None:
    with serving() as other:
        server.status, server.target = 302, f"http://127.0.0.1:{other.server_port}/"
        refusal(access(server, "http"))
        assert other.asked == []


def test_a_server_with_a_certificate_of_the_own_authority_is_trusted(secure: Server, authority: Authority) -> None:
    assert HttpRegistry(access(secure, ca=authority.ca)).by_id(1) == SCHEMA
    assert secure.asked == [BASIC]


def test_a_certificate_that_cannot_be_verified_is_one_line_and_nothing_is_sent(secure: Server, tmp_path: Path) -> None:
    said = refusal(access(secure))
    assert said.startswith("registry URL: its certificate cannot be verified (")
    assert said.endswith("); see OMS_REGISTRY_CA")
    another = Authority.make(tmp_path)
    assert "cannot be verified" in refusal(access(secure, ca=another.ca))
    assert secure.asked == []


def test_a_certificate_of_another_host_is_not_trusted(secure: Server, authority: Authority) -> None:
    elsewhere = Access(f"https://localhost:{secure.server_port}", "me", PASSWORD, str(authority.ca))
    assert "cannot be verified (Hostname mismatch" in refusal(elsewhere)
    assert secure.asked == []


@pytest.mark.parametrize("password", ["", "hunter2"])
def test_a_server_that_wants_a_client_certificate_gets_it(strict: Server, authority: Authority, password: str) -> None:
    cert, key = authority.signed(f"client{password}", password=password)
    both = authority.folder / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    pairs: list[dict[str, Any]] = [{"cert": cert, "key": key}, {"cert": both}]
    for files in pairs:
        place = access(strict, ca=authority.ca, key_password=password, **files)
        assert HttpRegistry(place).by_id(1) == SCHEMA


def test_a_client_certificate_that_is_missing_or_of_another_authority_is_one_line(
    strict: Server, authority: Authority, tmp_path: Path
) -> None:
    strangers = Authority.make(tmp_path, "strangers")
    cert, key = strangers.signed("client")
    pairs: list[dict[str, Any]] = [{}, {"cert": cert, "key": key}]
    for files in pairs:
        said = refusal(access(strict, ca=authority.ca, **files))
        assert said.startswith("registry URL ends TLS (")
        assert said.endswith("); see OMS_REGISTRY_CERT and OMS_REGISTRY_KEY")
    assert strict.asked == []


def test_files_that_cannot_be_used_are_named_before_anything_is_asked(authority: Authority, tmp_path: Path) -> None:
    cert, _ = authority.signed("one")
    _, other = authority.signed("two")
    _, locked = authority.signed("three", password="hunter2")
    (tmp_path / "empty.pem").write_text("")
    for more, says in (
        ({"ca": tmp_path / "empty.pem"}, "OMS_REGISTRY_CA: "),
        ({"cert": cert}, "OMS_REGISTRY_CERT, OMS_REGISTRY_KEY: "),
        ({"cert": cert, "key": other}, "key values mismatch"),
        ({"cert": cert, "key": locked}, "OMS_REGISTRY_CERT, OMS_REGISTRY_KEY: "),
        ({"cert": cert, "key": locked, "key_password": "hunter3"}, "OMS_REGISTRY_CERT, OMS_REGISTRY_KEY: "),
    ):
        with pytest.raises(RegistryError) as caught:
            HttpRegistry(Access("https://127.0.0.1:9", **{name: str(value) for name, value in more.items()}))
        assert says in str(caught.value)
        assert "hunter" not in str(caught.value)


def test_a_server_without_tls_or_with_it_where_none_is_expected_is_told(server: Server, secure: Server) -> None:
    for place in (access(server), access(secure, "http")):
        with pytest.raises(RegistryUnavailableError) as caught:
            HttpRegistry(place).by_id(1)
        assert str(caught.value).startswith(f"registry {place.url} cannot be reached: ")


def test_a_server_that_hangs_up_may_want_a_client_certificate() -> None:
    """What is seen of a refusal in TLS 1.3 is often no more than that."""
    hint = "(if it wants a client's certificate: OMS_REGISTRY_CERT)"
    for error in (ssl.SSLEOFError(8, "EOF occurred"), ConnectionResetError(104, "reset"), BrokenPipeError(32, "pipe")):
        told = Access("https://r").trouble(error)
        assert type(told) is RegistryUnavailableError
        assert str(told).endswith(hint)
        for place in (Access("https://r", cert="c.pem"), Access("http://r")):
            assert hint not in str(place.trouble(error))
