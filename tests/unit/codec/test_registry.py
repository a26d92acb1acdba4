"""Schema ids come from a lock file that only grows, or from a Confluent-compatible server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streams.engine.codec import avro
from streams.engine.codec.errors import DecodeError, RegistryError, RegistryUnavailableError, UnknownSchemaError
from streams.engine.codec.registry import FileRegistry, HttpRegistry, connect, fingerprint, lock, main, read_lock

ONE = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]}
MORE = {"name": "b", "type": ["null", "long"], "default": None}
TWO = {**ONE, "fields": [*ONE["fields"], MORE]}


def put(folder: Path, name: str, schema: Any) -> None:
    (folder / f"{name}.avsc").write_text(json.dumps(schema), encoding="utf-8")


def test_a_changed_schema_gets_a_new_version_and_the_old_one_keeps_its_id(tmp_path: Path) -> None:
    put(tmp_path, "r", ONE)
    put(tmp_path, "s", {**ONE, "name": "S"})
    assert list(lock(tmp_path)) == ["r-value: version 1, id 1", "s-value: version 1, id 2"]
    assert list(lock(tmp_path)) == []
    put(tmp_path, "r", TWO)
    assert list(lock(tmp_path)) == ["r-value: version 2, id 3"]
    (tmp_path / "s.avsc").unlink()
    assert list(lock(tmp_path)) == []
    assert [(v.version, v.id) for v in read_lock(tmp_path)["r-value"]] == [(1, 1), (2, 3)]
    files = FileRegistry(tmp_path)
    assert files.by_id(1) == ONE
    assert files.by_id(3) == TWO
    assert files.id_of("r-value", TWO) == 3
    assert files.by_id(2)["name"] == "S"
    with pytest.raises(UnknownSchemaError):
        files.by_id(4)


def test_a_doc_string_needs_no_new_version() -> None:
    assert fingerprint({**ONE, "doc": "x"}) == fingerprint(ONE)
    assert fingerprint(TWO) != fingerprint(ONE)
    no_default = {**ONE, "fields": [*ONE["fields"], {"name": "b", "type": ["null", "long"]}]}
    assert fingerprint(no_default) != fingerprint(TWO)


def test_a_breaking_schema_is_not_locked_and_nothing_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "r", ONE)
    assert main(["lock", str(tmp_path)]) == 0
    before = (tmp_path / "ids.lock.json").read_text()
    put(tmp_path, "r", {**ONE, "fields": [*ONE["fields"], {"name": "b", "type": "long"}]})
    put(tmp_path, "a", {**ONE, "name": "A"})
    assert main(["lock", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "r.avsc cannot read records of version 1: R.b: new and without a default\n"
    assert (tmp_path / "ids.lock.json").read_text() == before
    assert main([]) == 2
    assert main(["lock", str(tmp_path / "none")]) == 2


def test_a_schema_that_was_not_locked_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    put(tmp_path, "r", ONE)
    list(lock(tmp_path))
    with pytest.raises(
        RegistryError, match=r"r-value is not in .*run `python -m streams\.engine\.codec\.registry lock`"
    ):
        avro.encoder(FileRegistry(tmp_path), "r-value", TWO)


@pytest.mark.parametrize("text", ["", "[]", '{"r-value": [{"id": 1}]}', '{"r-value": 3}'])
def test_a_broken_lock_file_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "ids.lock.json").write_text(text)
    with pytest.raises(RegistryError, match=r"ids\.lock\.json"):
        FileRegistry(tmp_path)


def test_a_registry_url_is_a_file_or_a_web_address(tmp_path: Path) -> None:
    put(tmp_path, "r", ONE)
    list(lock(tmp_path))
    for url in ("file:", f"file:{tmp_path}", f"file://{tmp_path}"):
        assert connect(url, tmp_path).by_id(1) == ONE
    with pytest.raises(RegistryError):
        connect("kafka://x", tmp_path)


class Server(ThreadingHTTPServer):
    """The two calls of a schema registry, in memory; `fail` is a status to answer instead."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.schemas: list[str] = []
        self.asked: list[str] = []
        self.authorization = ""
        self.fail = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        number = int(self.path.rpartition("/")[2])
        known = 0 < number <= len(self.server.schemas)
        self.answer({"schema": self.server.schemas[number - 1]} if known else {"message": "no"}, 200 if known else 404)

    def do_POST(self) -> None:
        schema = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
        if schema not in self.server.schemas:
            self.server.schemas.append(schema)
        self.answer({"id": self.server.schemas.index(schema) + 1}, 200)

    def answer(self, value: dict[str, Any], status: int) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.authorization = self.headers.get("Authorization", "")
        status = self.server.fail or status
        data = json.dumps(value if status < 400 or status == 404 else {"message": "in\ntrouble"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_server_is_asked_once_for_each_schema(server: Server) -> None:
    there = HttpRegistry(server.url.replace("//", "//me:p%40ss@") + "/")
    encode, decode = avro.encoder(there, "r-value", ONE), avro.decoder(there, ONE)
    for text in ("x", "y"):
        assert decode(encode({"a": text})) == {"a": text}
        assert there.id_of("r-value", ONE) == 1
    assert server.asked == ["POST /subjects/r-value/versions?normalize=true", "GET /schemas/ids/1"]
    assert server.authorization == "Basic bWU6cEBzcw=="


def test_records_of_an_older_version_are_read_as_the_present_one(server: Server) -> None:
    there = HttpRegistry(server.url)
    old = avro.encoder(there, "r-value", ONE)({"a": "x"})
    assert avro.decoder(there, TWO)(old) == {"a": "x", "b": None}
    assert avro.decoder(there, TWO, drop_nulls=True)(old) == {"a": "x"}
    new = avro.encoder(there, "r-value", TWO)({"a": "x", "b": 1})
    assert avro.decoder(there, ONE)(new) == {"a": "x"}


def test_an_unknown_id_is_asked_for_again_only_after_a_while(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    there = HttpRegistry(server.url)
    for _ in range(3):
        with pytest.raises(DecodeError, match=r"^unknown schema id 7$"):
            avro.decoder(there, ONE)(b"\x00\x00\x00\x00\x07")
        with pytest.raises(DecodeError, match=r"^unknown schema id 4294967295$"):
            avro.decoder(there, ONE)(b"\x00\xff\xff\xff\xff")
    assert server.asked == ["GET /schemas/ids/7"]
    server.schemas = [json.dumps(ONE)] * 7
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    assert avro.decoder(there, ONE)(b"\x00\x00\x00\x00\x07\x02x") == {"a": "x"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, RegistryUnavailableError), (429, RegistryUnavailableError), (409, RegistryError)],
)
def test_a_registry_in_trouble_is_an_error_of_its_own_and_no_dead_letter(
    server: Server, status: int, kind: type
) -> None:
    server.fail = status
    there = HttpRegistry(server.url.replace("//", "//me:secret@"))
    with pytest.raises(kind) as caught:
        avro.encoder(there, "r-value", ONE)
    assert str(caught.value) == f"registry {server.url} answers {status} to /subjects/r-value/versions: in trouble"
    with pytest.raises(RegistryError):
        avro.decoder(there, ONE)(b"\x00\x00\x00\x00\x01\x02x")


def test_a_registry_that_is_away_is_unavailable_and_its_password_stays_hidden() -> None:
    with pytest.raises(
        RegistryUnavailableError, match=r"^registry http://127\.0\.0\.1:9 cannot be reached: "
    ) as caught:
        HttpRegistry("http://me:secret@127.0.0.1:9").id_of("r-value", ONE)
    assert "secret" not in str(caught.value)
