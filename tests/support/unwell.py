"""A schema registry that answers every question with 503."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler


class Unwell(BaseHTTPRequestHandler):
    """A registry on a bad day."""

    asked = 0

    def do_GET(self) -> None:
        Unwell.asked += 1
        self.send_error(503)

    def log_message(self, *_: object) -> None: ...
