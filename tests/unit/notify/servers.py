"""Local targets that answer as told: HTTP robots and gateways, and an SMTP server."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """`stall_s`: says nothing for so long; `body` is sent as JSON; `call` is called when the request has been read."""

    status: int = 200
    body: Any = field(default_factory=lambda: {"errcode": 0, "code": 0})
    headers: dict[str, str] = field(default_factory=dict)
    stall_s: float = 0
    call: Callable[[], None] = lambda: None


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: Any


class Target:
    """A server on a thread of its own, at `address`."""

    def serve(self, server: ThreadingHTTPServer | socketserver.ThreadingTCPServer) -> None:
        server.daemon_threads = True
        self._server = server
        self.address = f"127.0.0.1:{server.server_address[1]}"
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class HttpTarget(Target):
    """What came is in `got`; each request takes the next of `answers`, and the last one stays."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[Answer] = [Answer()]
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                target.got.append(Got(self.path, dict(self.headers), body))
                answer = target.answers.pop(0) if len(target.answers) > 1 else target.answers[0]
                answer.call()
                time.sleep(answer.stall_s)
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.serve(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.url = f"http://{self.address}/hook"


class SmtpTarget(Target):
    """Takes mails; `replies` replaces the answer to a command (RCPT, DATA; END is the end of the mail)."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.replies: dict[str, str] = {}
        target = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 test")
                while line := self.rfile.readline():
                    verb = line[:4].upper().decode().strip()
                    default = {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 ok")
                    reply = target.replies.get(verb, default)
                    self._say(reply)
                    if verb == "DATA" and reply.startswith("354"):
                        lines = []
                        while (text := self.rfile.readline()) not in (b".\r\n", b""):
                            lines.append(text.decode())
                        ended = target.replies.get("END", "250 taken")
                        if ended.startswith("250"):
                            target.mails.append("".join(lines))
                        self._say(ended)
                    if verb == "QUIT":
                        return

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self.serve(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))


@contextmanager
def http_target() -> Iterator[HttpTarget]:
    target = HttpTarget()
    try:
        yield target
    finally:
        target.close()


@contextmanager
def smtp_target() -> Iterator[SmtpTarget]:
    target = SmtpTarget()
    try:
        yield target
    finally:
        target.close()
