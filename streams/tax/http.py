"""A tax service that speaks JSON over HTTP (`fake` is one; a provider's gateway may be put before its own interface).

POST URL/issue, URL/red   the record of tax-requests    200 {invoice_code, invoice_number, pdf_url, tax_number}
                                                        400, 422 {error_code, error}    429, 503 nothing was done
GET  URL/requests/ID                                    the same; 202 it is at it; 404 never heard of it
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from streams.tax.service import Answer, Issued, NotTaken, Rejected, Request, Unknown, Unsure

_REJECTED: Final = (400, 422)
_CLOSED: Final = (401, 403, 404, 405, 429, 503)
"""With these the request was not looked at."""


class HttpService:
    """`url` without a slash at its end; `token` goes as a bearer's. `timeout_s`: to connect, and to wait for a word."""

    def __init__(self, url: str, timeout_s: float = 10.0, token: str | None = None, threads: int = 5) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
        self._pool = urllib3.PoolManager(maxsize=threads, timeout=timeout, retries=False)

    def issue(self, request: Request) -> Answer:
        return self._post("issue", request)

    def red(self, request: Request) -> Answer:
        return self._post("red", request)

    def status(self, request: Request) -> Answer | Unknown:
        try:
            answer = self._pool.request("GET", self._named(request), headers=self._headers)
        except HTTPError as error:
            return Unsure("unreachable", type(error).__name__)
        if answer.status == 404:
            return Unknown()
        if answer.status == 202:
            return Unsure("processing")
        return _read(answer)

    def _post(self, path: str, request: Request) -> Answer:
        body = json.dumps(request, ensure_ascii=False).encode()
        headers = {**self._headers, "Idempotency-Key": quote(str(request["request_id"]), safe="")}
        try:
            answer = self._pool.request("POST", f"{self._url}/{path}", body=body, headers=headers)
        except (NewConnectionError, ConnectTimeoutError) as error:
            return NotTaken("unreachable", type(error).__name__)
        except HTTPError as error:
            return Unsure("no_answer", type(error).__name__)
        return _read(answer)

    def _named(self, request: Request) -> str:
        return f"{self._url}/requests/{quote(str(request['request_id']), safe='')}"


def _read(answer: urllib3.BaseHTTPResponse) -> Answer:
    said = _body(answer.data)
    code, error = said.get("error_code"), said.get("error")
    why = str(error)[:300] if error is not None else None
    if answer.status == 200:
        if not said.get("invoice_code"):
            return Unsure("no_invoice_code", "200 without one")
        named = (said.get(name) for name in ("invoice_number", "pdf_url", "tax_number"))
        return Issued(str(said["invoice_code"]), *(None if value is None else str(value) for value in named))
    if answer.status in _REJECTED:
        return Rejected(str(code or answer.status), why)
    if answer.status in _CLOSED:
        after = answer.headers.get("Retry-After", "")
        after_ms = int(after) * 1000 if after.isascii() and after.isdigit() and len(after) < 8 else None
        return NotTaken("throttled" if answer.status == 429 else str(code or answer.status), why, after_ms)
    return Unsure(str(code or answer.status), why)


def _body(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
