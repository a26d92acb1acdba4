"""A broker of one node that knows just enough of the protocol, on a thread: every answer can be made to fail."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import math
import socket
import struct
import threading
import time
from collections import defaultdict
from types import TracebackType
from typing import Any

from streams.engine.wire import protocol
from streams.engine.wire.protocol import Reader, string, uvarint

CLOSE, SILENCE = "close", "silence"
PARTITIONS = 4


class FakeBroker:
    """``faults[api]``: what its next requests are answered with, first come first served: an error code, `CLOSE` (hangs
    up without an answer), `SILENCE`. ``done``: what was ended, ``asked``: the APIs in order, see `calls`."""

    def __init__(self, level: int = 2, password: str | None = None, session_ms: int = 0) -> None:
        self.faults: dict[int, list[int | str]] = defaultdict(list)
        self.asked: list[int] = []
        self.done: list[tuple[bool, list[tuple[str, int, bytes]], list[tuple[str, int, int, str]]]] = []
        self.members: list[tuple[str, int, str, str]] = []
        self.epoch = 0
        self.level = level
        self.password = password
        self.session_ms = session_ms
        """How long a proof holds; after that it hangs up on whoever asks for anything."""
        self.log_end = 100
        self._pending: list[tuple[str, int, bytes]] = []
        self._offsets: list[tuple[str, int, int, str]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> FakeBroker:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the next connection
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """On everybody, as a broker does with idle connections."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # its thread still holds it: closing alone would tell nobody
            one.close()
        self._open.clear()

    def calls(self, *apis: int) -> list[int]:
        return [api for api in self.asked if api in apis]

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._server.accept()
            except OSError:
                return
            self._open.append(one)
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        session: dict[str, Any] = {}
        try:
            with one.makefile("rb") as stream:
                while head := stream.read(4):
                    data = stream.read(struct.unpack(">i", head)[0])
                    api, _, number, length = struct.unpack_from(">hhih", data)
                    if time.monotonic() >= session.get("until", math.inf):
                        one.shutdown(socket.SHUT_RDWR)
                        one.close()
                        return
                    self.asked.append(api)
                    body = Reader(data, 10 + length + (api != protocol.SASL_HANDSHAKE))
                    fault = self.faults[api].pop(0) if self.faults[api] else 0
                    if fault == CLOSE:
                        one.shutdown(socket.SHUT_RDWR)
                        one.close()
                        return
                    if fault == SILENCE or "silent" in session:  # answers come in order: nothing behind it either
                        session["silent"] = True
                        continue
                    answer = self._answer(api, body, int(fault), session)
                    plain = api in (protocol.API_VERSIONS, protocol.SASL_HANDSHAKE)
                    answer = struct.pack(">i", number) + (b"" if plain else b"\0") + answer
                    one.sendall(struct.pack(">i", len(answer)) + answer)
        except (OSError, ValueError):
            return

    def _answer(self, api: int, body: Reader, error: int, session: dict[str, Any]) -> bytes:
        match api:
            case protocol.API_VERSIONS:
                return self._versions(error)
            case protocol.METADATA:
                return self._metadata(body, error)
            case protocol.FIND_COORDINATOR:
                body.int8(), body.count()
                node = struct.pack(">i", 1) + string("127.0.0.1") + struct.pack(">ih", self.port, error)
                return bytes(4) + uvarint(2) + string(body.string()) + node + b"\0\0" + b"\0"
            case protocol.INIT_PRODUCER_ID:
                self.epoch += not error
                return struct.pack(">ihqh", 0, error, 9, self.epoch) + b"\0"
            case protocol.PRODUCE:
                return self._produce(body, error)
            case protocol.TXN_OFFSET_COMMIT:
                return self._offset_commit(body, error)
            case protocol.END_TXN:
                return self._end(body, error)
            case protocol.SASL_HANDSHAKE:
                session["mechanism"] = body.take(body.int16()).decode()
                return struct.pack(">hi", error, 0)
            case protocol.SASL_AUTHENTICATE:
                return self._sasl(body.data(), session)
        raise ValueError(api)

    def _versions(self, error: int) -> bytes:
        if error:
            return struct.pack(">hi", error, 0)
        apis = b"".join(struct.pack(">hhh", api, 0, version) + b"\0" for api, version in protocol.VERSIONS.items())
        feature = uvarint(2) + string("transaction.version") + struct.pack(">hh", self.level, self.level) + b"\0"
        tags = uvarint(2) + uvarint(1) + uvarint(8) + bytes(8) + uvarint(2) + uvarint(len(feature)) + feature
        return struct.pack(">h", 0) + uvarint(len(protocol.VERSIONS) + 1) + apis + bytes(4) + tags

    def _metadata(self, body: Reader, error: int) -> bytes:
        names = []
        for _ in range(body.count()):
            body.skip(16)
            names.append(body.string())
            body.tags()
        node = struct.pack(">i", 1) + string("127.0.0.1") + struct.pack(">i", self.port) + b"\0\0"
        out = bytes(4) + uvarint(2) + node + string("cluster") + struct.pack(">i", 1) + uvarint(len(names) + 1)
        parts = b"".join(
            struct.pack(">hiii", 0, number, 1, 0) + (uvarint(2) + struct.pack(">i", 1)) * 2 + uvarint(1) + b"\0"
            for number in range(PARTITIONS)
        )
        for name in names:
            out += (
                struct.pack(">h", error) + string(name) + bytes(17) + uvarint(PARTITIONS + 1) + parts + bytes(4) + b"\0"
            )
        return out + b"\0"

    def _produce(self, body: Reader, error: int) -> bytes:
        assert body.string()
        body.skip(6)
        out = b""
        topics = body.count()
        for _ in range(topics):
            topic, parts = body.string(), b""
            count = body.count()
            for _ in range(count):
                partition, data = body.int32(), body.data()
                body.tags()
                if not error:
                    self._pending.append((topic, partition, data))
                parts += struct.pack(">ihqqq", partition, error, self.log_end, -1, 0) + uvarint(1)
                parts += string("as told" if error else None) + b"\0"
            body.tags()
            out += string(topic) + uvarint(count + 1) + parts + b"\0"
        return uvarint(topics + 1) + out + bytes(4) + b"\0"

    def _offset_commit(self, body: Reader, error: int) -> bytes:
        body.string()
        group = body.string()
        body.skip(10)
        self.members.append((group, body.int32(), body.string(), body.string()))
        for _ in range(body.count()):
            topic = body.string()
            for _ in range(body.count()):
                partition, offset, _ = body.int32(), body.int64(), body.int32()
                if not error:
                    self._offsets.append((topic, partition, offset, body.string()))
                else:
                    body.string()
                body.tags()
            body.tags()
        one = string("in") + uvarint(2) + struct.pack(">ih", 0, error) + b"\0" + b"\0"
        return bytes(4) + uvarint(2) + one + b"\0"

    def _end(self, body: Reader, error: int) -> bytes:
        body.string()
        body.skip(10)
        if not error:
            self.done.append((bool(body.int8()), self._pending, self._offsets))
            self._pending, self._offsets = [], []
            self.epoch += 1
        return struct.pack(">ihqh", 0, error, 9, self.epoch) + b"\0"

    def _sasl(self, data: bytes, session: dict[str, Any]) -> bytes:
        def reply(answer: bytes, error: int = 0) -> bytes:
            text = string("wrong password" if error else None)
            if self.session_ms:
                session["until"] = time.monotonic() + self.session_ms / 1000
            holds = struct.pack(">q", self.session_ms)
            return struct.pack(">h", error) + text + uvarint(len(answer) + 1) + answer + holds + b"\0"

        assert self.password is not None
        if session["mechanism"] == "PLAIN":
            return reply(b"", 0 if data == f"\0user\0{self.password}".encode() else 58)
        digest = {"SCRAM-SHA-256": hashlib.sha256, "SCRAM-SHA-512": hashlib.sha512}[session["mechanism"]]
        salted = hashlib.pbkdf2_hmac(digest().name, self.password.encode(), b"salt", 4096)
        if "first" not in session:
            session["first"] = data.removeprefix(b"n,,")
            session["answer"] = (
                session["first"].split(b"r=")[1].join((b"r=", b"more,s=" + base64.b64encode(b"salt") + b",i=4096"))
            )
            return reply(session["answer"])
        final, _, proof = data.rpartition(b",p=")
        signed = b",".join((session["first"], session["answer"], final))
        key = hmac.digest(salted, b"Client Key", digest)
        signature = hmac.digest(digest(key).digest(), signed, digest)
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature, strict=True)):
            return reply(b"", 58)
        return reply(b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", digest), signed, digest)))
