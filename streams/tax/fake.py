"""A tax service for tests and demos: it throttles, fails, answers late, and counts what it has issued.

Made to be hard on its caller: unless told to be `idempotent` it issues once more what is sent once more, and some calls
end without an answer though the invoice was issued. `issued` says how often each request was.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote

SECOND: Final = 1.0


@dataclass
class FakeTax:
    """`per_second` calls pass, the rest is throttled. Every `fail_every`-th call that passes answers 503 and does
    nothing, every `break_every`-th issues and then answers 500, every `late_every`-th answers after `late_s`; 0: none.
    A tax number in `rejected` is not known to it."""

    per_second: int = 5
    fail_every: int = 0
    break_every: int = 0
    late_every: int = 0
    late_s: float = 1.0
    idempotent: bool = False
    rejected: frozenset[str] = frozenset()
    clock: Callable[[], float] = time.monotonic
    issued: Counter[str] = field(default_factory=Counter)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was issued, by request."""
    throttled: int = 0
    calls: list[float] = field(default_factory=list)
    """When calls passed."""
    _passed: int = 0
    _at_it: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """(HTTP status, body) of a wish for an invoice."""
        name = str(request["request_id"])
        with self._lock:
            if not self._passes():
                return 429, {"error_code": "throttled"}
            self._passed += 1
            number = self._passed
            if _is(number, self.fail_every):
                return 503, {"error_code": "closed"}
            if request.get("tax_number") in self.rejected:
                return 422, {"error_code": "unknown_taxpayer", "error": "no taxpayer of that number"}
            if self.idempotent and name in self.answers:
                return 200, self.answers[name]
            self._at_it.add(name)
        if _is(number, self.late_every):
            time.sleep(self.late_s)
        with self._lock:
            self._at_it.discard(name)
            self.issued[name] += 1
            count = sum(self.issued.values())
            code = f"{'R' if request['kind'] == 'red' else 'F'}{count:08d}"
            answer = {"invoice_code": code, "invoice_number": f"{count:020d}", "tax_number": request.get("tax_number")}
            self.answers[name] = {**answer, "pdf_url": f"https://tax.example.com/{code}.pdf"}
            if _is(number, self.break_every):
                return 500, {"error_code": "internal"}
            return 200, self.answers[name]

    def get(self, name: str) -> tuple[int, dict[str, Any]]:
        """(HTTP status, body) of the question what became of a request."""
        with self._lock:
            if not self._passes():
                return 429, {"error_code": "throttled"}
            if name in self._at_it:
                return 202, {}
            return (200, self.answers[name]) if name in self.answers else (404, {})

    def _passes(self) -> bool:
        now = self.clock()
        if sum(at > now - SECOND for at in self.calls[-self.per_second :]) >= self.per_second:
            self.throttled += 1
            return False
        self.calls.append(now)
        return True


def _is(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


@contextmanager
def serving(fake: FakeTax, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve it; the value is its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                request = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                found = fake.post(request)
            except (ValueError, KeyError, TypeError):
                found = 400, {"error_code": "bad_request"}
            self._answer(*found)

        def do_GET(self) -> None:
            self._answer(*fake.get(unquote(self.path.removeprefix("/requests/"))))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body, ensure_ascii=False).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # the caller did not wait

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
