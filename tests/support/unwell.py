"""A schema registry that answers no question: it is unavailable, or takes nobody's password."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler


class Unwell(BaseHTTPRequestHandler):
    """A registry on a bad day."""

    statuses = (401, 503, 403)
    asked = 0

    def do_GET(self) -> None:
        self.send_error(self.statuses[Unwell.asked % len(self.statuses)])
        Unwell.asked += 1

    def log_message(self, *_: object) -> None: ...
